"""What one request stands on: a release with its rows, its champions and its policy, opened once and pinned whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import cast
from zoneinfo import ZoneInfo

from decisioning.arms import unit_hash
from decisioning.catalogue.catalogue import Catalogue
from decisioning.few.deciding import Few
from decisioning.inputs import CHALLENGER, CHAMPION, ConsentBasis
from decisioning.policy import DecisionsPolicy
from features.policy import SegmentsPolicy
from features.policy_book import PolicyBook
from serving.customer_reader import CustomerReader
from serving.desk.consents import Hearing
from serving.provenance import lightgbm_version
from serving.releases import Release, verify
from serving.scorer import Champions, Scorer
from serving.settings import zone_of
from serving.shipping import model_folders
from serving.trial import try_models

_SALT = "CHALLENGER"  # whoever it scores this year is another draw than the holdout's


@dataclass(frozen=True)
class Rulebook:
    """The decisions policy in force on a day, its catalogue, and the scorer laid out for its offers."""

    policy: DecisionsPolicy
    catalogue: Catalogue
    scorer: Scorer
    few: Few  # the pipeline for one customer
    costs: Mapping[str, Decimal]  # of a contact, by channel
    challenger: Scorer | None = None  # where the release carries one, in shadow too
    challenger_share: float = 0.0

    def scorer_of(self, customer_id: str, on: date) -> tuple[Scorer, str]:
        """Who scores a customer, and by what name: the challenger its share by stable hash, the champions the rest."""
        if not self.challenger_share or self.challenger is None:
            return self.scorer, CHAMPION
        is_drawn = unit_hash(_SALT, on.year, customer_id) < self.challenger_share
        return (self.challenger, CHALLENGER) if is_drawn else (self.scorer, CHAMPION)


class Ground:
    """A release opened for requests; immutable but for what it remembers of the days it was asked for."""

    def __init__(self, release: Release) -> None:
        """Raises DamagedRelease where a file differs from its hash, DamagedModel where a champion cannot be read.

        The trial in a child process stands before the release; it is made again where LightGBM is another one here.
        """
        verify(release)
        if release.manifest["lightgbm_version"] != lightgbm_version():
            try_models(release.folder / folder for folder in model_folders(release.manifest))
        self.release = release
        self.champions = Champions.read(release)
        self._challengers = self.champions.challenged(release)
        self.segments: SegmentsPolicy = release.segments().view(release.as_of)
        self.zone: ZoneInfo = zone_of(self.segments.bank.zone)
        self.reader = CustomerReader(release.online_path, self.segments.tags)
        self._book: PolicyBook[DecisionsPolicy] = release.decisions()
        self._by_day: dict[date, Rulebook] = {}
        self._by_digest: dict[str, Rulebook] = {}

    @property
    def id(self) -> str:
        return self.release.id

    def business_day(self, now: datetime) -> date:
        """The day of an instant in the bank's zone."""
        return now.astimezone(self.zone).date()

    def rulebook(self, day: date) -> Rulebook:
        """What is in force on `day`; days of equal policy share one."""
        found = self._by_day.get(day)
        if found is None:
            policy = self._book.view(day)
            found = self._by_digest.get(policy.digest) or self._laid_out(policy)
            self._by_digest[policy.digest] = self._by_day[day] = found
        return found

    @property
    def consent_basis(self) -> ConsentBasis:
        """What the bank says of consents it keeps no table of."""
        return cast(ConsentBasis, self.segments.bank.consent_basis)  # the policy's own pattern holds it

    @property
    def hearing(self) -> Hearing:
        """How words on consent are heard."""
        return Hearing(self.zone, self.consent_basis == "bank_attests")

    def close(self) -> None:
        self.reader.close()

    def _laid_out(self, policy: DecisionsPolicy) -> Rulebook:
        catalogue = catalogue_of(policy, self.segments)
        costs = {name: Decimal(str(channel.unit_cost_amount)) for name, channel in policy.channels.items()}
        scorer = _laid_out(self.champions, catalogue, policy)
        challenger = None if self._challengers is None else _laid_out(self._challengers, catalogue, policy)
        few = Few(catalogue, policy)
        return Rulebook(policy, catalogue, scorer, few, costs, challenger, self.release.challenger_share)


def _laid_out(champions: Champions, catalogue: Catalogue, policy: DecisionsPolicy) -> Scorer:
    """The scorer for every channel, laid out before somebody waits for it."""
    scorer = Scorer.of(champions, catalogue, policy)
    scorer.open()
    return scorer


def catalogue_of(policy: DecisionsPolicy, segments: SegmentsPolicy) -> Catalogue:
    """The catalogue of a policy view, for the classes and benefits of the bank's segments."""
    return Catalogue.of(policy, default_class=segments.classes.ranked()[-1][0], benefits=segments.tiers.benefits)

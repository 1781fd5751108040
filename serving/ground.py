"""What one request stands on: a release with its rows, its champions and its policy, opened once and pinned whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import cast
from zoneinfo import ZoneInfo

from decisioning.alone import Alone
from decisioning.catalogue.catalogue import Catalogue
from decisioning.inputs import ConsentBasis
from decisioning.policy import DecisionsPolicy
from features.policy import SegmentsPolicy
from features.policy_book import PolicyBook
from serving.customer_reader import CustomerReader
from serving.provenance import lightgbm_version
from serving.releases import Release, verify
from serving.scorer import Champions, Scorer
from serving.settings import zone_of
from serving.trial import try_models


@dataclass(frozen=True)
class Rulebook:
    """The decisions policy in force on a day, its catalogue, and the scorer laid out for its offers."""

    policy: DecisionsPolicy
    catalogue: Catalogue
    scorer: Scorer
    alone: Alone  # the pipeline for one customer
    costs: Mapping[str, Decimal]  # of a contact, by channel

    @cached_property
    def uplift_share(self) -> Sequence[float]:
        """The scorer's shares as a decision of one customer reads them."""
        return tuple(self.scorer.uplift_share.tolist())

    @cached_property
    def uplift_is_assumed(self) -> Sequence[bool]:
        return tuple(self.scorer.uplift_is_assumed.tolist())


class Ground:
    """A release opened for requests; immutable but for what it remembers of the days it was asked for."""

    def __init__(self, release: Release) -> None:
        """Raises DamagedRelease where a file differs from its hash, DamagedModel where a champion cannot be read.

        The trial in a child process stands before the release; it is made again where LightGBM is another one here.
        """
        verify(release)
        if release.manifest["lightgbm_version"] != lightgbm_version():
            try_models(release.folder / "models" / name for name in release.manifest["champions"])
        self.release = release
        self.champions = Champions.read(release)
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

    def close(self) -> None:
        self.reader.close()

    def _laid_out(self, policy: DecisionsPolicy) -> Rulebook:
        catalogue = catalogue_of(policy, self.segments)
        costs = {name: Decimal(str(channel.unit_cost_amount)) for name, channel in policy.channels.items()}
        scorer = Scorer.of(self.champions, catalogue, policy)
        for channel in catalogue.channels:
            scorer.score_one({}, channel)  # laid out before somebody waits for it
        return Rulebook(policy, catalogue, scorer, Alone(catalogue, policy), costs)


def catalogue_of(policy: DecisionsPolicy, segments: SegmentsPolicy) -> Catalogue:
    """The catalogue of a policy view, for the classes and benefits of the bank's segments."""
    return Catalogue.of(policy, default_class=segments.classes.ranked()[-1][0], benefits=segments.tiers.benefits)

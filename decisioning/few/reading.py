"""Cases as the loops read them: a customer becomes a row of numbers, and his texts the places of what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import getitem, itemgetter
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from decisioning.arms import GLOBAL, unit_hash
from decisioning.case import Case, Happened, micros
from decisioning.catalogue.catalogue import Catalogue, Floats
from decisioning.exploration import noise_key
from decisioning.few.rows import (
    ATTESTS,
    CONVERTED,
    LEGAL,
    NO_BASIS,
    OPT_IN,
    OTHER,
    OTHER_INVESTOR,
    QUALIFIED,
    REFUSED,
    SALES,
    UNKNOWN_INVESTOR,
    Given,
    Rows,
)
from decisioning.few.sayings import Place, Sayings
from decisioning.few.shelf import numbers_of
from decisioning.inputs import SWITCHES
from decisioning.policy import DecisionsPolicy
from features.packing import Plain
from features.vocabulary import Outcome, Purpose, Stage

_NAN = float("nan")
_BASES = {"none": NO_BASIS, "bank_attests": ATTESTS, "opt_in": OPT_IN}
_SWITCHES = tuple(SWITCHES.items())
_INVESTORS = {None: UNKNOWN_INVESTOR, "QUALIFIED": QUALIFIED, "PROFESSIONAL": QUALIFIED}
_PURPOSES: Mapping[str | None, int] = {Purpose.SALES: SALES, Purpose.LEGAL: LEGAL}
_OUTCOMES: Mapping[str | None, int] = {
    Outcome.REFUSED: REFUSED, Outcome.DNC_REQUESTED: REFUSED, Outcome.CONVERTED: CONVERTED,
}  # fmt: skip
_SETTLED = ("customer_class", "stage", "tier")
_TEXTS = (
    "investor_type",
    "held_products",
    "active_services",
    "do_not_call",
    "consented_channels",
    "withheld_categories",
    "other_classes",
)


class Known(NamedTuple):
    """What is settled of a customer before his offers are looked at."""

    case: Case
    on: str  # the bank's day
    customer_class: str
    stage: str
    tier: str | None
    place: Place
    is_class_assumed: bool
    is_stage_assumed: bool
    generic: str | None  # the code that says why nothing here is personal
    is_held_out: bool


class Reading:
    """Reads cases under one catalogue and policy; not to be shared by threads."""

    def __init__(self, catalogue: Catalogue, policy: DecisionsPolicy) -> None:
        self.sayings = Sayings(catalogue, policy)
        self._catalogue, self._policy = catalogue, policy
        self._channels: dict[str | None, int] = {"": -1}
        self._channels.update(catalogue.channel_index)
        self._numbers_of = _Facts(numbers_of(catalogue), _NAN)
        self._texts_of = _Facts((*_TEXTS, *self.sayings.answers), None)
        self._answers = tuple(self.sayings.answers.values())
        self._settled = [(place, name) for place, name in enumerate(self.sayings.answers) if name in _SETTLED]

    def read(self, cases: Sequence[Case]) -> tuple[list[Known], Rows]:
        """What is settled of each of n customers, and the rows of all of them."""
        known, asked, events = [], [], list[tuple[int, ...]]()
        for case in cases:
            first = len(events)
            if case.recent:
                events += [self._event(row) for row in case.recent]
            one = self._known(case)
            known.append(one)
            asked.append(self._asked(one, first, len(events)))
        rows = Rows(
            np.array(asked, dtype=np.int64),
            np.array([self._numbers_of(case.facts) for case in cases], dtype=np.float64),
            self._offers_of([case.p for case in cases], _NAN),
            self._offers_of([case.uplift for case in cases], _NAN),
            self._offers_of([case.uplift_share for case in cases], _NAN),
            self._offers_of([case.shadow_price for case in cases], 0.0),
            np.array(events, dtype=np.int64).reshape(-1, 6),
            np.frombuffer(b"".join([_key(one) for one in known]), dtype="<u8").reshape(-1, 2),
        )
        return known, rows

    def _known(self, case: Case) -> Known:
        catalogue, terms = self._catalogue, case.terms
        get: Callable[[str], Any] = case.facts.get
        _, on, year, _ = when(terms.now, terms.zone)
        customer_class, stage = get("customer_class"), get("stage")
        is_class_assumed, is_stage_assumed = customer_class not in catalogue.class_names, stage is None
        if is_class_assumed:
            customer_class = catalogue.default_class
        if is_stage_assumed:
            stage = str(Stage.NEW if case.has_day("first_product_on") else Stage.PROSPECT)
        tier = get("tier")
        if (newcomer_tier := get("newcomer_tier")) is not None:
            tier = catalogue.bands.higher(tier, newcomer_tier)
        place = self.sayings.places[customer_class, stage, tier]
        generic = next((code for name, code in _SWITCHES if get(name) == 1), None)
        share = self._policy.arbitration.holdout_share
        is_held_out = not place.is_exempt and unit_hash(GLOBAL, year, case.customer_id) < share
        return Known(case, on, customer_class, stage, tier, place, is_class_assumed, is_stage_assumed, generic,
                     is_held_out)  # fmt: skip

    def _asked(self, one: Known, first_event: int, last_event: int) -> list[int]:
        """The columns in the order of `rows.NOW` and those after it."""
        case, place, said, terms = one.case, one.place, self.sayings, one.case.terms
        now_us, _, _, hour = when(terms.now, terms.zone)
        investor, held, used, closed, opened, withheld, others, *texts = self._texts_of(case.facts)
        for column, name in self._settled:
            texts[column] = getattr(one, name)
        return [
            now_us, self._channels[terms.channel], _BASES[terms.consent_basis], self._policy.contact.is_quiet(hour),
            one.generic is not None, one.is_held_out, place.is_barred, _INVESTORS.get(investor, OTHER_INVESTOR),
            said.named[terms.asked], said.named[terms.moment], said.flags[case.uplift_is_assumed],
            said.products[held], said.products[used], said.channels[closed], said.channels[opened],
            said.withheld[withheld], place.listed, place.leading, place.channels, said.secondary[others, one.stage],
            first_event, last_event, terms.limit, *map(getitem, self._answers, texts),
        ]  # fmt: skip

    def _event(self, row: Happened) -> tuple[int, ...]:
        """The columns in the order of `rows.IS_CONTACT` and those after it."""
        kind, at, offer_id, channel, purpose, outcome = row
        return (
            kind == "contact", at, self._catalogue.index.get(offer_id or "", -1), self._channels.get(channel, -1),
            _PURPOSES.get(purpose, OTHER), _OUTCOMES.get(outcome, OTHER),
        )  # fmt: skip

    def _offers_of(self, values: Sequence[Sequence[float] | None], absent: float) -> Floats:
        """A figure of each customer and offer, (n, m); mostly all customers have one row of it, or none."""
        first, m = values[0], self._catalogue.m
        if (first is None or isinstance(first, tuple)) and all(value is first for value in values):
            return _shared(first or (absent,) * m, len(values))
        return np.array([(absent,) * m if value is None else value for value in values], dtype=np.float64)


def _key(one: Known) -> bytes:
    """The key of a customer's noise; who gets nothing personal shares the stranger's."""
    return noise_key("" if one.generic is not None else one.case.customer_id, one.on, one.case.terms.epoch)


@lru_cache(maxsize=256)
def _shared(row: tuple[float, ...], n: int) -> Floats:
    """One row for each of n customers; nobody writes into it."""
    return np.array([row] * n, dtype=np.float64)


class _Facts:
    """Some facts of a customer in their order, `absent` where the bank does not have one."""

    def __init__(self, names: Sequence[str], absent: float | None) -> None:
        self._names, self._absent, self._all = names, absent, itemgetter(*names)

    def __call__(self, facts: Mapping[str, Plain]) -> Sequence[Any]:
        try:
            found: Sequence[Any] = self._all(facts)
        except KeyError:
            found = [facts.get(name, self._absent) for name in self._names]
        return found


@lru_cache(maxsize=64)
def when(now: datetime, zone: str) -> tuple[int, str, int, int]:
    """An instant in microseconds since 1970, and its day, year and hour in the bank's zone."""
    local = now.astimezone(ZoneInfo(zone))
    return micros(now), local.date().isoformat(), local.year, local.hour


@lru_cache(maxsize=64)
def nothing_given(n: int, m: int, c: int) -> Given:
    """Of filters that have no loop, where there are none."""
    codes, until = np.zeros((0, n, m), dtype=np.int16), np.zeros((0, n, m), dtype=np.int64)
    return Given(codes, np.zeros((0, n, m, c), dtype=np.int16), until)

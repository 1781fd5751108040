"""The pipeline for one customer without arrays: what `decide` gives, to the bit, in a fifth of its time.

A request asks about one customer, and of an array of one row nearly all the time goes into making it. Each filter says
the same here a second time, beside its first saying and in the same order; tests decide thousands of made-up customers
both ways and hold every decision equal. Night and large requests go through `decide`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from importlib import import_module
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from decisioning.arms import GLOBAL, unit_hash
from decisioning.case import Case, instant, micros
from decisioning.catalogue.catalogue import Catalogue
from decisioning.decision import Decision, LeftOut, ShadowSlot, Slot
from decisioning.exploration import NOTHING, draw, gumbel, gumbel_of, noise_key
from decisioning.filters import ORDER
from decisioning.grounds import DAYS_OF, Merits, days_told, grounds
from decisioning.inputs import SWITCHES
from decisioning.marks import ARMS, marks
from decisioning.one_row import in_one_row
from decisioning.policy import DecisionsPolicy
from decisioning.shelf import Offers, Scene, Shelf, Tally, places
from decisioning.weighing import Weighed, Weighing
from features.errors import BadRequest
from features.vocabulary import Stage

FilterAlone = Callable[[Scene, Tally], None]


def _alone(name: str) -> FilterAlone:
    """The twin of a filter, or the filter itself in arrays of one row where it has none."""
    module = import_module(f"decisioning.filters.{name}")
    found: FilterAlone | None = getattr(module, f"{name}_alone", None)
    return in_one_row(name, getattr(module, name)) if found is None else found


FILTERS = tuple(_alone(name) for name in ORDER)
_HELD_OUT, _TOOL_ALONE = ("arms", "HOLDOUT"), ("applicability", "TOOL_ALONE")
_ASLEEP = ("arbitration", "SLEEPING_DOG")


class _Drawn(NamedTuple):
    """Offers in order with the probability of each given those above it, and NO_ACTION's where it ended the list."""

    slots: tuple[tuple[int, float], ...]
    end_propensity: float | None


class _Weighed(NamedTuple):
    """A customer's offers once they are filtered and weighed; `candidates` are what a holdout would choose from."""

    scene: Scene
    tally: Tally
    weighing: Weighing
    worth: dict[int, Weighed]
    permitted: Offers
    candidates: Offers | None


class _Ranked(NamedTuple):
    """Everything that is known once the list is drawn, and for a holdout the list he would have had."""

    scene: Scene
    tally: Tally
    weighing: Weighing
    worth: dict[int, Weighed]
    permitted: Offers
    drawn: _Drawn
    shadow: _Drawn | None

    @property
    def is_held_out(self) -> bool:
        return self.shadow is not None


class Alone:
    """Decides a few customers, each by himself but for the drawing, under one catalogue and policy."""

    def __init__(self, catalogue: Catalogue, policy: DecisionsPolicy, filters: Sequence[FilterAlone] = FILTERS) -> None:
        self._shelf, self._filters = Shelf.of(catalogue, policy), filters
        nobody = np.zeros((1, catalogue.m)), np.zeros((1, catalogue.m), dtype=bool), gumbel([""], "", "", catalogue.m)
        draw(*nobody, catalogue=catalogue, figures=policy.arbitration, limit=1)  # compiled before somebody waits for it

    def decide(self, cases: Sequence[Case]) -> list[Decision]:
        """The decision of each of a few customers; raises BadRequest for an unknown channel."""
        catalogue = self._shelf.catalogue
        for terms in (case.terms for case in cases):
            if terms.channel and terms.channel not in catalogue.channel_index:
                raise BadRequest("unknown channel", value=terms.channel, allowed=catalogue.channels)
        weighed = [_weighed(_scene(case, self._shelf), self._filters) for case in cases]
        if not weighed:
            return []
        return [_decision(ranked) for ranked in _ranked(weighed, self._shelf)]


@lru_cache(maxsize=64)
def _when(now: datetime, zone: str) -> tuple[int, str, int, int]:
    """An instant in microseconds since 1970, and its day, year and hour in the bank's zone."""
    local = now.astimezone(ZoneInfo(zone))
    return micros(now), local.date().isoformat(), local.year, local.hour


def _scene(case: Case, shelf: Shelf) -> Scene:
    catalogue = shelf.catalogue
    now_us, on, year, hour = _when(case.terms.now, case.terms.zone)
    given, stage = case.code("customer_class"), case.code("stage")
    is_class_assumed = given not in catalogue.class_names
    customer_class = catalogue.default_class if given is None or is_class_assumed else given
    settled = stage
    if settled is None:
        settled = str(Stage.NEW if case.has_day("first_product_on") else Stage.PROSPECT)
    held = case.code("tier")
    generic = next((code for name, code in SWITCHES.items() if case.number(name) == 1), None)
    tier = catalogue.bands.higher(held, case.code("newcomer_tier"))
    facts = case.facts
    if (customer_class, settled, tier) != (given, stage, held):
        facts = {**facts, "customer_class": customer_class, "stage": settled, "tier": tier}
    return Scene(
        case=case,
        shelf=shelf,
        now_us=now_us,
        on=on,
        year=year,
        hour=hour,
        customer_class=customer_class,
        stage=settled,
        tier=tier,
        seen=catalogue.bands.seen(customer_class, settled, tier) if generic is None else None,
        is_class_assumed=is_class_assumed,
        is_stage_assumed=stage is None,
        generic=generic,
        asked=shelf.named(case.terms.asked),
        known=shelf.asked.rules.known(facts),
    )


def _weighed(scene: Scene, filters: Sequence[FilterAlone]) -> _Weighed:
    shelf, terms = scene.shelf, scene.case.terms
    tally = Tally(shelf, shelf.every & ~(shelf.care | scene.asked))
    for apply in filters:
        apply(scene, tally)
    weighing = Weighing.of(scene)
    if terms.channel:
        tally.keep_to(shelf.catalogue.channel_index[terms.channel])
    worth = {j: weighing.weigh(j, channel) for j, channel in tally.cheapest()}
    if scene.case.uplift is not None:
        _spare(tally, scene, worth)
    candidates = tally.left
    is_held_out = _is_held_out(scene)
    _settle(tally, scene, is_held_out=is_held_out)
    return _Weighed(scene, tally, weighing, worth, tally.left, candidates if is_held_out else None)


def _ranked(weighed: Sequence[_Weighed], shelf: Shelf) -> Iterator[_Ranked]:
    """Each with its list, and that which a holdout would have had; all of them drawn at once."""
    lists = [(one, one.permitted) for one in weighed]
    lists += [(one, one.candidates) for one in weighed if one.candidates is not None]
    drawn = iter(_drawn(lists, shelf))
    found = [next(drawn) for _ in weighed]
    for one, mine in zip(weighed, found, strict=True):
        yield _Ranked(*one[:-1], mine, None if one.candidates is None else next(drawn))


def _drawn(lists: Sequence[tuple[_Weighed, Offers]], shelf: Shelf) -> list[_Drawn]:
    """The lists drawn from permitted offers; those without personal recommendation share the stranger's noise.

    A list goes on as it began, so that a shorter one is the beginning of a longer.
    """
    n, m = len(lists), shelf.catalogue.m
    cells = [(i * m + j, one.worth[j].score) for i, (one, permitted) in enumerate(lists) for j in places(permitted)]
    score, mask = np.zeros((n, m)), np.zeros((n, m), dtype=bool)
    among = [cell for cell, _ in cells]
    score.put(among, [figure for _, figure in cells])
    mask.put(among, True)
    scenes = [one.scene for one, _ in lists]
    names = ["" if one.is_generic else one.case.customer_id for one in scenes]
    keys = [noise_key(name, one.on, one.case.terms.epoch) for name, one in zip(names, scenes, strict=True)]
    limits = [one.case.terms.limit for one in scenes]
    figures, longest = shelf.policy.arbitration, max(limits)
    found = draw(score, mask, gumbel_of(keys, m), catalogue=shelf.catalogue, figures=figures, limit=longest)
    rows = zip(found.offer.tolist(), found.propensity.tolist(), found.end_propensity.tolist(), limits, strict=True)
    return [_list(*row) for row in rows]


def _list(offers: Sequence[int], chances: Sequence[float], end: float, limit: int) -> _Drawn:
    taken = [slot for slot in zip(offers, chances, strict=True) if slot[0] != NOTHING][:limit]
    return _Drawn(tuple(taken), None if end != end or len(taken) == limit else end)


def _is_held_out(scene: Scene) -> bool:
    figures = scene.shelf.policy.arbitration
    chosen = unit_hash(GLOBAL, scene.year, scene.case.customer_id) < figures.holdout_share
    return chosen and scene.tier not in figures.holdout_exempt_tiers


def _spare(tally: Tally, scene: Scene, worth: Mapping[int, Weighed]) -> None:
    """Out go sales whose effect arms measured as below 0: whoever is told buys less often (R46)."""
    asleep: Offers = sum(1 << j for j, weighed in worth.items() if weighed.uplift < 0)
    tally.reject(asleep & ~(scene.shelf.care | scene.shelf.tools | scene.asked), _ASLEEP)


def _settle(tally: Tally, scene: Scene, *, is_held_out: bool) -> None:
    """Holdouts go without sales, and tools without company are out (D02)."""
    shelf = scene.shelf
    if is_held_out:
        tally.reject(shelf.every & ~(shelf.care | shelf.tools | scene.asked), _HELD_OUT)
    if not tally.left & ~shelf.tools:
        tally.reject(shelf.tools, _TOOL_ALONE)


def _decision(ranked: _Ranked) -> Decision:
    scene, case = ranked.scene, ranked.scene.case
    terms, tier = case.terms, scene.tier
    offers = _slots(ranked)
    return Decision(
        decided_at=terms.now,
        customer_id=case.customer_id,
        customer_class=scene.customer_class,
        stage=scene.stage,
        tier=tier,
        grade=case.code("grade"),
        benefits=scene.shelf.catalogue.benefits.get(tier or "", ()),
        variant=None if scene.seen is None else scene.seen.variant,
        release_id=terms.release_id,
        prices_version=terms.prices_version,
        arm=ARMS[ranked.is_held_out],
        offers=offers,
        no_action=None if offers else _why_nothing(ranked),
        end_propensity=ranked.drawn.end_propensity,
        marks=marks(
            terms.consent_basis,
            is_class_assumed=scene.is_class_assumed,
            is_stage_assumed=scene.is_stage_assumed,
            generic=scene.generic,
            scored_by=terms.scored_by,
        ),
        degraded=terms.degraded,
        stale=terms.stale,
        fallback=case.p is None,
        left_out=_left_out(ranked),
        shadow=_shadow(ranked),
    )


def _slots(ranked: _Ranked) -> tuple[Slot, ...]:
    scene, terms, catalogue = ranked.scene, ranked.scene.case.terms, ranked.scene.shelf.catalogue
    if not ranked.drawn.slots:
        return ()
    likely, worthwhile = _least(ranked, lambda weighed: weighed.p), _least(ranked, lambda weighed: weighed.gain)
    expires_at = terms.now + timedelta(days=scene.shelf.policy.arbitration.offer_expires_days)
    asked_for = catalogue.channel_index[terms.channel] if terms.channel else None
    return tuple([
        Slot(
            rank,
            catalogue.treatment(j, _channel(ranked, j) if asked_for is None else asked_for),
            ranked.worth[j].score,
            ranked.weighing.parts(ranked.worth[j], j),
            _p_channel(scene.case, j),
            chance,
            grounds(_merits(ranked, j, likely, worthwhile)),
            expires_at,
        )
        for rank, (j, chance) in enumerate(ranked.drawn.slots, 1)
    ])  # fmt: skip


def _channel(ranked: _Ranked, j: int) -> int:
    """The first open channel of the customer's band, or the cheapest."""
    seen = ranked.scene.seen
    return ranked.worth[j].channel if seen is None else ranked.tally.first_open(j, seen.channels)


def _least(ranked: _Ranked, figure: Callable[[Weighed], float]) -> float:
    """What an offer needs to be among the three best of the customer's candidates."""
    best = sorted((figure(ranked.worth[j]) for j in places(ranked.permitted)), reverse=True)[:3]
    return best[-1] if len(best) == 3 else float("-inf")


def _merits(ranked: _Ranked, j: int, likely: float, worthwhile: float) -> Merits:
    scene, weighed = ranked.scene, ranked.worth[j]
    catalogue = scene.shelf.catalogue
    overlay_id = None if weighed.overlay is None else catalogue.overlay_ids[weighed.overlay]
    days = DAYS_OF.get(overlay_id) if overlay_id else None
    is_listed = ranked.weighing.listed >> j & 1
    return Merits(
        is_asked=bool(scene.asked >> j & 1),
        is_service=bool(scene.shelf.service >> j & 1),
        is_moment=catalogue.cards[j].offer_id in scene.case.terms.moment,
        overlay=overlay_id,
        overlay_days=days_told(scene.case.number(days)) if days else None,
        goal=catalogue.goals[scene.customer_class, scene.stage] if is_listed else None,
        is_secondary=bool(ranked.weighing.secondary >> j & 1),
        is_leading=bool(ranked.weighing.leading >> j & 1),
        is_likely=weighed.p >= likely,
        is_worthwhile=weighed.gain >= worthwhile,
        has_risk=catalogue.cards[j].risk_level > 0,
        generic=scene.generic,
        is_prior=weighed.is_prior,
    )


def _p_channel(case: Case, j: int) -> float | None:
    p = None if case.p_channel is None else case.p_channel[j]
    return None if p is None or p != p else p


def _why_nothing(ranked: _Ranked) -> str:
    if ranked.permitted:
        return "BELOW_FLOOR"
    return "HOLDOUT" if any(reason == _HELD_OUT for reason, _ in ranked.tally.out) else "NO_CANDIDATE"


def _left_out(ranked: _Ranked) -> tuple[LeftOut, ...]:
    """The offers that are out by reason and end, in order of each one's first offer."""
    cards, until = ranked.scene.shelf.catalogue.cards, ranked.tally.until
    found: dict[tuple[tuple[str, str], int | None], Offers] = {}
    for reason, offers in ranked.tally.out:
        endless = offers
        for j in [j for j in places(offers) if j in until] if until else ():
            found[reason, until[j]] = found.get((reason, until[j]), 0) | 1 << j
            endless ^= 1 << j
        if endless:
            found[reason, None] = found.get((reason, None), 0) | endless
    return tuple([
        LeftOut(name, code, None if end is None else instant(end), tuple([cards[j].offer_id for j in places(offers)]))
        for _, offers, (name, code), end in sorted([(which & -which, which, *out) for out, which in found.items()])
    ])  # fmt: skip


def _shadow(ranked: _Ranked) -> tuple[ShadowSlot, ...]:
    if ranked.shadow is None:
        return ()
    cards = ranked.scene.shelf.catalogue.cards
    return tuple(
        ShadowSlot(rank, cards[j].offer_id, ranked.worth[j].score, chance)
        for rank, (j, chance) in enumerate(ranked.shadow.slots, 1)
    )

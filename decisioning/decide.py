"""The one pipeline, for one customer and for many: candidates, filters, scores, rank, choose."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from decisioning.arbitration import Components, components
from decisioning.arms import holdout, without_sales
from decisioning.candidates import ASLEEP, HELD_OUT, NO_REASON, TOOL_ALONE, Candidates, candidates
from decisioning.catalogue.bands import Seen
from decisioning.catalogue.catalogue import Bools, Catalogue, Floats
from decisioning.decision import Decision, LeftOut, Parts, ShadowSlot, Slot
from decisioning.exploration import NOTHING, Draw, draw, gumbel
from decisioning.grounds import DAYS_OF, Merits, days_told, grounds, third_largest
from decisioning.inputs import Inputs
from decisioning.marks import ARMS, marks
from decisioning.matrix import NO_OVERLAY, Context, context
from decisioning.policy import DecisionsPolicy
from decisioning.situation import Situation
from decisioning.verdicts import Instants
from features.errors import BadRequest


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Everything that is known of n customers and m offers once the lists are drawn."""

    situation: Situation
    catalogue: Catalogue
    policy: DecisionsPolicy
    found: Candidates
    context: Context
    parts: Components
    score: Floats
    is_held_out: Bools
    reason: NDArray[np.int16]
    permitted: Bools
    gain: Floats
    least_p: Floats  # (n,): what an offer needs to be among the customer's likeliest, and most worthwhile
    least_gain: Floats
    drawn: Draw
    shadow: Draw | None


def decide(inputs: Inputs, catalogue: Catalogue, policy: DecisionsPolicy) -> list[Decision]:
    """The decisions of all customers of `inputs`, in their order; raises BadRequest for an unknown channel.

    A decision depends on its customer's own rows alone: neither the batch nor the order in it changes it.
    """
    if inputs.channel and inputs.channel not in catalogue.channel_index:
        raise BadRequest("unknown channel", value=inputs.channel, allowed=catalogue.channels)
    if inputs.n == 0:
        return []
    ranked = _rank(Situation.of(inputs, catalogue), catalogue, policy)
    return [_decision(ranked, i) for i in range(inputs.n)]


def standing(inputs: Inputs, catalogue: Catalogue, policy: DecisionsPolicy) -> tuple[Floats, Bools, Floats]:
    """Score, permission and p of every offer, each (n, m), as `decide` has them before chance draws the lists."""
    ranked = _rank(Situation.of(inputs, catalogue), catalogue, policy)
    return ranked.score, ranked.permitted, ranked.parts.p


def _rank(situation: Situation, catalogue: Catalogue, policy: DecisionsPolicy) -> _Ranked:
    found = candidates(situation, catalogue, policy)
    weights = context(situation, catalogue, policy)
    parts = components(situation, catalogue, policy, weights, cost=_cheapest(found, catalogue))
    score = parts.score
    is_held_out = holdout(situation, policy)
    in_channel = _spared(_in_channel(found, situation, catalogue), parts.uplift, situation, catalogue)
    reason = _settled(in_channel, without_sales(is_held_out, situation, catalogue), catalogue)
    permitted = reason == NO_REASON
    noise = _noise(situation, catalogue)
    drawn = _drawn(score, permitted, noise, situation, catalogue, policy)
    shadow = None
    if np.count_nonzero(is_held_out):
        shadow = _drawn(score, in_channel == NO_REASON, noise, situation, catalogue, policy)
    gain = parts.uplift * parts.value
    return _Ranked(
        situation, catalogue, policy, found, weights, parts, score, is_held_out, reason, permitted, gain,
        third_largest(parts.p, permitted), third_largest(gain, permitted), drawn, shadow,
    )  # fmt: skip


def _cheapest(found: Candidates, catalogue: Catalogue) -> Floats:
    """Cost of each offer's cheapest permitted treatment, (n, m); channels stand from cheapest to dearest."""
    costs: Floats = catalogue.channel_cost[found.open.argmax(axis=2)]
    return costs


def _in_channel(found: Candidates, situation: Situation, catalogue: Catalogue) -> NDArray[np.int16]:
    """Reasons once offers without a permitted treatment in the requested channel are out, (n, m)."""
    if not situation.inputs.channel:
        return found.reason
    there = found.closed[:, :, catalogue.channel_index[situation.inputs.channel]]
    return np.where(found.reason == NO_REASON, there, found.reason)


def _spared(reason: NDArray[np.int16], uplift: Floats, situation: Situation, catalogue: Catalogue) -> NDArray[np.int16]:
    """Reasons once sales are out whose measured effect is below 0: whoever is told buys less often (R46), (n, m)."""
    asleep = (uplift < 0) & ~(catalogue.is_care | catalogue.is_tool | situation.is_asked)
    if not np.count_nonzero(asleep):
        return reason
    return np.where(asleep & (reason == NO_REASON), np.int16(ASLEEP), reason)


def _settled(reason: NDArray[np.int16], sales: Bools, catalogue: Catalogue) -> NDArray[np.int16]:
    """Reasons once holdouts go without sales, and tools without company (D02), (n, m)."""
    permitted = reason == NO_REASON
    if np.count_nonzero(sales):
        reason = np.where(sales & permitted, np.int16(HELD_OUT), reason)
        permitted = reason == NO_REASON
    has_company = np.logical_or.reduce(permitted & ~catalogue.is_tool, axis=1)
    if np.logical_and.reduce(has_company):
        return reason
    alone = permitted & catalogue.is_tool & ~has_company[:, None]
    return np.where(alone, np.int16(TOOL_ALONE), reason)


def _noise(situation: Situation, catalogue: Catalogue) -> Floats:
    """One draw a customer and business day; those without personal recommendation share the stranger's (R31)."""
    ids = situation.inputs.customer_ids
    if np.count_nonzero(situation.is_generic):
        ids = tuple("" if off else name for name, off in zip(ids, situation.is_generic.tolist(), strict=True))
    return gumbel(ids, situation.on.isoformat(), situation.inputs.epoch, catalogue.m)


def _drawn(
    score: Floats,
    permitted: Bools,
    noise: Floats,
    situation: Situation,
    catalogue: Catalogue,
    policy: DecisionsPolicy,
) -> Draw:
    return draw(score, permitted, noise, catalogue=catalogue, figures=policy.arbitration, limit=situation.inputs.limit)


def _decision(ranked: _Ranked, i: int) -> Decision:
    situation, inputs = ranked.situation, ranked.situation.inputs
    tier, seen = situation.tiers[i], _seen(ranked, i)
    offers = tuple(_slots(ranked, i))
    end = float(ranked.drawn.end_propensity[i])
    return Decision(
        decided_at=inputs.now,
        customer_id=inputs.customer_ids[i],
        customer_class=situation.classes[i],
        stage=situation.stages[i],
        tier=tier,
        grade=inputs.codes("grade")[i],
        benefits=ranked.catalogue.benefits.get(tier or "", ()),
        variant=None if seen is None else seen.variant,
        release_id=inputs.release_id,
        prices_version=inputs.prices_version,
        arm=ARMS[bool(ranked.is_held_out[i])],
        offers=offers,
        no_action=None if offers else _why_nothing(ranked, i),
        end_propensity=None if np.isnan(end) else end,
        marks=marks(
            inputs.consent_basis,
            is_class_assumed=bool(situation.is_class_assumed[i]),
            is_stage_assumed=bool(situation.is_stage_assumed[i]),
            generic=situation.generic[i],
            scored_by=inputs.scored_by,
        ),
        degraded=inputs.degraded,
        stale=inputs.stale,
        fallback=inputs.p is None,
        left_out=_left_out(ranked, i),
        shadow=tuple(_shadow(ranked, i)),
    )


def _slots(ranked: _Ranked, i: int) -> list[Slot]:
    offers, chances = ranked.drawn.offer[i].tolist(), ranked.drawn.propensity[i].tolist()
    taken = [(j, chance) for j, chance in zip(offers, chances, strict=True) if j != NOTHING]
    return [_slot(ranked, i, j, rank, chance) for rank, (j, chance) in enumerate(taken, 1)]


def _slot(ranked: _Ranked, i: int, j: int, rank: int, propensity: float) -> Slot:
    inputs = ranked.situation.inputs
    return Slot(
        rank=rank,
        treatment=ranked.catalogue.treatment(j, _channel(ranked, i, j)),
        score=float(ranked.score[i, j]),
        components=_parts(ranked.parts, i, j),
        p_channel=_p_channel(inputs, i, j),
        propensity=propensity,
        reasons=grounds(_merits(ranked, i, j)),
        expires_at=inputs.now + timedelta(days=ranked.policy.arbitration.offer_expires_days),
    )


def _merits(ranked: _Ranked, i: int, j: int) -> Merits:
    situation, catalogue, context = ranked.situation, ranked.catalogue, ranked.context
    overlay_id = None if context.overlay[i, j] == NO_OVERLAY else catalogue.overlay_ids[context.overlay[i, j]]
    days = DAYS_OF.get(overlay_id or "")
    is_listed = context.is_listed[i, j]
    return Merits(
        is_asked=bool(situation.is_asked[j]),
        is_service=bool(catalogue.is_service[j]),
        is_moment=catalogue.cards[j].offer_id in situation.inputs.moment,
        overlay=overlay_id,
        overlay_days=days_told(float(situation.inputs.numbers(days)[i])) if days else None,
        goal=catalogue.goals[situation.classes[i], situation.stages[i]] if is_listed else None,
        is_secondary=bool(context.is_secondary[i, j]),
        is_leading=bool(context.is_leading[i, j]),
        is_likely=bool(ranked.parts.p[i, j] >= ranked.least_p[i]),
        is_worthwhile=bool(ranked.gain[i, j] >= ranked.least_gain[i]),
        has_risk=bool(catalogue.risk_level[j]),
        generic=situation.generic[i],
        is_prior=bool(ranked.parts.is_prior[i, j]),
    )


def _channel(ranked: _Ranked, i: int, j: int) -> int:
    """The requested channel; where any will do the first permitted one of the customer's band, or the cheapest."""
    requested = ranked.situation.inputs.channel
    if requested:
        return ranked.catalogue.channel_index[requested]
    is_open, seen = ranked.found.closed[i, j] == NO_REASON, _seen(ranked, i)
    return int(is_open.argmax()) if seen is None else next(k for k in seen.channels if is_open[k])


def _seen(ranked: _Ranked, i: int) -> Seen | None:
    """The customer's cell as his tier sees it; not for those without personal recommendation."""
    situation = ranked.situation
    if situation.is_generic[i]:
        return None
    return ranked.catalogue.bands.seen(situation.classes[i], situation.stages[i], situation.tiers[i])


def _parts(parts: Components, i: int, j: int) -> Parts:
    return Parts(
        p=float(parts.p[i, j]),
        uplift=float(parts.uplift[i, j]),
        uplift_is_assumed=bool(parts.uplift_is_assumed[i, j]),
        value=float(parts.value[i, j]),
        reward=float(parts.reward[i, j]),
        cost=float(parts.cost[i, j]),
        context=float(parts.context[i, j]),
        lever=float(parts.lever[i, j]),
        shadow_price=float(parts.shadow_price[i, j]),
    )


def _p_channel(inputs: Inputs, i: int, j: int) -> float | None:
    if inputs.p_channel is None or np.isnan(inputs.p_channel[i, j]):
        return None
    return float(inputs.p_channel[i, j])


def _why_nothing(ranked: _Ranked, i: int) -> str:
    if ranked.permitted[i].any():
        return "BELOW_FLOOR"
    return "HOLDOUT" if (ranked.reason[i] == HELD_OUT).any() else "NO_CANDIDATE"


def _left_out(ranked: _Ranked, i: int) -> tuple[LeftOut, ...]:
    """The offers that are out by reason and end, in order of each one's first offer."""
    cards, reasons, ends = ranked.catalogue.cards, ranked.found.reasons, _ends(ranked.found.until[i])
    found: dict[tuple[tuple[str, str], datetime | None], list[str]] = {}
    for j, reason in enumerate(ranked.reason[i].tolist()):
        if reason != NO_REASON:
            found.setdefault((reasons[reason], ends.get(j)), []).append(cards[j].offer_id)
    return tuple([LeftOut(*reason, end, tuple(offer_ids)) for (reason, end), offer_ids in found.items()])


def _ends(until: Instants) -> dict[int, datetime]:
    """When each offer's reason lapses, for those of which it is known."""
    places = np.flatnonzero(until == until).tolist()  # NaT alone differs from itself
    return {j: until[j].item().replace(tzinfo=UTC) for j in places}


def _shadow(ranked: _Ranked, i: int) -> list[ShadowSlot]:
    if ranked.shadow is None or not ranked.is_held_out[i]:
        return []
    drawn = zip(ranked.shadow.offer[i].tolist(), ranked.shadow.propensity[i].tolist(), strict=True)
    return [
        ShadowSlot(rank, ranked.catalogue.cards[j].offer_id, float(ranked.score[i, j]), chance)
        for rank, (j, chance) in enumerate(drawn, 1)
        if j != NOTHING
    ]

"""What one customer's offers are worth: `matrix.context` and `arbitration.components`, and who of them may be told."""

from __future__ import annotations

import numpy as np

from decisioning.catalogue.catalogue import Bools, Floats
from decisioning.few.filters_loop import reject
from decisioning.few.rows import (
    ASLEEP,
    ASSUMED,
    CHANNEL,
    CHANNEL_AT,
    CONTEXT,
    COST,
    HELD_OUT,
    IS_ASSUMED,
    IS_GENERIC,
    IS_HELD_OUT,
    IS_LEADING,
    IS_LIKELY,
    IS_LISTED,
    IS_MOMENT,
    IS_PRIOR,
    IS_SECONDARY,
    IS_WORTHWHILE,
    LEADING,
    LISTED,
    MOMENT,
    ORDER_OF_BAND,
    OVERLAY_AT,
    SCORE,
    SECONDARY,
    TOLD_P,
    TOLD_UPLIFT,
    TOLD_VALUE,
    TOOL_ALONE,
    WAS_ASKED,
    Codes,
    One,
)
from decisioning.few.shelf import LEVER, RETENTION, REWARD, SERVICE, TOOL, VALUE, Ints, Shelf
from features.compiling import compiled

_P_CHURN = 10  # of `shelf.NUMBERS`


@compiled
def weigh(one: One, shelf: Shelf, figures: Floats, notes: Ints) -> None:
    """The score of every offer at its cheapest open channel; additions in the order of the arrays'."""
    asked, weights, is_generic = one.asked, shelf.figures, one.asked[IS_GENERIC] == 1
    p_churn = one.numbers[_P_CHURN]
    if is_generic or p_churn != p_churn:
        p_churn = 0.0
    for j in range(len(one.reason)):
        is_service, note = shelf.offers[SERVICE, j], 0
        p, uplift = one.p[j], one.uplift[j]
        if is_generic or p != p:
            p, note = weights.prior_p, 0 if is_service else IS_PRIOR
        if is_generic or uplift != uplift:
            uplift = p * one.share[j]
            note |= IS_ASSUMED if one.said[asked[ASSUMED] + j] == 1 else 0
        if is_service:
            p, uplift, note = 1.0, 1.0, note | IS_ASSUMED
        context, overlay, flags = _context(one, shelf, j, is_generic)
        cheapest, told = _channels(one.asked, one.said, one.closed[j])
        cost = shelf.channel_cost[cheapest]
        value = shelf.amounts[VALUE, j] + p_churn * shelf.amounts[RETENTION, j]
        gross = uplift * value
        gain = shelf.amounts[LEVER, j] * context * (gross if gross > 0.0 else 0.0)
        loss = gross if gross < 0.0 else 0.0
        score = gain + loss - p * shelf.amounts[REWARD, j] - cost - one.price[j]
        row = figures[j]
        row[SCORE], row[TOLD_P], row[TOLD_UPLIFT], row[TOLD_VALUE] = score, p, uplift, value
        row[COST], row[CONTEXT] = cost, context
        notes[j] = note | flags | (overlay + 1) << OVERLAY_AT | told << CHANNEL_AT


@compiled
def _context(one: One, shelf: Shelf, j: int, is_generic: bool) -> tuple[float, int, int]:
    """How much the gain of an offer counts, the overlay that it comes by (-1: none), and what is noted."""
    asked, weights, said = one.asked, shelf.figures, one.said
    is_listed, is_secondary = said[asked[LISTED] + j] == 1, said[asked[SECONDARY] + j] == 1
    flags = (IS_LISTED if is_listed else 0) | (IS_SECONDARY if is_secondary else 0)
    flags |= (WAS_ASKED if one.is_asked[j] else 0) | (IS_MOMENT if said[asked[MOMENT] + j] == 1 else 0)
    if is_generic:
        return 1.0, -1, flags
    weight, factor, overlay = weights.weight_secondary if is_secondary else weights.weight_unlisted, 1.0, -1
    if is_listed:
        weight = weights.weight_listed
    n = len(shelf.overlay_factor)
    for k in range(n):
        if shelf.overlay_offers[k, j] and one.yes[len(one.yes) - n + k]:
            weight = weights.weight_listed
            if overlay == -1 or shelf.overlay_factor[k] > factor:
                factor, overlay = shelf.overlay_factor[k], k
    if flags & IS_MOMENT:
        factor = max(factor, weights.moment_factor)
    if said[asked[LEADING] + j] == 1:
        factor, flags = max(factor, weights.lead_factor), flags | IS_LEADING
    return weight * factor, overlay, flags


@compiled
def _channels(asked: Ints, said: Codes, closed: Codes) -> tuple[int, int]:
    """The cheapest open channel of an offer, and the one to tell it in: that asked for, or the first of the band's."""
    cheapest = 0
    for k in range(len(closed)):
        if closed[k] == 0:
            cheapest = k
            break
    if asked[CHANNEL] >= 0:
        return cheapest, asked[CHANNEL]
    if asked[IS_GENERIC] == 0 and asked[ORDER_OF_BAND] >= 0:
        for place in range(len(closed)):
            k = said[asked[ORDER_OF_BAND] + place]
            if closed[k] == 0:
                return cheapest, int(k)
    return cheapest, cheapest


@compiled
def settle(one: One, shelf: Shelf, figures: Floats, candidates: Bools) -> None:
    """Out go what the channel asked for does not take, sales whose effect is below 0 (R46), the sales of holdouts, and
    tools without company (D02)."""
    there, has_company = one.asked[CHANNEL], False
    for j in range(len(one.reason)):
        sells = one.sells[j] and not shelf.offers[TOOL, j]
        if there >= 0:
            reject(one.reason, j, one.closed[j, there])
        if sells and figures[j, TOLD_UPLIFT] < 0:
            reject(one.reason, j, ASLEEP)
        candidates[j] = one.reason[j] == 0
        if sells and one.asked[IS_HELD_OUT] == 1:
            reject(one.reason, j, HELD_OUT)
        has_company = has_company or (one.reason[j] == 0 and not shelf.offers[TOOL, j])
    for j in range(len(one.reason)):
        if shelf.offers[TOOL, j] and not has_company:
            reject(one.reason, j, TOOL_ALONE)


@compiled
def note_best(permitted: Bools, figures: Floats, notes: Ints) -> None:
    """Note which offers are among the customer's three likeliest and among his three most worthwhile."""
    likely, worthwhile = np.full(3, -np.inf), np.full(3, -np.inf)
    for j in range(len(permitted)):
        if permitted[j]:
            _keep(likely, figures[j, TOLD_P])
            _keep(worthwhile, figures[j, TOLD_UPLIFT] * figures[j, TOLD_VALUE])
    for j in range(len(permitted)):
        notes[j] |= IS_LIKELY if figures[j, TOLD_P] >= likely[2] else 0
        notes[j] |= IS_WORTHWHILE if figures[j, TOLD_UPLIFT] * figures[j, TOLD_VALUE] >= worthwhile[2] else 0


@compiled
def _keep(best: Floats, figure: float) -> None:
    """Keep the three largest, in falling order."""
    for place in range(len(best)):
        if figure > best[place]:
            best[place], figure = figure, best[place]

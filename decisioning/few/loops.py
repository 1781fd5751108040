"""A few customers' offers ruled out, weighed and drawn by one compiled loop: what `decide` says, to the bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Bools, Floats
from decisioning.few.drawing_loop import EMPTY, fill, make_noise
from decisioning.few.filters_loop import apply
from decisioning.few.rows import (
    ASKED,
    FIRST_EVENT,
    IS_HELD_OUT,
    LAST_EVENT,
    LIMIT,
    NOT_IN_CHANNEL,
    PROPENSITY,
    SCORE,
    Codes,
    Given,
    One,
    Rows,
    Weighed,
)
from decisioning.few.rules_loop import answer
from decisioning.few.shelf import CARE, TOOL, Ints, Shelf
from decisioning.few.unpacking import unpacked
from decisioning.few.weights_loop import note_best, settle, weigh
from features.compiling import compiled


@compiled
def weighed(
    flags: Bools, whole: Ints, amounts: Floats, said: Codes, asked: Ints, numbers: Floats, p: Floats, uplift: Floats,
    share: Floats, price: Floats, events: Ints, keys: NDArray[np.uint64], steps: Ints, codes: Codes, channels: Codes,
    until: Ints,
) -> Weighed:  # fmt: skip
    """Which offers may be told to each of n customers, what they are worth, and which are drawn, as `Weighed`.

    What is given are the parts of `Packed`, of `Rows` and of `Given`, one by one, since to take a tuple apart costs as
    much again. `steps` (2, filters): which one, and its first reason.
    """
    return _weighed(
        unpacked(flags, whole, amounts), said, Rows(asked, numbers, p, uplift, share, price, events, keys), steps,
        Given(codes, channels, until),
    )  # fmt: skip


@compiled
def _weighed(shelf: Shelf, said: Codes, rows: Rows, steps: Ints, given: Given) -> Weighed:
    n, shape = len(rows.asked), shelf.has_channel.shape
    m = shape[0]
    n_lists, longest = n + rows.asked[:, IS_HELD_OUT].sum(), rows.asked[:, LIMIT].max()
    found = Weighed(
        np.zeros((n, m), np.int16), np.zeros((n, m), np.int64), np.full((n_lists, longest), EMPTY),
        np.zeros((n_lists, longest), np.int64), np.empty((n_lists, longest, 7)), np.empty(n_lists),
    )  # fmt: skip
    closed, shut = np.empty(shape, np.int16), np.zeros(shape, np.int16)
    truth, times = np.empty(shelf.figures.n_rows, np.bool_), np.empty(len(rows.events), np.int64)
    yes, no = np.empty(shelf.verdicts.shape[1], np.bool_), np.empty(shelf.verdicts.shape[1], np.bool_)
    is_asked, sells = np.empty(m, np.bool_), np.empty(m, np.bool_)
    permitted, candidates = np.empty(m, np.bool_), np.empty(m, np.bool_)
    figures, notes, noise = np.empty((m, 7)), np.empty(m, np.int64), np.empty(m + 1)
    shadow = n
    for i in range(n):
        asked, numbers = rows.asked[i], rows.numbers[i]
        answer(shelf, numbers, asked, said, truth, yes, no)
        for j in range(m):
            is_asked[j] = said[asked[ASKED] + j] == 1
            sells[j] = not (shelf.offers[CARE, j] or is_asked[j])
            for k in range(shape[1]):
                closed[j, k] = 0 if shelf.has_channel[j, k] else NOT_IN_CHANNEL
        events = rows.events[asked[FIRST_EVENT] : asked[LAST_EVENT]]
        one = One(
            asked, numbers, rows.p[i], rows.uplift[i], rows.share[i], rows.price[i], events, said, found.reason[i],
            found.until[i], closed, shut, yes, no, is_asked, sells, times,
        )  # fmt: skip
        for step in range(steps.shape[1]):
            apply(one, shelf, steps[0, step], steps[1, step], i, given)
        weigh(one, shelf, figures, notes)
        settle(one, shelf, figures, candidates)
        for j in range(m):
            permitted[j] = one.reason[j] == 0
        note_best(permitted, figures, notes)
        make_noise(rows.keys[i, 0], rows.keys[i, 1], noise)
        _draw(shelf, permitted, figures, notes, noise, asked[LIMIT], i, found)
        if asked[IS_HELD_OUT] == 1:
            _draw(shelf, candidates, figures, notes, noise, asked[LIMIT], shadow, found)
            shadow += 1
    return found


@compiled
def _draw(
    shelf: Shelf, allowed: Bools, figures: Floats, notes: Ints, noise: Floats, limit: int, row: int, found: Weighed
) -> None:
    """Draw the list in a row of what is found."""
    policy, score, propensity = shelf.figures, figures[:, SCORE].copy(), np.empty(limit)
    offers = found.offers[row, :limit]
    rules = shelf.offers[TOOL], shelf.same_thing, shelf.same_group, policy.diversity_top, policy.diversity_max
    amounts = policy.exploration_amount, policy.relevance_floor_amount
    found.ends[row] = fill(score, allowed, noise, rules, amounts, offers, propensity)
    for slot in range(limit):
        j = offers[slot]
        if j != EMPTY:
            found.notes[row, slot] = notes[j]
            found.figures[row, slot] = figures[j]
            found.figures[row, slot, PROPENSITY] = propensity[slot]

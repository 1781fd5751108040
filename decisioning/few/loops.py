"""Rules, filters and weights of a few customers as one compiled loop: what the arrays of `decide` say, to the bit."""

from __future__ import annotations

import numpy as np

from decisioning.few.filters_loop import apply
from decisioning.few.rows import ASKED, FIRST_EVENT, LAST_EVENT, NOT_IN_CHANNEL, SCORE, Codes, One, Rows, Weighed
from decisioning.few.rules_loop import answer
from decisioning.few.shelf import CARE, Ints, Shelf
from decisioning.few.weights_loop import note_best, settle, weigh
from features.compiling import compiled


@compiled
def weighed(shelf: Shelf, said: Codes, rows: Rows, steps: Ints) -> Weighed:
    """Which offers may be told to each of n customers, and what they are worth.

    `steps` (2, filters): which one, and its first reason. Raises nothing: what is missing is NaN, NOTHING or 0.
    """
    n, shape = len(rows.asked), shelf.has_channel.shape
    m = shape[0]
    found = Weighed(
        np.zeros((n, m), np.int16), np.zeros((n, m), np.int64), np.zeros((n, m), np.bool_), np.zeros((n, m), np.bool_),
        np.empty((n, m)), np.empty((n, m, 6)), np.zeros((n, m), np.int64),
    )  # fmt: skip
    closed, shut = np.empty(shape, np.int16), np.zeros(shape, np.int16)
    truth, times = np.empty(shelf.figures.n_rows, np.bool_), np.empty(len(rows.events), np.int64)
    yes, no = np.empty(shelf.verdicts.shape[1], np.bool_), np.empty(shelf.verdicts.shape[1], np.bool_)
    is_asked, sells = np.empty(m, np.bool_), np.empty(m, np.bool_)
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
            apply(one, shelf, steps[0, step], steps[1, step], i, rows.given)
        weigh(one, shelf, found.figures[i], found.notes[i])
        settle(one, shelf, found.figures[i], found.candidates[i])
        for j in range(m):
            found.permitted[i, j], found.score[i, j] = one.reason[j] == 0, found.figures[i, j, SCORE]
        note_best(found.permitted[i], found.figures[i], found.notes[i])
    return found

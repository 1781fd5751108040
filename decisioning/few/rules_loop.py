"""All rules of the policy asked of one customer: what `Rules.answers` says, from the same tables."""

from __future__ import annotations

from decisioning.catalogue.catalogue import Bools, Floats
from decisioning.few.rows import TEXTS, Codes
from decisioning.few.shelf import Ints, Shelf
from features.compiling import compiled


@compiled
def answer(shelf: Shelf, numbers: Floats, asked: Ints, said: Codes, truth: Bools, yes: Bools, no: Bools) -> None:
    """Fill the truth table, and which rules hold (r,) and fail (r,)."""
    n_leaves, row = shelf.figures.n_leaves, 2
    truth[0], truth[1] = True, False
    for k in range(len(shelf.thresholds)):
        value = numbers[shelf.compared[0, k]]
        holds = _compared(value, shelf.compared[1, k], shelf.thresholds[k])
        truth[row], truth[row + n_leaves] = holds, value == value and not holds
        row += 1
    for column in range(len(shelf.widths)):
        first = asked[TEXTS + column]
        for at in range(first, first + shelf.widths[column]):
            truth[row], truth[row + n_leaves] = said[at] == 1, said[at] == 0
            row += 1
    row += n_leaves
    for group in range(shelf.groups.shape[1]):
        is_all = shelf.groups[0, group] == 1
        truth[row] = is_all
        for at in range(shelf.groups[1, group], shelf.groups[2, group]):
            if truth[shelf.parts[at]] != is_all:
                truth[row] = not is_all
                break
        row += 1
    for rule in range(len(yes)):
        yes[rule], no[rule] = truth[shelf.verdicts[0, rule]], truth[shelf.verdicts[1, rule]]


@compiled
def _compared(value: float, op: int, threshold: float) -> bool:
    """In the order of the operators in `shelf.py`; nothing holds of a missing number."""
    if op == 0:
        return value == threshold
    if op == 1:
        return value == value and value != threshold
    if op == 2:
        return value < threshold
    if op == 3:
        return value <= threshold
    return value > threshold if op == 4 else value >= threshold

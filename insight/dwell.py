"""How long people stay in a stage or tier before they leave it (停留时间), in month ends that they stand there.

A stay is one month end after another under the same label, from the day on which it was entered; stays that go on at
the last month are censored. Those that had begun when the history did are left out, since nobody saw their beginning.
"""

from __future__ import annotations

from collections.abc import Sequence

from insight.flows import Passage, merged, still
from insight.history import History, Label, ordered
from insight.survival import Curve, Spell, curve


def dwell(
    history: History, seen: Sequence[Passage], label: Label, names: Sequence[str], level: float
) -> tuple[Curve, ...]:
    """The curve of each of `names` that anybody stayed in, from the passages `seen` of the whole history."""
    spells: dict[str, list[Spell]] = {}
    ended = merged(stay for passage in seen for stay in passage.stays[label])
    for stays, is_event in ((ended, True), (still(history, label), False)):
        for stay in stays:
            spells.setdefault(stay.name, []).append(Spell(stay.months, is_event, stay.n))
    return tuple(curve(name, spells[name], level) for name in ordered(names, set(spells)))

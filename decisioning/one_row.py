"""A filter without a twin, asked of one customer in arrays of one row: slower than a twin would be, and equal to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import orjson

from decisioning.catalogue.catalogue import Catalogue
from decisioning.inputs import Inputs
from decisioning.policy import DecisionsPolicy
from decisioning.shelf import Scene, Tally, set_of
from decisioning.situation import Situation
from decisioning.verdicts import PASSES, Verdicts

Filter = Callable[[Situation, Catalogue, DecisionsPolicy], Verdicts]


def in_one_row(name: str, apply: Filter) -> Callable[[Scene, Tally], None]:
    """The filter `apply`, called `name`, as the pipeline for one customer asks it."""

    def alone(scene: Scene, tally: Tally) -> None:
        catalogue = scene.shelf.catalogue
        situation = Situation.of(Inputs.from_json(orjson.loads(orjson.dumps(scene.case.to_json()))), catalogue)
        _note(name, apply(situation, catalogue, scene.shelf.policy), tally)

    return alone


def _note(name: str, verdicts: Verdicts, tally: Tally) -> None:
    """Put down what a filter says of its only customer."""
    codes, until = verdicts.codes[0], _ends(verdicts)
    for code in np.unique(codes[codes > PASSES]).tolist():
        which = set_of(codes == code)
        timed = sum(1 << j for j in until if which >> j & 1)
        tally.reject(which & timed, (name, verdicts.table[code]), until.__getitem__)
        tally.reject(which, (name, verdicts.table[code]))
    if verdicts.channels is not None:
        m, c = len(codes), verdicts.channels.shape[2]
        shut = np.broadcast_to(verdicts.channels[0], (m, c))
        pairs = np.unique(shut[shut > PASSES]).tolist()
        tally.shut([((name, verdicts.table[code]), k, set_of(shut[:, k] == code)) for code in pairs for k in range(c)])


def _ends(verdicts: Verdicts) -> dict[int, int]:
    """When each offer's reason lapses, microseconds since 1970, for those of which it is known."""
    if verdicts.until is None:
        return {}
    known: Sequence[int] = np.flatnonzero(~np.isnat(verdicts.until[0])).tolist()
    return {j: int(verdicts.until[0, j].astype("datetime64[us]").astype(np.int64)) for j in known}

"""Whether the customer lets the bank reach out (R34, R39, R40): by consent, by the bank's word, and by do-not-call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Catalogue
from decisioning.policy import DecisionsPolicy
from decisioning.rules import Bools
from decisioning.shelf import Scene, Tally
from decisioning.situation import Situation
from decisioning.verdicts import Bench, Verdicts

TABLE = ("PASSES", "DO_NOT_CALL", "NO_CONSENT")
READS: tuple[str, ...] = ("do_not_call", "consented_channels")  # facts, beside those that the policy names
_EVERY = "ALL"


def consent(situation: Situation, catalogue: Catalogue, policy: DecisionsPolicy) -> Verdicts:
    """Closes channels, for care as for sales: do-not-call closes its own, missing consent the outbound ones.

    Where the customer comes to the bank (in session, face to face) no consent is needed. `consent_basis` none: no
    outbound; opt_in: the channels the customer opened, and no known consent opens none; bank_attests: all.
    """
    inputs = situation.inputs
    bench = Bench(TABLE, (situation.n, len(catalogue.channels)))
    bench.reject(_named(inputs.codes("do_not_call"), catalogue.channels), "DO_NOT_CALL")
    if inputs.consent_basis == "none":
        bench.reject(catalogue.is_outbound, "NO_CONSENT")
    elif inputs.consent_basis == "opt_in":
        opened = _named(inputs.codes("consented_channels"), catalogue.channels)
        bench.reject(catalogue.is_outbound & ~opened, "NO_CONSENT")
    return Verdicts(TABLE, np.zeros((situation.n, catalogue.m), dtype=np.int16), bench.codes[:, None, :])


def consent_alone(scene: Scene, tally: Tally) -> None:
    """The same for one customer."""
    shelf, case = scene.shelf, scene.case
    refused = {"none": shelf.outbound, "bank_attests": 0}.get(case.terms.consent_basis)
    if refused is None:
        refused = shelf.outbound & ~shelf.channels_in(case.code("consented_channels"))
    closed = shelf.channels_in(case.code("do_not_call"))
    tally.close("consent", (("DO_NOT_CALL", closed), ("NO_CONSENT", refused)))


def _named(sets: NDArray[Any], channels: tuple[str, ...]) -> Bools:
    """Which channels each set names, bool (n, c); a missing set names none, ALL names every one."""
    seen: dict[Any, int] = {}
    ids = [seen.setdefault(codes, len(seen)) for codes in sets]
    rows = [
        [codes is not None and (f"|{name}|" in codes or f"|{_EVERY}|" in codes) for name in channels] for codes in seen
    ]
    return np.array(rows, dtype=bool).reshape(-1, len(channels))[ids]

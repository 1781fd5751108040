"""Whether the customer lets the bank reach out (R34, R39, R40): by consent, by the bank's word, and by do-not-call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Catalogue
from decisioning.policy import DecisionsPolicy
from decisioning.rules import Bools
from decisioning.situation import Situation, refusals_of
from decisioning.verdicts import PASSES, Bench, Verdicts

TABLE = ("PASSES", "DO_NOT_CALL", "NO_CONSENT", "CATEGORY_WITHHELD")
# facts, beside those that the policy names
READS: tuple[str, ...] = ("do_not_call", "consented_channels", "withheld_categories")
_EVERY, _NONE = "ALL", "|"
_WITHHELD = TABLE.index("CATEGORY_WITHHELD")


def consent(situation: Situation, catalogue: Catalogue, policy: DecisionsPolicy) -> Verdicts:
    """Closes channels, for care as for sales: do-not-call closes its own, missing consent the outbound ones.

    Where the customer comes to the bank (in session, face to face) no consent is needed. `consent_basis` none: no
    outbound; opt_in: the channels the customer opened, and no known consent opens none; bank_attests: all, unless it is
    known which he opened.
    A category of products of which he wants to hear nothing is not sold to him, in session neither, unless he asks;
    one that he closed for a channel is not sold there.
    """
    inputs = situation.inputs
    bench = Bench(TABLE, (situation.n, len(catalogue.channels)))
    bench.reject(_named(inputs.codes("do_not_call"), catalogue.channels), "DO_NOT_CALL")
    if inputs.consent_basis == "none":
        bench.reject(catalogue.is_outbound, "NO_CONSENT")
    else:
        told = inputs.codes("consented_channels")
        opened = _named(told, catalogue.channels)
        if inputs.consent_basis == "bank_attests":
            opened |= np.array([codes is None for codes in told.tolist()], dtype=bool)[:, None]
        bench.reject(catalogue.is_outbound & ~opened, "NO_CONSENT")
    codes = np.zeros((situation.n, catalogue.m), dtype=np.int16)
    channels = bench.codes[:, None, :]
    sales = ~(catalogue.is_care | situation.is_asked)
    withheld = inputs.codes("withheld_categories").tolist()
    for i, names in enumerate(withheld):
        if names is None or names == _NONE:
            continue
        if len(channels[0]) == 1:
            channels = np.repeat(channels, catalogue.m, axis=1)
        for category, channel in refusals_of(names):
            offers = sales & catalogue.of_category.get(category, False)
            if not channel:
                codes[i, offers] = _WITHHELD
            elif channel in catalogue.channel_index:
                k = catalogue.channel_index[channel]
                channels[i, offers & (channels[i, :, k] == PASSES), k] = _WITHHELD
    return Verdicts(TABLE, codes, channels)


def _named(sets: NDArray[Any], channels: tuple[str, ...]) -> Bools:
    """Which channels each set names, bool (n, c); a missing set names none, ALL names every one."""
    seen: dict[Any, int] = {}
    ids = [seen.setdefault(codes, len(seen)) for codes in sets]
    rows = [
        [codes is not None and (f"|{name}|" in codes or f"|{_EVERY}|" in codes) for name in channels] for codes in seen
    ]
    return np.array(rows, dtype=bool).reshape(-1, len(channels))[ids]

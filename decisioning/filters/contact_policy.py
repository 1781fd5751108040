"""Whether today is a day, and this a channel, to speak to the customer: complaints, caps, quiet hours (R40, R41)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Catalogue
from decisioning.inputs import Recent
from decisioning.policy import ContactPolicy, DecisionsPolicy
from decisioning.rules import Bools
from decisioning.situation import Situation
from decisioning.verdicts import Bench, Codes, Instants, Verdicts
from features.vocabulary import Purpose

TABLE = (
    "PASSES", "OPEN_COMPLAINT", "SALES_CAP", "CHANNEL_NOT_FOR_CUSTOMER", "STALE", "QUIET_HOURS", "MESSAGE_CAP",
    "CHANNEL_CAP",
)  # fmt: skip
READS: tuple[str, ...] = ("n_open_complaints", "is_stale")  # facts, beside those that the policy names

_NEVER = np.datetime64("9999-12-31", "us")
_NEVER_US = int(_NEVER.astype(np.int64))
_DAY_US = 86_400_000_000


def contact_policy(situation: Situation, catalogue: Catalogue, policy: DecisionsPolicy) -> Verdicts:
    """Stops sales over an open complaint or the bank's sales cap, and closes the channels of which today is no day.

    The sales cap counts SALES contacts of every channel and stops sales in every channel; the message cap counts all
    that is not LEGAL and closes outbound channels, for care too; a channel's own cap closes that channel for sales.
    A prospect silent for long (stale) is reached only where he comes himself: outbound channels are closed.
    What the customer asked for is no contact of ours: the caps and the complaint let it through.
    """
    sales = ~(catalogue.is_care | situation.is_asked)
    bench = Bench(TABLE, (situation.n, catalogue.m))
    complains = situation.inputs.numbers("n_open_complaints") > 0
    bench.reject(complains[:, None] & sales, "OPEN_COMPLAINT")
    freed_at = _sales_freed_at(situation, policy.contact)
    fresh = bench.reject(_is_capped(freed_at, situation)[:, None] & sales, "SALES_CAP")
    until = np.where(fresh & (freed_at != _NEVER)[:, None], freed_at[:, None], np.datetime64("NaT", "us"))
    return Verdicts(TABLE, bench.codes, _channel_codes(situation, catalogue, policy.contact), until)


def _channel_codes(situation: Situation, catalogue: Catalogue, contact: ContactPolicy) -> Codes:
    """Codes of single treatments (n, m, c): one plane for sales and one for care and requests."""
    both = Bench(TABLE, (situation.n, len(catalogue.channels)))
    both.reject(~situation.channels.true.T, "CHANNEL_NOT_FOR_CUSTOMER")
    both.reject((situation.inputs.numbers("is_stale") == 1)[:, None] & catalogue.is_outbound, "STALE")
    if contact.is_quiet(situation.hour):
        both.reject(catalogue.has_quiet_hours, "QUIET_HOURS")
    for_sales = Bench(TABLE, both.codes.shape)
    for_sales.codes[:] = both.codes
    if len(situation.inputs.recent) or contact.all_max == 0:
        recent = situation.inputs.recent
        told = _contacts(situation, recent.purpose != Purpose.LEGAL)
        freed_at = _freed_at(recent, told, contact.all_max, contact.all_window_days, situation.n)
        full = _is_capped(freed_at, situation)[:, None] & catalogue.is_outbound
        both.reject(full, "MESSAGE_CAP")
        for_sales.reject(full, "MESSAGE_CAP")
    for_sales.reject(_channels_capped(situation, catalogue), "CHANNEL_CAP")
    sales = ~(catalogue.is_care | situation.is_asked)
    return np.where(sales[:, None], for_sales.codes[:, None, :], both.codes[:, None, :])


def _sales_freed_at(situation: Situation, contact: ContactPolicy) -> Instants:
    """When the bank's sales cap has room again, (n,)."""
    sales = _contacts(situation, situation.inputs.recent.purpose == Purpose.SALES)
    return _freed_at(situation.inputs.recent, sales, contact.sales_max, contact.sales_window_days, situation.n)


def _channels_capped(situation: Situation, catalogue: Catalogue) -> Bools:
    """Which channels have had their fill of sales contacts, bool (n, c)."""
    shape = (situation.n, len(catalogue.channels))
    capped = np.zeros(shape, dtype=bool)
    recent = situation.inputs.recent
    is_sales = _contacts(situation, recent.purpose == Purpose.SALES)
    for k, (most, window_days) in enumerate(catalogue.channel_caps):
        if most is not None and (most == 0 or len(recent)):
            counts = is_sales[recent.channel[is_sales] == catalogue.channels[k]]
            if most == 0 or len(counts) >= most:
                capped[:, k] = _is_capped(_freed_at(recent, counts, most, window_days, situation.n), situation)
    return capped


def _contacts(situation: Situation, which: NDArray[Any]) -> NDArray[np.intp]:
    """Rows of `recent` that are contacts of this kind."""
    return np.flatnonzero((situation.inputs.recent.kind == "contact") & which)


def _freed_at(recent: Recent, counts: NDArray[np.intp], most: int, window_days: int, n: int) -> Instants:
    """When room is made again under a cap of `most` contacts in a window, (n,); NaT where fewer ever were.

    The cap is reached as long as the `most`-th latest contact lies within the window. A cap of 0 never lifts.
    """
    if most == 0:
        return np.full(n, _NEVER)
    freed_at = np.full(n, np.datetime64("NaT", "us"))
    if len(counts) >= most:
        customer, at = recent.customer[counts], recent.at[counts]
        order = np.lexsort((-at.astype(np.int64), customer))
        customer, at = customer[order], at[order]
        is_nth = _place(customer) == most - 1
        freed_at[customer[is_nth]] = at[is_nth] + np.timedelta64(window_days, "D")
    return freed_at


def _place(sorted_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place 0, 1, 2 … of each row within its run of equal ids."""
    return np.arange(len(sorted_ids)) - np.searchsorted(sorted_ids, sorted_ids)


def _is_capped(freed_at: Instants, situation: Situation) -> Bools:
    return freed_at > situation.now

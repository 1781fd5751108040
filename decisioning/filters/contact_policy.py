"""Whether today is a day, and this a channel, to speak to the customer: complaints, caps, quiet hours (R40, R41)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Catalogue
from decisioning.inputs import Recent
from decisioning.policy import ContactPolicy, DecisionsPolicy
from decisioning.rules import Bools
from decisioning.shelf import Channels, Scene, Tally
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
    if _is_quiet(situation.hour, contact):
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


def _is_quiet(hour: int, contact: ContactPolicy) -> bool:
    """Whether the hour lies in the quiet hours, which may span midnight; equal ends are none."""
    start, stop = contact.quiet_from_hour, contact.quiet_to_hour
    return start <= hour < stop if start <= stop else hour >= start or hour < stop


def contact_policy_alone(scene: Scene, tally: Tally) -> None:
    """The same for one customer."""
    shelf, contact = scene.shelf, scene.shelf.policy.contact
    sales = shelf.every & ~(shelf.care | scene.asked)
    if scene.case.number("n_open_complaints") > 0:
        tally.reject(sales, ("contact_policy", "OPEN_COMPLAINT"))
    told = [row for row in scene.case.recent if row.kind == "contact"]
    sold = [row for row in told if row.purpose == Purpose.SALES]
    freed_at = _freed_at_alone([row.at for row in sold], contact.sales_max, contact.sales_window_days)
    if freed_at > scene.now_us:
        until = None if freed_at == _NEVER_US else lambda _: freed_at
        tally.reject(sales, ("contact_policy", "SALES_CAP"), until)
    others: Channels = 0
    if scene.known & shelf.asked.everywhere != shelf.asked.everywhere:
        others = sum(1 << k for k, verdict in enumerate(shelf.asked.channels) if not verdict.holds(scene.known))
    messages = [row.at for row in told if row.purpose != Purpose.LEGAL]
    is_full = _freed_at_alone(messages, contact.all_max, contact.all_window_days) > scene.now_us
    both = (
        ("CHANNEL_NOT_FOR_CUSTOMER", others),
        ("STALE", shelf.outbound if scene.case.number("is_stale") == 1 else 0),
        ("QUIET_HOURS", shelf.quiet if _is_quiet(scene.hour, contact) else 0),
        ("MESSAGE_CAP", shelf.outbound if is_full else 0),
    )
    capped: Channels = 0
    for k, (most, window_days) in enumerate(shelf.catalogue.channel_caps):
        if most is not None and len(sold) >= most:
            mine = [row.at for row in sold if row.channel == shelf.catalogue.channels[k]]
            capped |= (_freed_at_alone(mine, most, window_days) > scene.now_us) << k
    tally.close("contact_policy", both, (("CHANNEL_CAP", capped),))


def _freed_at_alone(at: Sequence[int], most: int, window_days: int) -> int:
    """When room is made again under a cap, microseconds since 1970; 0 where fewer ever were."""
    if most == 0:
        return _NEVER_US
    return sorted(at)[-most] + window_days * _DAY_US if len(at) >= most else 0

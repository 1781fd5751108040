"""What the customer allows: of all he said, the words that count, by purpose and channel (R34)."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.bank.contract import EVENT_CHANNELS

_MARKETING, _PROFILING = "MARKETING", "PROFILING"  # what a decision asks consent for
_EVERY = "ALL"


def allowed(t: ir.Table) -> ir.Table:
    """Of rows of consent beside a pair (customer_id, on): the channels that may speak of offers, profiling withdrawn.

    A word about every channel holds for each until a later one about that channel. Profiling goes over all channels at
    once, so that withdrawing it for one ends it.
    """
    t = _last_words(t.filter(t.purpose.isin([_MARKETING, _PROFILING])))
    everywhere, told = t.channel == _EVERY, t.purpose == _MARKETING
    opened = t.is_granted.any(where=everywhere & told).fill_null(False)
    is_excepted = (~t.is_granted).any(where=~everywhere & told).fill_null(False)
    words = {name: t.is_granted.any(where=(t.channel == name) & told) for name in sorted(EVENT_CHANNELS)}
    one_by_one = [ibis.ifelse(word.fill_null(opened), f"{name}|", "") for name, word in words.items()]
    return t.group_by("customer_id", "on").agg(
        consented_channels=ibis.ifelse(opened & ~is_excepted, f"|{_EVERY}|", ibis.literal("|").concat(*one_by_one)),
        has_profiling_optout=(~t.is_granted).any(where=~told).fill_null(False),
    )


def _last_words(t: ir.Table) -> ir.Table:
    """The latest word of each purpose and channel, unless a later one was about every channel.

    Of words at the same instant a withdrawal wins.
    """
    t = t.mutate(channel=t.channel.fill_null(_EVERY))
    newest = [ibis.desc("occurred_at"), ibis.asc("is_granted")]
    latest = ibis.window(group_by=["customer_id", "on", "purpose", "channel"], order_by=newest)
    t = t.mutate(nth=ibis.row_number().over(latest))
    t = t.filter(t.nth == 0)
    of_purpose = ibis.window(group_by=["customer_id", "on", "purpose"])
    t = t.mutate(said_at=t.occurred_at.max(where=t.channel == _EVERY).over(of_purpose))
    is_later = t.said_at.isnull() | (t.occurred_at > t.said_at) | ((t.occurred_at == t.said_at) & ~t.is_granted)
    return t.filter((t.channel == _EVERY) | is_later)

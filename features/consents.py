"""What the customer allows: of all he said, the words that count, by purpose, channel and category (R34)."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from features.bank.contract import EVENT_CHANNELS

_MARKETING, _PROFILING = "MARKETING", "PROFILING"  # what a decision asks consent for
_EVERY = "ALL"
_CHANNELS = sorted(EVENT_CHANNELS)


def allowed(t: ir.Table) -> ir.Table:
    """Of rows of consent beside a pair (customer_id, on): channels that may speak of offers, categories that may not be
    spoken of, profiling withdrawn, and the day of the last word that counts (`word_on`).

    A word about every channel holds for each until a later one about that channel, and a word about all categories
    ends those about one, but that a withdrawal of all does not end the refusal of one. Consent to one category opens no
    channel by itself: it ends that category's refusal.
    Profiling goes over all channels at once, so that withdrawing it for one ends it.
    """
    t = _last_words(t.filter(t.purpose.isin([_MARKETING, _PROFILING])))
    told = t.purpose == _MARKETING
    opened, is_excepted, words = _by_channel(t, t.is_granted, told & (t.category == _EVERY))
    general = t.group_by("customer_id", "on").agg(
        consented_channels=ibis.ifelse(opened & ~is_excepted, f"|{_EVERY}|", _set_of(words, opened, "")),
        has_profiling_optout=(~t.is_granted).any(where=~told).fill_null(False),
        word_on=t._happened.max(),
    )
    both = general.left_join(_withheld(t.filter(told & (t.category != _EVERY))), ["customer_id", "on"])
    both = both.mutate(withheld_categories=both.withheld_categories.fill_null("|"))
    return both.drop("customer_id_right", "on_right")


def _withheld(t: ir.Table) -> ir.Table:
    """Refused categories: K where no channel may speak of it, else K/SMS for each that may not."""
    closed, is_excepted, words = _by_channel(t, ~t.is_granted, ibis.literal(True))
    category = t.category.max()  # which is that of the group
    text = ibis.ifelse(closed & ~is_excepted, category + "|", _set_of(words, closed, category + "/").substr(1))
    t = t.group_by("customer_id", "on", "category").agg(text=text)
    return t.group_by("customer_id", "on").agg(withheld_categories=ibis.literal("|") + t.text.collect().sort().join(""))


def _by_channel(t: ir.Table, holds: Any, where: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Whether it holds for every channel, whether a channel is excepted, and what is said of each."""
    everywhere = t.channel == _EVERY
    whole = holds.any(where=everywhere & where).fill_null(False)
    is_excepted = (~holds).any(where=~everywhere & where).fill_null(False)
    return whole, is_excepted, {name: holds.any(where=(t.channel == name) & where) for name in _CHANNELS}


def _set_of(words: dict[str, Any], whole: Any, before: Any) -> Any:
    parts = [ibis.ifelse(word.fill_null(whole), before + f"{name}|", "") for name, word in words.items()]
    return ibis.literal("|").concat(*parts)


def _last_words(t: ir.Table) -> ir.Table:
    """The latest word of each purpose, channel and category, unless a later one was about more.

    Of words at the same instant a withdrawal wins.
    """
    t = t.mutate(channel=t.channel.fill_null(_EVERY), category=t.category.fill_null(_EVERY))
    newest = [ibis.desc("occurred_at"), ibis.asc("is_granted")]
    of_purpose = ["customer_id", "on", "purpose"]
    latest = ibis.window(group_by=[*of_purpose, "channel", "category"], order_by=newest)
    grant = t.is_granted & (t.category == _EVERY)
    t = t.mutate(
        nth=ibis.row_number().over(latest),
        granted_at=_last(t, grant, [*of_purpose, "channel"]),
        granted_everywhere_at=_last(t, grant & (t.channel == _EVERY), of_purpose),
    )
    t = t.filter(t.nth == 0)
    of_one, of_kind = t.channel != _EVERY, t.category != _EVERY
    about_all = _last(t, ~of_kind, [*of_purpose, "channel"])
    about_everything = _last(t, ~of_one & ~of_kind, of_purpose)
    wider = (
        ibis.ifelse(of_one, _last(t, ~of_one, [*of_purpose, "category"]), None),
        ibis.ifelse(of_kind, ibis.ifelse(t.is_granted, about_all, t.granted_at), None),
        ibis.ifelse(of_one & of_kind, ibis.ifelse(t.is_granted, about_everything, t.granted_everywhere_at), None),
    )
    t = t.mutate(said_at=ibis.greatest(*wider))
    return t.filter(t.said_at.isnull() | (t.occurred_at > t.said_at) | ((t.occurred_at == t.said_at) & ~t.is_granted))


def _last(t: ir.Table, where: Any, group: list[str]) -> Any:
    return t.occurred_at.max(where=where).over(ibis.window(group_by=group))

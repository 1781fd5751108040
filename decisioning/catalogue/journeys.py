"""Whether the journey of a hook can be walked under the contact caps: its mandatory steps must all fit (E03)."""

from __future__ import annotations

from collections.abc import Sequence

from decisioning.catalogue.findings import Finding, listed
from decisioning.catalogue.hooks import Hook, Step
from decisioning.policy import DecisionsPolicy
from features.vocabulary import Purpose

_UNCAPPED = {Purpose.LEGAL}


def check_journeys(policy: DecisionsPolicy) -> list[Finding]:
    """Journeys whose mandatory steps cannot all be sent, and those that name no channel at a step."""
    findings = []
    for hook_id, hook in policy.hooks.items():
        findings += [
            Finding(f"hook {hook_id} step {step.no}", "names no channel", "E03", allowed=listed(policy.channels))
            for step in hook.steps
            if not step.channels
        ]
        findings += _crowded(hook_id, hook, policy)
    return findings


def _crowded(hook_id: str, hook: Hook, policy: DecisionsPolicy) -> list[Finding]:
    """Caps that the mandatory steps of one journey break: all sales, all messages, surveys, one channel's own."""
    caps, found = policy.contact, []
    for anchor in dict.fromkeys(step.anchor for step in hook.steps):
        steps = [step for step in hook.steps if step.anchor == anchor and step.is_mandatory]
        sales = [step for step in steps if step.purpose is Purpose.SALES]
        surveys = [step for step in steps if step.purpose is Purpose.SURVEY]
        messages = [step for step in steps if step.purpose not in _UNCAPPED]
        for what, part, most, days in (
            ("sales steps", sales, caps.sales_max, caps.sales_window_days),
            ("steps", messages, caps.all_max, caps.all_window_days),
            ("surveys", surveys, caps.survey_max, caps.survey_window_days),
        ):
            if (n := most_within([step.delay_days for step in part], days)) > most:
                found.append(Finding(f"hook {hook_id}", f"too many {what} in {days} days", "E03", str(n), f"<= {most}"))
        if not _fits(sales, policy, {}):
            found.append(Finding(f"hook {hook_id}", "sales steps do not fit into their channels' caps", "E03"))
    return found


def most_within(days: Sequence[int], window_days: int) -> int:
    """Most steps in any window of so many days.

    >>> most_within([0, 3, 30, 31], 30)
    3
    """
    return max((sum(first <= day < first + window_days for day in days) for first in days), default=0)


def _fits(steps: Sequence[Step], policy: DecisionsPolicy, sent: dict[str, list[int]]) -> bool:
    """Whether every step finds a channel with room under its own cap, given the days on which each was used."""
    if not steps:
        return True
    step, rest = steps[0], steps[1:]
    for name in step.channels:
        channel = policy.channels[name]
        days = [*sent.get(name, []), step.delay_days]
        has_room = channel.sales_max is None or most_within(days, channel.sales_window_days) <= channel.sales_max
        if has_room and _fits(rest, policy, sent | {name: days}):
            return True
    return False

"""A maturity is told seven days before it, to every tier and not to the wealthy alone (R22)."""

from __future__ import annotations

from datetime import date
from itertools import product

import numpy as np
import pytest

from decisioning.catalogue.hooks import Step
from features.policy import segments
from features.vocabulary import Purpose, Stage
from tests.decisioning.builders import column, shipped_policy

POLICY = shipped_policy()
SEGMENTS = segments().view(date(2026, 1, 1))
HOOK = POLICY.hooks["H06"]
NOTICE = HOOK.steps[0]
TIERS = list(SEGMENTS.tiers.thresholds)
CLASSES = [name for name, _ in SEGMENTS.classes.ranked()]
EVERYBODY = list(product(TIERS, CLASSES, Stage, ["|", "|digital_silver|"]))


def people(days: int | None) -> dict[str, np.ndarray]:
    """A customer of each tier, class, stage and way with the app, whose money matures in so many days."""
    tiers, classes, stages, tags = zip(*EVERYBODY, strict=True)
    return {
        "tier": column("tier", tiers), "customer_class": column("customer_class", classes),
        "stage": column("stage", [str(stage) for stage in stages]), "tags": column("tags", tags),
        "days_to_maturity": column("days_to_maturity", [days] * len(EVERYBODY)),
        "next_maturity_amount": column("next_maturity_amount", [1] * len(EVERYBODY)),
    }  # fmt: skip


def starts() -> list[Step]:
    return [step for step in HOOK.steps if step.delay_days < 0]


def test_R22_the_first_word_goes_out_seven_days_before_and_none_earlier() -> None:
    assert (NOTICE.anchor, NOTICE.delay_days) == ("MATURITY", -7)
    assert min(step.delay_days for step in HOOK.steps) == -7
    assert {step.anchor for step in starts()} == {"MATURITY"}


def test_R22_the_notice_asks_no_condition_stops_for_nothing_and_counts_to_no_cap() -> None:
    assert (NOTICE.condition, NOTICE.stop, NOTICE.is_mandatory) == (None, None, True)
    assert NOTICE.purpose is Purpose.LEGAL, "what sells is capped; a notice is not"


@pytest.mark.parametrize("days", [7, 3, 1, 0])
def test_R22_from_seven_days_before_on_the_journey_and_its_offers_are_open_to_every_tier_class_and_stage(
    days: int,
) -> None:
    (overlay,) = [overlay for overlay in POLICY.overlays if overlay.hook == "H06"]
    assert HOOK.entry is not None
    assert HOOK.entry.mask(people(days)).all()
    assert overlay.when.mask(people(days)).all()


@pytest.mark.parametrize("days", [None, -1])
def test_R22_without_a_maturity_ahead_it_is_open_to_nobody(days: int | None) -> None:
    assert HOOK.entry is not None
    assert not HOOK.entry.mask(people(days)).any()


def test_R22_everybody_has_a_channel_by_which_the_notice_reaches_him() -> None:
    """Whatever tier, class and way with the app; none of its channels asks for a tier."""
    rules = {name: POLICY.channels[name].allowed_for for name in NOTICE.channels}
    open_to = [np.ones(len(EVERYBODY), bool) if rule is None else rule.mask(people(7)) for rule in rules.values()]
    n_channels = np.sum(open_to, axis=0)
    assert n_channels.min() >= 2, "one may be closed by the customer"
    of_tier = {tier: {n for (one, *_), n in zip(EVERYBODY, n_channels.tolist(), strict=True) if one == tier}
               for tier in TIERS}  # fmt: skip
    assert len({frozenset(found) for found in of_tier.values()}) == 1
    assert of_tier["V0"] == of_tier["VVIP"]

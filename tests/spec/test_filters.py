"""The filters as plain sentences: facts, an offer, and the reason expected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from decisioning.catalogue.catalogue import Catalogue
from decisioning.decide import decide
from decisioning.policy import DecisionsPolicy
from tests.decisioning.builders import inputs, shipped_policy

SPEC = yaml.safe_load((Path(__file__).parent / "filters.yaml").read_text("utf-8"))
ZONE_HOURS = 8


def without_holdout() -> DecisionsPolicy:
    """The shipped policy with everybody in treatment."""
    shipped = shipped_policy()
    figures = shipped.arbitration.model_copy(update={"holdout_share": 0.0})
    return shipped.model_copy(update={"arbitration": figures})


def reason(case: dict[str, Any]) -> str:
    """Filter and code of the offer in the case, or `passes`."""
    policy = without_holdout()
    catalogue = Catalogue.of(policy)
    now = datetime(2026, 3, 10, case.get("hour", 12), tzinfo=UTC) - timedelta(hours=ZONE_HOURS)
    recent = [
        {key: value for key, value in row.items() if key != "days_ago"}
        | {"customer": 0, "at": (now - timedelta(days=row["days_ago"])).replace(tzinfo=None)}
        for row in case.get("recent", [])
    ]
    decision = decide(
        inputs(
            SPEC["usual"] | case.get("given", {}),
            catalogue=catalogue,
            recent=recent,
            now=now,
            channel=case.get("channel", ""),
            consent_basis=case.get("consent_basis", "opt_in"),
            asked=tuple(case.get("asked", ())),
        ),
        catalogue,
        policy,
    )[0]
    assert case["offer"] in catalogue.index, "the case asks about an offer that is not ranked"
    found = {out.offer_id: f"{out.filter} {out.code}" for out in decision.suppressed}
    return found.get(case["offer"], "passes")


@pytest.mark.parametrize("case", SPEC["cases"], ids=[case["says"] for case in SPEC["cases"]])
def test_filters_say(case: dict[str, Any]) -> None:
    assert reason(case) == case["expect"]

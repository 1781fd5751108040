"""The month-end's page: figures with their intervals, under names that people know."""

from __future__ import annotations

from datetime import date
from typing import Any

from serving.month.month_report import page

DONE: dict[str, Any] = {
    "build": {"says": "1 month built"},
    "drift": {"says": "0 of 3 facts", "month_before": {}, "champions": {}},
    "growth": {"says": "a first month has not grown"},
    "gates": {
        "says": "uplift champion",
        "models": {
            "uplift": {
                "version": 2, "alias": "champion", "says": "better <than> ranking by response",
                "figures": {"ours_qini": 0.0812, "ours_qini_low": 0.0411, "ours_qini_high": 0.1203, "n_suspicions": 0.0,
                            "average_effect": 0.1},
            },
            "churn": {"version": 1, "alias": None, "says": "not better", "figures": {}},
        },
    },
    "recalibrate": {"says": "response version 3 is shifted by -0.120"},
}  # fmt: skip


def test_the_qini_of_effects_stands_with_its_interval() -> None:
    text = page(date(2025, 12, 31), DONE)
    assert "<td>uplift</td><td>Qini</td><td>0.0812 [0.0411, 0.1203]</td>" in text
    assert "<td>average effect of telling</td><td>0.1000</td>" in text
    assert "n_suspicions" not in text


def test_every_step_is_told_and_nothing_is_written_as_markup() -> None:
    text = page(date(2025, 12, 31), DONE)
    assert "response version 3 is shifted by -0.120" in text
    assert "better &lt;than&gt;" in text
    assert "<than>" not in text

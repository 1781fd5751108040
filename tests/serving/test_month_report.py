"""The month-end's page: figures with their intervals, under names that people know."""

from __future__ import annotations

from datetime import date
from typing import Any

from serving.month.month_report import page
from tests.console.english import untranslated

DONE: dict[str, Any] = {
    "build": {"says": "1 month built", "says_zh": "新建 1 个月"},
    "drift": {"says": "0 of 3 facts to watch or act upon", "says_zh": "3 个特征中 0 个需关注或处置",
              "champions": {"churn": {}},
              "month_before": {"mda": {"psi": 0.1, "noise": 0.02, "band": "WATCH", "n_before": 9, "n_now": 10}}},
    "growth": {
        "says": "AUM in millions: new +1.00", "says_zh": "AUM（百万）：新增 +1.00",
        "parts": {"won_back": {"n": 1, "amount": 1e6}},
        **dict.fromkeys(("opening", "new", "upsell", "churn", "net", "closing"), 0.0),
        "foretold": {"churn": {"share": 0.2, "low": 0.05, "high": 0.3, "says": "EVEN", "n": 9}},
    },
    "gates": {
        "says": "uplift is champion now", "says_zh": "“增量”模型成为冠军",
        "models": {
            "uplift": {
                "version": 2, "alias": "champion", "says": "better <than> ranking by response",
                "says_zh": "好于按响应排序",
                "figures": {"ours_qini": 0.0812, "ours_qini_low": 0.0411, "ours_qini_high": 0.1203, "n_suspicions": 0.0,
                            "average_effect": 0.1},
            },
            "churn": {"version": 1, "alias": None, "says": "not better", "says_zh": "不好于常数", "figures": {}},
        },
    },
    "recalibrate": {"says": "response version 3 is shifted by -0.120", "says_zh": "第 3 版平移 -0.120"},
}  # fmt: skip


def test_the_qini_of_effects_stands_with_its_interval() -> None:
    text = page(date(2025, 12, 31), DONE)
    assert "<td>uplift</td><td>Qini</td><td>Qini</td><td>0.0812 [0.0411, 0.1203]</td>" in text
    assert "<td>average effect of telling</td><td>告知的平均效果</td><td>0.1000</td>" in text
    assert "n_suspicions" not in text


def test_every_step_is_told_and_nothing_is_written_as_markup() -> None:
    text = page(date(2025, 12, 31), DONE)
    assert "response version 3 is shifted by -0.120" in text
    assert "better &lt;than&gt;" in text
    assert "<than>" not in text


def test_every_sentence_stands_in_both_languages() -> None:
    text = page(date(2025, 12, 31), DONE)
    for step in DONE.values():
        assert f"<td>{step['says']}</td><td>{step['says_zh']}</td>" in text
    assert "<td>better &lt;than&gt; ranking by response</td><td>好于按响应排序</td>" in text
    assert untranslated(text) == []


def test_a_step_that_was_done_before_a_change_of_version_has_its_english_alone() -> None:
    text = page(date(2025, 12, 31), DONE | {"publish": {"says": "9 customers online"}})
    assert "<td>9 customers online</td><td></td>" in text

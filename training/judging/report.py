"""What a training came to, for people: tables, and one HTML file in both languages that needs nothing beside it."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from training.gates import AnyJudgement, Evidence, Gate, Verdict
from training.inventory import FIELDS
from training.judging.judgement import OURS
from training.judging.slices import UNKNOWN, Slice

_METRICS = {
    "auc": "AUC",
    "log_loss": "log loss",
    "brier": "Brier",
    "ece": "ECE",
    "slope": "calibration slope",
    "lift_at_10": "lift, top 10 %",
    "recall_at_10": "recall, top 10 %",
    "qini": "Qini",
    "uplift_at_10": "effect, top 10 %",
    "uplift_at_20": "effect, top 20 %",
    "uplift_at_30": "effect, top 30 %",
}
_METRICS_ZH = {
    "auc": "排序", "log_loss": "对数损失", "ece": "校准误差", "slope": "校准斜率", "lift_at_10": "前 10 % 提升度",
    "recall_at_10": "前 10 % 召回", "uplift_at_10": "前 10 % 增量", "uplift_at_20": "前 20 % 增量",
    "uplift_at_30": "前 30 % 增量",
}  # fmt: skip
_GATES_ZH = {
    "beats_constant": "好于常数", "honest": "概率诚实", "not_worse": "不差于冠军", "calibration_slope": "校准斜率",
    "score_stability": "评分稳定", "no_leak": "没有泄漏", "parity": "群体公平报告", "assessment": "个保影响评估",
    "second_person": "第二个人审批",
}  # fmt: skip
_BY_ZH = {"class": "分类", "age": "年龄", "region": "区域"}
_GROUPS_ZH = {UNKNOWN: "未知", "under 30": "30 岁以下", "60 and over": "60 岁及以上"}
_GATE_HEAD = ("gate 准入项", "", "figure 数值", "limit 限值", "says", "说明")
CARD = (*FIELDS, "label", "lead_time", "horizon", "data_span", "lineage", "code_version")
_MOST_DRIFTS = 15
_SLICE_HEAD = (
    "by 维度", "group 群体", "rows 行", "customers 客户", "observed 实际", "mean p − observed 平均 p − 实际",
    "in the top 10 % 进入前 10 %", "less all 减全体",
)  # fmt: skip
_PARITY_NOTE = (
    "A gap says that a group fares otherwise, not why: groups differ in what they want. Models choose whom the bank "
    "tells, never what terms anybody gets. 差距只说明群体之间不同，不说明原因；模型只决定告知谁，不决定任何人的条件。"
)
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse}td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}img{max-width:48%}"""


def table(judgement: AnyJudgement, title: str) -> Table:
    """The comparison as a rich table: one row a metric, one column a score, each with its 95 % interval."""
    shown = Table(title=title)
    shown.add_column("")
    for score in judgement.figures:
        shown.add_column(score, justify="right")
    for row in _rows(judgement):
        shown.add_row(*row)
    shown.caption = judgement.caption()
    return shown


def gates_table(gates: Sequence[Gate]) -> Table:
    """Every gate with its figure and its limit."""
    shown = Table(title="gates before champion")
    for name in ("gate", "", "figure", "limit"):
        shown.add_column(name)
    for gate in gates:
        shown.add_row(gate.name, _word(gate), gate.figure, gate.limit)
    return shown


def page(
    title: str, facts: Mapping[str, object], evidence: Evidence[Any], verdict: Verdict, pictures: Sequence[Path]
) -> str:
    """The report as one HTML text with its pictures inside: card, verdict, figures, gates, parity, drift, leakage."""
    judgement = evidence.judgement
    card = {name: facts[name] for name in CARD if name in facts}
    rest = {name: value for name, value in facts.items() if name not in card}
    figures = _grid(("", *judgement.figures), _rows(judgement, _METRICS_ZH))
    images = "".join(f'<img alt="{path.stem}" src="data:image/png;base64,'
                     f'{base64.b64encode(path.read_bytes()).decode()}">' for path in pictures)  # fmt: skip
    leaks = [(one.says, one.says_zh) for one in evidence.suspicions] or [
        ("none: no feature ranks or picks the outcome as only the answer could", "没有：没有特征像预先知道答案那样排序")
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(judgement.caption())}</p>"
        f'<p lang="zh-Hans">{html.escape(judgement.caption_zh())}</p>'
        f"<h2>Model card 模型卡</h2>{_grid((), card.items())}"
        f"<h2>Figures, with 95 % intervals 指标与 95 % 区间</h2>{figures}{images}"
        f"<h2>Gates before champion 准入门槛</h2><p>{html.escape(verdict.says)}</p>"
        f'<p lang="zh-Hans">{html.escape(verdict.says_zh)}</p>{_grid(_GATE_HEAD, _gate_rows(verdict.gates))}'
        f"<h2>Groups and their gaps 群体差距</h2>{_grid(_SLICE_HEAD, _slice_rows(evidence.slices))}"
        f"<p>{_PARITY_NOTE}</p>"
        f"<h2>Drift 漂移</h2><p>Score PSI {evidence.score_psi:.3f} between the champion's training scores and these "
        f"{judgement.n_rows:,} rows: below .10 stable, to .25 watch, above act; it is a convention, and on few rows "
        f"it leans high. 评分与冠军训练评分之间的 PSI：.10 以下稳定，至 .25 关注，以上处置。</p>"
        f"<p>The features that moved furthest since the training rows 自训练以来变动最大的特征:</p>"
        f"{_grid(('feature 特征', 'PSI'), list(evidence.drifts.items())[:_MOST_DRIFTS])}"
        f"<h2>Features that may know the answer 泄漏检查</h2>{_grid((), leaks)}"
        f"<h2>How it came about 训练经过</h2>{_grid((), rest.items())}</html>"
    )


def _grid(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    top = "<tr>" + "".join(f"<th>{html.escape(name)}</th>" for name in head) + "</tr>" if head else ""
    cells = ("".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows)
    return f"<table>{top}{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _word(gate: Gate) -> str:
    return "open" if gate.passes else "CLOSED"


def _gate_rows(gates: Sequence[Gate]) -> list[list[str]]:
    """Figure and limit as either language has them, where they differ, and the sentence in both."""
    return [
        [f"{gate.name} {_GATES_ZH[gate.name]}", _word(gate), _both(gate, "figure"), _both(gate, "limit"), gate.says,
         gate.says_zh]
        for gate in gates
    ]  # fmt: skip


def _both(gate: Gate, part: str) -> str:
    return " ".join(dict.fromkeys([getattr(gate, part), gate.zh.get(part, getattr(gate, part))]))


def _slice_rows(slices: Sequence[Slice]) -> list[list[str]]:
    return [
        [f"{one.by} {_BY_ZH[one.by]}", f"{one.group} {_GROUPS_ZH.get(one.group, '')}".strip(), f"{one.n_rows:,}",
         f"{one.n_customers:,}", f"{one.observed_share:.4f}", *_gaps(one)]
        for one in slices
    ]  # fmt: skip


def _gaps(one: Slice) -> list[str]:
    if one.is_small:
        return [f"{one.calibration_gap.value:.4f}", f"{one.chosen_share:.4f}", "too few to say 人数太少"]
    return [str(one.calibration_gap), f"{one.chosen_share:.4f}", str(one.chosen_gap)]


def _rows(judgement: AnyJudgement, zh: Mapping[str, str] | None = None) -> list[list[str]]:
    return [
        [
            f"{label} {(zh or {}).get(metric, '')}".strip(),
            *(_cell(judgement, score, metric) for score in judgement.figures),
        ]
        for metric, label in _METRICS.items()
        if metric in judgement.figures[OURS]
    ]


def _cell(judgement: AnyJudgement, score: str, metric: str) -> str:
    interval = judgement.figures[score].get(metric)
    return "–" if interval is None or interval.value != interval.value else str(interval)

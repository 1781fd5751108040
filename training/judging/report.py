"""What a training came to, for people: tables, and one HTML file that needs nothing beside it."""

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
from training.judging.slices import Slice

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
CARD = (*FIELDS, "label", "lead_time", "horizon", "data_span", "lineage", "code_version")
_MOST_DRIFTS = 15
_SLICE_HEAD = ("by", "group", "rows", "customers", "observed", "mean p − observed", "in the top 10 %", "less all")
_PARITY_NOTE = (
    "A gap says that a group fares otherwise, not why: groups differ in what they want. Models choose whom the bank "
    "tells, never what terms anybody gets."
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
    images = "".join(f'<img alt="{path.stem}" src="data:image/png;base64,'
                     f'{base64.b64encode(path.read_bytes()).decode()}">' for path in pictures)  # fmt: skip
    leaks = list(evidence.suspicions) or ["none: no feature ranks or picks the outcome as only the answer could"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(judgement.caption())}</p>"
        f"<h2>Model card 模型卡</h2>{_grid((), card.items())}"
        f"<h2>Figures, with 95 % intervals</h2>{_grid(('', *judgement.figures), _rows(judgement))}{images}"
        f"<h2>Gates before champion</h2><p>{html.escape(verdict.says)}</p>"
        f"{_grid(('gate', '', 'figure', 'limit', 'says'), _gate_rows(verdict.gates))}"
        f"<h2>Groups and their gaps</h2>{_grid(_SLICE_HEAD, _slice_rows(evidence.slices))}<p>{_PARITY_NOTE}</p>"
        f"<h2>Drift</h2><p>Score PSI {evidence.score_psi:.3f} between the champion's training scores and these "
        f"{judgement.n_rows:,} rows: below .10 stable, to .25 watch, above act; it is a convention, and on few rows "
        f"it leans high. The features that moved furthest since the training rows:</p>"
        f"{_grid(('feature', 'PSI'), list(evidence.drifts.items())[:_MOST_DRIFTS])}"
        f"<h2>Features that may know the answer</h2>{_grid((), ([leak] for leak in leaks))}"
        f"<h2>How it came about</h2>{_grid((), rest.items())}</html>"
    )


def _grid(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    top = "<tr>" + "".join(f"<th>{html.escape(name)}</th>" for name in head) + "</tr>" if head else ""
    cells = ("".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows)
    return f"<table>{top}{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _word(gate: Gate) -> str:
    return "open" if gate.passes else "CLOSED"


def _gate_rows(gates: Sequence[Gate]) -> list[list[str]]:
    return [[gate.name, _word(gate), gate.figure, gate.limit, gate.says] for gate in gates]


def _slice_rows(slices: Sequence[Slice]) -> list[list[str]]:
    return [
        [one.by, one.group, f"{one.n_rows:,}", f"{one.n_customers:,}", f"{one.observed_share:.4f}",
         *_gaps(one)]
        for one in slices
    ]  # fmt: skip


def _gaps(one: Slice) -> list[str]:
    if one.is_small:
        return [f"{one.calibration_gap.value:.4f}", f"{one.chosen_share:.4f}", "too few to say"]
    return [str(one.calibration_gap), f"{one.chosen_share:.4f}", str(one.chosen_gap)]


def _rows(judgement: AnyJudgement) -> list[list[str]]:
    return [
        [label, *(_cell(judgement, score, metric) for score in judgement.figures)]
        for metric, label in _METRICS.items()
        if metric in judgement.figures[OURS]
    ]


def _cell(judgement: AnyJudgement, score: str, metric: str) -> str:
    interval = judgement.figures[score].get(metric)
    return "–" if interval is None or interval.value != interval.value else str(interval)

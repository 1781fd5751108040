"""The judgement for people: a table, two pictures, and one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from training.judging.judgement import CONSTANT, OURS, PLAIN, RANDOM, Judgement, compared

_METRICS = {
    "auc": "AUC",
    "log_loss": "log loss",
    "brier": "Brier",
    "ece": "ECE",
    "slope": "calibration slope",
    "lift_at_10": "lift, top 10 %",
    "recall_at_10": "recall, top 10 %",
}
_SCORES = (RANDOM, CONSTANT, PLAIN, OURS)
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse}td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}img{max-width:48%}"""


def table(judgement: Judgement, title: str) -> Table:
    """The comparison as a rich table: one row a metric, one column a score, each with its 95 % interval."""
    shown = Table(title=title)
    shown.add_column("")
    for score in _SCORES:
        shown.add_column(score, justify="right")
    for row in _rows(judgement):
        shown.add_row(*row)
    shown.caption = _caption(judgement)
    return shown


def draw(judgement: Judgement, folder: Path) -> list[Path]:
    """Write `calibration.png` and `gain.png` into `folder`; both paths."""
    import matplotlib  # a picture library on the path of every import would cost a second

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    pictures = {"calibration": Figure(figsize=(5, 5)), "gain": Figure(figsize=(5, 5))}
    _draw_calibration(pictures["calibration"].add_subplot(), judgement)
    _draw_gain(pictures["gain"].add_subplot(), judgement)
    paths = []
    for name, figure in pictures.items():
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
        paths.append(path)
    return paths


def page(judgement: Judgement, title: str, facts: Mapping[str, object], pictures: list[Path]) -> str:
    """The report as one HTML text with its pictures inside; `facts` are shown as they are, name and value."""
    head = "".join(f"<th>{score}</th>" for score in ("", *_SCORES))
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
                   for row in _rows(judgement))  # fmt: skip
    known = "".join(f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(value))}</td></tr>"
                    for name, value in facts.items())  # fmt: skip
    images = "".join(f'<img alt="{path.stem}" src="data:image/png;base64,'
                     f'{base64.b64encode(path.read_bytes()).decode()}">' for path in pictures)  # fmt: skip
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(_caption(judgement))}</p>"
        f"<table><tr>{head}</tr>{body}</table>{images}<h2>How it came about</h2><table>{known}</table></html>"
    )


def _rows(judgement: Judgement) -> list[list[str]]:
    return [
        [label, *(_cell(judgement, score, metric) for score in _SCORES)] for metric, label in _METRICS.items()
    ]  # fmt: skip


def _cell(judgement: Judgement, score: str, metric: str) -> str:
    interval = judgement.figures[score][metric]
    return "–" if interval.value != interval.value else str(interval)


def _caption(judgement: Judgement) -> str:
    return (
        f"Ours is {compared(judgement.ours_less_plain, 'plain model')}. Test: {judgement.n_rows:,} rows, "
        f"{judgement.n_positive:,} positive, {judgement.n_customers:,} customers; intervals 95 %, over customers."
    )


def _draw_calibration(axes: Any, judgement: Judgement) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for score in (PLAIN, OURS):
        mean_p, mean_y, _ = judgement.judged[score].reliability()
        axes.plot(mean_p, mean_y, marker="o", label=score)
    top = max(float(judgement.judged[score].reliability()[axis].max()) for score in (PLAIN, OURS) for axis in (0, 1))
    axes.set(xlim=(0, top * 1.1), ylim=(0, top * 1.1), xlabel="mean predicted p", ylabel="observed share")
    axes.legend()


def _draw_gain(axes: Any, judgement: Judgement) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for score in (PLAIN, OURS):
        axes.plot(*judgement.judged[score].gains(), label=score)
    axes.set(xlabel="share of customers, highest p first", ylabel="share of positives found")
    axes.legend()

"""The report of a month-end for people: one HTML page, each step with its sentence and its figures."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse}td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:left}"""
_MOST = 20


def page(month: date, done: Mapping[str, Mapping[str, Any]]) -> str:
    """The page of a month-end whose steps came to `done`; it needs nothing beside it."""
    steps = _table(("step", "came to"), ((name, told["says"]) for name, told in done.items()))
    models = done["gates"]["models"].items()
    gates = _table(("model", "version", "alias", "why"),
                   ((name, one["version"], one["alias"] or "none", one["says"]) for name, one in models))  # fmt: skip
    drift = done["drift"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Month-end {month:%Y-%m}</title>'
        f"<style>{_STYLE}</style><h1>Month-end 月结 {month:%Y-%m}</h1>{steps}"
        f"<h2>Models and their gates</h2>{gates}"
        f"<h2>Drift against the month before</h2>{_drifts(drift['month_before'])}"
        f"<h2>Drift against the month the churn champion saw last</h2>{_drifts(drift['champion'])}</html>"
    )


def _drifts(found: Mapping[str, Mapping[str, Any]]) -> str:
    ranked = sorted(found.items(), key=lambda item: -item[1]["psi"])[:_MOST]
    head = ("fact", "PSI", "", "rows before", "rows now")
    return _table(head, ((name, f"{one['psi']:.3f}", one["band"], f"{one['n_before']:,}", f"{one['n_now']:,}")
                         for name, one in ranked))  # fmt: skip


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"

"""Which models a home's decisions stand on, who answers for them, and how they fare beside the simplest rivals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from serving.models.model_book import released
from serving.month.month_end import PROGRESS
from serving.releases import Release
from serving.scorer import NAMES, TOLD

Plain = dict[str, Any]
MEASURES = ("auc", "qini")  # what ranks: probabilities, effects
CHAMPION, CHALLENGER = "champion", "challenger"


def in_use(release: Release | None, versions: list[Plain], on: date, zone: ZoneInfo) -> list[Plain]:
    """A row for each model of the current release: its version as `card` tells it, None where the registry lost it."""
    if release is None:
        return []
    found = released(release, versions)
    return [
        {"model": model, "version": None if (one := found[model]) is None else card(one, on, zone)}
        for model in sorted(found)
    ]  # fmt: skip


def waiting(release: Release | None, versions: list[Plain]) -> list[Plain]:
    """Models of the registry that no decision stands on yet, with why: NO_CHAMPION, NOT_RELEASED or NOT_SERVED."""
    serving = {} if release is None else released(release, versions)
    told = []
    for model in sorted({one["model"] for one in versions}):
        champion = with_alias(versions, model, CHAMPION)
        if champion is None:
            newest = next(one for one in versions if one["model"] == model)
            told.append({"model": model, "why": "NO_CHAMPION", "version": newest["version"],
                         **_said(newest)})  # fmt: skip
        elif model not in serving or serving[model] != champion:
            why = "NOT_RELEASED" if model in (*NAMES, *TOLD) else "NOT_SERVED"
            told.append({"model": model, "why": why, "version": champion["version"], **_said(champion)})
    return told


def shadow_of(home: Path, release: Release | None, model: str) -> Plain:
    """How the challenger of `model` stands: the share of customers for whom it decides (0 = shadow), None where the
    release does not carry it; and the last comparison on decisions that were made, as a month-end kept it."""
    carried = (release.manifest.get("challenger") if release else None) or {"models": (), "share": 0.0}
    compared = None
    for path in sorted((home / "reports" / "month-end").glob(f"*/{PROGRESS}")):
        told = json.loads(path.read_text("utf-8")).get("challenger", {}).get("compared")
        compared = {"month": path.parent.name, **told} if told and model in told["models"] else compared
    return {"share": float(carried["share"]) if model in carried["models"] else None, "compared": compared}


def with_alias(versions: Sequence[Plain], model: str, alias: str) -> Plain | None:
    """The version of `model` that carries `alias`; None without one."""
    return next((one for one in versions if one["model"] == model and alias in one["aliases"]), None)


def card(version: Mapping[str, Any], on: date, zone: ZoneInfo) -> Plain:
    """A version without its files: who answers for it, until when, how it ranks beside its rivals, and its mark."""
    facts = version["facts"]
    review = facts.get("next_review_on")
    measure = next((name for name in MEASURES if name in version["figures"].get("ours", {})), None)
    gates = version["gates"]
    return {
        "model": version["model"], "version": version["version"], "aliases": version["aliases"],
        "owner": facts.get("owner"), "author": facts.get("author"), "approver": facts.get("approver"),
        "purpose": facts.get("purpose"), "purpose_zh": facts.get("purpose_zh"), "risk_tier": facts.get("risk_tier"),
        "pipia_id": facts.get("pipia_id"),
        "next_review_on": review, "is_review_due": review is not None and date.fromisoformat(review) <= on,
        "trained_as_of": _day(facts.get("horizon"), zone), "follows": _number(facts.get("follows")),
        "judged_beside": _number(facts.get("judged_beside")), "measure": measure,
        "figures": {score: metrics[measure] for score, metrics in version["figures"].items() if measure in metrics},
        "all_figures": version["figures"],
        "less": {rival: metrics[measure] for rival, metrics in version["less"].items() if measure in metrics},
        "mark": mark_of(version["less"].get("plain", {}).get(measure)), **_said(version),
        "n_gates": len(gates), "n_open": sum(gate["passes"] for gate in gates), "has_report": bool(version["report"]),
    }  # fmt: skip


def _said(version: Mapping[str, Any]) -> Plain:
    """What its gates came to, in English and Chinese; a version of before has no Chinese."""
    return {"says": version["says"], "says_zh": version.get("says_zh", "")}


def mark_of(difference: Mapping[str, float] | None) -> str:
    """BETTER, WORSE or EVEN (not distinguishable) by the interval of a difference; UNTOLD without one.

    >>> mark_of({"value": 0.01, "low": -0.01, "high": 0.03}), mark_of(None)
    ('EVEN', 'UNTOLD')
    """
    if difference is None:
        return "UNTOLD"
    if difference["low"] > 0:
        return "BETTER"
    return "WORSE" if difference["high"] < 0 else "EVEN"


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _day(text: str | None, zone: ZoneInfo) -> str | None:
    """The last day before an instant, in the bank's zone."""
    if not text:
        return None
    return (datetime.fromisoformat(text).astimezone(zone) - timedelta(microseconds=1)).date().isoformat()

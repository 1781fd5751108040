"""What every month-end of a home has measured of drift."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from serving.month.month_end import PROGRESS

LAST_MONTH = "month_before"
SCORE = "score"  # what stands beside the features of a champion
Drifts = dict[str, dict[str, Any]]  # feature or score -> psi, noise, band, n_before, n_now


def history(home: Path) -> dict[str, dict[str, Drifts]]:
    """By month (YYYY-MM): against LAST_MONTH, and against what each champion was trained on, by model."""
    found = {}
    for path in sorted((home / "reports" / "month-end").glob(f"*/{PROGRESS}")):
        drift = json.loads(path.read_text("utf-8")).get("drift")
        if drift is not None:
            found[path.parent.name] = {LAST_MONTH: drift["month_before"], **drift["champions"]}
    return found

"""A champion recalibrated by recent mature labels: a shift of its logits, noted with the version, shipped by a release.

The labels are those of rows that the champion did not learn from and whose windows have closed by the horizon; each
counts on the day on which it was known. The shift is `recalibration.Blend`'s: shrunk by its priors, and guarded, since
no shift at all is among what is blended, by what each would have told of the days before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import BadRequest
from training import registry
from training.examples import instants
from training.gathering import gather
from training.ground import ground_of
from training.judging.metrics import Judged
from training.models import churn, response
from training.recalibration import Blend
from training.registry import ModelVersion

MODELS = (response.NAME, churn.NAME)  # what they say is multiplied into money
MOST_ROWS = 20_000  # drawn from more: one number is learnt
HOW = Blend()


@dataclass(frozen=True, slots=True)
class Recalibrated:
    """What one champion's recent labels came to: the shift of its logits and on how many rows it was learnt.

    `observed_share` and `said_share` are what came and what the champion said of it; `loss_before` and `loss_after` the
    mean log loss of each day's rows without a shift, and with the one that the days before asked for.
    """

    model: str
    version: int
    shift: float
    n_rows: int
    until: str
    observed_share: float
    said_share: float
    loss_before: float
    loss_after: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        """What is done, for people."""
        if not self.n_rows:
            return f"{self.model} version {self.version} stays as it is: no label of rows that it did not learn from"
        return (
            f"{self.model} version {self.version} is shifted by {self.shift:+.3f} on {self.n_rows:,} labels until "
            f"{self.until}: it said {self.said_share:.4f}, {self.observed_share:.4f} came; log loss of each day "
            f"{self.loss_before:.4f}, shifted by the days before {self.loss_after:.4f}"
        )

    def sentence_zh(self) -> str:
        """The same in Chinese."""
        if not self.n_rows:
            return f"第 {self.version} 版保持不变：没有它未学过的样本的标签"
        return (
            f"第 {self.version} 版按截至 {self.until} 的 {self.n_rows:,} 个标签平移 {self.shift:+.3f}：预测 "
            f"{self.said_share:.4f}，实际 {self.observed_share:.4f}；逐日对数损失 {self.loss_before:.4f}，"
            f"按此前各日平移后 {self.loss_after:.4f}"
        )


def recalibrate(home: Path, model: str, as_of: date | None = None, *, seed: int = 0) -> Recalibrated:
    """Learn the shift of the champion of `model` and note it with its version; a release ships what is noted.

    Raises BadRequest for a model that is not recalibrated, MissingModel without a champion or rows.
    """
    if model not in MODELS:
        raise BadRequest("this model is not recalibrated", value=model, allowed=MODELS)
    home = home.resolve()
    champion = registry.champion(home, model)
    ground = ground_of(home, as_of)
    rows = _unseen(gather(ground, model).examples.frame, champion, seed)
    found = _told(champion, rows, int(_days([np.datetime64(ground.horizon.replace(tzinfo=None), "us")])[0]))
    registry.note(home, model, champion.version, registry.RECALIBRATION, json.dumps(found.to_json()))
    return found


def _unseen(frame: Any, champion: ModelVersion, seed: int) -> Any:
    """The rows sent since the champion's test began, at most MOST_ROWS of them, drawn by `seed`."""
    since = np.datetime64(datetime.fromisoformat(champion.facts["test_from"]), "us")
    rows = frame[instants(frame["sent_at"]) >= since]
    if len(rows) <= MOST_ROWS:
        return rows
    return rows.iloc[np.sort(np.random.default_rng(seed).choice(len(rows), MOST_ROWS, replace=False))]


def _told(champion: ModelVersion, rows: Any, today: int) -> Recalibrated:
    until = str(np.datetime64(today, "D"))
    if rows.empty:
        return Recalibrated(champion.model, champion.version, 0.0, 0, until, 0.0, 0.0, 0.0, 0.0)
    p, outcomes = champion.read().predict(rows), rows["outcome"].to_numpy(dtype=np.float64)
    known = _days(instants(rows["closes_at"]))
    shift = HOW.standing(p, outcomes, known, today + 1)  # what was known today counts tomorrow
    losses = [Judged(outcomes, said).log_loss() for said in (p, HOW.daily(p, outcomes, known))]
    return Recalibrated(
        champion.model, champion.version, round(shift, 6), len(rows), until, float(outcomes.mean()), float(p.mean()),
        *losses,
    )  # fmt: skip


def _days(at: Sequence[np.datetime64] | NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Days since 1970 in UTC."""
    return np.asarray(at, dtype="datetime64[us]").astype("datetime64[D]").astype(np.int64)

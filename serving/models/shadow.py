"""A challenger beside the champions it would replace: what both say of the customers who were decided on, off the path.

Decisions keep their inputs by value, so the challenger is asked afterwards and no request waits for it. Both are asked
of the same stored facts, under the rules of now and without chance. Where outcome windows have closed, both are judged
by what came of the first choice; where the challenger has a share of its own, its customers stand beside the others.
Every comparison is kept in `reports/challenger/<release>.parquet`, one row a decision.
"""

from __future__ import annotations

import json
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decisioning.decide import standing
from decisioning.inputs import CHALLENGER, CHAMPION, Inputs
from features.bank.engines import open_bank
from features.bank.whole_files import whole
from features.errors import BadBank, NotFound, NotReady
from serving.desk.deciding import Desk
from serving.desk.ground import Rulebook
from serving.ledger import StoredDecision
from serving.scorer import Scorer
from training.judging.decision_log import decision_log
from training.judging.drift import psi
from training.judging.judgement import compared, compared_zh
from training.judging.metrics import Interval, Judged, paired_difference

MOST_DECISIONS, MOST_OUTCOMES = 1_000, 20_000  # the newest
LEAST_CONVERSIONS = 10
DAYS = 90
_COLUMNS = ("decision_id", "customer_id", "decided_at", "scored_by", "first_champion", "first_challenger", "offer_id",
            "p_champion", "p_challenger")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arm:
    """First choices of the customers whom one of the two scored: how many, and how many were taken."""

    scored_by: str
    n: int
    n_converted: int


@dataclass(frozen=True, slots=True)
class Compared:
    """Both models on the same decisions; p is that of the sale that the champions rank first.

    `less_auc` and `less_loss` are challenger − champion on first choices whose windows have closed, None where too few
    were taken to say.
    """

    release_id: str
    models: tuple[str, ...]
    share: float
    n_decisions: int
    other_first: float
    mean_moved: float
    psi: float
    n_outcomes: int
    n_converted: int
    less_auc: Interval | None
    less_loss: Interval | None
    arms: tuple[Arm, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        """What came out, for people."""
        where = f"with {self.share:.1%} of customers" if self.share else "in shadow"
        said = (
            f"challenger {', '.join(self.models)} {where}: another first choice in {self.other_first:.1%} of "
            f"{self.n_decisions:,} decisions, p moved by {self.mean_moved:.4f} on average, PSI {self.psi:.3f}"
        )
        if self.less_auc is None or self.less_loss is None:
            few = f"{self.n_converted} of {self.n_outcomes:,} first choices taken"
            return f"{said}; no judgement yet: {few}, {LEAST_CONVERSIONS} are needed"
        return f"{said}; {compared(self.less_auc, 'champion')}, log loss {self.less_loss}"

    def sentence_zh(self) -> str:
        """The same in Chinese."""
        where = f"为 {self.share:.1%} 的客户决策" if self.share else "在影子中"
        said = (
            f"挑战者{where}：{self.n_decisions:,} 次决策中 {self.other_first:.1%} 的首选不同，p 平均相差 "
            f"{self.mean_moved:.4f}，PSI {self.psi:.3f}"
        )
        if self.less_auc is None or self.less_loss is None:
            few = f"{self.n_outcomes:,} 次首选中成交 {self.n_converted} 次，至少要 {LEAST_CONVERSIONS} 次"
            return f"{said}；尚不判断：{few}"
        return f"{said}；{compared_zh(self.less_auc, '冠军')}，对数损失 {self.less_loss}"


def compare(desk: Desk, *, seed: int = 0) -> Compared:
    """The release's challenger beside its champions on the newest decisions; raises NotFound without one, and where
    nothing was decided yet."""
    rules, ground = desk.rulebook(), desk.ground()
    if rules.challenger is None:
        raise NotFound("the release carries no challenger", value=ground.id, todo="`tiercel release cut` ships one",
                       zh="当前发布没有带上挑战者")  # fmt: skip
    rows = pd.DataFrame([_row(rules, stored) for stored in _newest(desk)], columns=list(_COLUMNS))
    if rows.empty:
        raise NotFound("nothing was decided yet", value=ground.id, todo="decide first", zh="还没有任何决策")
    outcomes = _outcomes(desk, rules)
    _keep(desk.home, ground.id, rows.merge(outcomes[["decision_id", "outcome"]], on="decision_id", how="left"))
    both = rows[["p_champion", "p_challenger"]].to_numpy(dtype=np.float64)
    both = both[~np.isnan(both).any(axis=1)]
    n_converted = int(outcomes["outcome"].sum())
    less_auc, less_loss = _less(outcomes, seed) if n_converted >= LEAST_CONVERSIONS else (None, None)
    return Compared(
        ground.id, ground.release.challengers, rules.challenger_share, len(rows),
        float((rows["first_champion"] != rows["first_challenger"]).mean()),
        float(np.abs(both[:, 1] - both[:, 0]).mean()) if len(both) else 0.0,
        psi(both[:, 0], both[:, 1]).value if len(both) else 0.0,
        len(outcomes), n_converted, less_auc, less_loss, tuple(_arms(outcomes)),
    )  # fmt: skip


def _newest(desk: Desk) -> Iterator[StoredDecision]:
    """The newest decisions that were nobody's repeat, oldest first."""
    now, cursor = desk.clock.now(), None
    kept: deque[StoredDecision] = deque(maxlen=MOST_DECISIONS)
    while True:
        page = desk.ledger.decisions(now - timedelta(days=DAYS), now + timedelta(days=1), cursor)
        kept += [stored for stored in page.rows if stored.row.repeat_of is None]
        if (cursor := page.next_cursor) is None:
            return iter(kept)


def _row(rules: Rulebook, stored: StoredDecision) -> tuple[Any, ...]:
    inputs = Inputs.from_json(json.loads(stored.row.inputs))
    theirs, mine = (_said(rules, _asked(scorer, inputs)) for scorer in _both(rules))
    place = theirs.best(theirs.permitted & ~rules.catalogue.is_service)
    return (
        stored.row.decision_id, inputs.customer_ids[0], stored.row.decided_at, inputs.scored_by,
        _name(rules, theirs.first), _name(rules, mine.first), _name(rules, place),
        theirs.p[place] if place >= 0 else np.nan, mine.p[place] if place >= 0 else np.nan,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Said:
    """Score, permission and p of every offer, (m,), tools left out; `floor` is NO_ACTION's score."""

    score: NDArray[np.float64]
    permitted: NDArray[np.bool_]
    p: NDArray[np.float64]
    floor: float

    @property
    def first(self) -> int:
        """The place of the best offer, −1 for NO_ACTION."""
        best = self.best(self.permitted)
        return best if best >= 0 and self.score[best] > self.floor else -1

    def best(self, among: NDArray[np.bool_]) -> int:
        """The best place of `among` (m,), −1 of none."""
        return int(np.where(among, self.score, -np.inf).argmax()) if among.any() else -1


def _both(rules: Rulebook) -> tuple[Scorer, Scorer]:
    return rules.scorer, rules.challenger or rules.scorer


def _asked(scorer: Scorer, inputs: Inputs) -> Inputs:
    """The inputs as `scorer` would have made them, with the catalogue of now."""
    scores = scorer.score(inputs.facts, 1, "")
    return replace(
        inputs,
        channel="",
        p=None if scores is None else scores.p,
        p_channel=None,
        uplift=scorer.effects(inputs.facts, 1),
        uplift_share=scorer.uplift_share,
        uplift_is_assumed=scorer.uplift_is_assumed,
        shadow_price=None,
        facts={**inputs.facts, "p_churn": scorer.churn(inputs.facts, 1)},
    )


def _said(rules: Rulebook, inputs: Inputs) -> _Said:
    score, permitted, p = standing(inputs, rules.catalogue, rules.policy)
    allowed = permitted[0] & ~rules.catalogue.is_tool
    return _Said(score[0], allowed, p[0], rules.policy.arbitration.relevance_floor_amount)


def _name(rules: Rulebook, place: int) -> str:
    return "" if place < 0 else rules.catalogue.offer_ids[place]


def _outcomes(desk: Desk, rules: Rulebook) -> pd.DataFrame:
    """First choices whose windows have closed, with what both said of them; none where the bank cannot tell."""
    names = ["decision_id", "customer_id", "outcome", "scored_by", "p_champion", "p_challenger"]
    try:
        with tempfile.TemporaryDirectory() as scratch, open_bank(desk.home) as bank:
            desk.ledger.export(Path(scratch))
            frame = decision_log(bank, Path(scratch), desk.clock.now()).frame
    except (BadBank, NotReady):  # without the table of offers nobody knows how long an outcome is waited for
        return pd.DataFrame(columns=names)
    known = frame[frame["offer_id"].isin(rules.catalogue.offer_ids)].tail(MOST_OUTCOMES)
    rows = []
    for row in known.to_dict("records"):
        inputs, place = Inputs.from_json(json.loads(row["inputs"])), rules.catalogue.index[row["offer_id"]]
        p = [np.nan if scores is None else scores.p[0, place]
             for scores in (scorer.score(inputs.facts, 1, "") for scorer in _both(rules))]  # fmt: skip
        rows.append((row["decision_id"], row["customer_id"], row["outcome"], inputs.scored_by, *p))
    return pd.DataFrame(rows, columns=names)


def _less(outcomes: pd.DataFrame, seed: int) -> tuple[Interval, Interval]:
    """Challenger − champion in AUC and in log loss."""
    came, who = outcomes["outcome"].to_numpy(dtype=np.float64), outcomes["customer_id"].to_numpy()
    theirs, mine = (Judged(came, outcomes[name].to_numpy(dtype=np.float64)) for name in ("p_champion", "p_challenger"))
    auc = paired_difference(mine, theirs, who, seed=seed)
    return auc, paired_difference(mine, theirs, who, seed=seed, metric=Judged.log_loss)


def _arms(outcomes: pd.DataFrame) -> Iterator[Arm]:
    for name in (CHAMPION, CHALLENGER):
        mine = outcomes[outcomes["scored_by"] == name]
        if len(mine):
            yield Arm(name, len(mine), int(mine["outcome"].sum()))


def _keep(home: Path, release_id: str, rows: pd.DataFrame) -> None:
    folder = home / "reports" / "challenger"
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / f"{release_id}.parquet") as half:
        rows.to_parquet(half, index=False)

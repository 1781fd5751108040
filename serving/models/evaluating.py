"""What chance has told: of a policy by the ledger, before it is released; of offers, price and service by arms."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from rich.table import Table

from decisioning.chances import first_chances
from decisioning.decide import standing
from decisioning.inputs import Inputs
from decisioning.policy import DecisionsPolicy
from features.bank.engines import open_bank
from features.errors import UserMistake
from features.policy_book import PolicyBook
from insight.horizons import LongRun, long_run
from serving.desk.deciding import Desk
from serving.desk.ground import catalogue_of
from serving.releases import release_of
from training.judging.decision_log import DecisionLog, decision_log
from training.judging.off_policy import DR, DR_SHRUNK, IPS, SNIPS, Evaluation, Logged, evaluate
from training.models.shares import ArmRow, IncrementalShare, incremental_shares
from training.outcomes import arm_outcomes

_NAMES = {IPS: "IPS", SNIPS: "SNIPS", DR: "DR", DR_SHRUNK: "DR, shrunk"}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The evaluation of a policy, and the decisions that a rule left out of it, counted."""

    evaluation: Evaluation
    excluded: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        return self.evaluation.to_json() | {"excluded": dict(self.excluded)}

    def table(self) -> Table:
        """What the log says, one figure a row."""
        found, support = self.evaluation, self.evaluation.support
        shown = Table(title=f"{found.verdict}: {found.says}", show_header=False)
        shown.add_row("first choices", f"{support.n:,}, worth {support.effective_rows:,.0f} of equal weight")
        shown.add_row("conversions", f"worth {support.effective_rewards:,.1f} of equal weight")
        shown.add_row("largest weight", f"{support.largest_weight:,.1f} ({support.largest_share:.1%} of all)")
        shown.add_row("what was logged brought", str(found.on_policy))
        for name, interval in found.estimates.items():
            shown.add_row(_NAMES[name], str(interval))
        if found.gain is not None:
            shown.add_row("gain by DR", str(found.gain))
        left_out = ", ".join(f"{n:,} {rule}" for rule, n in self.excluded.items()) or "none"
        shown.caption = f"conversions a choice; left out by rule: {left_out}"
        return shown


def evaluate_policy(desk: Desk, book: PolicyBook[DecisionsPolicy]) -> Evaluated:
    """What the first choices of `book` would have brought, from the decisions of the ledger of `desk`.

    Each decision is scored again from its stored inputs, under the policy of its day in `book`; the reward expected of
    a choice is the p that was known then. Raises UserMistake where `book` has other offers than a decision was made
    with, since their scores were never stored.
    """
    with tempfile.TemporaryDirectory() as scratch, open_bank(desk.home) as bank:
        export = Path(scratch)
        desk.ledger.export(export)
        log = decision_log(bank, export, desk.clock.now())
    return Evaluated(evaluate(logged_choices(desk, book, log)), log.excluded)


@dataclass(frozen=True, slots=True)
class ArmsTold:
    """What the bank's randomised tests say: by category the share of conversions that telling brings, and the long run
    of price and service, None where nothing of the kind was drawn."""

    shares: tuple[IncrementalShare, ...]
    late: LongRun | None

    def to_json(self) -> dict[str, Any]:
        return {
            "shares": [share.to_json() for share in self.shares], "late": self.late.to_json() if self.late else None
        }  # fmt: skip

    def tables(self) -> list[Table]:
        """Both as tables for people."""
        shown = Table("category", "brought by telling", "treated", "control", title="What telling brings")
        for share in self.shares:
            shown.add_row(share.category, f"{share.share:.0%}", f"{share.n_treat:,}", f"{share.n_control:,}")
        return [shown] if self.late is None else [shown, self.late.table()]


def arms_told(home: Path, at: datetime, zone: str, default_share: float) -> ArmsTold:
    """The arms of the bank of `home` whose windows have closed by `at`."""
    with open_bank(home) as bank:
        tables = bank.known_by(at)
        found = arm_outcomes(tables, at)
        rows = [] if found is None else [ArmRow(**row) for row in found.to_pandas().to_dict("records")]
        late = long_run(tables, at, zone)
    shares = incremental_shares(rows, [row.category for row in rows], default_share)
    return ArmsTold(shares, late)


def logged_choices(desk: Desk, book: PolicyBook[DecisionsPolicy], log: DecisionLog) -> Logged:
    """The decisions of `log` under the chances that `book` would have given them."""
    rows = [_choice(desk, book, row) for row in log.frame.to_dict("records")]
    target, expected, expected_target = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    figures = log.frame[["outcome", "propensity"]].astype("float64")
    return Logged(
        figures["outcome"].to_numpy(), figures["propensity"].to_numpy(), target, expected, expected_target,
        log.frame["customer_id"].to_numpy(),
    )  # fmt: skip


def _choice(desk: Desk, book: PolicyBook[DecisionsPolicy], row: Mapping[Any, Any]) -> tuple[float, float, float]:
    """π of the logged choice, q of it, and the mean of q over what the judged policy would choose."""
    inputs = Inputs.from_json(json.loads(row["inputs"]))
    day = pd.Timestamp(row["decided_at"]).tz_convert(ZoneInfo(inputs.zone)).date()
    policy, release = book.view(day), release_of(desk.home, row["release_id"])
    catalogue = catalogue_of(policy, release.segments().view(release.as_of))
    if len(inputs.uplift_share) != catalogue.m:
        raise UserMistake(
            "the policy has other offers than those that were decided on", value=f"{catalogue.m} offers",
            allowed=f"the {len(inputs.uplift_share)} of release {row['release_id']}",
            todo="judge a change of offers by a ramp with exploration on",
        )  # fmt: skip
    score, permitted, p = standing(inputs, catalogue, policy)
    chances = first_chances(score, permitted, catalogue, policy.arbitration)[0]
    q = np.concatenate([[0.0], np.where(catalogue.is_service, 0.0, p[0])])
    ids = [card.offer_id for card in catalogue.cards]
    place = 0 if row["offer_id"] is None else 1 + ids.index(row["offer_id"])
    return float(chances[place]), float(q[place]), float(chances @ q)

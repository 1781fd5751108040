"""Rows of randomised arms to learn effects from: who was drawn to be told, who was not, and what came of it."""

from __future__ import annotations

from datetime import datetime

from features.bank.engines import Bank
from features.errors import MissingModel
from features.policy import SegmentsPolicy
from training.examples import Examples, known_at
from training.outcomes import arm_labels

NEEDS = ("assignment", "offer")  # bank tables without which chance has decided nothing
_SPINE = "arms_v1"


def arm_examples(bank: Bank, lineage: str, horizon: datetime, policy: SegmentsPolicy) -> Examples:
    """One row a customer and experiment whose window has closed by `horizon`, with the facts known when it was drawn.

    Beside the facts the frame holds experiment_id, is_treated (0 or 1), propensity (of TREAT), the offer's columns,
    sent_at, closes_at, business_on and outcome. The facts are those of the instant of the draw, which lies before any
    contact of the test, so that nothing in them tells who was told. Two arms are taken for granted: what is not
    TREAT's probability is CONTROL's. Raises MissingModel without arms.
    """
    found = arm_labels(bank.known_by(horizon), horizon)
    if found is None:
        raise MissingModel(
            "no arms: the bank lacks a table", value=[name for name in NEEDS if not bank.has(name)],
            todo="go on with assumed shares, and import the assignments of a randomised test",
            zh="没有随机对照：银行缺少所需的表",
        )  # fmt: skip
    labels = found.to_pandas()
    kept = labels[labels["excluded"].isna()].drop(columns=["excluded", "arm"])
    excluded = {str(rule): int(n) for rule, n in labels["excluded"].dropna().value_counts().items()}
    if kept.empty:
        raise MissingModel(
            "no arm has a closed outcome window", value=excluded, todo="go on with assumed shares",
            zh="还没有一个随机分组的结果窗口已经关闭",
        )  # fmt: skip
    told = kept["is_treated"].astype("float64")
    spine = kept.rename(columns={"is_converted": "outcome"}).assign(
        event_timestamp=kept["sent_at"],
        is_treated=told,
        propensity=kept["propensity"].where(told == 1, 1 - kept["propensity"]),
    )
    spine = spine.sort_values(["experiment_id", "customer_id"], ignore_index=True)
    frame, own = known_at(bank, lineage, spine, policy, name=_SPINE)
    return Examples(frame, excluded, own)

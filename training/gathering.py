"""The examples of each model, and how it is fitted on them: the one list of models there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from features.bank.engines import Bank, open_bank
from features.errors import MissingModel, UserMistake
from training.arms import arm_examples
from training.boosting import Parameters
from training.examples import (
    Examples,
    Label,
    Split,
    churn_examples,
    instants,
    month_examples,
    response_examples,
    split_by_time,
)
from training.fitting import CrossFitted
from training.ground import FACTS, PROFILE_FACTS, Ground
from training.models import churn, next_step, response, uplift, value
from training.models.shares import ArmRow, incremental_shares
from training.outcomes import ChurnFigures, arm_outcomes, kept_labels, step_labels


@dataclass(frozen=True)
class Gathered:
    """The rows of a model; `arms` what randomised arms came to (response only); `told` what a label means."""

    examples: Examples
    arms: tuple[ArmRow, ...] = ()
    told: Mapping[str, object] = field(default_factory=dict)


Fit = Callable[[Gathered, Split, Parameters, float], CrossFitted]


def gather(ground: Ground, model: str) -> Gathered:
    """The examples of `model`; raises UserMistake for an unknown one, MissingModel, MissingBuild."""
    if model not in _GATHERED:
        raise UserMistake("no such model", value=model, allowed=MODELS)
    return _GATHERED[model](ground)


def fitted(model: str, gathered: Gathered, split: Split, parameters: Parameters, default_share: float) -> CrossFitted:
    """`model` and its plain rival fitted on the training rows of `split`."""
    return _FITTED[model](gathered, split, parameters, default_share)


def split_of(ground: Ground, examples: Examples, test_from: datetime | None = None) -> Split:
    """The purged split by time; the home may state where its test begins and ends."""
    sent_at, closes_at = instants(examples.frame["sent_at"]), instants(examples.frame["closes_at"])
    begins = test_from or ground.when("test_from")
    return split_by_time(sent_at, closes_at, test_from=begins, test_to=ground.when("test_to"))


def _response(ground: Ground) -> Gathered:
    with open_bank(ground.home) as bank:
        _refuse_without(bank, response.NEEDS, response.NAME)
        examples = response_examples(bank, ground.build.lineage, ground.horizon, ground.policy)
        arms = _arms(bank, ground.horizon)
    told = {"label": "converted within the offer's window after a contact 触达后在产品窗口内成交"}
    return Gathered(examples, arms=tuple(arms), told=told)


def _response_fit(gathered: Gathered, split: Split, parameters: Parameters, default_share: float) -> CrossFitted:
    facts, profile = ((*shipped, *gathered.examples.own) for shipped in (FACTS, PROFILE_FACTS))
    trained = response.train(gathered.examples, split, facts=facts, profile=profile, parameters=parameters)
    known = gathered.examples.frame["offer_category"].dropna().unique()
    categories = [*known, *(arm.category for arm in gathered.arms)]
    shares = incremental_shares(gathered.arms, categories, default_share)
    return replace(trained, ours=trained.ours.with_shares([share.to_json() for share in shares]))


def _uplift(ground: Ground) -> Gathered:
    with open_bank(ground.home) as bank:
        examples = arm_examples(bank, ground.build.lineage, ground.horizon, ground.policy)
    label = "converted within the offer's window after chance drew the arm, told or not 抽签分组后成交，不论是否告知"
    told = {"label": label}
    return Gathered(examples, told=told)


def _uplift_fit(gathered: Gathered, split: Split, parameters: Parameters, default_share: float) -> CrossFitted:  # noqa: ARG001  # one signature for every model
    facts = (*FACTS, *gathered.examples.own)
    trained = uplift.train(gathered.examples, split, facts=facts, parameters=parameters)
    measured = uplift.measured_offers(gathered.examples.frame[split.train])
    return replace(trained, ours=trained.ours.with_shares(one.to_json() for one in measured))


def _churn(ground: Ground) -> Gathered:
    figures = churn_figures(ground)
    examples = churn_examples(ground.home, ground.build.lineage, ground.last_on, ground.policy, figures=figures)
    months = figures.months_ahead
    told = {
        "label": f"money gone or silent in the {months} months after the profile 画像后 {months} 个月内资金流走或沉默",
        "lead_time": f"{months} months: the score of a month tells of the end of the month {months} later 提前量",
        **{f"label.{name}": value for name, value in figures.to_json().items()},
    }  # fmt: skip
    return Gathered(examples, told=told)


def _churn_fit(gathered: Gathered, split: Split, parameters: Parameters, default_share: float) -> CrossFitted:  # noqa: ARG001  # one signature for every model
    profile = (*PROFILE_FACTS, *gathered.examples.own)
    return churn.train(gathered.examples, split, profile=profile, parameters=parameters)


def _next_step(ground: Ground) -> Gathered:
    examples = _by_month(ground, {next_step.MONTHS_AHEAD: step_labels})
    label = "comes to look at a product in the month after the profile 画像后一个月内浏览产品"
    return Gathered(examples, told={"label": label})


def _next_step_fit(gathered: Gathered, split: Split, parameters: Parameters, default_share: float) -> CrossFitted:  # noqa: ARG001  # one signature for every model
    own = gathered.examples.own
    return next_step.train(gathered.examples, split, profile=PROFILE_FACTS, own=own, parameters=parameters)


def _value(ground: Ground) -> Gathered:
    examples = _by_month(ground, dict.fromkeys(value.MONTHS_AHEAD, kept_labels))
    label = "share of the month's daily average that stays after 3 and 6 months 三个月与六个月后仍在的月日均占比"
    return Gathered(examples, told={"label": label})


def _value_fit(gathered: Gathered, split: Split, parameters: Parameters, default_share: float) -> CrossFitted:  # noqa: ARG001  # one signature for every model
    profile = (*PROFILE_FACTS, *gathered.examples.own)
    return value.train(gathered.examples, split, profile=profile, parameters=parameters)


def _by_month(ground: Ground, labels: Mapping[int, Label]) -> Examples:
    return month_examples(ground.home, ground.build.lineage, ground.last_on, ground.policy, labels)


_GATHERED: dict[str, Callable[[Ground], Gathered]] = {
    churn.NAME: _churn, next_step.NAME: _next_step, response.NAME: _response, uplift.NAME: _uplift,
    value.NAME: _value,
}  # fmt: skip
_FITTED: dict[str, Fit] = {
    churn.NAME: _churn_fit, next_step.NAME: _next_step_fit, response.NAME: _response_fit, uplift.NAME: _uplift_fit,
    value.NAME: _value_fit,
}  # fmt: skip
MODELS = tuple(sorted(_GATHERED))


def churn_figures(ground: Ground) -> ChurnFigures:
    """The churn label's figures as the policy has them."""
    said, tiers = ground.policy.labels, ground.policy.tiers.thresholds
    return ChurnFigures(
        balance_tiers=tuple(name for name, floor in tiers.items() if floor >= said.churn_balance_amount),
        months_ahead=said.churn_months_ahead,
        kept_share=said.churn_kept_share, drop_amount=said.churn_drop_amount,
    )  # fmt: skip


def _refuse_without(bank: Bank, needs: Sequence[str], model: str) -> None:
    lacking = [name for name in needs if not bank.has(name)]
    if lacking:
        raise MissingModel(
            f"{model} cannot be trained: the bank has no table {lacking[0]}", allowed=f"a bank with {', '.join(needs)}",
            todo="go on with rules, and import the table once there is one", zh=f"银行没有 {lacking[0]} 表",
        )  # fmt: skip


def _arms(bank: Bank, horizon: datetime) -> list[ArmRow]:
    found = arm_outcomes(bank.known_by(horizon), horizon)
    return [] if found is None else [ArmRow(**row) for row in found.to_pandas().to_dict("records")]

"""Promises about models: churn told in time, calibrated, with its reasons; bad service named where it is the cause."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features import profiles
from features.policy import segments
from features.segments import activity, behaviour
from features.vocabulary import Kind
from serving.jobs import POLICY_OF_SIMULATION
from tests.acceptance.test_tier_rows import AFTER
from tests.simulation.banks import LAST_ON, simulated
from tests.training.made_up import START
from training import registry, tracking
from training.boosting import Parameters
from training.encoding import arrays_of
from training.examples import Examples, instants, split_by_time
from training.fitted import FittedModel
from training.gathering import gather
from training.ground import PROFILE_FACTS, ground_of
from training.models import churn, value
from training.reasons import Cause, cause_of, reasons_of
from training.retrain import Retrained, retrain

N = 6_000
LEARNT = tuple(
    column for column in PROFILE_FACTS
    if column.name in ("n_complaints_3m", "n_failed_steps_3m", "app_latency_ms_3m", "active_days_1m", "mda", "age",
                       "tier")
)  # fmt: skip


def served_badly() -> tuple[FittedModel, pd.DataFrame]:
    """A churn model of customers who leave for a complaint, a failed step or silence, and for nothing else."""
    chance = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{place}" for place in range(N)],
            "n_complaints_3m": (chance.random(N) < 0.15).astype(float),
            "n_failed_steps_3m": (chance.random(N) < 0.15).astype(float),
            "app_latency_ms_3m": chance.normal(400, 80, N),
            "active_days_1m": chance.poisson(2.5, N).astype(float),
            "mda": np.exp(chance.normal(9, 1, N)),
            "age": chance.integers(18, 80, N).astype(float),
            "tier": np.array(["V0", "V1"], dtype=object)[chance.integers(0, 2, N)],
        }
    )
    cause = 2.6 * frame["n_complaints_3m"] + 2.2 * frame["n_failed_steps_3m"] + 2.4 * (frame["active_days_1m"] == 0)
    frame["outcome"] = (chance.random(N) < 1 / (1 + np.exp(3.2 - cause))).astype(float)
    frame["sent_at"] = pd.Timestamp(START) + pd.to_timedelta(np.sort(chance.integers(0, 200, N)), "D")
    frame["closes_at"] = frame["sent_at"] + timedelta(days=90)
    examples = Examples(frame, {})
    split = split_by_time(instants(frame["sent_at"]), instants(frame["closes_at"]))
    parameters = Parameters(n_rounds=60, min_leaf_rows=30, seed=1)
    return churn.train(examples, split, profile=LEARNT, parameters=parameters).ours, frame


def test_I01_a_service_code_is_named_when_bad_service_is_what_raises_p_most() -> None:
    model, frame = served_badly()
    facts = arrays_of(frame, model.recipe.features)
    told = reasons_of(model, facts)
    assert len(told) == N
    complained, failed = frame["n_complaints_3m"] > 0, frame["n_failed_steps_3m"] > 0
    silent = frame["active_days_1m"] == 0
    first = np.array([reasons[0].code if reasons else None for reasons in told], dtype=object)
    assert (first[complained & ~failed & ~silent] == Cause.SERVICE_COMPLAINT).mean() > 0.98
    assert (first[failed & ~complained & ~silent] == Cause.SERVICE_WAIT).mean() > 0.98
    assert (first[silent & ~complained & ~failed] == Cause.SILENCE).mean() > 0.98
    blamed = [{reason.code for reason in reasons} for reasons in told]
    innocent = np.flatnonzero(~complained & ~failed)
    assert not [place for place in innocent if blamed[place] & {Cause.SERVICE_COMPLAINT, Cause.SERVICE_WAIT}]


def test_I01_whichever_single_feature_adds_most_its_cause_is_among_the_reasons() -> None:
    model, frame = served_badly()
    facts = arrays_of(frame, model.recipe.features)
    added = model.trees.contributions(model.recipe.encode(facts))
    raw = np.log(model.trees.score(model.recipe.encode(facts)))
    assert np.corrcoef(added.sum(axis=1), raw)[0, 1] > 0.95  # they add up to the log-odds, but for their mean
    for reasons, row in zip(reasons_of(model, facts, n_reasons=1), added, strict=True):
        if row.max() >= 0.05:
            assert cause_of(model.recipe.names[int(row.argmax())]) in {reason.code for reason in reasons}
            assert all(reason.zh and reason.en for reason in reasons)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Retrained]:
    """The churn model of a simulated bank of a year, from its tables on."""
    bank = simulated(tmp_path_factory.mktemp("year"), customers=1_500, seed=5)
    models = bank.home / "policy" / "models"
    models.mkdir(parents=True, exist_ok=True)
    for path in (POLICY_OF_SIMULATION / "models").glob("*.yaml"):
        (models / path.name).write_text(path.read_text("utf-8"), "utf-8")
    profiles.build(bank.home, segments(), instant=AFTER, as_of=LAST_ON)
    return bank.home, retrain(bank.home, "churn", LAST_ON, 1)


def test_I04_churn_is_calibrated_with_its_lead_time_and_recall_of_the_top_tenth_logged(
    trained: tuple[Path, Retrained],
) -> None:
    home, done = trained
    assert done.is_champion, done.verdict.says
    run = tracking.library(home).MlflowClient().get_run(done.run_id)
    figures = run.data.metrics
    assert figures["ours_ece"] < 0.03
    assert figures["ours_slope_low"] < 1 < figures["ours_slope_high"]
    assert figures["ours_brier"] < figures["constant_brier"]
    assert 0 < figures["ours_recall_at_10_low"] <= figures["ours_recall_at_10"] <= figures["ours_recall_at_10_high"]
    assert figures["ours_recall_at_10"] > 0.3  # blindly it would be .1
    for facts in (run.data.tags, registry.champion(home, "churn").facts):
        assert facts["lead_time"].startswith("3 months")
        assert facts["label.months_ahead"] == "3"
        assert facts["pipia_id"] == "SIMULATED-NO-NATURAL-PERSON"


def test_I04_what_is_learnt_of_a_month_was_known_before_what_is_asked_of_it_began(
    trained: tuple[Path, Retrained],
) -> None:
    home, _ = trained
    frame = gather(ground_of(home, LAST_ON), "churn").examples.frame
    told_at, closes_at = instants(frame["sent_at"]), instants(frame["closes_at"])
    assert ((closes_at - told_at) / np.timedelta64(1, "D")).min() >= 89  # three whole months after the profile's own
    assert (frame["last_active_on"].dropna().to_numpy(dtype="datetime64[us]") < told_at[
        frame["last_active_on"].notna().to_numpy()]).all()  # fmt: skip
    assert {column.name for column in PROFILE_FACTS if column.kind is not Kind.DATE} <= set(frame.columns)


def test_B03_a_next_step_probability_comes_out_of_behaviour_alone(trained: tuple[Path, Retrained]) -> None:
    home, _ = trained
    done = retrain(home, "next_step", LAST_ON, 1)
    assert done.is_champion, done.verdict.says
    assert done.judgement.ours_less_plain.low > 0, "what he did says more than who he is"
    model = registry.champion(home, "next_step").read()
    assert set(model.recipe.names) <= {column.name for column in (*behaviour.COLUMNS, *activity.COLUMNS)}
    frame = gather(ground_of(home, LAST_ON), "next_step").examples.frame
    p_next = model.predict(frame)
    assert ((p_next > 0) & (p_next < 1)).all()
    days = (instants(frame["closes_at"]) - instants(frame["sent_at"])) / np.timedelta64(1, "D")
    assert days.min() >= 28  # the month that is told begins where the profile ends


def test_A07_the_expected_value_is_the_margin_as_far_as_the_money_stays(trained: tuple[Path, Retrained]) -> None:
    """The oracle walks the twelve months one by one; what stays falls from today over 90 to 180 days."""
    home, _ = trained
    done = retrain(home, "value", LAST_ON, 1)
    assert done.is_champion, done.verdict.says
    model = registry.champion(home, "value").read()
    newest = pd.read_parquet(profiles.latest(home).path)
    newest = newest[newest["value_12m"].notna() & newest["stage"].isin(["GROWTH", "MATURE", "DECLINE"])].head(200)
    told = value.expected(model, arrays_of(newest.assign(months_ahead=0.0), [*PROFILE_FACTS, value.AHEAD]))
    assert ((told.stays_180 <= told.stays_90) & (told.stays_90 <= 1) & (told.stays_180 >= 0)).all()
    for margin, first, then, expected in zip(*(getattr(told, name) for name in value.Expected.__slots__), strict=True):
        months = [first ** (month / 3) if month <= 3 else first * (then / first) ** ((month - 3) / 3)
                  for month in range(1, 13)]  # fmt: skip
        assert expected == pytest.approx(margin * sum(months) / 12 if margin > 0 else margin, rel=1e-6)
    fading = newest["stage"] == "DECLINE"
    assert told.stays_180[fading].mean() < told.stays_180[~fading].mean()

"""Leaks planted and leaks of real sets are found; strong but honest columns are let be; noise is called noise."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from features.errors import UserMistake
from tests.console.english import english_in
from tests.training.made_up import examples_of
from training.examples import instants
from training.judging.blocks import Blocks, area
from training.judging.leakage import ALL, Rule, Suspicion, guard

N = 12_000
HOUR = np.timedelta64(1, "h")
START = np.datetime64("2025-01-01", "us")


def hours(n: int) -> np.ndarray:
    """One decision an hour."""
    return START + np.arange(n) * HOUR


def at_once(n: int) -> np.ndarray:
    """All decisions in one instant, as in a snapshot."""
    return np.full(n, START)


def strong(*, n: int = N, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Five honest columns of which several are strong, and the outcome that they make; one in five is positive."""
    chance = np.random.default_rng(seed)
    frame = pd.DataFrame({name: chance.normal(size=n) for name in ("income", "activity", "tenure", "age")})
    frame["tier"] = np.array(["V1", "V2", "V3", None], dtype=object)[chance.integers(0, 4, n)]
    logit = (
        -2.2 + 1.1 * frame["income"] - 1.0 * frame["activity"] + 0.8 * frame["tenure"] + 0.9 * (frame["tier"] == "V3")
    )
    return frame, (chance.random(n) < 1 / (1 + np.exp(-logit))).astype(float)


def found(suspicions: tuple[Suspicion, ...]) -> dict[str, Rule]:
    """The rule by column; every sentence is said in Chinese too, with the same figures."""
    for one in suspicions:
        assert re.search("[一-鿿]", one.says_zh), one
        assert sorted(re.findall(r"[\d.,]*\d%?", one.says_zh)) == sorted(re.findall(r"[\d.,]*\d%?", one.says)), one
        assert english_in(one.says_zh) == []
    return {one.column: one.rule for one in suspicions}


def test_honest_columns_raise_no_suspicion_however_strong_they_are_together() -> None:
    frame, outcomes = strong()
    assert guard(frame, outcomes, hours(N)) == ()
    assert guard(frame, outcomes, at_once(N)) == ()


def test_the_rows_of_the_made_up_bank_raise_no_suspicion() -> None:
    rows = examples_of(n=6000)
    features = rows.frame.drop(columns=["customer_id", "sent_at", "closes_at", "outcome"])
    customers = rows.frame["customer_id"].to_numpy()
    assert guard(features, rows.outcomes, instants(rows.frame["sent_at"]), customers=customers) == ()


@pytest.mark.parametrize("when", [hours, at_once])
def test_a_planted_column_of_the_future_stands_alone(when: object) -> None:
    frame, outcomes = strong()
    frame["used_after"] = np.random.default_rng(1).normal(1.8 * outcomes, 1.0)
    alone = roc_auc_score(outcomes, frame["used_after"])
    (one,) = guard(frame, outcomes, when(N))  # type: ignore[operator]  # either of the two clocks above
    assert (one.column, one.rule, one.limit) == ("used_after", Rule.ALONE, 0.02)
    assert one.figure == pytest.approx(alone - 0.83, abs=0.03)  # the honest columns together reach about .83


def test_two_copies_of_a_leak_do_not_hide_each_other() -> None:
    frame, outcomes = strong()
    frame["seconds"] = np.exp(np.random.default_rng(1).normal(5 + 1.8 * outcomes, 1.0))
    frame["minutes"] = np.round(frame["seconds"] / 60, 2)
    assert found(guard(frame, outcomes, hours(N))) == {"seconds": Rule.ALONE, "minutes": Rule.ALONE}


def test_the_outcome_under_another_name_is_the_answer() -> None:
    frame, outcomes = strong()
    frame["status"] = np.where(outcomes > 0, "closed", "open")
    (one,) = guard(frame, outcomes, hours(N))
    assert (one.column, one.rule, one.figure) == ("status", Rule.ANSWER, pytest.approx(1.0))


def test_a_flag_that_marks_a_third_of_the_outcomes_without_fault_is_too_pure() -> None:
    """Its AUC is 2/3, which alone nobody would mind."""
    frame, outcomes = strong()
    frame["is_closed"] = outcomes * (np.random.default_rng(2).random(N) < 1 / 3)
    (one,) = guard(frame, outcomes, hours(N))
    assert (one.column, one.rule) == ("is_closed", Rule.PURE)
    assert one.figure == pytest.approx(1 / 3, abs=0.03)


def test_what_is_known_after_the_decision_is_late_and_its_share_is_told() -> None:
    frame, outcomes = strong()
    known = {"income": hours(N) - HOUR, "tenure": hours(N) + np.where(np.arange(N) < 30, HOUR, -HOUR)}
    known["age"] = np.where(np.arange(N) % 2 == 0, hours(N), np.datetime64("NaT"))
    (one,) = guard(frame, outcomes, hours(N), known_at=known)
    assert (one.column, one.rule, one.figure, one.limit) == ("tenure", Rule.LATE, 30 / N, 0.0)
    assert "30 of 12,000 rows" in one.says


def readings(*, share_begun: float, n: int = N) -> tuple[pd.DataFrame, np.ndarray]:
    """Balances of two months; `share_begun` of those who leave have taken their money before the newer reading."""
    chance = np.random.default_rng(3)
    frame, leaves = strong(n=n)
    older = np.exp(chance.normal(9, 1, n))
    begun = (leaves > 0) & (chance.random(n) < share_begun)
    frame["previous_balance"] = older
    frame["current_balance"] = older * np.exp(chance.normal(0, 0.1, n)) * np.where(begun, 0.5, 1.0)
    frame["previous_debit"] = older * np.exp(chance.normal(-2, 1, n))
    frame["current_debit"] = older * np.exp(chance.normal(-2, 1, n)) * np.where(begun, 2.0, 1.0)
    return frame, leaves


def test_a_reading_taken_when_the_leaving_had_begun_is_found_with_all_of_its_time() -> None:
    frame, outcomes = readings(share_begun=0.85)
    assert found(guard(frame, outcomes, hours(N))) == {"current_balance": Rule.MOVED, "current_debit": Rule.MOVED}


def test_a_movement_that_tells_less_than_what_else_is_known_is_an_honest_early_sign() -> None:
    assert guard(*readings(share_begun=0.4), hours(N)) == ()


def test_a_column_that_a_person_vouches_for_may_lead() -> None:
    frame, outcomes = strong()
    frame["used_after"] = np.random.default_rng(1).normal(1.8 * outcomes, 1.0)
    assert guard(frame, outcomes, hours(N), vouched={"used_after"}) == ()
    frame["status"] = np.where(outcomes > 0, "closed", "open")
    assert found(guard(frame, outcomes, hours(N), vouched={"status"})) == {
        "status": Rule.ANSWER, "used_after": Rule.ALONE,
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_noise_is_called_noise(seed: int) -> None:
    chance = np.random.default_rng(seed)
    frame = pd.DataFrame(chance.normal(size=(4000, 8))).rename(columns=str)
    (one,) = guard(frame, (chance.random(4000) < 0.1).astype(float), hours(4000), seed=seed)
    assert (one.column, one.rule, one.limit) == (ALL, Rule.NO_SIGNAL, 0.5)
    assert one.figure < 0.5


def test_a_clock_is_no_signal_though_it_ranks_well_over_the_year() -> None:
    """The rate falls from month to month: the month ranks all rows well, and those of one month not at all."""
    chance = np.random.default_rng(0)
    month = np.arange(N) // 1000
    outcomes = (chance.random(N) < 0.5 - 0.035 * month).astype(float)
    frame = pd.DataFrame({"month": month, "age": chance.normal(size=N)})
    assert roc_auc_score(outcomes, -month) > 0.6
    assert found(guard(frame, outcomes, hours(N))) == {ALL: Rule.NO_SIGNAL}


def test_of_one_class_alone_nothing_is_learnt_and_no_column_blamed() -> None:
    frame, _ = strong(n=600)
    assert found(guard(frame, np.zeros(600), hours(600))) == {ALL: Rule.NO_SIGNAL}


def test_every_kind_of_column_is_read_missing_values_and_all() -> None:
    frame, outcomes = strong(n=3000)
    frame["nothing"], frame["unknown"], frame["same"] = None, np.nan, 1.0
    frame["is_new"] = frame["age"] > 0
    frame["channel"] = pd.Categorical(np.where(outcomes > 0, "APP", "SMS"))
    frame["n_days"] = pd.array([None if age > 1 else 3 for age in frame["age"]], dtype="Int64")
    frame["since"] = pd.Series(pd.Timestamp("2025-01-01", tz="UTC")).repeat(3000).to_numpy()
    assert found(guard(frame, outcomes, hours(3000))) == {"channel": Rule.ANSWER}


def test_the_same_rows_and_seed_give_the_same_answer() -> None:
    frame, outcomes = readings(share_begun=0.85, n=3000)
    assert guard(frame, outcomes, hours(3000), seed=4) == guard(frame, outcomes, hours(3000), seed=4)


def test_rows_that_do_not_fit_together_are_refused() -> None:
    frame, outcomes = strong(n=100)
    with pytest.raises(UserMistake, match="as many outcomes and instants as rows"):
        guard(frame, outcomes[1:], hours(100))
    with pytest.raises(UserMistake, match="neither 0 nor 1"):
        guard(frame, outcomes * 2, hours(100))
    with pytest.raises(UserMistake, match="no such column"):
        guard(frame, outcomes, hours(100), vouched={"incme"})


@pytest.fixture(scope="module")
def phone_calls(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "bank_marketing" / "bank-additional-full.csv.gz", sep=";")[::2]


def test_the_duration_of_a_call_is_found_and_the_other_columns_of_the_campaign_are_not(
    phone_calls: pd.DataFrame,
) -> None:
    features, outcomes = phone_calls.drop(columns=["y"]), (phone_calls["y"] == "yes").to_numpy(float)
    assert found(guard(features, outcomes, hours(len(features)))) == {"duration": Rule.ALONE}
    assert guard(features.drop(columns=["duration"]), outcomes, hours(len(features))) == ()


def test_the_earlier_form_of_that_campaign_says_the_same(shared_data: Path) -> None:
    rows = pd.read_csv(shared_data / "bank_marketing" / "bank-full.csv.gz", sep=";")[::2]
    features, outcomes = rows.drop(columns=["y"]), (rows["y"] == "yes").to_numpy(float)
    assert found(guard(features, outcomes, hours(len(features)))) == {"duration": Rule.ALONE}
    assert guard(features.drop(columns=["duration"]), outcomes, hours(len(features))) == ()


def test_both_columns_of_an_earlier_model_are_the_answer_and_the_card_holders_own_are_not(shared_data: Path) -> None:
    rows = pd.read_csv(shared_data / "bankchurners" / "BankChurners.csv.gz")
    features = rows.drop(columns=["CLIENTNUM", "Attrition_Flag"])
    outcomes = (rows["Attrition_Flag"] == "Attrited Customer").to_numpy(float)
    naive = {name for name in features if name.startswith("Naive_Bayes")}
    assert len(naive) == 2
    assert found(guard(features, outcomes, at_once(len(rows)))) == dict.fromkeys(naive, Rule.ANSWER)
    assert guard(features.drop(columns=list(naive)), outcomes, at_once(len(rows))) == ()


def test_the_current_month_of_churners_is_found_and_the_months_before_are_not(shared_data: Path) -> None:
    n = 12_000  # of 28,382; all of them say the same and take twice the time
    rows = pd.read_csv(shared_data / "av_bank_churn" / "churn_prediction.csv.gz").sample(n, random_state=0)
    features, outcomes = rows.drop(columns=["customer_id", "churn"]), rows["churn"].to_numpy(float)
    current = {name for name in features if name.startswith("current_")}
    assert len(current) == 4
    assert found(guard(features, outcomes, at_once(n))) == dict.fromkeys(current, Rule.MOVED)
    assert guard(features.drop(columns=list(current)), outcomes, at_once(n)) == ()


def test_the_answers_to_a_mailing_are_not_foretold_too_well_but_the_visit_before_the_purchase_is(
    shared_data: Path,
) -> None:
    rows = pd.read_csv(shared_data / "hillstrom" / "hillstrom.csv.gz")
    facts = rows.drop(columns=["visit", "conversion", "spend"])
    assert guard(facts, rows["visit"].to_numpy(float), at_once(len(rows))) == ()
    bought = guard(facts.assign(visit=rows["visit"]), rows["conversion"].to_numpy(float), at_once(len(rows)))
    assert found(bought) == {"visit": Rule.ALONE}


def test_an_area_within_blocks_is_the_mean_of_theirs_by_pairs() -> None:
    chance = np.random.default_rng(5)
    y, s, places = (chance.random(600) < 0.3).astype(float), chance.integers(0, 9, 600) / 9, np.arange(600) % 3 - 1
    each = [(y[places == b], s[places == b]) for b in (0, 1)]
    pairs = [a.sum() * (1 - a).sum() for a, _ in each]
    expected = np.average([roc_auc_score(a, b) for a, b in each], weights=pairs)
    assert area(y, s, places).value == pytest.approx(expected, abs=1e-12)


def test_the_error_of_an_area_is_the_spread_over_many_samples_also_where_rows_repeat() -> None:
    chance = np.random.default_rng(6)
    values, errors = [], []
    for _ in range(300):
        y = (chance.random(400) < 0.3).astype(float)
        s = y + chance.normal(0, 1.2, 400)
        drawn = area(np.repeat(y, 2), np.repeat(s, 2), np.zeros(800, dtype=np.int64))
        values.append(drawn.value)
        errors.append(drawn.error(np.repeat(np.arange(400), 2)))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.12)


def test_a_block_is_judged_by_what_came_before_it_and_rows_of_one_instant_stay_together() -> None:
    sent = np.repeat(hours(60), 5)
    blocks = Blocks.of(sent, np.arange(300), seed=0)
    assert blocks.is_in_time
    for learnt, asked in blocks.turns():
        assert sent[learnt].max() < sent[asked].min()
    assert sorted(np.unique(blocks.places)) == [-1, 0, 1, 2, 3, 4]


def test_rows_of_one_instant_alone_are_judged_by_folds_that_keep_customers_whole() -> None:
    customers = np.arange(400) // 4
    blocks = Blocks.of(at_once(400), customers, seed=0)
    assert not blocks.is_in_time
    assert all(len(np.unique(blocks.places[customers == one])) == 1 for one in range(100))
    assert blocks.is_judged.all()

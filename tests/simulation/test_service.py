"""How the simulated bank serves: its journeys, cases, invitations, managers and books hold together row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import date

import numpy as np
import pytest
from scipy.stats import spearmanr

from decisioning.policy import decisions
from simulation import Truth
from simulation.books import BALANCE_BP, PREMIUM_PCT, YEARLY_AMOUNT
from simulation.cases import EFFECTS, REMEDIES
from simulation.months import calendar_months
from tests.simulation.banks import LAST_ON, MONTHS, Simulated
from tests.simulation.service_figures import RINGS, treatments


def count(bank: Simulated, query: str) -> int:
    return int(bank.sql(f"SELECT count(*) AS n FROM ({query})")["n"][0])


def test_a_journey_goes_step_by_step_and_ends_where_a_step_is_not_done(bank: Simulated) -> None:
    assert not count(
        bank,
        "SELECT journey_id FROM {journey_event} GROUP BY 1 HAVING max(step_no) <> count(*) OR count(DISTINCT "
        "customer_id || journey || business_on) > 1 OR max(step_no) FILTER (outcome <> 'DONE') < count(*)",
    )
    assert not count(
        bank,
        "SELECT * FROM (SELECT *, lag(ended_at) OVER (PARTITION BY journey_id ORDER BY step_no) AS before "
        "FROM {journey_event}) WHERE started_at < before OR ended_at <= started_at "
        "OR (ended_at IS NULL) <> (outcome = 'ABANDONED') OR known_at < ended_at",
    )


def test_every_loan_drawn_and_every_first_product_has_a_journey_that_arrived(bank: Simulated) -> None:
    arrived = (
        "SELECT any_value(customer_id), any_value(business_on) FROM {{journey_event}} WHERE journey = '{}' "
        "GROUP BY journey_id HAVING bool_and(outcome = 'DONE')"
    )
    loans = "SELECT customer_id, opened_on FROM {loan} WHERE opened_on >= DATE '2025-01-01'"
    begun = "SELECT customer_id, first_product_on FROM {customer} WHERE first_product_on >= DATE '2025-01-01'"
    for journey, wanted in (("LOAN_DISBURSAL", loans), ("ACCOUNT_OPENING", begun)):
        assert count(bank, wanted) > 50
        # who fails and tries again has several journeys, each booked one arrives once
        assert count(bank, f"{wanted} EXCEPT ALL ({arrived.format(journey)})") == 0


def test_nobody_is_asked_twice_in_ninety_days_and_scores_lie_on_their_scales(bank: Simulated) -> None:
    assert not count(
        bank,
        "SELECT * FROM (SELECT business_on - lag(business_on) OVER (PARTITION BY customer_id ORDER BY business_on) "
        "AS days FROM {survey_response}) WHERE days < 90",
    )
    answer = bank.sql(
        "SELECT avg((nps >= 9)::INT) AS promoters, avg((nps <= 6)::INT) AS detractors, max(nps) AS most, "
        "min(csat) AS least_content, max(csat) AS most_content, "
        "sum((nps IS NULL AND csat IS NULL)::INT) AS silent FROM {survey_response}"
    )
    assert [int(answer[name][0]) for name in ("most", "least_content", "most_content", "silent")] == [10, 1, 5, 0]
    assert 0.1 < answer["promoters"][0] < 0.5
    assert 0.1 < answer["detractors"][0] < 0.6


def test_every_complaint_has_one_case_whose_remedy_was_drawn_with_the_propensity_on_the_row(bank: Simulated) -> None:
    assert not count(bank, "SELECT complaint_id FROM {complaint} EXCEPT ALL SELECT complaint_id FROM {case}")
    assert not count(
        bank,
        "SELECT * FROM {case} k JOIN {complaint} c USING (complaint_id) WHERE k.opened_at <= c.opened_at "
        "OR k.customer_id <> c.customer_id OR k.remedied_at <= k.opened_at "
        "OR (k.closed_at IS NULL) <> (outcome IS NULL) OR (remedied_at IS NULL) <> (remedy IS NULL)",
    )
    rows = bank.sql("SELECT remedy, propensity FROM {case} WHERE business_on < DATE '2025-12-01'")
    n = len(rows["remedy"])
    for remedy in REMEDIES:
        weights = 1 / rows["propensity"][rows["remedy"] == remedy].astype(float)
        error = np.sqrt((weights**2 - weights).sum())  # of a Horvitz-Thompson count
        assert weights.sum() == pytest.approx(n, abs=4 * error)
    assert dict(zip(REMEDIES, EFFECTS, strict=False)) == pytest.approx(
        {"APOLOGY": 0.1, "REFUND": 0.5, "REPAIR": 1.0, "VISIT": 1.3}
    )


def test_a_case_is_lost_where_half_the_money_is_gone(bank: Simulated) -> None:
    outcomes = bank.sql("SELECT outcome, count(*) AS n FROM {case} WHERE outcome IS NOT NULL GROUP BY 1 ORDER BY 1")
    assert outcomes["outcome"].tolist() == ["LOST", "SAVED"]
    lost, saved = outcomes["n"]
    assert 0.02 < lost / (lost + saved) < 0.35


def test_one_referee_has_one_referrer_and_the_truth_names_the_rings(bank: Simulated) -> None:
    assert not count(
        bank, "SELECT referee_id FROM {referral} WHERE referee_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
    )
    assert not count(
        bank,
        "SELECT * FROM {referral} WHERE opened_at <= shared_at OR (opened_at IS NULL) <> (referee_device_hash IS NULL) "
        "OR referrer_id = referee_id",
    )
    assert not count(
        bank,
        "SELECT * FROM {referral} r JOIN {customer} c ON c.customer_id = r.referee_id WHERE c.acquisition_source "
        "<> 'REFERRAL' OR r.business_on < c.registered_on - 1",
    )
    truth = bank.sql("SELECT referral_id, kind FROM {truth_referrals}")
    told = {kind: set(truth["referral_id"][truth["kind"] == kind]) for kind in ("RING", "SELF")}
    assert set(bank.sql(RINGS)["referral_id"]) == told["RING"]
    same = bank.sql("SELECT referral_id FROM {referral} WHERE referee_device_hash = referrer_device_hash")
    assert set(same["referral_id"]) - told["RING"] == told["SELF"]
    assert min(len(ids) for ids in told.values()) >= 3


def test_every_manager_has_a_row_for_every_weekday_and_every_customers_manager_is_one(bank: Simulated) -> None:
    weekdays = sum(
        (month.first_on + day + 3) % 7 < 5  # day 0 of 1970 was a Thursday
        for month in calendar_months(LAST_ON, MONTHS)
        for day in range(month.n_days)
    )
    rows = bank.sql("SELECT rm_id, count(DISTINCT business_on) AS days, count(*) AS n FROM {rm_usage} GROUP BY 1")
    assert set(rows["days"]) == set(rows["n"]) == {weekdays}
    assert not count(bank, "SELECT rm_id FROM {customer} WHERE rm_id IS NOT NULL EXCEPT SELECT rm_id FROM {rm}")
    assert not count(
        bank, "SELECT branch_id FROM {customer} WHERE branch_id IS NOT NULL EXCEPT SELECT branch_id FROM {branch}"
    )
    levels = bank.sql("SELECT count(*) AS n FROM {branch} GROUP BY digital_level, volume_level")["n"]
    assert len(levels) == 9
    assert max(levels) - min(levels) <= 1


def test_the_product_ledger_is_what_holdings_earn_to_a_tenth_of_a_percent(bank: Simulated) -> None:
    """The oracle is SQL over the bank's own tables: amount × days × rate, product by product and month."""
    rate = " ".join(f"WHEN '{name}' THEN {bp}" for name, bp in BALANCE_BP.items())
    fee = " ".join(f"WHEN '{name}' THEN {amount}" for name, amount in YEARLY_AMOUNT.items())
    first = " ".join(f"WHEN '{name}' THEN {share}" for name, share in PREMIUM_PCT.items())
    answer = bank.sql(
        "WITH months AS (SELECT unnest(generate_series(DATE '2025-01-01', DATE '2025-12-01', INTERVAL 1 MONTH))::DATE "
        "AS start), held AS (SELECT product_id, opened_on, closed_on, amount::DOUBLE AS amount FROM {holding} "
        "UNION ALL SELECT service_id, activated_on, closed_on, 0 FROM {service_activation}), "
        "days AS (SELECT *, last_day(start) AS on_, date_diff('day', greatest(opened_on, start), "
        "least(coalesce(closed_on, DATE '2999-01-01'), last_day(start) + 1)) AS days FROM held, months), "
        f"earned AS (SELECT product_id, on_, sum(greatest(days, 0) / 365 * (amount * CASE product_id {rate} ELSE 0 END "
        f"/ 10000 + CASE product_id {fee} ELSE 0 END) + CASE WHEN opened_on BETWEEN start AND on_ THEN amount * CASE "
        f"product_id {first} ELSE 0 END / 100 ELSE 0 END) AS income FROM days GROUP BY ALL), "
        "booked AS (SELECT product_id, business_on AS on_, sum(income_amount)::DOUBLE AS income FROM {product_ledger} "
        "WHERE product_id IS NOT NULL GROUP BY ALL) SELECT coalesce(e.income, 0) AS earned, coalesce(b.income, 0) AS "
        "booked FROM earned e FULL JOIN booked b USING (product_id, on_)"
    )
    earned, booked = (np.ma.filled(answer[name], 0) for name in ("earned", "booked"))
    assert len(earned) > 100
    assert np.abs(earned - booked).max() <= 10  # a cent a day and branch at most is rounded away
    assert booked.sum() == pytest.approx(earned.sum(), rel=1e-3)


def test_products_earn_what_the_catalogue_says() -> None:
    """The books are on a path of their own, so their rates are written twice: here they are held equal."""
    margins = {name: product.margin for name, product in decisions().view(date(2025, 1, 1)).products.items()}
    balance = {name: m.value for name, m in margins.items() if m.unit == "bp_balance"}
    premium = {name: m.value for name, m in margins.items() if m.unit == "pct_first_premium"}
    yearly = {name: m.value for name, m in margins.items() if m.unit == "amount_year" and m.value}
    yearly |= {name: m.value * m.n_per_year for name, m in margins.items() if m.unit == "amount_txn"}
    assert (balance, yearly, premium) == (BALANCE_BP, YEARLY_AMOUNT, PREMIUM_PCT)


def test_price_is_ahead_after_thirty_days_and_service_after_half_a_year(bank: Simulated) -> None:
    """By the truth for everybody in a test; by the bank's balances, between treated and control, on average."""
    truth = bank.sql(
        "SELECT left(experiment_id, 5) AS test, a.arm = 'TREAT' AS treated, is_treated, effect_30_share AS soon, "
        "effect_180_share AS late FROM {truth_treatments} t JOIN {assignment} a USING (experiment_id, customer_id)"
    )
    assert (truth["treated"] == truth["is_treated"]).all()
    is_price = truth["test"] == "PRICE"
    assert truth["soon"][is_price].min() > truth["soon"][~is_price].max()
    assert truth["late"][is_price].max() < truth["late"][~is_price].min()
    found = treatments(bank)
    assert found["price_effect_30"] > found["service_effect_30"] + 0.1
    assert found["service_effect_180"] > found["price_effect_180"] + 0.05


def latents_of(bank: Simulated) -> Iterator[tuple[str, np.ndarray]]:
    truth, _, _ = Truth.read(bank.home / "truth")
    for part in fields(truth.latents):
        values = getattr(truth.latents, part.name)
        if part.name == "need":
            yield from ((f"need {i}", values[:, i]) for i in range(values.shape[1]))
        else:
            yield part.name, values


def test_no_new_column_gives_a_latent_away(bank: Simulated) -> None:
    """What surveys, cases, invitations, journeys and managers tell of a customer is far from what drives him."""
    seen = bank.sql(
        "WITH s AS (SELECT customer_id, avg(nps) AS nps, avg(csat) AS csat FROM {survey_response} GROUP BY 1), "
        "k AS (SELECT customer_id, count(*) AS cases FROM {case} GROUP BY 1), "
        "r AS (SELECT referrer_id AS customer_id, count(*) AS invitations FROM {referral} GROUP BY 1), "
        "j AS (SELECT customer_id, avg(epoch(ended_at - started_at)) AS seconds FROM {journey_event} GROUP BY 1) "
        "SELECT substr(c.customer_id, 2)::INT AS number, nps, csat, cases, invitations, seconds FROM {customer} c "
        "LEFT JOIN s ON s.customer_id = c.customer_id LEFT JOIN k ON k.customer_id = c.customer_id "
        "LEFT JOIN r ON r.customer_id = c.customer_id LEFT JOIN j ON j.customer_id = c.customer_id ORDER BY 1"
    )
    number = seen.pop("number")
    strongest = {}
    for latent, values in latents_of(bank):
        for name, column in seen.items():
            known = ~np.ma.getmaskarray(np.ma.asarray(column))
            if np.ptp(np.ma.asarray(column)[known]) > 0:
                found = spearmanr(np.ma.asarray(column)[known], values[number[known]]).statistic
                strongest[name, latent] = abs(found)
    assert len(strongest) > 40
    assert max(strongest.values()) < 0.6


def test_the_banks_people_work_by_day(bank: Simulated) -> None:
    """Nobody is served, called or answered by a member of staff at night, and no case is remedied then."""
    local = "extract(hour FROM {} AT TIME ZONE 'Asia/Shanghai')"
    staffed = "channel IN ('BRANCH', 'CALL', 'RM')"
    asked = {
        "channel_event": ("occurred_at", staffed), "txn": ("occurred_at", staffed), "contact": ("sent_at", "true"),
        "case": ("remedied_at", "remedied_at IS NOT NULL"),
        "response": ("occurred_at", "outcome IN ('no_answer', 'considering')"),
    }  # fmt: skip
    for table, (column, where) in asked.items():
        hour = local.format(column)
        rows = bank.sql(f"SELECT min({hour}) AS low, max({hour}) AS high, count(*) AS n FROM {{{table}}} WHERE {where}")
        assert rows["n"][0] > 20, table
        assert (rows["low"][0] >= 9, rows["high"][0] <= 20) == (True, True), (table, rows)

"""The truth: its formula, its plants as experiments find them, and that no column of the bank gives it away."""

from __future__ import annotations

from itertools import pairwise
from math import exp

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from features.bank.tables import EVENT_CHANNELS
from simulation import Truth
from simulation.truth import Moment, State, leaving_hazard
from tests.simulation.banks import Simulated

APP, CALL = EVENT_CHANNELS.index("APP"), EVENT_CHANNELS.index("CALL")
TAKEN = (
    "(SELECT customer_id, product_id AS product, opened_on AS on_ FROM {holding} UNION ALL "
    "SELECT customer_id, service_id, activated_on FROM {service_activation})"
)


def at(who: int, offer: int, *, channel: int = APP, state: int = State.ACTIVE, recent: int = 0) -> Moment:
    return Moment(*(np.array([x]) for x in (who, offer, channel, state, recent)))


def auc(score: np.ndarray, label: np.ndarray) -> float:
    n = label.sum()
    return float((rankdata(score)[label].sum() - n * (n + 1) / 2) / (n * (~label).sum()))


def test_probabilities_are_the_formula_of_the_page(bank: Simulated) -> None:
    truth, _, offer_ids = Truth.read(bank.home / "truth")
    mine, offers, who, offer = truth.latents, truth.offers, 7, offer_ids.index("P24")
    base = offers.intercept[offer] + 1.15 * mine.need[who, offers.need[offer]]
    for channel, digital_slope, irritation_slope in ((APP, 0.35, 0.9), (CALL, -0.1, 1.3)):
        added = (
            offers.lift[offer] + digital_slope * mine.digital[who] + 0.5 * mine.cash[who] - 0.12 * 2
            - irritation_slope * max(mine.irritation[who] - 0.9, 0)
        )  # fmt: skip
        p0, p1 = truth.probabilities(at(who, offer, channel=channel, recent=2))
        assert p0[0] == pytest.approx(1 / (1 + exp(-base)), rel=1e-5)
        assert p1[0] == pytest.approx(1 / (1 + exp(-base - added)), rel=1e-5)


def test_what_is_read_back_explains_every_moment_that_was_played(bank: Simulated) -> None:
    """p0 of every row of truth/contacts follows from the saved latents, offers and the state on the row."""
    truth, customer_ids, offer_ids = Truth.read(bank.home / "truth")
    rows = bank.sql("SELECT customer_id, offer_id, state, p0, p1 FROM {truth_contacts}")
    who = np.searchsorted(np.array(customer_ids), rows["customer_id"].astype(str))
    offer = np.array([offer_ids.index(name) for name in rows["offer_id"]])
    logit = truth.logit_without(who, offer, rows["state"])
    assert np.allclose(1 / (1 + np.exp(-logit)), rows["p0"], rtol=1e-5)
    assert ((rows["p1"] > 0) & (rows["p1"] < 1)).all()


def test_fatigue_and_channels_move_what_a_contact_adds_and_never_what_happens_without(bank: Simulated) -> None:
    truth, _, _ = Truth.read(bank.home / "truth")
    alone = [truth.probabilities(at(3, 1, recent=n)) for n in (0, 3, 6, 9)]
    assert len({float(p0[0]) for p0, _ in alone}) == 1
    told = [float(p1[0]) for _, p1 in alone]
    assert told[0] > told[1] > told[2] == told[3]  # six contacts tire as nine do


@pytest.mark.parametrize("flag", ["incident", "money_left", "moved"])
def test_what_hurts_raises_the_hazard_of_leaving_and_care_lowers_it(flag: str) -> None:
    none = {name: np.array([False]) for name in ("incident", "money_left", "moved", "cared")}
    none["eased"] = np.zeros(1)
    loyalty, active = np.zeros(1), np.array([State.ACTIVE])
    quiet = leaving_hazard(loyalty, active, **none)[0]
    hurt = leaving_hazard(loyalty, active, **(none | {flag: np.array([True])}))[0]
    cared = leaving_hazard(loyalty, active, **(none | {flag: np.array([True]), "cared": np.array([True])}))[0]
    assert quiet < cared < hurt
    assert leaving_hazard(loyalty, np.array([State.ASLEEP]), **none)[0] == 0


def arms_with_labels(bank: Simulated) -> dict[str, np.ndarray]:
    """Assigned customers, whether the bank's tables show the product within the window, and the truth of it."""
    return bank.sql(
        "SELECT left(a.experiment_id, 3) AS hook, a.arm, t.p0, t.p1, bool_or(h.on_ IS NOT NULL) AS took FROM "
        "{assignment} a JOIN {truth_arms} t USING (experiment_id, customer_id) "
        "JOIN {offer} o ON o.offer_id = a.offer_id JOIN {customer} c USING (customer_id) "
        f"LEFT JOIN {TAKEN} h ON h.customer_id = a.customer_id AND h.product = coalesce(o.product_id, o.offer_id) "
        "AND h.on_ > a.business_on AND h.on_ <= a.business_on + o.outcome_days::INT "
        "WHERE a.business_on + o.outcome_days::INT <= DATE '2025-12-31' "
        "AND coalesce(c.closed_on, DATE '2999-01-01') > a.business_on + o.outcome_days::INT "
        "GROUP BY a.experiment_id, a.customer_id, a.arm, t.p0, t.p1"
    )


@pytest.mark.parametrize("hook", ["H01", "H06", "H09"])
def test_a_hooks_arms_differ_by_the_planted_effect(bank: Simulated, hook: str) -> None:
    """The difference of the arms' conversion, read from the bank's tables, within 4 standard errors of mean p1 - p0."""
    rows = arms_with_labels(bank)
    mine = rows["hook"] == hook
    treated, took = (rows["arm"] == "TREAT")[mine], rows["took"][mine].astype(float)
    p0, p1 = rows["p0"][mine], rows["p1"][mine]
    n_treated, n_control = treated.sum(), (~treated).sum()
    error = np.sqrt(took[treated].var() / n_treated + took[~treated].var() / n_control)
    found = took[treated].mean() - took[~treated].mean()
    assert min(n_treated, n_control) > 40
    assert found == pytest.approx((p1 - p0).mean(), abs=4 * error)
    assert took[~treated].mean() == pytest.approx(p0[~treated].mean(), abs=4 * took.std() / np.sqrt(n_control))


def test_arms_are_drawn_with_the_propensity_on_the_row(bank: Simulated) -> None:
    rows = bank.sql("SELECT arm, propensity FROM {assignment} WHERE arm <> 'HOLDOUT'")
    treated = rows["arm"] == "TREAT"
    assert set(rows["propensity"]) == {0.5}
    assert treated.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(len(treated)))


def test_offers_are_drawn_with_the_propensity_on_the_row(bank: Simulated) -> None:
    """P25 may be offered to everybody who lacks it and is not within its window, so the weights 1/propensity of its
    contacts must count just those among all who are contacted."""
    rows = bank.sql("SELECT offer_id, propensity FROM {contact} WHERE campaign_id = 'MONTHLY'")
    p = rows["propensity"].astype(float)
    assert len(np.unique(rows["offer_id"])) == 11
    assert 0.35 / 11 <= p.min() <= p.max() <= 1  # the even share over the ranked offers that are not under test
    lacking = bank.sql(
        "SELECT count(*) AS n FROM {contact} c WHERE campaign_id = 'MONTHLY' AND NOT EXISTS (SELECT 1 FROM "
        "{service_activation} s WHERE s.customer_id = c.customer_id AND s.service_id = 'P25' "
        "AND s.activated_on < date_trunc('month', c.business_on)) AND NOT EXISTS (SELECT 1 FROM {truth_contacts} t "
        "WHERE t.customer_id = c.customer_id AND t.offer_id = 'P25' AND t.on < date_trunc('month', c.business_on) "
        "AND t.on + 14 >= date_trunc('month', c.business_on))"
    )
    weights = 1 / p[rows["offer_id"] == "P25"]
    error = weights.std() * np.sqrt(len(weights))
    assert weights.sum() == pytest.approx(lacking["n"][0], abs=4 * error)
    assert error < 0.1 * lacking["n"][0]


def test_the_told_convert_as_p1_says_in_every_band(bank: Simulated) -> None:
    rows = bank.sql(
        "SELECT p0, p1, is_told, converts_on IS NOT NULL AS converts FROM {truth_contacts} WHERE state <= 3"
    )
    told, converts = rows["is_told"].astype(bool), rows["converts"].astype(bool)
    p = np.where(told, rows["p1"], rows["p0"])
    for group in (told, ~told):
        edges = np.quantile(p[group], [0, 0.5, 0.9, 1])
        for low, high in pairwise(edges):
            some = group & (p >= low) & (p <= high)
            error = np.sqrt((p[some] * (1 - p[some])).sum()) / some.sum()
            assert converts[some].mean() == pytest.approx(p[some].mean(), abs=4 * error)


def seen_by_the_bank(bank: Simulated) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """For contacts of the second half-year, what the bank knew of the customer by mid-year; with p1 and the label."""
    until = "business_on <= DATE '2025-06-30' GROUP BY 1"
    rows = bank.sql(
        "WITH aum AS (SELECT customer_id, sum(amount) AS aum, count(*) AS positions, "
        "max(amount) FILTER (asset_class IN ('FUND', 'WMP', 'GOLD')) AS invested FROM {balance} "
        "WHERE from_on <= DATE '2025-06-30' AND coalesce(to_on, DATE '2999-01-01') > DATE '2025-06-30' GROUP BY 1), "
        "t AS (SELECT customer_id, count(*) AS n_txn, sum(amount) AS turnover, "
        f"count(*) FILTER (txn_type = 'SALARY') AS salaries FROM {{txn}} WHERE {until}), "
        "v AS (SELECT customer_id, count(*) AS visits, count(*) FILTER (channel = 'APP') AS app, "
        f"count(DISTINCT service_id) AS services FROM {{channel_event}} WHERE {until}), "
        "r AS (SELECT customer_id, max(risk_level) AS risk FROM {risk_assessment} "
        "WHERE assessed_on <= DATE '2025-06-30' GROUP BY 1) "
        "SELECT c.offer_id, c.channel = 'RM' AS by_manager, c.propensity, c.cost_amount::DOUBLE AS cost, "
        "date_diff('day', u.birth_on, DATE '2025-06-30') AS age, u.gender = 'F' AS woman, "
        "date_diff('day', u.registered_on, DATE '2025-06-30') AS tenure, u.declared_income_amount::DOUBLE AS income, "
        "ln(1 + aum.aum::DOUBLE) AS aum, aum.positions, ln(1 + aum.invested::DOUBLE) AS invested, t.n_txn, "
        "ln(1 + t.turnover::DOUBLE) AS turnover, t.salaries, v.visits, v.app, v.services, r.risk, k.p1, "
        "k.converts_on IS NOT NULL AS converts FROM {contact} c JOIN {truth_contacts} k USING (contact_id) "
        "JOIN {customer} u ON u.customer_id = c.customer_id LEFT JOIN aum ON aum.customer_id = c.customer_id "
        "LEFT JOIN t ON t.customer_id = c.customer_id LEFT JOIN v ON v.customer_id = c.customer_id "
        "LEFT JOIN r ON r.customer_id = c.customer_id "
        "WHERE c.campaign_id = 'MONTHLY' AND c.business_on > DATE '2025-06-30' ORDER BY c.contact_id"
    )
    p1, converts = rows.pop("p1"), rows.pop("converts").astype(bool)
    filled = {name: np.ma.filled(np.ma.asarray(x).astype(float), 0) for name, x in rows.items() if name != "offer_id"}
    filled |= {name: (rows["offer_id"] == name).astype(float) for name in np.unique(rows["offer_id"])}
    return {name: np.nan_to_num(column) for name, column in filled.items()}, p1, converts


def test_no_column_of_the_bank_gives_the_truth_away(bank: Simulated) -> None:
    columns, p1, _ = seen_by_the_bank(bank)
    varied = {name: column for name, column in columns.items() if np.ptp(column) > 0}
    strongest = {name: abs(spearmanr(column, p1).statistic) for name, column in varied.items()}
    assert len(strongest) > 20
    assert max(strongest.values()) < 0.6


def test_a_plain_model_finds_much_of_the_signal_and_not_all_of_it(bank: Simulated) -> None:
    """A logistic regression on two thirds of the customers' contacts, judged on the others, against p1 itself."""
    columns, p1, converts = seen_by_the_bank(bank)
    x = np.stack(list(columns.values()), axis=1)
    judged = np.arange(len(x)) % 3 == 0
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=500)).fit(x[~judged], converts[~judged])
    found, best = auc(model.predict_proba(x[judged])[:, 1], converts[judged]), auc(p1[judged], converts[judged])
    assert 0.6 < found < best - 0.03

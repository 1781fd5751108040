"""What is planted is there: the figures of docs/simulated-bank.md, computed from the bank and its truth."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from tests.simulation.banks import CUSTOMERS, MONTHS, Simulated, aum_on
from tests.simulation.service_figures import service_figures

PAGE = Path(__file__).parents[2] / "docs" / "simulated-bank.md"
BOUNDS = {
    name: (float(low), float(high))
    for name, low, high in re.findall(r"^\| `(\w+)` \|.*\| (-?[\d.]+) \| (-?[\d.]+) \|$", PAGE.read_text("utf-8"), re.M)
}
USUAL = "(SELECT t.* FROM {truth_contacts} t JOIN {contact} c USING (contact_id) WHERE c.campaign_id = 'MONTHLY')"


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """Probability that a converter's score is above another's (Mann-Whitney)."""
    n = label.sum()
    return float((rankdata(score)[label].sum() - n * (n + 1) / 2) / (n * (~label).sum()))


def figures(bank: Simulated) -> dict[str, float]:
    top = bank.sql(
        "SELECT sum(aum) FILTER (nth <= n * 0.025) / sum(aum) AS share FROM (SELECT aum, row_number() OVER "
        f"(ORDER BY aum DESC) AS nth, count(*) OVER () AS n FROM ({aum_on('2025-12-31')}))"
    )
    asleep = bank.sql(
        "SELECT avg((coalesce(last_on, DATE '1970-01-01') < DATE '2025-07-04')::INT) AS share FROM {customer} "
        "LEFT JOIN (SELECT customer_id, max(business_on) AS last_on FROM (SELECT customer_id, business_on FROM {txn} "
        "WHERE by_customer UNION ALL SELECT customer_id, business_on FROM {channel_event} WHERE event = 'LOGIN') "
        "GROUP BY 1) USING (customer_id) WHERE first_product_on <= DATE '2025-07-04' AND closed_on IS NULL"
    )
    other = bank.sql("SELECT avg((id_doc_type <> 'MAINLAND')::INT) AS share FROM {customer}")
    told = bank.sql(f"SELECT p0, p1, converts_on IS NOT NULL AS converts FROM {USUAL}")
    p0, p1, converts = told["p0"], told["p1"], told["converts"].astype(bool)
    states = bank.sql("SELECT avg(leaves::INT) FILTER (hazard > 0) AS share FROM {truth_states}")
    late = bank.sql("SELECT avg((known_at - occurred_at > INTERVAL 1 DAY)::INT) AS share FROM {txn}")
    events = bank.summary.rows["txn"] + bank.summary.rows["channel_event"]
    return {
        "top_aum_share": float(top["share"][0]),
        "dormant_share": float(asleep["share"][0]),
        "other_document_share": float(other["share"][0]),
        "conversion_share": float(converts.mean()),
        "incremental_share": float((p1 - p0).sum() / p1.sum()),
        "sleeping_dog_share": float((p1 < p0).mean()),
        "oracle_auc": auc(p1, converts),
        "leaving_share": float(states["share"][0]),
        "leavers_lost_share": leavers_lost(bank),
        "incident_ratio": incident_ratio(bank),
        "events_a_month": events / CUSTOMERS / MONTHS,
        "late_share": float(late["share"][0]),
    } | service_figures(bank)


def leavers_lost(bank: Simulated) -> float:
    """Of those who began to leave in a month with 10,000 or more at its start, who has half of it three months on."""
    lost, n = 0, 0
    for month in range(2, 10):
        # care in their first month turns some back, so only those who are leaving at its end are counted
        answer = bank.sql(
            "SELECT b.aum AS before, coalesce(a.aum, 0) AS after FROM {truth_states} s "
            f"JOIN ({aum_on(f'2025-{month:02d}-01')}) b USING (customer_id) "
            f"LEFT JOIN ({aum_on(f'2025-{month + 3:02d}-01')}) a USING (customer_id) "
            f"WHERE s.filename LIKE '%2025-{month:02d}.parquet' AND s.leaves AND s.state = 4 AND b.aum >= 10000"
        )
        n += len(answer["before"])
        lost += int((answer["after"].astype(float) <= answer["before"].astype(float) / 2).sum())
    assert n > 15
    return lost / n


def incident_ratio(bank: Simulated) -> float:
    """Share who begin to leave in the three months after a complaint, by that of all others awake."""
    answer = bank.sql(
        "WITH s AS (SELECT customer_id, leaves, (right(filename, 15)[1:7] || '-01')::DATE AS on_ "
        "FROM {truth_states} WHERE hazard > 0), c AS (SELECT DISTINCT customer_id, "
        "unnest(generate_series(1, 3)) AS after, date_trunc('month', business_on) AS on_ FROM {complaint}) "
        "SELECT avg(leaves::INT) FILTER (c.customer_id IS NOT NULL) / avg(leaves::INT) FILTER (c.customer_id IS NULL) "
        "AS ratio FROM s LEFT JOIN c ON c.customer_id = s.customer_id AND s.on_ = c.on_ + to_months(c.after::INT)"
    )
    return float(answer["ratio"][0])


@pytest.fixture(scope="module")
def measured(bank: Simulated) -> dict[str, float]:
    return figures(bank)


def test_the_page_states_exactly_the_figures_that_are_measured(measured: dict[str, float]) -> None:
    assert measured.keys() == BOUNDS.keys()


@pytest.mark.parametrize("name", BOUNDS)
def test_a_figure_lies_within_the_bounds_that_the_page_states(measured: dict[str, float], name: str) -> None:
    low, high = BOUNDS[name]
    assert low <= measured[name] <= high


def test_the_summary_tells_what_the_tables_tell(bank: Simulated, measured: dict[str, float]) -> None:
    """The summary is counted while the years pass, the figures here from the files."""
    for name in ("conversion_share", "incremental_share", "leaving_share"):
        assert getattr(bank.summary, name) == pytest.approx(measured[name], rel=0.06), name
    assert bank.summary.top_aum_share == pytest.approx(measured["top_aum_share"], abs=0.02)
    assert bank.summary.dormant_share == pytest.approx(measured["dormant_share"], abs=0.02)


def test_leavers_are_seen_before_their_money_is_gone(bank: Simulated) -> None:
    """In the first month of leaving: fewer logins than the active, and many more looks at the transfer page."""
    answer = bank.sql(
        "WITH s AS (SELECT customer_id, state, right(filename, 15)[1:7] AS month FROM {truth_states} "
        "WHERE state IN (1, 4)), v AS (SELECT customer_id, strftime(business_on, '%Y-%m') AS month, "
        "count(*) FILTER (event = 'LOGIN') AS logins, count(*) FILTER (event = 'TRANSFER_OUT_PAGE') AS looks "
        "FROM {channel_event} GROUP BY 1, 2) SELECT state, avg(coalesce(logins, 0)) AS logins, "
        "avg(coalesce(looks, 0)) AS looks FROM s LEFT JOIN v USING (customer_id, month) GROUP BY 1 ORDER BY 1"
    )
    (active, leaving), (seldom, often) = answer["logins"], answer["looks"]
    assert leaving < 0.5 * active
    assert often > 5 * seldom


def test_every_class_can_be_told_in_every_walk_of_life(bank: Simulated) -> None:
    """What the classes are told by occurs among prospects, new, open and closed customers alike."""
    answer = bank.sql(
        "WITH f AS (SELECT customer_id, bool_or(fact = 'LICENCE') AS licence, "
        "bool_or(fact = 'DECLARED_WEALTH') AS rich FROM {customer_fact} GROUP BY 1), "
        "p AS (SELECT DISTINCT customer_id FROM {preapproval}), "
        "a AS (SELECT customer_id, max(amount) AS peak FROM {balance} GROUP BY 1), "
        "s AS (SELECT DISTINCT customer_id FROM {txn} WHERE txn_type = 'SALARY'), l AS (SELECT DISTINCT customer_id "
        "FROM {loan}) SELECT CASE WHEN c.closed_on IS NOT NULL THEN 'closed' WHEN c.first_product_on IS NULL THEN "
        "'prospect' WHEN c.first_product_on > DATE '2025-10-02' THEN 'new' ELSE 'open' END AS walk, "
        "count(*) FILTER (id_doc_type <> 'MAINLAND') AS other_id, "
        "count(*) FILTER (birth_on < DATE '1965-01-01') AS old, "
        "count(*) FILTER (licence) AS licensed, count(*) FILTER (rich OR peak >= 200000) AS wealthy, "
        "count(*) FILTER (s.customer_id IS NOT NULL OR employer_id IS NOT NULL) AS paid, "
        "count(*) FILTER (p.customer_id IS NOT NULL OR l.customer_id IS NOT NULL) AS credit, "
        "count(*) FILTER (birth_on BETWEEN DATE '1997-01-01' AND DATE '2007-12-31') AS young, count(*) AS everybody "
        "FROM {customer} c LEFT JOIN f USING (customer_id) LEFT JOIN p USING (customer_id) "
        "LEFT JOIN a USING (customer_id) LEFT JOIN s USING (customer_id) LEFT JOIN l USING (customer_id) "
        "GROUP BY 1 ORDER BY 1"
    )
    assert answer.pop("walk").tolist() == ["closed", "new", "open", "prospect"]
    assert {name: counts.tolist() for name, counts in answer.items() if name != "other_id" and min(counts) == 0} == {}
    assert answer["other_id"].sum() > 25  # three in two hundred: not in every walk of life of so small a bank

"""The simulated bank keeps every contract: nothing of it would be quarantined, and its rows hold together."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from features.bank.engines import arrow_schema, open_bank
from features.bank.quarantine import complaints
from features.bank.tables import TABLES
from tests.simulation.banks import MONTHS, Simulated


@pytest.mark.parametrize("table", TABLES)
def test_no_row_breaks_its_contract(bank: Simulated, table: str) -> None:
    with open_bank(bank.home) as opened:
        apart = TABLES[table].is_apart
        if apart:
            opened.point(table, bank.home / "bank" / table / "all.parquet")
        rows = opened.con.table(table) if apart else opened.tables[table]
        rules, tests = zip(*complaints(TABLES[table], rows, opened.tables), strict=True)
        judged = rows.mutate(**{f"_{i}": test.fill_null(False) for i, test in enumerate(tests)})
        counts = judged.aggregate(**{rule: judged[f"_{i}"].sum() for i, rule in enumerate(rules)}).to_pyarrow()
    assert {rule: n for rule, n in counts.to_pylist()[0].items() if n} == {}


@pytest.mark.parametrize("table", TABLES)
def test_files_are_stored_in_the_types_of_the_contract(bank: Simulated, table: str) -> None:
    wanted = [(field.name, field.type) for field in arrow_schema(TABLES[table])]
    for path in (bank.home / "bank" / table).iterdir():
        assert [(field.name, field.type) for field in pq.read_schema(path)] == wanted


def test_nothing_is_known_before_it_happened_and_a_hundredth_is_days_late(bank: Simulated) -> None:
    lags = bank.sql(
        "SELECT min(epoch(known_at - occurred_at)) / 3600 AS least, "
        "avg((known_at - occurred_at > INTERVAL 1 DAY)::INT) AS late FROM {txn}"
    )
    assert lags["least"][0] >= 1
    assert lags["late"][0] == pytest.approx(0.01, abs=0.002)


def test_a_day_of_business_is_the_local_date_of_its_instant(bank: Simulated) -> None:
    for table, at in (("txn", "occurred_at"), ("channel_event", "occurred_at"), ("contact", "sent_at"),
                      ("response", "occurred_at"), ("complaint", "opened_at"), ("consent", "occurred_at")):  # fmt: skip
        answer = bank.sql(
            f"SELECT count(*) AS n FROM {{{table}}} "
            f"WHERE business_on <> DATE '1970-01-01' + CAST((epoch_us({at}) // 3600000000 + 8) // 24 AS INTEGER)"
        )
        assert answer["n"][0] == 0, table


def test_answers_come_after_their_contact_and_contacts_are_opened_after_delivery(bank: Simulated) -> None:
    early = bank.sql(
        "SELECT count(*) AS n FROM {response} r JOIN {contact} c USING (contact_id) WHERE r.occurred_at <= c.sent_at"
    )
    unread = bank.sql("SELECT count(*) AS n FROM {contact} WHERE opened_at <= delivered_at OR delivered_at <= sent_at")
    unknown = bank.sql("SELECT count(*) AS n FROM {response} r ANTI JOIN {contact} c USING (contact_id)")
    assert (early["n"][0], unread["n"][0], unknown["n"][0]) == (0, 0, 0)


def test_nobody_acts_before_his_first_product_or_after_closing(bank: Simulated) -> None:
    for table, day in (("txn", "business_on"), ("channel_event", "business_on"), ("holding", "opened_on"),
                       ("loan", "opened_on"), ("service_activation", "activated_on"), ("balance", "from_on"),
                       ("risk_assessment", "assessed_on")):  # fmt: skip
        answer = bank.sql(
            f"SELECT count(*) AS n FROM {{{table}}} t JOIN {{customer}} c USING (customer_id) "
            f"WHERE c.first_product_on IS NULL OR t.{day} < c.first_product_on OR t.{day} > c.closed_on"
        )
        assert answer["n"][0] == 0, table


def test_no_holding_outlives_its_maturity_and_every_conversion_is_a_product_held(bank: Simulated) -> None:
    late = bank.sql(
        "SELECT count(*) AS n FROM {holding} WHERE coalesce(closed_on, DATE '2025-12-31') > matures_on "
        "OR closed_on < opened_on"
    )
    loose = bank.sql(
        "SELECT count(*) AS n FROM (SELECT r.*, coalesce(o.product_id, o.offer_id) AS product FROM {response} r "
        "JOIN {offer} o USING (offer_id) WHERE r.outcome = 'converted') r ANTI JOIN ("
        "SELECT customer_id, product_id AS product, opened_on AS on_ FROM {holding} UNION ALL "
        "SELECT customer_id, service_id, activated_on FROM {service_activation}) h "
        "ON h.customer_id = r.customer_id AND h.product = r.product AND h.on_ = r.business_on"
    )
    assert (late["n"][0], loose["n"][0]) == (0, 0)


def test_the_held_out_hear_nothing_of_sales_and_the_unwilling_nothing_at_all(bank: Simulated) -> None:
    held_out = bank.sql(
        "SELECT count(*) AS n FROM {contact} c JOIN {assignment} a USING (customer_id) WHERE a.arm = 'HOLDOUT' "
        "AND c.purpose = 'SALES' AND a.experiment_id = 'GLOBAL-' || year(c.business_on)"
    )
    opted_out = bank.sql(
        "SELECT count(*) AS n FROM {contact} JOIN {customer} USING (customer_id) "
        "WHERE has_marketing_optout OR is_staff OR is_restricted"
    )
    unasked = bank.sql(
        "SELECT count(*) AS n FROM {contact} c WHERE NOT EXISTS (SELECT 1 FROM {consent} s "
        "WHERE s.customer_id = c.customer_id AND s.is_granted AND (s.channel IS NULL OR s.channel = c.channel))"
    )
    assert (held_out["n"][0], opted_out["n"][0], unasked["n"][0]) == (0, 0, 0)


def test_every_kind_of_row_occurs(bank: Simulated) -> None:
    """A column that is always empty, or a code that never occurs, would leave what reads it untested."""
    kinds = bank.sql("SELECT count(DISTINCT txn_type) AS n FROM {txn}")["n"][0]
    events = bank.sql("SELECT count(DISTINCT event) AS n FROM {channel_event}")["n"][0]
    services = bank.sql("SELECT count(DISTINCT service_id) AS n FROM {channel_event}")["n"][0]
    transit = bank.sql(
        "SELECT sum((in_transit_amount > 0)::INT) AS transit, sum((loan_proceeds_amount > 0)::INT) AS proceeds, "
        "count(DISTINCT asset_class) AS classes FROM {balance}"
    )
    overdue = bank.sql("SELECT count(overdue_from_on) AS begun, count(overdue_to_on) AS ended FROM {loan}")
    withdrawn = bank.sql("SELECT sum((NOT is_granted)::INT) AS n FROM {consent}")["n"][0]
    facts = bank.sql("SELECT count(DISTINCT fact) AS n FROM {customer_fact}")["n"][0]
    outcomes = bank.sql("SELECT list(DISTINCT outcome) AS seen FROM {response}")["seen"][0]
    assert kinds == 11
    assert events >= 10
    assert services >= 8
    assert transit["transit"][0] > 0
    assert transit["proceeds"][0] > 0
    assert transit["classes"][0] == 12
    assert overdue["begun"][0] > overdue["ended"][0] > 0
    assert withdrawn > MONTHS
    assert facts == 8
    assert {"clicked", "refused", "no_answer", "considering", "converted"} <= set(outcomes)


def test_no_day_of_business_lies_after_the_last_month(bank: Simulated) -> None:
    """A customer who is to begin in January would tell in December who is about to convert."""
    first_days = {"customer": ("registered_on", "first_product_on", "closed_on"), "account": ("opened_on", "closed_on")}
    for name, table in TABLES.items():
        for day in first_days.get(name, (table.happened,)):
            if day and name != "offer":
                answer = bank.sql(f"SELECT count(*) AS n FROM {{{name}}} WHERE {day} > DATE '2025-12-31'")
                assert answer["n"][0] == 0, (name, day)

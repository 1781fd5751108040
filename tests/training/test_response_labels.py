"""Who counts as converted: windows, views, citations, credit; and which contacts may be learnt from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from features.bank.engines import arrow_schema, connect
from features.bank.tables import TABLES
from features.vocabulary import Kind
from training.outcomes import arm_labels, arm_outcomes, response_labels

SENT = datetime(2025, 3, 10, 9, tzinfo=UTC)
DAY = timedelta(days=1)
LATE = SENT + 100 * DAY
Rows = dict[str, list[dict[str, Any]]]

_DEFAULTS: dict[str, dict[str, Any]] = {
    "offer": {
        "offer_id": "O", "from_on": date(2024, 1, 1), "product_id": "P", "category": "fund", "kind": "financial",
        "role": "core", "risk_level": 2, "outcome_days": 10, "n_channels": 2, "is_ranked": True, "needs_view": False,
        "min_amount": Decimal(0), "reward_amount": Decimal(0),
    },
    "contact": {
        "contact_id": "k1", "customer_id": "a", "offer_id": "O", "channel": "APP", "purpose": "SALES", "sent_at": SENT,
        "cost_amount": Decimal(0),
    },
    "response": {"customer_id": "a", "offer_id": "O", "outcome": "converted"},
    "holding": {"customer_id": "a", "product_id": "P", "amount": Decimal(1)},
    "service_activation": {"customer_id": "a", "service_id": "P"},
    "assignment": {"customer_id": "a", "arm": "TREAT", "experiment_id": "X", "offer_id": "O", "propensity": 0.5,
                   "assigned_at": SENT},
}  # fmt: skip


class Bench:
    """A bank of a few rows on a private engine; known_at and business_on follow from when a row happened."""

    def __init__(self) -> None:
        self.con = connect()

    def tables(self, rows: Rows) -> dict[str, Any]:
        return {name: self._table(name, given) for name, given in rows.items()}

    def _table(self, name: str, given: list[dict[str, Any]]) -> Any:
        contract = TABLES[name]
        filled = []
        for place, row in enumerate(given):
            said = _DEFAULTS[name] | row
            happened = said.get("sent_at") or said.get("occurred_at") or said.get("assigned_at") or SENT - 30 * DAY
            said = {"business_on": happened.date(), "known_at": happened} | said
            full = {column.name: said.get(column.name) for column in contract.columns}
            keys = {key: f"{name}{place}" for key in contract.key
                    if full[key] is None and contract.column(key).kind is Kind.CODE}  # fmt: skip
            filled.append(full | keys)
        fields = [field.with_nullable(True) for field in arrow_schema(contract)]
        return self.con.create_table(name, pa.Table.from_pylist(filled, schema=pa.schema(fields)), temp=True,
                                     overwrite=True)  # fmt: skip

    def labels(self, horizon: datetime = LATE, **rows: list[dict[str, Any]]) -> dict[str, tuple[bool, str | None]]:
        """contact_id -> (is_converted, excluded), with one offer and one contact unless `rows` says otherwise."""
        found = response_labels(self.tables({"offer": [{}], "contact": [{}]} | rows), horizon).to_pandas()
        return {row.contact_id: (bool(row.is_converted), row.excluded) for row in found.itertuples()}

    def is_converted(self, **rows: list[dict[str, Any]]) -> bool:
        return self.labels(**rows)["k1"][0]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.con.disconnect()


def answer(after: timedelta, contact_id: str | None = "k1", **more: Any) -> dict[str, Any]:
    return {"contact_id": contact_id, "occurred_at": SENT + after, **more}


def taken(day: int, *, learnt: timedelta | None = None, **more: Any) -> dict[str, Any]:
    """The product taken `day` days after the contact's day, known a day later unless `learnt` after it was sent."""
    known_at = SENT + (learnt if learnt is not None else (day + 1) * DAY)
    return {"opened_on": SENT.date() + day * DAY, "known_at": known_at, **more}


@pytest.mark.parametrize(
    ("after", "counts"),
    [(-timedelta(microseconds=1), False), (timedelta(0), True), (10 * DAY, True),
     (10 * DAY + timedelta(microseconds=1), False)],
)  # fmt: skip
def test_an_answer_counts_inside_the_window_of_its_contact(bench: Bench, after: timedelta, counts: bool) -> None:
    assert bench.is_converted(response=[answer(after)]) is counts


def test_an_answer_of_another_kind_is_no_conversion(bench: Bench) -> None:
    assert not bench.is_converted(response=[answer(DAY, outcome="accepted")])


def test_an_answer_converts_the_contact_it_cites_and_no_other(bench: Bench) -> None:
    contacts = [{}, {"contact_id": "k2", "sent_at": SENT + DAY}]
    labels = bench.labels(contact=contacts, response=[answer(2 * DAY, "k1")])
    assert labels == {"k1": (True, None), "k2": (False, None)}


def test_an_answer_that_knows_its_placement_alone_finds_the_contact(bench: Bench) -> None:
    contacts = [{"placement_id": "p1"}, {"contact_id": "k2", "placement_id": "p2"}]
    labels = bench.labels(contact=contacts, response=[answer(DAY, None, placement_id="p2")])
    assert labels == {"k1": (False, None), "k2": (True, None)}


@pytest.mark.parametrize(
    ("opened", "converted", "counts"),
    [(None, 2, False), (3, 2, False), (2, 2, True), (1, 2, True), (11, 12, False)],
    ids=["never viewed", "viewed after", "viewed at once", "viewed before", "both too late"],
)
def test_where_a_view_is_needed_nothing_before_it_counts(
    bench: Bench, opened: int | None, converted: int, counts: bool
) -> None:
    contact = {"opened_at": None if opened is None else SENT + opened * DAY}
    rows: Rows = {"contact": [contact], "response": [answer(converted * DAY)]}
    assert bench.is_converted(offer=[{"needs_view": True}], **rows) is counts
    assert bench.is_converted(**rows) is (converted <= 10)


@pytest.mark.parametrize(("day", "counts"), [(-1, False), (0, True), (9, True), (10, False)])
def test_the_product_taken_on_a_day_of_the_window_converts(bench: Bench, day: int, counts: bool) -> None:
    assert bench.is_converted(holding=[taken(day)]) is counts


def test_a_product_taken_the_same_day_but_known_before_the_contact_is_not_its_doing(bench: Bench) -> None:
    assert not bench.is_converted(holding=[taken(0, learnt=-timedelta(hours=1))])
    assert bench.is_converted(holding=[taken(0, learnt=timedelta(hours=1))])


def test_a_product_taken_before_the_view_is_not_the_doing_of_the_offer(bench: Bench) -> None:
    contact = [{"opened_at": SENT + 3 * DAY}]
    assert not bench.is_converted(offer=[{"needs_view": True}], contact=contact, holding=[taken(1)])
    assert bench.is_converted(offer=[{"needs_view": True}], contact=contact, holding=[taken(4)])


def test_a_service_switched_on_converts_its_offer(bench: Bench) -> None:
    row = {"activated_on": SENT.date() + 2 * DAY, "known_at": SENT + 3 * DAY}
    assert bench.is_converted(service_activation=[row])
    assert not bench.is_converted(service_activation=[row | {"service_id": "Q"}])
    assert not bench.is_converted(service_activation=[row | {"customer_id": "b"}])


def test_one_product_taken_is_credited_once_to_the_last_contact_before_it(bench: Bench) -> None:
    contacts = [{}, {"contact_id": "k2", "sent_at": SENT + 3 * DAY}, {"contact_id": "k3", "sent_at": SENT + 7 * DAY}]
    labels = bench.labels(contact=contacts, holding=[taken(5)])
    assert [name for name, (is_converted, _) in labels.items() if is_converted] == ["k2"]


def test_a_contact_that_failed_takes_no_credit_from_one_that_arrived(bench: Bench) -> None:
    contacts = [{}, {"contact_id": "k2", "sent_at": SENT + DAY, "failed_at": SENT + DAY}]
    assert bench.labels(contact=contacts, holding=[taken(5)]) == {"k1": (True, None), "k2": (False, "FAILED")}


def test_what_a_degraded_decision_brought_about_is_not_credited_to_the_contact_before_it(bench: Bench) -> None:
    later = {"contact_id": "k2", "sent_at": SENT + 3 * DAY}
    marked = bench.labels(contact=[{}, later | {"decision_mark": "DEGRADED"}], holding=[taken(5)])
    assert marked == {"k1": (False, None), "k2": (True, "DEGRADED")}
    never_shown = bench.labels(contact=[{}, later | {"decision_mark": "DRY_RUN"}], holding=[taken(5)])
    assert never_shown == {"k1": (True, None), "k2": (False, "DRY_RUN")}


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("NO_OFFER", {"contact": [{"offer_id": None}]}),
        ("NO_OFFER", {"offer": [{"from_on": date(2025, 3, 11)}]}),
        ("NOT_RANKED", {"offer": [{"is_ranked": False}]}),
        ("NOT_SALES", {"contact": [{"purpose": "SERVICE"}]}),
        ("FAILED", {"contact": [{"failed_at": SENT}]}),
        *((mark, {"contact": [{"decision_mark": mark}]}) for mark in ("DEGRADED", "DRY_RUN", "REPLAYED", "HOLDOUT")),
        ("HOLDOUT", {"assignment": [{"experiment_id": "GLOBAL", "arm": "HOLDOUT", "assigned_at": SENT - DAY}]}),
    ],
)
def test_what_must_not_be_learnt_from_carries_its_rule(bench: Bench, rule: str, rows: Rows) -> None:
    assert bench.labels(**rows)["k1"][1] == rule


def test_the_last_global_assignment_before_the_contact_decides(bench: Bench) -> None:
    held = {"experiment_id": "GLOBAL", "arm": "HOLDOUT", "assigned_at": SENT - 400 * DAY}
    freed = held | {"arm": "TREAT", "assigned_at": SENT - 35 * DAY}
    assert bench.labels(assignment=[held, freed])["k1"][1] is None
    assert bench.labels(assignment=[held, freed | {"assigned_at": SENT + DAY}])["k1"][1] == "HOLDOUT"


@pytest.mark.parametrize(("ahead", "rule"), [(timedelta(0), None), (-timedelta(microseconds=1), "IMMATURE")])
def test_a_window_is_closed_when_the_horizon_has_reached_its_end(
    bench: Bench, ahead: timedelta, rule: str | None
) -> None:
    assert bench.labels(SENT + 10 * DAY + ahead)["k1"][1] == rule


def test_the_offer_is_read_as_the_catalogue_had_it_that_day(bench: Bench) -> None:
    offers = [{}, {"from_on": date(2025, 3, 1), "outcome_days": 3}, {"from_on": date(2025, 3, 11), "outcome_days": 99}]
    found = response_labels(bench.tables({"offer": offers, "contact": [{}]}), LATE).to_pandas()
    assert len(found) == 1
    assert found["closes_at"][0] == SENT + 3 * DAY
    assert found["offer_outcome_days"][0] == 3
    assert found["offer_risk_level"][0] == 2


def test_arms_are_compared_as_assigned_with_weights_of_their_propensity(bench: Bench) -> None:
    """Treated: b (p .5) took it, a (p .5) did not; a third with p .25 took it: (2 + 4) / (2 + 2 + 4) = 3/4."""
    arms = [{"customer_id": "a"}, {"customer_id": "b"}, {"customer_id": "c", "propensity": 0.25},
            {"customer_id": "d", "arm": "CONTROL"}, {"customer_id": "e", "arm": "CONTROL"},
            {"customer_id": "f", "arm": "CONTROL", "assigned_at": LATE}]  # fmt: skip
    tables = bench.tables({
        "offer": [{}], "assignment": arms,
        "holding": [taken(2, customer_id="b"), taken(9, customer_id="d"), taken(11, customer_id="e")],
        "response": [answer(DAY, None, customer_id="c")],
    })  # fmt: skip
    found = arm_outcomes(tables, LATE).to_pandas().set_index("arm")
    assert found.loc["TREAT", "conversion_share"] == pytest.approx(3 / 4)
    assert found.loc["TREAT", "n_effective"] == pytest.approx(8**2 / (4 + 4 + 16))
    assert found.loc["CONTROL", ["n", "conversion_share"]].tolist() == [2, 0.5]  # f is still open


def test_every_assignment_stays_with_the_rule_that_forbids_it(bench: Bench) -> None:
    """Treated and control are told by one rule; holdouts are no arm."""
    arms = [{"customer_id": "a"}, {"customer_id": "b", "arm": "CONTROL"}, {"customer_id": "c", "offer_id": None},
            {"customer_id": "d", "propensity": 1.0}, {"customer_id": "e", "assigned_at": LATE},
            {"customer_id": "f", "offer_id": "S"}, {"customer_id": "g", "offer_id": "I"},
            {"customer_id": "h", "arm": "HOLDOUT"}, {"customer_id": "i", "experiment_id": "GLOBAL-2025"}]  # fmt: skip
    offers = [{}, {"offer_id": "S", "category": None}, {"offer_id": "I", "is_ranked": False}]
    tables = bench.tables({"offer": offers, "assignment": arms, "response": [answer(DAY, None, customer_id="b")]})
    found = arm_labels(tables, LATE).to_pandas().set_index("customer_id")
    assert found["excluded"].dropna().to_dict() == {
        "c": "NO_OFFER", "d": "NOT_RANDOM", "e": "IMMATURE", "f": "NOT_SALES", "g": "NOT_RANKED",
    }  # fmt: skip
    assert found.loc[["a", "b"], ["is_treated", "is_converted", "propensity"]].to_numpy().tolist() == [
        [True, False, 0.5], [False, True, 0.5],
    ]  # fmt: skip
    assert (found.loc["a", "closes_at"] - found.loc["a", "sent_at"], found.loc["a", "offer_category"]) == (
        10 * DAY, "fund",
    )  # fmt: skip
    assert set(found.index) == set("abcdefg")


def test_a_bank_without_assignments_has_no_arms(bench: Bench) -> None:
    assert arm_outcomes(bench.tables({"offer": [{}]}), LATE) is None

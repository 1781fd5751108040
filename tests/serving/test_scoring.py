"""What a request is scored and reasoned on: rows read, moment counted, every offer in one batch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisioning.case import plain_of
from features.online_rows import microseconds
from features.recent import RECENT
from features.vocabulary import KEPT_DAYS
from serving.customer_reader import CustomerReader
from serving.desk.ground import Ground
from serving.desk.moment import closed_channels, counted, moment_facts
from serving.ledger import Happening, RecentRows
from serving.releases import current
from serving.scorer import uplift_of
from tests.serving.homes import CUSTOMERS, INSTANT, arrays_for, facts_of
from training.models.shares import ArmRow, incremental_shares

DAY = INSTANT.date()


@pytest.fixture(scope="module")
def ground(written_home: Path) -> Iterator[Ground]:
    ground = Ground(current(written_home))
    yield ground
    ground.close()


def test_rows_come_back_as_they_were_published_in_the_order_asked(ground: Ground) -> None:
    ids = ["C-YOUNG", "C-NOBODY", "C-USUAL", "C-NEITHER", "C-WEALTHY"]
    read = ground.reader.read(ids, at=INSTANT, day=DAY)
    assert (read.ids, read.unknown) == (("C-YOUNG", "C-USUAL", "C-WEALTHY"), ("C-NOBODY", "C-NEITHER"))
    for place, customer_id in enumerate(read.ids):
        expected = arrays_for(customer_id, on=DAY, now=INSTANT)
        for name, values in read.facts.items():
            np.testing.assert_array_equal(values[[place]], expected[name], err_msg=name)


def test_rows_published_later_than_the_instant_are_not_known_at_it(ground: Ground) -> None:
    read = ground.reader.read(["C-USUAL"], at=INSTANT - timedelta(hours=3), day=DAY)
    assert (read.ids, read.unknown) == ((), ("C-USUAL",))


@pytest.mark.parametrize(("days", "is_stale"), [(0, False), (2, False), (4, True), (70, True)])
def test_rows_are_stale_once_a_view_has_outlived_its_days(ground: Ground, days: int, is_stale: bool) -> None:
    at = INSTANT + timedelta(days=days)
    read = ground.reader.read(["C-USUAL"], at=at, day=at.date())
    assert read.stale.tolist() == [is_stale]
    assert (read.facts["held_products"][0] is None) is is_stale  # the day view lives three days
    assert (read.facts["tier"][0] is None) is (days > 62)


def test_a_store_can_be_read_by_path_alone(written_home: Path) -> None:
    reader = CustomerReader(current(written_home).online_path, {})
    assert reader.views == {"profile_month": 62.0, "today_day": 3.0}
    reader.close()


@pytest.mark.parametrize("channel", ["", "APP", "RM", "SMS"])
def test_scores_are_those_of_the_model_asked_pair_by_pair(ground: Ground, channel: str) -> None:
    rules = ground.rulebook(DAY)
    ids = list(CUSTOMERS)
    read = ground.reader.read(ids, at=INSTANT, day=DAY)
    facts = read.facts | moment_facts(len(ids), INSTANT, rows_of([]))
    scores = rules.scorer.score(facts, len(ids), channel)
    model = ground.champions.response
    assert scores is not None
    assert model is not None
    offers = {name: [card.row()[name] for card in rules.catalogue.cards] for name in ("category", "role")}
    arrays: dict[str, Any] = {name: np.array(values, dtype=object) for name, values in offers.items()}
    arrays["reward_amount"] = np.array([float(card.row()["reward_amount"]) for card in rules.catalogue.cards])
    reference = rules.policy.arbitration.reference_channel
    for asked, found in ((reference, scores.p), (channel or reference, scores.p_channel)):
        at = arrays | {"channel": np.full(rules.catalogue.m, asked, dtype=object)}
        np.testing.assert_array_equal(found, model.score_pairs(facts, at))
    assert np.ptp(scores.p) > 0.05  # the model does tell customers and offers apart


def test_churn_is_the_models_and_missing_without_one(ground: Ground) -> None:
    rules = ground.rulebook(DAY)
    read = ground.reader.read(["C-USUAL", "C-YOUNG"], at=INSTANT, day=DAY)
    p = rules.scorer.churn(read.facts, 2)
    assert p[1] > p[0]  # the young leave more often in the home's training data
    assert {facts_of("C-USUAL")["age"], facts_of("C-YOUNG")["age"]} == {38, 21}


def test_measured_shares_replace_the_policys_figure_for_their_category_alone(ground: Ground) -> None:
    cards = ground.rulebook(DAY).catalogue.cards
    category = next(card.category for card in cards if card.category)
    arms = [ArmRow(category, "TREAT", 10_000, 10_000, 0.04), ArmRow(category, "CONTROL", 10_000, 10_000, 0.02)]
    shares = [share.to_json() for share in incremental_shares(arms, [category, "untested"])]
    share, is_assumed = uplift_of(shares, cards, 0.3)
    measured = next(row["share"] for row in shares if row["category"] == category)
    assert share.tolist() == [measured if card.category == category else 0.3 for card in cards]
    assert is_assumed.all()  # a share of a category is no measure of one offer and customer


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["contact", "response", "complaint"]),
        st.integers(1, 200 * 24),
        st.sampled_from(["SALES", "SERVICE"]),
        st.sampled_from(["refused", "converted", "clicked"]),
        st.booleans(),
    ),
    max_size=25,
)


def rows_of(events: list[tuple[int, str, int, str, str, bool]]) -> RecentRows:
    """Ledger rows: customer, kind, hours before the instant, purpose of contacts, outcome of responses, opened."""
    now = np.datetime64(INSTANT.replace(tzinfo=None), "us")
    at = np.array([now - np.timedelta64(hours, "h") for _, _, hours, *_ in events], dtype="datetime64[us]")
    opened = [is_opened and kind == "contact" for _, kind, *_, is_opened in events]

    def objects(values: list[Any]) -> Any:
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array

    return RecentRows(
        customer=np.array([customer for customer, *_ in events], dtype=np.int64),
        kind=objects([kind for _, kind, *_ in events]),
        at=at,
        offer_id=objects(["O1"] * len(events)),
        channel=objects(["APP"] * len(events)),
        purpose=objects([purpose if kind == "contact" else None for _, kind, _, purpose, *_ in events]),
        outcome=objects([outcome if kind == "response" else None for _, kind, _, _, outcome, _ in events]),
        opened_at=np.where(opened, at, np.datetime64("NaT", "us")),
        failed_at=np.full(len(events), np.datetime64("NaT", "us")),
    )


@settings(max_examples=60, deadline=None)
@given(EVENTS)
def test_the_moment_counts_as_a_loop_over_the_events_counts(events: list[tuple[int, str, int, str, str, bool]]) -> None:
    facts = moment_facts(3, INSTANT, rows_of(events))
    assert set(facts) == {column.name for column in RECENT}

    def n(customer: int, days: int, **wanted: str) -> int:
        return sum(
            who == customer and hours <= days * 24
            and kind == wanted.get("kind", "contact")
            and purpose == wanted.get("purpose", purpose)
            and outcome == wanted.get("outcome", outcome)
            for who, kind, hours, purpose, outcome, _ in events
        )  # fmt: skip

    for customer in range(3):
        assert facts["n_contacts_7d"][customer] == n(customer, 7)
        assert facts["n_sales_30d"][customer] == n(customer, 30, purpose="SALES")
        assert facts["n_refusals_90d"][customer] == n(customer, 90, kind="response", outcome="refused")
        assert facts["n_conversions_90d"][customer] == n(customer, 90, kind="response", outcome="converted")
        assert facts["n_open_complaints"][customer] == n(customer, 10_000, kind="complaint")
        opened = sum(e[0] == customer and e[1] == "contact" and e[5] and e[2] <= 90 * 24 for e in events)
        assert facts["n_opened_90d"][customer] == opened


@settings(max_examples=200, deadline=None)
@given(EVENTS)
def test_one_customers_happenings_counted_in_a_loop_give_what_sorting_arrays_gives(
    events: list[tuple[int, str, int, str, str, bool]],
) -> None:
    kept = [event for event in events if event[1] == "complaint" or event[2] <= KEPT_DAYS * 24]
    in_arrays = moment_facts(3, INSTANT, rows_of(kept))
    for customer in range(3):
        mine = sorted((event for event in kept if event[0] == customer), key=lambda event: -event[2])
        found = counted(microseconds(INSTANT), [happening(*event[1:]) for event in mine])
        assert set(found) == {column.name for column in RECENT}
        for name, value in found.items():
            np.testing.assert_array_equal(value, in_arrays[name][customer], err_msg=name)


def happening(kind: str, hours: int, purpose: str, outcome: str, is_opened: bool) -> Happening:
    at = microseconds(INSTANT - timedelta(hours=hours))
    return Happening(
        kind, at, "O1", "APP", purpose if kind == "contact" else None, outcome if kind == "response" else None,
        at if is_opened and kind == "contact" else None,
    )  # fmt: skip


@pytest.mark.parametrize(("days", "tags"), [(0, "|near_up|payroll|"), (40, "|near_up|payroll|"), (41, "|payroll|")])
def test_a_tag_that_has_outlived_its_days_is_read_by_nobody(ground: Ground, days: int, tags: str) -> None:
    """The tag near_up lives forty days from the month's end, payroll ninety-two; the month itself is still read."""
    (given,) = ground.reader.raw("C-WEALTHY", at=INSTANT).event_at["profile_month"].astype("datetime64[us]").tolist()
    at = given.replace(tzinfo=UTC) + timedelta(days=days)
    at = max(at, INSTANT)
    assert ground.reader.read(["C-WEALTHY"], at=at, day=at.date()).facts["tags"].tolist() == [tags]
    (one,) = ground.reader.read_each(["C-WEALTHY"], at=at, day=at.date())
    assert one is not None
    assert one.facts["tags"] == tags


@pytest.mark.parametrize("days", [0, 4, 45, 70])
def test_one_customer_read_without_arrays_is_the_one_that_arrays_hold(ground: Ground, days: int) -> None:
    at = INSTANT + timedelta(days=days)
    asked = ["C-NOBODY", *CUSTOMERS, *CUSTOMERS]
    for customer_id, one in zip(asked, ground.reader.read_each(asked, at=at, day=at.date()), strict=True):
        many = ground.reader.read([customer_id], at=at, day=at.date())
        assert (one is None) == bool(many.unknown)
        if one is not None:
            assert one.is_stale == bool(many.stale[0])
            expected = plain_of(many.facts)
            assert set(one.facts) == set(expected)
            assert all(one.facts[name] == value or value != value for name, value in expected.items())
    assert ground.reader.read_each(["C-NOBODY"], at=at, day=at.date()) == [None]
    assert ground.reader.read_each([], at=at, day=at.date()) == []


def test_customers_scored_in_one_pass_have_the_scores_of_both_models_to_the_bit(ground: Ground) -> None:
    """Each at the channel he asks for; one that nobody knows is scored as the model scores what it never saw."""
    scorer = ground.rulebook(DAY).scorer
    ids = ground.reader.read(list(CUSTOMERS), at=INSTANT, day=DAY).ids
    facts = [
        ground.reader.read([one], at=INSTANT, day=DAY).facts | moment_facts(1, INSTANT, rows_of([])) for one in ids
    ]
    channels = [channel for _, channel in zip(ids, cycle(["APP", "", "SMS", "PIGEON"]), strict=False)]
    few = scorer.score_each([plain_of(one) for one in facts], channels)
    for one, channel, scores in zip(facts, channels, few, strict=True):
        (alone,), many = scorer.score_each([plain_of(one)], [channel]), scorer.score(one, 1, channel)
        assert many is not None
        assert alone == scores
        assert (scores.p, scores.p_channel) == (many.p[0].tolist(), many.p_channel[0].tolist())
        assert (scores.p == scores.p_channel) == (channel in ("", scorer.reference_channel))
        assert scores.p_churn == scorer.churn(one, 1)[0]
        assert scores.uplift_share == tuple(scorer.uplift_share)
    assert scorer._responding is not None
    layouts = [scorer._responding[0], scorer._leaving]
    assert all(layout is not None and layout.forest is not None for layout in layouts)  # the library was not asked


def test_a_customer_of_whom_nothing_is_known_is_scored_as_the_models_score_missing_values(ground: Ground) -> None:
    scorer = ground.rulebook(DAY).scorer
    (one,), many = scorer.score_each([{}], ["APP"]), scorer.score({}, 1, "APP")
    assert many is not None
    assert (one.p, one.p_churn) == (many.p[0].tolist(), scorer.churn({}, 1)[0])


def test_channels_closed_since_publication_join_those_of_the_rows() -> None:
    known = np.array(["|SMS|", "|", None], dtype=object)
    closed = {"a": frozenset({"CALL", "SMS"}), "c": frozenset({"RM"})}
    assert closed_channels(["a", "b", "c"], known, closed).tolist() == ["|CALL|SMS|", "|", "|RM|"]
    assert known.tolist() == ["|SMS|", "|", None]

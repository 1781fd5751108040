"""A tag that a customer deleted stays deleted: on each database, by whomever, however often."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.ledger import Ledger
from tests.serving.ledgers import NOON, LedgerUrl, opened


@pytest.fixture
def place(ledger_url: LedgerUrl, tmp_path: Path) -> tuple[str, Path]:
    return ledger_url(tmp_path), tmp_path


@pytest.fixture
def ledger(place: tuple[str, Path]) -> Iterator[Ledger]:
    with opened(*place) as ledger:
        yield ledger


def test_deleting_again_gives_the_first_time(place: tuple[str, Path]) -> None:
    at = iter([NOON, NOON + timedelta(days=1)])
    with opened(*place, clock=lambda: next(at)) as ledger:
        assert ledger.delete_tag("C1", "hot_money", "rm") == NOON
        assert ledger.delete_tag("C1", "hot_money", "service") == NOON
        assert ledger.deleted_tags(["C1"]) == {"C1": {"hot_money": NOON}}


def test_it_is_deleted_after_the_ledger_was_opened_anew(place: tuple[str, Path]) -> None:
    with opened(*place) as ledger:
        ledger.delete_tag("C1", "hot_money", "rm")
    with opened(*place) as ledger:
        assert ledger.deleted_tags(["C1", "C2"]) == {"C1": {"hot_money": NOON}}


def test_a_moment_tells_each_customers_deleted_tags(ledger: Ledger) -> None:
    for customer_id, tag in (("C1", "a"), ("C1", "b"), ("C3", "a")):
        ledger.delete_tag(customer_id, tag, "rm")
    moment = ledger.moment(["C1", "C2", "C3"], before=NOON, on=NOON.date(), start=datetime(2025, 12, 30, tzinfo=UTC))
    assert moment.untagged == {"C1": frozenset("ab"), "C3": frozenset("a")}
    assert (len(moment.recent.at), moment.closed, moment.firsts) == (0, {}, {})


def test_many_customers_are_read_in_chunks(ledger: Ledger) -> None:
    """More ids than one statement of SQLite may carry."""
    ledger.delete_tag("C39999", "a", "rm")
    found = ledger.deleted_tags([f"C{i}" for i in range(40_000)])
    assert found == {"C39999": {"a": NOON}}

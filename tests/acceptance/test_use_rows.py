"""Promises about the use of what models advise."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.bank.engines import open_bank
from features.vocabulary import Outcome
from tests.features.conftest import bank_of
from training.judging.idleness import Followed, Use, advice, idle

__all__ = ["bank_of"]
AS_OF = datetime(2025, 7, 1, tzinfo=UTC)
ADVISED = 400


def rows(outcomes: dict[Outcome, int]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """ADVISED placements over the forty days before, every other one opened; answers to the newest of them."""
    sent = [AS_OF - timedelta(hours=2 + 2.4 * place) for place in range(ADVISED)]
    contacts = [
        {"contact_id": f"k{place}", "customer_id": f"c{place}", "placement_id": f"p{place}", "sent_at": at,
         "opened_at": at + timedelta(minutes=5) if place % 2 == 0 else None, "known_at": at}
        for place, at in enumerate(sent)
    ]  # fmt: skip
    said = [outcome for outcome, n in outcomes.items() for _ in range(n)]
    answers = [
        {"event_id": f"e{place}", "customer_id": f"c{place}", "outcome": str(outcome),
         "occurred_at": sent[place] + timedelta(hours=1), "known_at": sent[place] + timedelta(hours=1),
         **({"contact_id": f"k{place}"} if place % 2 else {"placement_id": f"p{place}"})}
        for place, outcome in enumerate(said)
    ]  # fmt: skip
    return contacts, answers


@pytest.fixture
def followed(bank_of: Callable[..., Path]) -> Callable[[dict[Outcome, int]], Followed]:
    """What became of a model's advice with these answers, read from the tables of a bank as known on the day."""

    def of(outcomes: dict[Outcome, int]) -> Followed:
        contacts, answers = rows(outcomes)
        own = {"contact_id": "own", "customer_id": "c0", "placement_id": None, "sent_at": AS_OF - timedelta(days=2)}
        customers = [{"customer_id": f"c{place}"} for place in range(ADVISED)]
        with open_bank(bank_of(customer=customers, contact=[*contacts, own], response=answers)) as bank:
            known = bank.known_by(AS_OF)
            return idle(*advice(known["contact"].to_pandas(), known["response"].to_pandas()), AS_OF)

    return of


def test_X11_use_is_followed_to_the_conversion_and_a_model_below_one_in_twenty_is_idle(
    followed: Callable[[dict[Outcome, int]], Followed],
) -> None:
    """Thirty days hold 300 of the 400 placements: the 15th deed of 300 is the one that ends idleness."""
    almost = followed({Outcome.REFUSED: 8, Outcome.CONVERTED: 6, Outcome.PRESENTED: 20, Outcome.SNOOZED: 9})
    assert (almost.n_advised, almost.n_opened, almost.n_acted, almost.n_converted) == (300, 150, 14, 6)
    assert almost.use is Use.IDLE
    assert almost.share == pytest.approx(14 / 300)
    enough = followed({Outcome.REFUSED: 8, Outcome.CONVERTED: 7, Outcome.PRESENTED: 20})
    assert (enough.use, enough.n_acted, enough.n_converted) == (Use.IN_USE, 15, 7)
    assert enough.low < 0.05 < enough.high  # and the interval says how little that is

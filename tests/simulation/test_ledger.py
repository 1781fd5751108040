"""Balances: intervals against a plain loop, and against the transactions of the whole simulated bank, to the cent."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulation.bank_files import NEVER
from simulation.behaviour import Month, Txns
from simulation.ledger import DEMAND, N_SLOTS, Flows, Ledger
from tests.simulation.banks import Simulated

FIRST_ON, N_DAYS, N = 1_000, 30, 3
FLOW = st.tuples(
    st.integers(0, N - 1),
    st.sampled_from([DEMAND, 5]),
    st.integers(1, N_DAYS),
    st.integers(-900, 900).map(lambda x: x * 100),
)
Interval = tuple[int, int, int, int]


def month(number: int) -> Month:
    return Month(number, f"2025-{number + 1:02d}", FIRST_ON + number * N_DAYS, N_DAYS)


def evenings(flows: list[list[tuple[int, int, int, int]]]) -> dict[tuple[int, int], list[int]]:
    """Every evening's balance by customer and slot, day by day, the slow way."""
    days: dict[tuple[int, int], list[int]] = {}
    for who in range(N):
        for slot in (DEMAND, 5):
            level, levels = 0, []
            for part in flows:
                for day in range(1, N_DAYS + 1):
                    level += sum(d for w, s, on, d in part if (w, s, on) == (who, slot, day))
                    levels.append(level)
            days[who, slot] = levels
    return days


def spread_out(rows: list[Interval], n_days: int) -> dict[tuple[int, int], list[int]]:
    """Intervals back into evenings; a day in two intervals is an error."""
    days = {(who, slot): [0] * n_days for who in range(N) for slot in (DEMAND, 5)}
    seen: set[tuple[int, int]] = set()
    for cell, from_on, to_on, minor in rows:
        for on in range(from_on, min(to_on, FIRST_ON + n_days)):
            assert (cell, on) not in seen
            seen.add((cell, on))
            days[cell // N_SLOTS, cell % N_SLOTS][on - FIRST_ON] = minor
    return days


@given(st.lists(st.lists(FLOW, max_size=12), min_size=1, max_size=3))
def test_intervals_tell_every_evening_as_a_plain_loop_does(parts: list[list[tuple[int, int, int, int]]]) -> None:
    """Other slots than demand hold no debts and no dust: the flows are shifted up so that the loop needs no rule."""
    funded = [[*part, *[(who, 5, 1, 10**7) for who in range(N)]] if i == 0 else part for i, part in enumerate(parts)]
    ledger, rows = Ledger(N), []
    for number, part in enumerate(funded):
        columns = [np.array([flow[i] for flow in part], np.int64) for i in range(4)]
        ended = ledger.post(month(number), Flows.of(columns[0], columns[1], columns[2], columns[3]))
        assert (ended.to_on > ended.from_on).all()
        rows += list(zip(ended.cell, ended.from_on, ended.to_on, ended.minor, strict=True))
    last = ledger.open_rows()
    rows += [(c, f, 10**9, a) for c, f, a in zip(last.cell, last.from_on, last.minor, strict=True)]
    told = spread_out([(int(c), int(f), int(t), int(a)) for c, f, t, a in rows], len(parts) * N_DAYS)
    assert told == evenings(funded)


@given(st.lists(st.tuples(st.integers(0, N - 1), st.integers(1, N_DAYS), st.integers(-50, 50)), max_size=20))
def test_shortfall_is_what_the_lowest_evening_lacks(moves: list[tuple[int, int, int]]) -> None:
    moves = [m for m in moves if m[2]]
    ledger = Ledger(N)
    ledger.demand[:] = 20
    kinds = np.array([1 if m[2] > 0 else 2 for m in moves], np.int8)  # IN and OUT
    none = np.zeros(len(moves), np.int8)
    txns = Txns(np.array([m[0] for m in moves], np.int64), kinds, np.array([m[1] for m in moves], np.int8),
                np.array([abs(m[2]) for m in moves], np.int64), none, none, none == 0)  # fmt: skip
    lowest = [
        min([20 + sum(m[2] for m in moves if m[0] == who and m[1] <= day) for day in range(1, N_DAYS + 1)])
        for who in range(N)
    ]
    assert ledger.shortfall(txns).tolist() == [max(-low, 0) for low in lowest]


def test_what_stood_still_gives_no_row_and_a_closed_account_none_at_all() -> None:
    ledger = Ledger(N)
    one = np.array([1, 1])
    rows = ledger.post(month(0), Flows.of(one, DEMAND, np.array([4, 4]), np.array([500, -500])))
    assert len(rows.cell) == 0
    ledger.post(month(0), Flows.of(one[:1], DEMAND, np.array([4]), np.array([500])))
    ledger.close(np.array([1]))
    assert len(ledger.open_rows().cell) == 0
    assert (ledger.since == NEVER).all()


def test_money_held_back_is_within_the_balance_for_its_days_only() -> None:
    ledger = Ledger(N)
    who, day, minor = np.array([2]), np.array([10]), np.array([30_000])
    slot = np.array([6])
    bought = Flows.of(who, slot, day, minor)
    waits = Flows.held_back(who, slot, day, minor, days=np.array([2]), is_loan=False)
    rows = ledger.post(month(0), Flows(*(np.r_[getattr(bought, x), getattr(waits, x)] for x in Flows.__slots__)))
    assert (rows.from_on.tolist(), rows.to_on.tolist()) == ([FIRST_ON + 9], [FIRST_ON + 11])
    assert (rows.minor.tolist(), rows.transit.tolist()) == ([30_000], [30_000])
    assert ledger.open_rows().transit.tolist() == [0]


def test_demand_money_is_what_transactions_made_of_it_to_the_cent(bank: Simulated) -> None:
    """The oracle is SQL: opening balance plus signed transactions is the last balance, for every open customer."""
    answer = bank.sql(
        "WITH moved AS (SELECT customer_id, sum(CASE WHEN txn_type IN ('SALARY', 'IN', 'REDEEM', 'INTEREST', 'OTHER') "
        "THEN amount ELSE -amount END) AS moved FROM {txn} GROUP BY 1), "
        "opening AS (SELECT customer_id, amount FROM {balance} WHERE asset_class = 'DEMAND' "
        "AND from_on = DATE '2025-01-01'), closing AS (SELECT customer_id, amount FROM {balance} "
        "WHERE asset_class = 'DEMAND' AND to_on IS NULL), begun AS (SELECT customer_id FROM {txn} "
        "WHERE business_on = DATE '2025-01-01') "
        "SELECT closing.amount - coalesce(opening.amount, 0) - coalesce(moved.moved, 0) AS gap FROM closing "
        "LEFT JOIN opening USING (customer_id) LEFT JOIN moved USING (customer_id) "
        "WHERE customer_id NOT IN (FROM begun)"
    )
    assert len(answer["gap"]) > 2_000
    assert not answer["gap"].any()


def test_no_evening_is_in_the_red_and_intervals_of_an_account_never_overlap(bank: Simulated) -> None:
    red = bank.sql("SELECT count(*) AS n FROM {balance} WHERE amount < 0 OR in_transit_amount > amount")
    overlapping = bank.sql(
        "SELECT count(*) AS n FROM (SELECT to_on, lead(from_on) OVER (PARTITION BY customer_id, account_id, "
        "asset_class ORDER BY from_on) AS next_on FROM {balance}) WHERE to_on > next_on OR (to_on IS NULL AND "
        "next_on IS NOT NULL)"
    )
    assert (red["n"][0], overlapping["n"][0]) == (0, 0)


def test_closed_customers_keep_nothing(bank: Simulated) -> None:
    answer = bank.sql(
        "SELECT count(*) AS n FROM {balance} JOIN {customer} c USING (customer_id) WHERE c.closed_on IS NOT NULL "
        "AND coalesce(to_on, DATE '2999-01-01') > c.closed_on"
    )
    assert answer["n"][0] == 0

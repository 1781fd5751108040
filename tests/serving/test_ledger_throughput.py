"""What the ledger carries on this machine, printed for people; only what must hold on every machine is asserted.

    python -m pytest -s tests/serving/test_ledger_throughput.py

A decision here has three placements, an answer of 3 kB and inputs of 4 kB.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from serving.ledger import DecisionRow, Ledger, PlacementRow
from tests.serving.ledgers import NOON, LedgerUrl, opened

SECONDS = 1.5
ANSWER, INPUTS = '{"offers":"' + "y" * 3_000 + '"}', '{"facts":"' + "x" * 4_000 + '"}'


@pytest.fixture
def ledger(ledger_url: LedgerUrl, tmp_path: Path) -> Iterator[Ledger]:
    with opened(ledger_url(tmp_path), tmp_path) as ledger:
        yield ledger


def decided(key: str) -> DecisionRow:
    slots = tuple(
        PlacementRow(f"{key}.{rank}", rank, "P01", "P01-APP-1", "APP", 0.25, NOON + timedelta(days=7))
        for rank in (1, 2, 3)
    )
    names = ("R1", "none", "s" * 64, "d" * 64, "treated", ANSWER, INPUTS)
    return DecisionRow(key, f"C{hash(key) % 10_000}", NOON, "APP", *names, slots)


def submitted(ledger: Ledger, n_submitters: int) -> list[float]:
    """Seconds that each decision waited, from `n_submitters` threads that each wait for one after the other."""
    waited: list[float] = []
    end = time.perf_counter() + SECONDS

    def go(thread: int) -> None:
        n = 0
        while time.perf_counter() < end:
            began = time.perf_counter()
            ledger.record([decided(f"{n_submitters}-{thread}-{n}")]).result()
            waited.append(time.perf_counter() - began)
            n += 1

    threads = [threading.Thread(target=go, args=(thread,)) for thread in range(n_submitters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return waited


def syncs_per_second(folder: Path) -> float:
    """How often this disk makes 8 kB durable: the ceiling of any log that syncs each decision alone."""
    descriptor = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY)
    n, end = 0, time.perf_counter() + 0.5
    while time.perf_counter() < end:
        os.write(descriptor, b"x" * 8_192)
        os.fdatasync(descriptor)
        n += 1
    os.close(descriptor)
    return n / 0.5


def tell(what: str, value: float, unit: str) -> None:
    print(f"{what:44s} {value:12,.2f} {unit}")  # noqa: T201  # figures for people


def test_waiting_together_carries_more_than_one_after_the_other(ledger: Ledger, tmp_path: Path) -> None:
    tell("disk: syncs of 8 kB", syncs_per_second(tmp_path), "/s")
    rates = {}
    for n_submitters in (1, 8, 32):
        waited = sorted(submitted(ledger, n_submitters))
        rates[n_submitters] = len(waited) / SECONDS
        tell(f"decisions, {n_submitters} submitters", rates[n_submitters], "/s")
        tell("    waited, half of them up to", statistics.median(waited) * 1e3, "ms")
        tell("    waited, 99 in 100 up to", waited[int(0.99 * len(waited))] * 1e3, "ms")
    began = time.perf_counter()
    report = ledger.verify()
    tell("chain verified", report.n_rows / (time.perf_counter() - began), "rows/s")
    assert report.is_whole
    assert rates[32] > 1.5 * rates[1]


def history(n: int, n_customers: int) -> pa.Table:
    at = pa.array(int(NOON.timestamp()) * 10**6 - np.random.default_rng(0).integers(1, 170 * 86_400, n) * 10**6)
    at = at.cast(pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "contact_id": [f"K{i}" for i in range(n)], "customer_id": [f"C{i % n_customers}" for i in range(n)],
            "offer_id": ["P01"] * n, "channel": ["SMS"] * n, "purpose": ["SALES"] * n, "sent_at": at,
            "business_on": [date(2025, 12, 1)] * n, "delivered_at": at, "known_at": at,
            "cost_amount": pa.array([5] * n, pa.int64()).cast(pa.decimal128(21, 2)).cast(pa.decimal128(18, 2)),
        }
    )  # fmt: skip


def test_history_loads_in_bulk_and_one_customer_reads_in_a_moment(ledger: Ledger) -> None:
    n, n_customers = 100_000, 5_000
    rows = history(n, n_customers)
    took = {}

    def timed(what: str, run: Callable[[], object]) -> None:
        began = time.perf_counter()
        run()
        took[what] = time.perf_counter() - began

    timed("first", lambda: ledger.seed_history(rows))
    timed("again", lambda: ledger.seed_history(rows))
    ids = [f"C{i}" for i in range(n_customers)]
    timed("many", lambda: ledger.recent(ids, NOON))
    reads = []
    for customer_id in ids[:1_000]:
        began = time.perf_counter()
        found = ledger.recent([customer_id], NOON)
        reads.append(time.perf_counter() - began)
        assert found.at.size == n // n_customers
    tell("history, first load", n / took["first"], "rows/s")
    tell("history, again", n / took["again"], "rows/s")
    tell("recent rows of one customer, half up to", statistics.median(reads) * 1e3, "ms")
    tell("recent rows of 5,000 customers", took["many"], "s")
    assert statistics.median(reads) < took["many"] / 5  # the index is used: it reads 20 of 100,000 rows

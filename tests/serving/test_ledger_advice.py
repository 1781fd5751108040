"""What became of advice, counted by either database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from features.vocabulary import Outcome
from serving.ledger import DecisionRow, PlacementRow, ResponseRow
from serving.ledger.advice import AdviceCounts
from tests.serving.ledgers import NOON, LedgerUrl, opened

LATER = NOON + timedelta(days=1)


def decided(key: str, *, repeat_of: str | None = None, is_degraded: bool = False, n: int = 2) -> DecisionRow:
    slots = tuple(
        PlacementRow(f"{key}.{rank}", rank, f"O{rank}", f"T{rank}", "APP", None, LATER) for rank in range(1, n + 1)
    )
    names = ("R1", "none", "s", "d", "treated", "{}", "{}")
    return DecisionRow(key, f"C-{key}", NOON, "APP", *names, slots, repeat_of=repeat_of, is_degraded=is_degraded)


def test_each_decision_counts_once_by_the_furthest_that_came_of_it(ledger_url: LedgerUrl, tmp_path: Path) -> None:
    """Seen and left, taken up twice, converted, unanswered; a repeat, one without an offer, and one by rules alone."""
    rows = [decided(key) for key in ("left", "taken", "bought", "silent")]
    rows += [decided("again", repeat_of="taken"), decided("empty", n=0), decided("rules", is_degraded=True)]
    said = [("left.1", Outcome.SNOOZED), ("taken.1", Outcome.CLICKED), ("taken.2", Outcome.REFUSED),
            ("bought.2", Outcome.CONVERTED),
            ("again.1", Outcome.CONVERTED), ("rules.1", Outcome.PRESENTED)]  # fmt: skip
    with opened(ledger_url(tmp_path), tmp_path) as ledger:
        ledger.record(rows).result()
        answers = [ResponseRow(f"e{i}", place, str(what), occurred_at=NOON) for i, (place, what) in enumerate(said)]
        ledger.responses(answers, "rm7")
        found = {one.is_degraded: one for one in ledger.advice(NOON, LATER)}
        assert found == {False: AdviceCounts(False, NOON, 4, 3, 2, 1), True: AdviceCounts(True, NOON, 1, 1, 0, 0)}
        assert {one.n_advised for one in ledger.advice(NOON + timedelta(hours=1), LATER)} == {0}

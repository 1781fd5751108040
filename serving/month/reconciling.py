"""A month held against the bank's books, as a build ends with it (对账)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from features.bank.engines import open_bank
from features.reconciliation import reconcile, sentence, unallocated_share
from serving.jobs import segments_book


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What the month end `on` came to: a sentence, the share allocated to nobody, the products that disagree."""

    on: date
    says: str
    unallocated_share: float
    disagreeing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"on": self.on.isoformat(), "says": self.says, "unallocated_share": self.unallocated_share,
                "disagreeing": list(self.disagreeing)}  # fmt: skip


def reconciled(home: Path, on: date, now: datetime) -> Reconciled | None:
    """The value of customers in the month that ends at `on` beside the product ledger; None for a bank without one."""
    with open_bank(home) as bank:
        if not bank.has("product_ledger"):
            return None
        table = reconcile(bank, segments_book(home), [on], known_at=now)
    if not table.booked.sum():
        return None
    outside = table[table.is_within.eq(False)]
    return Reconciled(on, sentence(table), unallocated_share(table), tuple(outside.product_id))

"""Which decision of the day a customer's later ones repeat, and whose noise they therefore share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from features.errors import NotFound
from serving.ledger import FirstDecision, Ledger
from serving.releases import release_of

_MOST_REMEMBERED = 100_000


class FirstDecisions:
    """The first decision of each customer on the present business day.

    A first decision stays the first, so one that was found is remembered; that there is none yet is asked each time,
    since another process may have decided meanwhile.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._remembered: tuple[date | None, dict[str, FirstDecision]] = (None, {})

    def of(
        self, customer_ids: Sequence[str], *, day: date, zone: ZoneInfo, before: datetime
    ) -> dict[str, FirstDecision]:
        """The first decisions of those of `customer_ids` who have one on `day` before an instant, by customer."""
        known_day, known = self._remembered
        if known_day != day or len(known) > _MOST_REMEMBERED:
            known = {}
            self._remembered = (day, known)
        unknown = [customer_id for customer_id in customer_ids if customer_id not in known]
        if unknown:
            start = datetime.combine(day, time(), zone).astimezone(UTC)
            known.update(self._ledger.first_decisions(unknown, start, before))
        return {customer_id: known[customer_id] for customer_id in customer_ids if customer_id in known}


@lru_cache(maxsize=32)
def epoch_of(home: Path, release_id: str) -> str | None:
    """The epoch of an earlier release; None where its folder is gone."""
    try:
        return release_of(home, release_id).epoch
    except NotFound:
        return None

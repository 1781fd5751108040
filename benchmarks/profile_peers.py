"""The peers of `benchmarks.profile`: one hand-written DuckDB query, and pandas, each over what our own month reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from string import Template

import duckdb

from features.bank import tiles
from features.bank.tables import ASSET_CLASSES, EVENT_CHANNELS
from features.bank.tiles import Closing
from features.lineages import Lineage
from features.policy import SegmentsPolicy

QUERY = Path(__file__).with_name("profile_query.sql")


@dataclass(frozen=True, slots=True)
class Asked:
    """The month that a peer is to compute, and where its inputs lie."""

    home: Path
    closing: Closing
    seen_on: date
    seen_until: datetime
    tiles: tuple[Path, ...]
    before: Path
    history_on: date

    @classmethod
    def of(cls, lineage: Lineage, policy: SegmentsPolicy) -> Asked:
        """The month after the newest but one of a lineage: its newest, computed again."""
        before, newest = lineage.months[-2:]
        closing = Closing.of(newest.as_of, policy.bank)
        closings = [Closing.of(month.last_on, policy.bank) for month in closing.months()[1:]]
        paths = tuple(path for at in closings if (path := tiles.path_of(lineage.tiles, at)).exists())
        assert newest.history_on is not None
        return cls(lineage.home, closing, before.as_of, before.available_at, paths, before.path, newest.history_on)

    def without_tiles(self) -> Asked:
        """The same month from the bank's tables alone: twelve months of events."""
        began = self.closing.months()[-1].first_on - timedelta(days=1)
        return replace(self, seen_on=began, seen_until=datetime(1900, 1, 1, tzinfo=UTC), tiles=())

    @property
    def history(self) -> int:
        """Months of history, this one counted."""
        return self.closing.number - (self.history_on.year * 12 + self.history_on.month - 1) + 1

    @property
    def month_days(self) -> int:
        """Days of the month."""
        return self.closing.days

    @property
    def quarter_days(self) -> int:
        """Days of the three months before it."""
        return sum(month.last_on.day for month in self.closing.months()[1:4])


def query(asked: Asked, policy: SegmentsPolicy) -> str:
    """The hand-written query for this month."""
    closing, months = asked.closing, asked.closing.months()
    number = closing.number
    filled = {
        "bank": asked.home / "bank", "before": asked.before, "number": number, "history": asked.history,
        "month_days": asked.month_days, "quarter_days": asked.quarter_days,
        "earlier_tiles": _earlier(asked),
        "as_of": closing.as_of, "month_on": closing.first_on, "morning_on": months[0].next_on,
        "quarter_on": months[2].first_on,
        "window_on": months[-1].first_on, "seen_on": asked.seen_on, "seen_until": asked.seen_until.isoformat(),
        "known_until": closing.available_at.isoformat(), "as_of_at": closing.as_of_at.isoformat(),
        "history_on": asked.history_on,
        "channels": list(EVENT_CHANNELS), "classes": list(ASSET_CLASSES),
        **{name.lower(): lowest for name, lowest in policy.grades.bands.items() if lowest > 0},
        "tier_names": list(policy.tiers.thresholds), "floors": list(policy.tiers.thresholds.values()),
        "margins": ", ".join(
            f"('{name}', {m.bp_balance}::DOUBLE, {m.amount_year}::DOUBLE, {m.pct_first_premium}::DOUBLE)"
            for name, m in policy.value.products.items()
        ),
        "mdas": ", ".join(f"mda_{k}" for k in range(12)),
        "aum_by_month": _each(12, f"sum(aum_day_minor) FILTER (month_no = {number} - $k) AS aum_day_$k"),
        "mda_by_month": ", ".join(
            f"greatest(coalesce(aum_day_{k}, 0), 0) / {100 * month.last_on.day} AS mda_{k}"
            for k, month in enumerate(months)
        ),
        "app_by_month": _each(6, f"coalesce(bit_or(app_day_mask) FILTER (month_no = {number} - $k), 0) AS app_$k"),
        "days_by_month": _each(
            3, "coalesce(bit_or(coalesce(txn_day_mask, 0) | coalesce(event_day_mask, 0)) "
            f"FILTER (month_no = {number} - $k), 0) AS days_$k",
        ),
        "views_by_kind": ", ".join(
            f"sum(n_{kind}_views) FILTER (month_no > {number} - 3) AS n_{kind}_views_3m" for kind in tiles.VIEWED
        ),
        "view_columns": ", ".join(
            f"coalesce(CAST(n_{kind}_views_3m AS BIGINT), 0) AS n_{kind}_views_3m" for kind in tiles.VIEWED
        ),
        "drops_by_month": _each(
            3, f"coalesce(bit_or(begun_day_mask) FILTER (month_no = {number} - $k), 0) AS begun_$k, "
            f"coalesce(bit_or(done_day_mask) FILTER (month_no = {number} - $k), 0) AS done_$k",
        ),
    }  # fmt: skip
    return Template(QUERY.read_text("utf-8")).substitute({name: str(value) for name, value in filled.items()})


def run_query(sql: str, path: Path) -> None:
    """The answer of the query as a Parquet file."""
    con = duckdb.connect()
    try:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")
    finally:
        con.close()


def _earlier(asked: Asked) -> str:
    if not asked.tiles:
        return ""
    paths = ", ".join(f"'{path}'" for path in asked.tiles)
    known = f"SELECT * FROM read_parquet([{paths}], union_by_name = true)"
    return f"{known} WHERE month_no > {asked.closing.number} - 12 UNION ALL BY NAME"


def _each(n: int, text: str) -> str:
    return ", ".join(text.replace("$k", str(k)) for k in range(n))

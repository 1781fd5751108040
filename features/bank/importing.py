"""`tiercel import`: a bank's files through a mapping into a home, and what is told at the end.

The home gets the mapping's tables, its policy and its clock together, or nothing: the files are read and judged beside
it first. A mapping is a YAML file; a data set that needs more than a mapping can say prepares files of its own and
comes the same way.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from features.bank.engines import connect
from features.bank.mapping import BadMapping
from features.bank.mapping import Mapping as BankMapping
from features.bank.quarantine import Received, take_in
from features.bank.shaping import Shaper
from features.policy import segments
from features.policy_book import PolicyBook

Progress = Callable[[str, float], None]
_PARTS = ("segments", "decisions")


@dataclass
class Imported:
    """What an import came to: rows kept and set aside, what the mapping itself did, and the days it spans."""

    home: Path
    received: Received
    notes: list[str] = field(default_factory=list)
    first_on: date | None = None
    last_on: date | None = None

    @property
    def kept(self) -> dict[str, int]:
        return self.received.kept

    def lines(self) -> list[str]:
        """What happened, for people."""
        rows = ", ".join(f"{n:,} {name}" for name, n in self.kept.items())
        lines = [f"{self.home} holds {rows}"]
        if self.first_on is not None:
            lines.append(f"business from {self.first_on} to {self.last_on}")
        lines += self.notes
        if self.received.aside:
            lines.append(f"{self.received.n_aside:,} set aside, in {self.home / 'quarantine'}:")
            lines += [f"  {aside}" for aside in self.received.aside]
        else:
            lines.append("nothing was set aside")
        return lines

    def to_json(self) -> dict[str, Any]:
        aside = [{"table": a.table, "rule": a.rule, "n": a.n, "key": a.key, "value": a.value} for a in
                 self.received.aside]  # fmt: skip
        return {"home": str(self.home), "rows": self.kept, "aside": aside, "notes": self.notes,
                "first_on": self.first_on, "last_on": self.last_on}  # fmt: skip


def silent(_what: str, _share: float) -> None:
    """Progress that nobody watches."""


def bring_in(
    mapping: BankMapping,
    folder: Path,
    home: Path,
    *,
    beside: Path | None = None,
    prepared: Path | None = None,
    today: date | None = None,
    progress: Progress = silent,
) -> Imported:
    """The files in `folder` as a bank home, judged by the mapping's policy; raises BadBank, the home left as it was.

    `beside` is the folder in which the mapping's own `policy` lies (that of the mapping file), `prepared` a second
    folder of files, made from the first. Business after `last_on` of the mapping, else after its instant, else after
    `today`, is set aside as the future.
    """
    policy = _policy_folder(mapping, beside)
    own = [place / "segments" for place in (home / "policy", policy) if place is not None]
    book = segments(*(place for place in own if place.is_dir()))
    values = book.view(_day(mapping, book))
    here = mapping.instant.astimezone(ZoneInfo(values.bank.zone)).date() if mapping.instant else today
    until = mapping.last_on or here
    folders = [place for place in (folder, prepared) if place is not None]
    con = connect()
    try:
        with tempfile.TemporaryDirectory(prefix="tiercel-") as staging:
            con.raw_sql(f"SET temp_directory = '{staging}/spill'")
            progress("files", 0.1)
            shaped = Shaper(con, mapping, folders, Path(staging), values.bank.zone).shape()
            progress("quarantine", 0.6)
            received = take_in(con, home, shaped.incoming, largest_share=values.bank.quarantine_share, until=until)
            first_on, last_on = _span(con, received)
    finally:
        con.disconnect()
    _settle(mapping, policy, home)
    progress("done", 1.0)
    return Imported(home, received, [*shaped.notes, *mapping.notes], first_on, last_on)


def _policy_folder(mapping: BankMapping, beside: Path | None) -> Path | None:
    if mapping.policy is None:
        return None
    folder = (beside or Path()) / mapping.policy
    if not folder.is_dir():
        raise BadMapping("the mapping's policy folder is missing", value=str(folder),
                         todo="name one with segments/ and decisions/ beside the mapping, or none")  # fmt: skip
    return folder


def _day(mapping: BankMapping, book: PolicyBook[Any]) -> date:
    """The day whose policy holds: the home's instant, else the newest that the policy knows."""
    return mapping.instant.date() if mapping.instant is not None else max(book.dates())


def _span(con: Any, received: Received) -> tuple[date | None, date | None]:
    """First and last day of business or balance that came in."""
    days: list[date] = []
    for name, column in (("txn", "business_on"), ("balance", "from_on"), ("channel_event", "business_on")):
        if received.kept.get(name):
            sql = f"SELECT min({column}), max({column}) FROM judged_{name} WHERE _rule IS NULL"
            days += [_as_date(day) for day in con.raw_sql(sql).fetchone() if day is not None]
    return (min(days), max(days)) if days else (None, None)


def _as_date(day: date) -> date:
    return day.date() if isinstance(day, datetime) else day


def _settle(mapping: BankMapping, policy: Path | None, home: Path) -> None:
    """The home's policy and clock."""
    for part in _PARTS:
        if policy is not None and (policy / part).is_dir():
            shutil.copytree(policy / part, home / "policy" / part, dirs_exist_ok=True)
    instant = {"instant": mapping.instant.isoformat()} if mapping.instant is not None else {}
    about = {"source": mapping.source, **instant, **mapping.home}
    (home / "home.json").write_text(json.dumps(about, indent=1, ensure_ascii=False, default=str), "utf-8")

"""`tiercel import`: a bank's files through a mapping into a home, and what is told at the end.

The home gets the mapping's tables and its clock in one step, or nothing: the files are read and judged beside it
first, and its policy follows. A mapping is a YAML file; a data set that needs more than a mapping can say prepares
files of its own and comes the same way.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from features.bank import deliveries
from features.bank.engines import connect
from features.bank.joining import DAYS, Further, Instead
from features.bank.mapping import BadMapping
from features.bank.mapping import Mapping as BankMapping
from features.bank.quarantine import Received, take_in
from features.bank.shaping import Shaped, Shaper
from features.bank.values import known_after, literal
from features.bank.whole_files import whole
from features.errors import BadBank
from features.policy import segments
from features.policy_book import PolicyBook

Progress = Callable[[str, float], None]
_PARTS = ("segments", "decisions", "models")
_BOUNDED = ("memory_limit = '4GiB'", "preserve_insertion_order = false", "partitioned_write_flush_threshold = 100000")


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
    as_of: date | None = None,
    now: datetime | None = None,
    adds: bool = False,
    progress: Progress = silent,
) -> Imported:
    """The files in `folder` as a bank home, judged by the mapping's policy; raises BadBank, the home left as it was.

    `beside` is the folder in which the mapping's own `policy` lies (that of the mapping file), `prepared` a second
    folder of files, made from the first. Business after `as_of`, else after what the mapping names, else after the day
    of `now` lies in the future. With `adds` the files are a further delivery of the bank that stands.
    """
    policy = _policy_folder(mapping, beside)
    own = [place / "segments" for place in (home / "policy", policy) if place is not None]
    book = segments(*(place for place in own if place.is_dir()))
    values = book.view(_day(mapping, book))
    until, until_is = _until(mapping, ZoneInfo(values.bank.zone), as_of, now)
    if adds and not (deliveries.standing(home) / "bank" / "customer").is_dir():
        raise BadBank("this home holds no bank to add to", value=str(home), todo="import without --add first")
    folders = [place for place in (folder, prepared) if place is not None]
    con = connect()
    try:
        with tempfile.TemporaryDirectory(prefix="tiercel-") as staging:
            for setting in (f"temp_directory = '{staging}/spill'", *_BOUNDED):
                con.raw_sql(f"SET {setting}")
            progress("files", 0.1)
            shaped = Shaper(con, mapping, folders, Path(staging), values.bank.zone).shape()
            joining: Further | Instead = Instead(home)
            if adds:
                joining = _further(mapping, home, until, _came(con, mapping, shaped, until, values.bank.zone))
            progress("quarantine", 0.6)
            received = take_in(
                con, home, shaped.incoming, largest_share=values.bank.quarantine_share, until=until, joining=joining,
                about=_about(mapping),
            )  # fmt: skip
            first_on, last_on = _span(con, received)
    finally:
        con.disconnect()
    _settle(policy, home)
    progress("done", 1.0)
    stayed = [f"not in these files, as they were: {', '.join(received.stayed)}"] if received.stayed else []
    ahead = [f"business after {until} counts as future ({until_is})"] if until is not None else []
    notes = [*shaped.notes, *joining.notes, *stayed, *ahead]
    return Imported(home, received, [*notes, *mapping.notes], first_on, last_on)


def _until(mapping: BankMapping, zone: ZoneInfo, as_of: date | None, now: datetime | None) -> tuple[date | None, str]:
    """The last day whose business can have happened, and where it comes from."""
    here = [(as_of, "as asked"), (mapping.last_on, "the mapping's last_on")]
    here += [(at.astimezone(zone).date(), name) for at, name in
             ((mapping.instant, "the mapping's instant"), (now, "today")) if at is not None]  # fmt: skip
    return next(((day, name) for day, name in here if day is not None), (None, ""))


def _further(mapping: BankMapping, home: Path, until: date | None, came: str | None) -> Further:
    """How the files join the bank that stands, table by table."""
    tables = mapping.tables.items()
    whole = {name for name, sources in tables if all(s.snapshots == "ends" for s in sources)}
    all_open = {name for name, sources in tables if all(s.absent == "closed" for s in sources)}
    derived = {name for name, sources in tables if not any("known_at" in s.columns for s in sources)}
    return Further(home, whole, all_open, until, derived, came)


def _came(con: Any, mapping: BankMapping, shaped: Shaped, until: date | None, zone: str) -> str | None:
    """When all rows of the files were known, as SQL: those of their last day, by the home's clock at the latest."""
    days = []
    for name, day in DAYS.items():
        found = shaped.incoming.get(name)
        if found is not None and found.relation is not None:
            within = "true" if until is None else f"{day} <= DATE '{until}'"
            ((newest,),) = con.raw_sql(f"SELECT max({day}) FROM {found.relation} WHERE {within}").fetchall()
            days += [_as_date(newest)] if newest is not None else []
    last = max(days, default=until)
    if last is None:
        return None
    at = known_after(f"DATE '{last}'", mapping.known_at, zone)
    return at if mapping.instant is None else f"least({at}, {literal(mapping.instant.isoformat())}::TIMESTAMPTZ)"


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


def _settle(policy: Path | None, home: Path) -> None:
    """The mapping's policy files in the home, each whole or not at all."""
    for path in sorted(policy.glob("*/*.yaml")) if policy is not None else []:
        if path.parent.name in _PARTS:
            with whole(home / "policy" / path.parent.name / path.name) as half:
                shutil.copyfile(path, half)


def _about(mapping: BankMapping) -> dict[str, Any]:
    """What home.json states: source, clock, and what the mapping says of the home."""
    instant = {"instant": mapping.instant.isoformat()} if mapping.instant is not None else {}
    return {"source": mapping.source, **instant, **mapping.home}

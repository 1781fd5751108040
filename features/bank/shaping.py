"""Files read as text -> rows of our tables, by a mapping: joined, kept, owned, crossed over, typed, made intervals.

Every step is one statement of DuckDB over the text that `reading.py` laid down, and every row keeps its file and line.
A row is never dropped without a word: what the mapping leaves out by its own `keep` and `within`, and customers
merged by the crosswalk, are counted; whatever else is wrong goes on to quarantine with the text that stood there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.bank import reading
from features.bank.contract import Table
from features.bank.crosswalk import lay_persons, merge
from features.bank.intervals import Snapshots
from features.bank.mapping import BadMapping, Files, Keep, Source
from features.bank.mapping import Mapping as BankMapping
from features.bank.quarantine import Incoming
from features.bank.reading import Fault, Staged
from features.bank.rules import SAID
from features.bank.tables import TABLES
from features.bank.values import STORED_AS, Reading, cleaned, known_after, literal, quoted, trimmed
from features.bank.values import reading as reading_of
from features.errors import BadBank
from features.vocabulary import CUSTOMER_ID, Kind

_ROWS_A_FILE = 1 << 40


@dataclass
class Shaped:
    """What shaping came to: the tables to be judged, and what it did by the mapping's own word, counted."""

    incoming: dict[str, Incoming] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Shaper:
    """Shapes one bank on one connection: `con` runs SQL, `folders` hold the bank's files, `staging` what is read."""

    def __init__(self, con: Any, mapping: BankMapping, folders: Sequence[Path], staging: Path, zone: str) -> None:
        self._con, self._mapping, self._folders, self._staging = con, mapping, folders, staging
        self._zone = zone
        self._staged: dict[str, Staged] = {}
        self._notes: list[str] = []

    def shape(self) -> Shaped:
        """Every table of the mapping as a relation to be judged; raises BadBank where no file is found."""
        side_faults = [*self._lay_owners(), *self._lay_crosswalk()]
        shaped = Shaped(notes=self._notes)
        for name in (name for name in TABLES if name in self._mapping.tables):
            sources = self._mapping.tables[name]
            parts = [self._source(TABLES[name], number, source) for number, source in enumerate(sources)]
            faults = [*(side_faults if name == "customer" else []), *(f for part in parts for f in part.faults)]
            n_bytes = sum(part.n_bytes for part in parts)
            relations = [part.relation for part in parts if part.relation]
            union = " UNION ALL BY NAME ".join(f"SELECT * FROM {quoted(relation)}" for relation in relations)
            if union:
                self._con.raw_sql(f"CREATE OR REPLACE TEMP VIEW {quoted('shaped_' + name)} AS {union}")
            readings = {column: text for part in parts for column, text in part.readings.items()}
            shaped.incoming[name] = Incoming(f"shaped_{name}" if union else None, readings, faults, n_bytes)
        return shaped

    def _stage(self, name: str, files: Files, wanted: Sequence[str]) -> Staged:
        staged = reading.read(find(self._folders, files.files), files.layout(), wanted, self._staging / name)
        self._staged[name] = staged
        return staged

    def _view(self, name: str, staged: Staged, columns: Sequence[str], prefix: str = "") -> str:
        """A view of staged text, `_row` running through its files; its name."""
        named = ", ".join(f"{quoted(column)} AS {quoted(prefix + column)}" for column in columns)
        parts = [
            f"SELECT {named + ', ' if named else ''}{number * _ROWS_A_FILE} + _line AS _row, "
            f"{literal(came_from + ':')} || _line AS _place FROM read_parquet({literal(str(file))})"
            for number, (file, came_from) in enumerate(staged.files.items())
        ]
        empty = "".join(f"NULL::VARCHAR AS {quoted(prefix + column)}, " for column in columns)
        body = " UNION ALL ".join(parts) or f"SELECT {empty}0 AS _row, '' AS _place WHERE false"
        self._con.raw_sql(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS {body}")
        return name

    def _lay_owners(self) -> list[Fault]:
        """The table `_owner`: one row an account, with the customer who owns it."""
        owners = self._mapping.owners
        if owners is None:
            return []
        columns = [owners.account, owners.customer, *([owners.role] if owners.role else [])]
        staged = self._stage("owners", owners, columns)
        view = self._view("owners_text", staged, columns)
        account, customer = (cleaned(name, self._mapping.nulls) for name in (owners.account, owners.customer))
        role = trimmed(owners.role) if owners.role else "''"
        ranks = " ".join(f"WHEN {literal(name)} THEN {place}" for place, name in enumerate(owners.roles))
        rank = f"CASE {role} {ranks} END" if owners.roles else "0"
        self._con.raw_sql(
            f"CREATE OR REPLACE TEMP TABLE _owner AS SELECT account AS _account, "
            f"first(customer ORDER BY rank, _row) AS _owned_by, count(*) FILTER (rank = best) AS _n "
            f"FROM (SELECT {account} AS account, {customer} AS customer, {rank} AS rank, _row, "
            f"min({rank}) OVER (PARTITION BY {account}) AS best FROM {quoted(view)}) "
            f"WHERE rank IS NOT NULL AND account IS NOT NULL AND customer IS NOT NULL GROUP BY account"
        )
        n_joint = self._count("_owner", "_n > 1")
        if n_joint:
            self._notes.append(f"{n_joint:,} accounts have several owners of one role; the first in the file owns them")
        return staged.faults

    def _lay_crosswalk(self) -> list[Fault]:
        """The table `_person`: every customer number that stands for another; rows that cannot be followed."""
        crosswalk = self._mapping.crosswalk
        if crosswalk is None:
            return []
        staged = self._stage("crosswalk", crosswalk, [crosswalk.from_, crosswalk.to])
        view = self._view("crosswalk_text", staged, [crosswalk.from_, crosswalk.to])
        number, person = (cleaned(name, self._mapping.nulls) for name in (crosswalk.from_, crosswalk.to))
        pairs = f"SELECT {number} AS id, {person} AS person, _row, _place FROM {quoted(view)}"
        return [*staged.faults, *lay_persons(self._con, pairs)]

    def _source(self, table: Table, number: int, source: Source) -> _Part:
        name = f"{table.name}_{number}"
        staged = self._stage(name, source, source.reads())
        faults = list(staged.faults)
        if not staged.files:
            return _Part(None, {}, faults, staged.n_bytes)
        text = self._joined(name, staged, source, faults)
        readings = dict(self._readings(table, source))
        typed = self._typed(table, source, readings, text)
        if source.snapshots:
            said = [SAID + column for column in self._fallible(readings)]
            daily = Snapshots(table, f"SELECT * EXCLUDE (_place) FROM ({typed})", staged.n_rows, said, source.snapshots)
            n_daily = daily.fold(self._con, f"{name}_folded", staged.folder / "days")
            self._con.raw_sql(
                f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS SELECT *, {_place_of(staged)} AS _place "
                f"FROM {quoted(f'{name}_folded')}"
            )
            self._notes.append(f"{table.name}: {n_daily:,} daily rows became {self._count(name):,} intervals")
        else:
            self._con.raw_sql(f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS {typed}")
            self._merge(table, name)
        told = {column: found.should_be for column, found in readings.items()}
        return _Part(name, told, faults, staged.n_bytes)

    def _joined(self, name: str, staged: Staged, source: Source, faults: list[Fault]) -> str:
        """The source's text beside its joins, rows kept by the mapping's own word; a FROM clause."""
        self._view(f"{name}_text", staged, source.reads())
        body = f"SELECT r.* FROM {quoted(f'{name}_text')} r"
        for join in source.joins:
            wanted = sorted({*source.reads(join.name), *join.on.values(), *(keep.column for keep in join.keep)})
            joined = self._stage(f"{name}_{join.name}", join, wanted)
            faults += joined.faults
            view = self._view(f"{name}_{join.name}_text", joined, wanted, f"{join.name}.")
            keys = ", ".join(trimmed(f"{join.name}.{theirs}") for theirs in join.on.values())
            kept = " AND ".join(_kept(keep, f"{join.name}.") for keep in join.keep) or "true"
            first = f"SELECT * EXCLUDE (_row, _place) FROM {quoted(view)} WHERE {kept} " \
                    f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY _row) = 1"  # fmt: skip
            on = " AND ".join(
                f"{trimmed(ours, 'l.')} = {trimmed(f'{join.name}.{theirs}', 'j.')}" for ours, theirs in join.on.items()
            )
            body = f"SELECT l.*, j.* FROM ({body}) l LEFT JOIN ({first}) j ON {on}"
        conditions = [_kept(keep) for keep in source.keep]
        for place, within in enumerate(source.within):
            inside = self._stage(f"{name}_within{place}", within, [within.of])
            faults += inside.faults
            view = self._view(f"{name}_within{place}_text", inside, [within.of])
            conditions.append(f"{trimmed(within.column)} IN (SELECT {trimmed(within.of)} FROM {quoted(view)})")
        if not conditions:
            return body
        kept_sql = f"SELECT * FROM ({body}) WHERE {' AND '.join(conditions)}"
        left_out = staged.n_rows - self._count(f"({kept_sql})")
        if left_out:
            self._notes.append(f"{name.rpartition('_')[0]}: {left_out:,} rows left out by the mapping's own choice")
        return kept_sql

    def _readings(self, table: Table, source: Source) -> Iterator[tuple[str, Reading]]:
        for column in table.columns:
            value = source.columns.get(column.name)
            if value is not None:
                yield column.name, reading_of(column, value, self._zone, self._mapping.nulls)

    def _fallible(self, readings: Mapping[str, Reading]) -> list[str]:
        return [name for name, found in readings.items() if found.said is not None]

    def _typed(self, table: Table, source: Source, readings: Mapping[str, Reading], text: str) -> str:
        """The statement of typed rows; columns that follow from others come after those."""
        owned = [value.owner_of for value in source.columns.values() if value.owner_of]
        lookups = f" LEFT JOIN _owner ON {trimmed(owned[0], 't.')} = _owner._account" if owned else ""
        typed = {name: found.typed for name, found in readings.items()}
        columns = [
            f"CAST({typed.get(c.name, 'NULL')} AS {STORED_AS[c.kind]}) AS {quoted(c.name)}" for c in table.columns
        ]
        columns += [f"{found.said} AS {quoted(SAID + name)}" for name, found in readings.items() if found.said]
        first = f"SELECT {', '.join(columns)}, _row, _place FROM ({text}) t{lookups}"
        person = self._mapping.crosswalk is not None and any(c.name == CUSTOMER_ID for c in table.columns)
        own = ", customer_id AS _own_id" if table.name == "customer" else ""
        second = f"SELECT * REPLACE ({self._derived(table, source)}){own} FROM ({first})"
        if not person:
            return second
        return (
            f"SELECT s.* REPLACE (coalesce(_person.person, s.customer_id) AS customer_id) FROM ({second}) s "
            f"LEFT JOIN _person ON s.customer_id = _person.id"
        )

    def _derived(self, table: Table, source: Source) -> str:
        """Dates that follow: the business day of an instant, the start of a day, when a row was known."""
        zone = literal(self._zone)
        made = {}
        instants = [c for c in table.columns if c.kind is Kind.INSTANT and c.name != "known_at" and not c.is_nullable]
        for column in instants:
            if column.name not in source.columns:
                made[column.name] = f"timezone({zone}, business_on::TIMESTAMP)"
        names = {c.name for c in table.columns}
        day = "business_on" if "business_on" in names else table.happened or table.first_date
        if day == "business_on" and day not in source.columns and instants:
            made[day] = f"CAST(timezone({zone}, {instants[0].name}) AS DATE)"
        if "known_at" in names and "known_at" not in source.columns:
            made["known_at"] = self._known_at(None if day is None else made.get(day, quoted(day)))
        made = made or {table.columns[0].name: quoted(table.columns[0].name)}
        return ", ".join(f"{sql} AS {quoted(name)}" for name, sql in made.items())

    def _known_at(self, day: str | None) -> str:
        """When a row of a day was known; one that no date places in time, at the instant of the files."""
        if day is None:
            return f"{literal(str(self._mapping.instant))}::TIMESTAMPTZ"
        return known_after(day, self._mapping.known_at, self._zone)

    def _merge(self, table: Table, name: str) -> None:
        """Rows of one person under several numbers made one."""
        merged = merge(self._con, name) if table.name == "customer" and self._mapping.crosswalk is not None else 0
        if merged:
            self._notes.append(f"customer: {merged:,} rows merged into the person that the crosswalk names")

    def _count(self, relation: str, condition: str = "true") -> int:
        of = relation if relation.startswith("(") else quoted(relation)
        return int(self._con.raw_sql(f"SELECT count(*) FROM {of} WHERE {condition}").fetchone()[0])


@dataclass(frozen=True, slots=True)
class _Part:
    relation: str | None
    readings: Mapping[str, str]
    faults: list[Fault]
    n_bytes: int


def find(folders: Sequence[Path], patterns: Sequence[str]) -> list[Path]:
    """The files that the patterns name, in order, from the first folder that has any; raises BadBank for none."""
    if not folders[0].is_dir():
        raise BadBank("no such folder of files", value=str(folders[0]), todo="name the folder of the bank's files")
    found: list[Path] = []
    for pattern in patterns:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise BadMapping("a file lies outside the folder", value=pattern, allowed="names below the folder")
        hits = next((paths for folder in folders if (paths := _named(folder, pattern))), None)
        if hits is None:
            here = ", ".join(sorted(path.name for path in folders[0].iterdir())[:12]) or "nothing"
            raise BadBank("a file of the data set is missing", value=pattern, allowed=f"the folder holds {here}",
                          todo="name the right folder, or mend the mapping")  # fmt: skip
        found += [path for path in hits if path not in found]
    return found


def _named(folder: Path, pattern: str) -> list[Path]:
    """The file of that very name, which may look like a pattern (`客户[1].csv`), else those that the pattern fits."""
    exact = folder / pattern
    return [exact] if exact.is_file() else [path for path in sorted(folder.glob(pattern)) if path.is_file()]


def _place_of(staged: Staged) -> str:
    """The file and line of a row, by its number."""
    files = " ".join(f"WHEN {number} THEN {literal(name + ':')}" for number, name in enumerate(staged.files.values()))
    return f"CASE _row // {_ROWS_A_FILE} {files} END || (_row % {_ROWS_A_FILE})"


def _kept(keep: Keep, prefix: str = "") -> str:
    text = trimmed(prefix + keep.column)
    parts = []
    if keep.one_of is not None:
        parts.append(f"coalesce({text}, '') IN ({', '.join(map(literal, keep.one_of))})")
    for bound, sign in ((keep.at_least, ">="), (keep.at_most, "<=")):
        if bound is not None:
            is_text = isinstance(bound, str)
            parts.append(
                f"{text} {sign} {literal(str(bound))}" if is_text else f"TRY_CAST({text} AS DOUBLE) {sign} {bound}"
            )
    return "(" + (" AND ".join(parts) or "true") + ")"

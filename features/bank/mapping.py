"""A mapping: which of a bank's files and columns become which of our tables, in which unit, date form and code.

    source: 某城商行核心系统            zone, currency and quarantine share are policy, in the folder `policy`
    known_at: {days: 1, hour: 6}      a row is known on the day after its business, at six
    tables:
      customer:
        files: [客户信息*.csv]
        columns:
          customer_id: 客户号                                  a column of the file
          birth_on: {from: 出生日期, date: yyyymmdd}
          gender: {from: 性别, codes: {男: M, 女: F}}
          declared_income_amount: {from: 年收入, unit: 万元}
          is_staff: {constant: false}                         what the files do not say is said here, never guessed

Everything that a mapping may hold is a class below, with unknown keys refused; `load` reads one and checks it against
the contracts, so that a mistake is told before a file is opened. docs/import.md shows each key at work.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping as Map
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from features.bank.contract import Table
from features.bank.reading import Layout
from features.bank.tables import TABLES
from features.errors import BadBank
from features.policy_book import Frozen, complaint_of, load_yaml
from features.vocabulary import Column, Kind

Scalar = bool | int | float | str
Unit = Literal["元", "分", "角", "百元", "千元", "万元", "百万元", "亿元"]
DateForm = Literal[
    "yyyy-mm-dd", "yyyymmdd", "yyyy/mm/dd", "yyyy.mm.dd", "yyyy年mm月dd日", "dd.mm.yyyy", "dd/mm/yyyy", "mm/dd/yyyy",
    "yymmdd", "birth_number", "excel",
]  # fmt: skip
InstantForm = Literal["iso", "yyyymmddHHMMSS", "yyyy-mm-dd HH:MM:SS", "yyyy/mm/dd HH:MM:SS", "yyyymmdd", "excel"]
MULTIPLIER: Map[str, str] = {
    "元": "1", "分": "0.01", "角": "0.1", "百元": "100", "千元": "1000", "万元": "10000", "百万元": "1000000",
    "亿元": "100000000",
}  # fmt: skip
DERIVED = {"known_at", "business_on"}  # follow from the other dates where a mapping does not name them
_HOUR = Annotated[int, Field(ge=0, le=23)]


class BadMapping(BadBank):
    """A mapping that does not parse, or names what is not there."""

    slug = "bad-mapping"


def _text(value: object) -> object:
    return ("true" if value else "false") if isinstance(value, bool) else str(value) if value is not None else value


Text = Annotated[str, BeforeValidator(_text)]


class Value(Frozen):
    """Where one of our columns comes from, and how what stands there is read.

    `from` one column, or several whose texts are joined by "/"; `constant` for all rows; `owner_of` the customer who
    owns the account that stands in this column; `row` an id made of this prefix and the row's number. Then, in this
    order: `take` (first character from 1, how many), `codes` (others stay as they are, or become `others`), `missing`
    where nothing stood there, `prefix` before it, and the form: unit, date, instant, hours since an instant.
    """

    model_config = ConfigDict(populate_by_name=True)

    from_: str | tuple[str, ...] | None = Field(None, alias="from")
    constant: Text | None = None
    owner_of: str | None = None
    row: str | None = None
    take: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    codes: dict[Text, Text] | None = None
    others: Text | None = None
    missing: Text | None = None
    prefix: str = ""
    nulls: tuple[Text, ...] = ()
    unit: Unit = "元"
    thousands: str | None = None
    absolute: bool = False
    date: DateForm = "yyyy-mm-dd"
    instant: InstantForm = "iso"
    hours_since: AwareDatetime | None = None
    age_on: dt.date | None = None
    plus_months: str | int | None = None
    plus_days: str | int | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        given = [name for name in ("from_", "constant", "owner_of", "row") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("say exactly one of from, constant, owner_of, row")
        if self.others is not None and self.codes is None:
            raise ValueError("`others` needs `codes`")
        return self

    def reads(self) -> set[str]:
        """Names of the file's columns that it needs."""
        named = {self.from_} if isinstance(self.from_, str) else set(self.from_ or ())
        shifts = {shift for shift in (self.plus_months, self.plus_days) if isinstance(shift, str)}
        return named | shifts | ({self.owner_of} if self.owner_of else set())


def _value(said: object) -> object:
    """A bare name is a column of the file."""
    return {"from": said} if isinstance(said, str) else said


class Files(Frozen):
    """Files of one layout: names or patterns below the folder, and how they lie."""

    files: tuple[str, ...] = Field(min_length=1)
    encoding: str | None = None
    delimiter: Annotated[str, Field(min_length=1)] | None = None
    quote: Annotated[str, Field(max_length=1)] = '"'
    sheet: str | None = None
    header_row: Annotated[int, Field(ge=1)] = 1
    names: tuple[str, ...] = ()

    def layout(self) -> Layout:
        return Layout(self.encoding, self.delimiter, self.quote, self.sheet, self.header_row, self.names)


class Keep(Frozen):
    """Rows to take: whose column is one of `one_of`, or lies between the bounds (numbers as numbers, text as text)."""

    column: str
    one_of: tuple[Text, ...] | None = None
    at_least: int | float | str | None = None
    at_most: int | float | str | None = None


class Join(Files):
    """Columns of another file beside the rows, as `name.column`: the first row there with the same keys, if any."""

    name: str = Field(pattern=r"^\w+$")
    on: dict[str, str] = Field(min_length=1)  # column of the rows -> column of this file
    keep: tuple[Keep, ...] = ()


class Within(Files):
    """Only rows whose `column` stands in the column `of` of this file."""

    column: str
    of: str


class Source(Files):
    """Rows of one table from files of one layout.

    `snapshots` turns one row a day into one row a change: an account that is absent from a later day has ended
    (`ends`), or stands as it was (`holds`). The day is what `from_on` reads. `absent` is for files that list all that
    is open now: of a further delivery, what stood open and is in no file has `closed` by the delivery's day.
    """

    columns: dict[str, Annotated[Value, BeforeValidator(_value)]]
    joins: tuple[Join, ...] = ()
    within: tuple[Within, ...] = ()
    keep: tuple[Keep, ...] = ()
    snapshots: Literal["ends", "holds"] | None = None
    absent: Literal["closed"] | None = None

    def reads(self, prefix: str = "") -> list[str]:
        """Columns that must stand in the files themselves, or with a prefix in the join of that name."""
        every = {name for value in self.columns.values() for name in value.reads()}
        every |= {keep.column for keep in self.keep} | {within.column for within in self.within}
        every |= {ours for join in self.joins for ours in join.on}
        joined = {join.name for join in self.joins}
        if prefix:
            return sorted(name.partition(".")[2] for name in every if name.partition(".")[0] == prefix)
        return sorted(name for name in every if "." not in name or name.partition(".")[0] not in joined)


class Owners(Files):
    """Who owns an account: of several owners the first role in `roles` decides, then the order of the file.

    Somebody whose role is not in `roles` (a disponent, an attorney) owns nothing.
    """

    account: str
    customer: str
    role: str | None = None
    roles: tuple[Text, ...] = ()


class Crosswalk(Files):
    """Several customer numbers of one person: every id in `from` is the person `to`; ids not listed stay."""

    model_config = ConfigDict(populate_by_name=True)

    from_: str = Field(alias="from")
    to: str


class KnownAt(Frozen):
    """When a row was known, if the files do not say: so many days after its business, at this hour of the zone."""

    days: Annotated[int, Field(ge=0)] = 1
    hour: _HOUR = 6


def _sources(said: object) -> object:
    return [said] if isinstance(said, dict) else said


class Mapping(Frozen):
    """A whole bank: its tables, who owns what, and what becomes of the home."""

    source: str
    tables: dict[str, Annotated[tuple[Source, ...], BeforeValidator(_sources)]]
    owners: Owners | None = None
    crosswalk: Crosswalk | None = None
    known_at: KnownAt = KnownAt()
    nulls: tuple[Text, ...] = ()
    instant: AwareDatetime | None = None
    last_on: dt.date | None = None  # business after it lies in the future; by default the day of `instant`
    home: dict[str, Any] = Field(default_factory=dict)
    policy: str | None = None
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits_the_contracts(self) -> Self:
        complaints = [text for name, sources in self.tables.items() for text in _complaints(name, sources, self)]
        if "customer" not in self.tables:
            complaints.append("a bank needs its customers: map the table customer")
        if complaints:
            raise ValueError("; ".join(complaints[:5]))
        return self


def load(path: Path) -> Mapping:
    """The mapping in a YAML file; raises BadMapping with the place of what is wrong."""
    if not path.is_file():
        raise BadMapping("no such mapping file", value=str(path), todo="`tiercel import FILE DIR --propose` drafts one")
    return parse(load_yaml(path, BadMapping), str(path))


def parse(said: object, name: str = "mapping") -> Mapping:
    """The mapping that a YAML document says; raises BadMapping."""
    try:
        return Mapping.model_validate(said)
    except ValidationError as error:
        raise BadMapping(complaint_of(error, name, Mapping), todo="docs/import.md shows each key") from error


def _complaints(name: str, sources: tuple[Source, ...], mapping: Mapping) -> list[str]:
    if name not in TABLES:
        return [f"unknown table {name!r}; allowed: {', '.join(TABLES)}"]
    return [text for source in sources for text in _source_complaints(TABLES[name], source, mapping)]


def _source_complaints(table: Table, source: Source, mapping: Mapping) -> list[str]:
    known = {column.name for column in table.columns}
    found = [f"table {table.name} has no column {name!r}; allowed: {', '.join(sorted(known))}"
             for name in source.columns if name not in known]  # fmt: skip
    lacking = [c.name for c in table.columns if _is_lacking(c, table, source, mapping)]
    if lacking:
        found.append(f"table {table.name} needs {', '.join(lacking)}: map each to a column, or say {{constant: …}}")
    if source.snapshots and "to_on" in source.columns:
        found.append(f"table {table.name}: snapshots make to_on, so it cannot be mapped")
    if source.snapshots and not {"from_on", "to_on"} <= known:
        found.append(f"table {table.name} holds no intervals; snapshots are for balance")
    if source.absent and "closed_on" not in known:
        found.append(f"table {table.name} holds nothing that is open; absent is for tables with closed_on")
    if mapping.owners is None and any(value.owner_of for value in source.columns.values()):
        found.append(f"table {table.name}: owner_of needs the section `owners`")
    return found


def _is_lacking(column: Column, table: Table, source: Source, mapping: Mapping) -> bool:
    if column.is_nullable or column.name in source.columns:
        return False
    if column.name == "known_at":  # follows from a date of the row, or is the instant of all files
        return not (table.happened or table.first_date or mapping.instant)
    instants = [c.name for c in table.columns if c.kind is Kind.INSTANT and c.name != "known_at" and not c.is_nullable]
    has_day = "business_on" in source.columns
    if column.name == "business_on":
        return not any(name in source.columns for name in instants)
    return not (column.name in instants and has_day)

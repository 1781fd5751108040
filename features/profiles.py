"""One row per customer per month: the families joined, written once, and numbered as a build.

A build is immutable: its Parquet file and its manifest are written beside a temporary name and then renamed, and a
month that stands is never written again under the same lineage. `as_of_at` is the instant at which the month ended,
`available_at` the one at which the profile could first be read; training sees a profile only from then on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from types import ModuleType

import ibis
import ibis.expr.types as ir

from features.bank import tiles
from features.bank.engines import Bank, month_end, open_bank, write_parquet
from features.bank.tiles import Closing
from features.errors import BadBank, MissingBuild
from features.month import Month, beside, select
from features.policy import PolicyBook, SegmentsPolicy
from features.segments import activity, cells, classes, grades, lifecycle, tags, tiers, wealth
from features.today import day_view
from features.vocabulary import AS_OF_AT, AVAILABLE_AT, CUSTOMER_ID, Column, Kind

FAMILIES: dict[str, ModuleType] = {
    module.__name__.rsplit(".", 1)[-1]: module
    for module in (wealth, activity, tiers, grades, classes, lifecycle, cells, tags)
}
PERSON = (
    Column("gender", Kind.CODE, "gender", "not given"),
    Column("region", Kind.CODE, "region", "not known"),
    Column("tenure_days", Kind.INTEGER, "days since registration at the month's end"),
    Column("declared_income", Kind.NUMBER, "declared yearly income", "not declared"),
    Column("is_staff", Kind.FLAG, "employee of the bank"),
    Column("is_restricted", Kind.FLAG, "frozen, deceased or blocked"),
    Column("is_student", Kind.FLAG, "student", "not known"),
    Column("has_marketing_optout", Kind.FLAG, "switched personal recommendation off"),
    Column("id_doc_type", Kind.CODE, "identity document", "not known"),
    Column("acquisition_source", Kind.CODE, "where the customer came from", "not known"),
)
PROFILE: tuple[Column, ...] = (*PERSON, *(column for module in FAMILIES.values() for column in module.COLUMNS))
_FACT_TABLES = {
    "txn": "business_on", "channel_event": "business_on", "balance": "from_on", "contact": "business_on",
    "response": "business_on",
}  # fmt: skip


def silent(_what: str, _share: float) -> None:
    """Progress that nobody watches: called with what is done and the share of the whole."""


@dataclass(frozen=True, slots=True)
class Build:
    """One immutable month of profiles and where it stands."""

    as_of: date
    lineage: str
    path: Path
    n_customers: int
    digest: str
    segments_digest: str
    available_at: datetime

    @property
    def manifest(self) -> Path:
        return self.path.with_suffix(".json")


def order(families: dict[str, ModuleType]) -> list[str]:
    """Family names so that each stands after those it uses; raises BadBank on a cycle.

    >>> order(FAMILIES)[-1], order(FAMILIES).index("wealth") < order(FAMILIES).index("tiers")
    ('tags', True)
    """
    done: list[str] = []
    waiting = sorted(families)
    while waiting:
        ready = [name for name in waiting if set(families[name].uses) <= set(done)]
        if not ready:
            raise BadBank("families use each other in a circle", value=waiting)
        done += ready
        waiting = [name for name in waiting if name not in ready]
    return done


def history_began(bank: Bank) -> date:
    """First day of business in the bank's fact tables; raises BadBank if there is none."""
    firsts = [
        first
        for name, column in _FACT_TABLES.items()
        if bank.has(name) and (first := bank.tables[name][column].min().execute()) is not None
    ]
    if not firsts:
        return _day(bank.tables["customer"].registered_on.max().execute())
    return min(_day(first) for first in firsts)


def months_to_build(bank: Bank, instant: datetime, policy: SegmentsPolicy, as_of: date | None = None) -> list[Closing]:
    """Closings from the first month of history to the last one published by `instant`, or to `as_of`."""
    last = as_of or instant.date().replace(day=1) - timedelta(days=1)
    first = min(month_end(history_began(bank)), last)
    closings = [Closing.of(first, policy.bank)]
    while closings[-1].as_of < last:
        closings.append(Closing.of(month_end(closings[-1].as_of + timedelta(days=1)), policy.bank))
    return [closing for closing in closings if closing.available_at <= instant]


def build(
    home: Path,
    book: PolicyBook[SegmentsPolicy],
    *,
    instant: datetime,
    as_of: date | None = None,
    progress: Callable[[str, float], None] = silent,
) -> list[Build]:
    """Every month that is not built yet, oldest first, and those that are; raises BadBank, BadPolicy, MissingBuild."""
    builds = []
    with open_bank(home) as bank:
        policy = book.view(as_of or instant.date())
        closings = months_to_build(bank, instant, policy, as_of)
        if not closings:
            raise MissingBuild("no month has closed yet", value=instant.isoformat(), todo="ask for a later instant")
        plans = Plans(bank)
        lineage = _lineage(home, book, closings[-1])
        before: Build | None = None
        for done, closing in enumerate(closings):
            before = _standing(home, lineage, closing) or _build(bank, closing, before, book, lineage, plans)
            builds.append(before)
            progress(f"month {closing.as_of:%Y-%m}", (done + 1) / len(closings))
    return builds


def builds(home: Path) -> Iterator[Build]:
    """Every build of a home, oldest first."""
    for manifest in sorted((home / "profiles").glob("*/*.json"), key=lambda path: (path.stem, path.parent.name)):
        yield _read_manifest(manifest)


def latest(home: Path, instant: datetime | None = None) -> Build:
    """The newest build, as known at `instant` if given; raises MissingBuild."""
    found = [b for b in builds(home) if instant is None or b.available_at <= instant]
    if not found:
        raise MissingBuild("no month has been built", value=str(home), todo="run `tiercel build`")
    return found[-1]


def _build(
    bank: Bank, closing: Closing, before: Build | None, book: PolicyBook[SegmentsPolicy], lineage: str, plans: Plans
) -> Build:
    policy = book.view(closing.as_of)
    tiles.write(bank, closing, policy.bank, is_first=before is None)
    plans.lay_out(bank, closing, before)
    path = bank.home / "profiles" / lineage / f"{closing.as_of}.parquet"
    write_parquet(bank.con, plans.profile(bank, policy, is_first=before is None), path)
    return _write_manifest(bank, closing, path, policy, lineage)


# Ibis takes a second to compile a profile; its statements depend on policy and tables there are, not on the bank
_COMPILED: dict[tuple[str, bool, frozenset[str], frozenset[str]], tuple[tuple[str, str], ...]] = {}


class Plans:
    """The statements that make a month's profile, compiled once for each policy and run for every month.

    A statement reads only tables of fixed names, which `lay_out` fills for one month: its customers, tiles, standing
    and the profile before.
    """

    def __init__(self, bank: Bank) -> None:
        self._began = history_began(bank)
        self._has: frozenset[str] = frozenset()

    def lay_out(self, bank: Bank, closing: Closing, before: Build | None) -> None:
        """Fill the tables of this month."""
        self._has = frozenset(bank.tables) if self._began <= closing.as_of else frozenset({"customer"})
        bank.keep("month_customers", _customers(bank, closing, self._began))
        window = tiles.window(bank, closing)
        bank.keep("month_tiles", window.mutate(history_months=_months_since(self._began, closing)))
        morning = ibis.literal(closing.as_of + timedelta(days=1))
        known_until = _instant(closing.available_at)
        bank.keep(
            "month_pairs", bank.con.table("month_customers").select(CUSTOMER_ID, on=morning, known_until=known_until)
        )
        if before is not None:
            bank.point("profile_before", before.path)

    def profile(self, bank: Bank, policy: SegmentsPolicy, *, is_first: bool) -> ir.Table:
        """This month's profile: one row a customer, in the order of their ids."""
        key = (policy.digest, is_first, self._has, frozenset(bank.tables))
        if key not in _COMPILED:
            _COMPILED[key] = tuple(_statements(bank, policy, self._has, is_first=is_first))
            return bank.con.table("month_profile")
        for name, sql in _COMPILED[key]:
            bank.keep_sql(name, sql)
        return bank.con.table("month_profile")


def _statements(
    bank: Bank, policy: SegmentsPolicy, has: frozenset[str], *, is_first: bool
) -> Iterator[tuple[str, str]]:
    """Each statement of the profile after it was run: name and SQL."""
    last = None if is_first else bank.con.table("profile_before")

    def keep(name: str, expr: ir.Table) -> tuple[ir.Table, str]:
        sql = bank.con.compile(expr)
        return bank.keep_sql(name, sql), sql

    pairs = bank.con.table("month_pairs")
    standing, sql = keep("month_standing", day_view(bank.tables, pairs).drop("on"))
    yield "month_standing", sql
    month = Month(bank.con.table("month_customers"), bank.con.table("month_tiles"), standing, has)
    for name in order(FAMILIES):
        month.families[name], sql = keep(f"family_{name}", FAMILIES[name].family(month, last, policy))
        yield f"family_{name}", sql
    yield "month_profile", keep("month_profile", _profile(month))[1]


def _customers(bank: Bank, closing: Closing, began: date) -> ir.Table:
    """Customers as known at the closing, with what follows from their dates, and the month's own figures."""
    people = bank.known_by(closing.available_at)["customer"]
    as_of = ibis.literal(closing.as_of)
    people = people.filter(people.registered_on <= as_of)
    years = closing.as_of.year - people.birth_on.year()
    birthday = people.birth_on.month() * 100 + people.birth_on.day()
    return people.mutate(
        age=years - (birthday > closing.as_of.month * 100 + closing.as_of.day).cast("int64"),
        tenure_days=as_of.delta(people.registered_on, unit="day"),
        declared_income=people.declared_income_amount.cast("float64"),
        as_of=as_of,
        as_of_at=_instant(closing.as_of_at),
        available_at=_instant(closing.available_at),
        month_days=ibis.literal(closing.days).cast("int64"),
        history_on=ibis.literal(began),
        history_months=_months_since(began, closing),
    )


def _months_since(began: date, closing: Closing) -> ir.IntegerScalar:
    return ibis.literal(max(1, closing.number - (began.year * 12 + began.month - 1) + 1)).cast("int64")


def _profile(month: Month) -> ir.Table:
    stamp = month.customers.select(CUSTOMER_ID, "as_of", AS_OF_AT, AVAILABLE_AT)
    answers = [month.families[name] for name in FAMILIES]
    return beside(select(month.customers, PERSON), *answers, stamp).order_by(CUSTOMER_ID)


def _instant(at: datetime) -> ir.TimestampScalar:
    return ibis.literal(at).cast("timestamp('UTC', 6)")


def _lineage(home: Path, book: PolicyBook[SegmentsPolicy], last: Closing) -> str:
    """The lineage that this policy continues: one whose months all stand under it, else a new one."""
    standing: dict[str, bool] = {}
    for build in builds(home):
        agrees = build.segments_digest == book.view(build.as_of).digest
        standing[build.lineage] = standing.get(build.lineage, True) and agrees
    continued = [lineage for lineage, agrees in standing.items() if agrees]
    if continued:
        return continued[-1]
    name = hashlib.sha256(f"{len(standing)}{book.view(last.as_of).digest}".encode()).hexdigest()
    return f"l{name[:12]}"


def _write_manifest(bank: Bank, closing: Closing, path: Path, policy: SegmentsPolicy, lineage: str) -> Build:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    n = bank.con.read_parquet(str(path)).count().execute()
    build = Build(closing.as_of, lineage, path, int(n), digest, policy.digest, closing.available_at)
    half = build.manifest.with_suffix(".half")
    half.write_text(json.dumps(asdict(build) | {"path": path.name}, default=str, indent=1))
    half.replace(build.manifest)
    return build


def _standing(home: Path, lineage: str, closing: Closing) -> Build | None:
    manifest = home / "profiles" / lineage / f"{closing.as_of}.json"
    return _read_manifest(manifest) if manifest.exists() else None


def _read_manifest(manifest: Path) -> Build:
    said = json.loads(manifest.read_text())
    return Build(
        date.fromisoformat(said["as_of"]), said["lineage"], manifest.with_suffix(".parquet"), said["n_customers"],
        said["digest"], said["segments_digest"], datetime.fromisoformat(said["available_at"]),
    )  # fmt: skip


def _day(value: object) -> date:
    return value.date() if isinstance(value, datetime) else date.fromisoformat(str(value)[:10])

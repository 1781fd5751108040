"""The jobs behind the commands: build, publish, train, release, decide for everybody. Each may be run again.

A job reads the home and writes to the home; what stands already is left as it is and said so.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from decisioning.catalogue.catalogue import Catalogue
from decisioning.catalogue.checks import check
from decisioning.catalogue.findings import Finding
from decisioning.policy import DecisionsPolicy, decisions
from features import own, profiles, views
from features.bank.engines import ENGINES, Bank, arrow_schema, month_end, open_bank
from features.bank.tables import TABLES
from features.errors import BadRequest, NotFound
from features.facts import AT_DECISION, PROFILE
from features.gaps import refuse_gap
from features.policy import SegmentsPolicy, segments
from features.policy_book import PolicyBook
from features.profiles import Build
from features.vocabulary import KEPT_DAYS, Kind
from insight.policy import InsightPolicy, insight
from serving import releases
from serving.api.documents import DecisionRequest
from serving.desk.deciding import Desk
from serving.desk.making import Inquiry
from serving.desk.records import public_of
from serving.ledger import Ledger
from serving.models import model_book
from serving.releases import Release
from serving.scorer import NAMES, TOLD
from serving.settings import Clock, ledger_url, read_settings, zone_of

if TYPE_CHECKING:
    from simulation.world import Summary

Progress = Callable[[str, float], None]
POLICY_OF_SIMULATION = Path(__file__).parent.parent / "simulation" / "policy"
CHAMPIONS = (*NAMES, *TOLD)
LAST_SIMULATED = date(2025, 12, 31)
DECIDE_BATCH = 1000
COMMAND = "command"  # who asked, where nobody did by a key
_HUNDREDTH = Decimal("0.01")


def segments_book(home: Path) -> PolicyBook[SegmentsPolicy]:
    """The segments policy of a home: the shipped one with the home's own sections."""
    return segments(home / "policy" / "segments")


def decisions_book(home: Path) -> PolicyBook[DecisionsPolicy]:
    """The decisions policy of a home: the shipped one with the home's own sections."""
    return decisions(home / "policy" / "decisions")


def insight_book(home: Path) -> PolicyBook[InsightPolicy]:
    """The insight policy of a home: the shipped one with the home's own sections."""
    return insight(home / "policy" / "insight")


def offer_rows(book: PolicyBook[DecisionsPolicy], from_on: date) -> pa.Table:
    """The catalogue as the bank table `offer`, in force from `from_on`."""
    amounts = [column.name for column in TABLES["offer"].columns if column.kind is Kind.AMOUNT]
    rows = [
        row | {name: Decimal(str(row[name])).quantize(_HUNDREDTH) for name in amounts}
        for row in Catalogue.of(book.view(from_on)).rows(from_on)
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLES["offer"]))


def simulate(home: Path, *, customers: int, months: int, seed: int, last_on: date, progress: Progress) -> Summary:
    """A simulated bank in `home`, with a clock that stands a few days after its last month; what was made."""
    from simulation import world

    if (home / "bank").exists():
        raise BadRequest("this home holds a bank already", value=str(home), todo="name another with --out")
    home.mkdir(parents=True, exist_ok=True)
    shutil.copytree(POLICY_OF_SIMULATION, home / "policy", dirs_exist_ok=True)
    first_on = date(last_on.year - (months + 11) // 12 - 1, 1, 1)
    offers = offer_rows(decisions_book(home), first_on)
    made = world.simulate(
        home, customers=customers, months=months, seed=seed, last_month_end=last_on, offers=offers, progress=progress
    )
    write_catalogue(home)
    at = datetime.combine(last_on + timedelta(days=5), datetime.min.time(), zone_of(_zone(home, last_on)))
    about = {"source": "simulated", "instant": (at + timedelta(hours=10)).isoformat(), "seed": seed, "months": months}
    (home / "home.json").write_text(json.dumps(about, indent=1))
    return made


def build(
    home: Path,
    clock: Clock,
    *,
    as_of: date | None = None,
    restate: date | None = None,
    engine: str = ENGINES[0],
    progress: Progress = profiles.silent,
) -> list[Build]:
    """Every closed month of the home, built where it was not, on the engine of that name.

    With a day of a month in `restate`, a new lineage that sees all that is known now from that month on.
    """
    built = profiles.build(
        home, segments_book(home), instant=clock.now(), as_of=as_of, restate=month_end(restate) if restate else None,
        engine=engine, progress=progress,
    )  # fmt: skip
    own.write_missing(home)
    return built


def write_catalogue(home: Path) -> int:
    """The catalogue as the bank table `offer`, every day on which it changed; rows written.

    Training reads what serving scores with: both come from the one dated policy.
    """
    book = decisions_book(home)
    parts: list[pa.Table] = []
    told: dict[str, dict[str, Any]] = {}
    for day in book.dates():
        rows = offer_rows(book, day)
        said = {row["offer_id"]: row for row in rows.drop_columns(["from_on", "known_at"]).to_pylist()}
        is_news = [said[offer_id] != told.get(offer_id) for offer_id in rows["offer_id"].to_pylist()]
        parts.append(rows.filter(pa.array(is_news)))
        told = said
    folder = home / "bank" / "offer"
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / "catalogue.half"
    catalogue = pa.concat_tables(parts)
    pq.write_table(catalogue, half)
    half.replace(folder / "catalogue.parquet")
    for old in folder.glob("*.parquet"):
        if old.name != "catalogue.parquet":
            old.unlink()
    return int(catalogue.num_rows)


def incremental_share(home: Path) -> float:
    """The share of conversions that a contact is assumed to cause where no arm says, as the policy has it last."""
    book = decisions_book(home)
    return book.view(max(book.dates())).arbitration.incremental_share


def standing_builds(home: Path) -> list[Build]:
    """Builds that stand already, oldest first."""
    return list(profiles.builds(home))


def check_policy(home: Path, as_of: date | None = None) -> list[Finding]:
    """What a check of both policies complains about on `as_of`, or on every day on which either changes."""
    who, what = segments_book(home), decisions_book(home)
    days = [as_of] if as_of else sorted({*who.dates(), *what.dates()})
    known = {**AT_DECISION, **{column.name: column for view in own.own_views(home) for column in view.columns}}
    found = [finding for day in days for finding in check(who.view(day), what.view(day), known)]
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Published:
    """What the online store now holds."""

    build: Build
    today: Path
    n_customers: int
    size_bytes: int


def publish(home: Path, clock: Clock, *, progress: Progress = profiles.silent) -> Published:
    """This morning's day view written, the online store filled with it and the newest month, the views applied.

    The bank's own contacts, answers and complaints of the last half year go into the ledger, where the moment of a
    decision looks for them. Raises MissingBuild.
    """
    from features import feast_views
    from features.publishing import ViewRows
    from features.publishing import publish as fill

    now = clock.now()
    policy = segments_book(home).view(now.date())
    build = profiles.latest(home, now)
    refuse_gap([build], [column.name for column in PROFILE])
    with open_bank(home) as bank:
        progress("day view", 0.1)
        today = views.write_today(bank, build.lineage, now, policy)
        progress("history into the ledger", 0.3)
        _seed_ledger(bank, home, clock, now, policy)
    progress("online store", 0.6)
    ours = own.own_views(home)
    specs = feast_views.view_specs(build.lineage, policy.lifetimes, ours)
    feast_views.apply(home, build.lineage, specs)
    files = {feast_views.MONTH: build.path, feast_views.DAY: today}
    files |= {view.name: path for view, path in own.newest(home, ours, build)}
    rows = {
        spec.name: ViewRows(spec.name, spec.columns, spec.lifetime, pq.read_table(files[spec.name]))
        for spec in specs
        if spec.is_online and spec.name in files
    }
    size = fill(feast_views.online_path(home, build.lineage), *rows.values(), is_all=True)
    progress("published", 1.0)
    return Published(build, today, rows[feast_views.DAY].table.num_rows, size)


def cut_release(
    home: Path, clock: Clock, *, challengers: Sequence[str] | None = None, share: float | None = None
) -> tuple[Release, bool]:
    """A release of the newest build, the champions and both policies, switched to; whether it is a new one.

    `challengers` names the models whose registered challenger is shipped, all that have one unless told, and `share`
    the share of customers for whom it decides; unless told, what a challenger that is shipped already has, else 0:
    shadow. Raises BadRequest for a share that may not be, or a challenger that may decide for nobody.
    """
    from serving.models.challenging import beside_of
    from training import registry

    write_catalogue(home)
    standing = releases.releases(home)
    champions = {name: found for name in CHAMPIONS if (found := registry.with_alias(home, name, registry.CHAMPION))}
    release = releases.cut(
        home, segments=segments_book(home), decisions=decisions_book(home), now=clock.now(),
        champions={name: found.folder for name, found in champions.items()},
        beside=beside_of(home, champions, challengers, share),
    )  # fmt: skip
    releases.switch(home, release)
    model_book.keep(home)
    return release, release.id not in {one.id for one in standing}


@contextmanager
def desk(home: Path, clock: Clock) -> Iterator[Desk]:
    """The desk of a home, closed at the end; raises NotFound where nothing was ever decided or published."""
    told = read_settings(home=home)
    if told.ledger_url is None and not (home / "ledger.db").exists():
        raise NotFound(
            "this home has no ledger", value=str(home), todo="run `tiercel day` first, or name another --home"
        )
    opened = Desk.open(told, clock)
    try:
        yield opened
    finally:
        opened.close()


def decided_before(at: Desk) -> Iterator[dict[str, Any]]:
    """Decisions of the current release that the ledger holds already, as they were told."""
    release_id, cursor = at.ground().id, None
    start = at.clock.now() - timedelta(days=1)
    while True:
        page = at.ledger.decisions(start, at.clock.now() + timedelta(days=1), cursor)
        yield from (public_of(stored.row.answer) for stored in page.rows if stored.row.release_id == release_id)
        if (cursor := page.next_cursor) is None:
            return


def decide_everybody(at: Desk, *, channel: str, limit: int, progress: Progress) -> Iterator[dict[str, Any]]:
    """A decision for every customer of the release, each batch on the disk before its decisions are given."""
    ids = at.ground().reader.customer_ids()
    for start in range(0, len(ids), DECIDE_BATCH):
        batch = ids[start : start + DECIDE_BATCH]
        decided = at.decide(Inquiry(DecisionRequest.model_construct(channel=channel, limit=limit), batch, COMMAND))
        if decided.rows:
            at.ledger.record(decided.rows).result()
        progress("decisions", (start + len(batch)) / len(ids))
        yield from (kept.public for kept in decided.kept.values())


def _seed_ledger(bank: Bank, home: Path, clock: Clock, now: datetime, policy: SegmentsPolicy) -> None:
    began = now.replace(microsecond=0)  # a standing clock counts microseconds; what happens at its instant is not past
    since = began - timedelta(days=KEPT_DAYS)
    happened = {"contact": "sent_at", "response": "occurred_at", "complaint": "opened_at"}
    rows: dict[str, pa.Table] = {}
    for name, column in happened.items():
        if bank.has(name):
            known = bank.tables[name].filter(bank.tables[name].known_at < ibis.literal(began))
            told = known.mutate(**{column: ibis.greatest(known[column], known.known_at)})
            is_open = told.closed_at.isnull() if name == "complaint" else ibis.literal(False)
            rows[name] = told.filter((told[column] >= ibis.literal(since)) | is_open).to_pyarrow()
    url = ledger_url(read_settings(home=home))
    with Ledger.open(url, home.resolve(), zone=zone_of(policy.bank.zone), clock=clock.now) as ledger:
        ledger.seed_history(
            contacts=rows.get("contact"), responses=rows.get("response"), complaints=rows.get("complaint")
        )


def _zone(home: Path, on: date) -> str:
    return segments_book(home).view(on).bank.zone

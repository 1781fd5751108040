"""The ledger as one object: what serving calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from features.vocabulary import KEPT_DAYS
from serving.ledger import answers, consents, contacts, idempotency, reading, tag_deletions
from serving.ledger.advice import AdviceCounts, read_advice
from serving.ledger.at_once import AtOnce
from serving.ledger.chain import Chain, ChainReport, Head, head, pseudonym_key
from serving.ledger.checkpoints import Checkpoints
from serving.ledger.databases import file_of
from serving.ledger.daybook import Daybook
from serving.ledger.engine import Engines, alone, migrate, open_engines
from serving.ledger.idempotency import Claim, Finish, StoredAnswer
from serving.ledger.moments import Firsts, Moment, MomentOfOne, MomentReader
from serving.ledger.poster import Poster
from serving.ledger.posting import Posting
from serving.ledger.recent import RecentReader, RecentRows
from serving.ledger.recording import Recorder
from serving.ledger.rows import (
    ConsentReceipt,
    ConsentRow,
    ContactReceipt,
    ContactRow,
    DecisionPage,
    DecisionRow,
    FirstDecision,
    ResponseReceipt,
    ResponseRow,
    StoredDecision,
    StoredPlacement,
    check_decisions,
)
from serving.ledger.scope import Scope
from serving.ledger.tables import micros
from serving.ledger.writer import QUEUE_MAX, Writer

if TYPE_CHECKING:  # the process that posts has no use for these libraries, 90 MB of them
    import pyarrow as pa


class Ledger:
    """Decisions, placements, contacts, responses, consents and cases of one bank; safe to use from many threads.

    Everything that writes goes through one thread in groups (`writer.py`), or into the daybook of a ledger on SQLite
    (`daybook.py`), and is on the disk before it is answered. Whoever reads decisions, and the writing thread before
    each group, first sees that what was entered is posted. Everything that reads has a connection of its own. Close
    it, or use it as a context.
    """

    def __init__(
        self, engines: Engines, chain: Chain, scope: Scope, *, home: Path, daybook: Daybook | None, queue_max: int
    ) -> None:
        self._engines = engines
        self._chain = chain
        self._home, self._daybook = home, daybook
        self._poster: Poster | None = None
        self._scope = scope
        self._day = reading.DayReader(engines.reader.dialect)
        self._recent = RecentReader(engines.reader.dialect)
        self._moment = MomentReader(engines.reader.dialect)
        self._recorder = Recorder(chain, engines.writer.dialect)
        self._posting = Posting(engines, self._recorder, daybook)
        self._writer = Writer(engines.writer, self._recorder.record, queue_max=queue_max, first=self._posting.post)
        self._at_once = AtOnce(daybook)
        self._checkpoints = Checkpoints(engines.writer, None if daybook is None else daybook.file)

    @classmethod
    def open(
        cls, url: str, home: Path, *, zone: ZoneInfo, clock: Callable[[], datetime], queue_max: int = QUEUE_MAX
    ) -> Self:
        """The ledger at `url`, its tables brought up to date first and what waited in its daybook posted; `zone` is the
        bank's, `clock` serving's one.

        Several processes may have one ledger open; on PostgreSQL on several machines, whose homes then share one
        pseudonym key. Raises UserMistake (another database), Unreachable (its server is away), LedgerTooNew (tables
        of a later version), WrongKey (the home's pseudonym key is not the one of this ledger), DaybookUnreadable, or
        Unwritable where what waits cannot be posted.
        """
        engines = open_engines(url)
        try:
            migrate(engines, home)
            with alone(home), engines.writing() as connection:
                chain = Chain(pseudonym_key(home))
                chain.begin(connection)
            with alone(home):
                daybook = Daybook.of(engines.writer)
        except BaseException:
            engines.dispose()
            raise
        ledger = cls(engines, chain, Scope(zone, clock), home=home, daybook=daybook, queue_max=queue_max)
        try:
            ledger.post()
        except BaseException:
            ledger.close()
            raise
        return ledger

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is queued, post what was entered and close every connection."""
        if self._poster is not None:
            self._poster.close()
        with suppress(Exception):  # it waits on the disk for the next one to open the ledger
            self.post()
        self._writer.close()
        self._checkpoints.close()
        self._posting.close()
        if self._daybook is not None:
            self._daybook.close()
        self._engines.dispose()

    def post(self) -> None:
        """Post what was entered in the daybook, by the writing thread; raises Unwritable where that fails."""
        if self._posting.is_due():
            self._writer.submit(lambda _: None).result()

    def post_apart(self) -> None:
        """Let a process of its own post from now on until the ledger is closed; for a server, which has other work."""
        url = self._engines.writer.url
        if self._daybook is not None and self._poster is None:
            self._poster = Poster(url.set(database=str(file_of(url))), self._home, self.post)
            if self._poster.process_id is not None:
                self._checkpoints.close()  # it copies the logs as well

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection that sees every decision that was kept before this was asked."""
        self.post()
        with self._engines.reading() as connection:
            yield connection

    def _waiting(self, customer_ids: Sequence[str], start: datetime, before: datetime) -> Firsts:
        """The first decisions that wait in the daybook, to be asked for before the ledger is."""
        if self._daybook is None:
            return {}
        return self._daybook.firsts(customer_ids, micros(start), micros(before))

    def record(self, decisions: Sequence[DecisionRow], *, finish: Finish | None = None) -> Future[None]:
        """A future that resolves once all of `decisions` are on the disk, or fails with none of them written.

        `finish` ends an Idempotency-Key in the same transaction. Raises BadRequest at once for rows that are not
        allowed, Overloaded when too many writes wait; the future may fail with AlreadyRecorded, Unwritable (nothing was
        written) or Unconfirmed (the commit was not confirmed).
        """
        check_decisions(decisions)
        if finish is None:
            return self._writer.submit_rows(tuple(decisions))
        return self._writer.submit(partial(self._record_and_finish, tuple(decisions), finish))

    def record_at_once(self, decisions: Sequence[DecisionRow]) -> bool:
        """Whether all of `decisions` are on the disk already; if not, nothing of them is: give them to `record`.

        For one thread, such as that of an event loop. They are entered in the daybook, where nobody looks whether the
        ledger knows an id already: who gives one twice finds the second set aside. Raises BadRequest and Unconfirmed
        as `record` does.
        """
        check_decisions(decisions)
        return self._at_once.record(decisions)

    def _record_and_finish(self, decisions: Sequence[DecisionRow], done: Finish, connection: Connection) -> None:
        self._recorder.record(connection, decisions)
        idempotency.finish(connection, done)

    def responses(self, rows: Sequence[ResponseRow], actor: str) -> list[ResponseReceipt]:
        """Write a batch of responses, all or nothing; the receipt of each. Raises BadRows listing each bad one."""
        given = tuple(rows)
        return self._writer.submit(lambda connection: answers.answer(self._scope, connection, given, actor)).result()

    def contacts(self, rows: Sequence[ContactRow], actor: str) -> list[ContactReceipt]:
        """Write a batch of contact steps, all or nothing; the receipt of each. Raises BadRows listing each bad one."""
        given = tuple(rows)
        return self._writer.submit(lambda connection: contacts.note(self._scope, connection, given, actor)).result()

    def consents(self, rows: Sequence[ConsentRow], actor: str) -> list[ConsentReceipt]:
        """Write changes of consent, all or nothing; a proven grant ends earlier do-not-call entries (R40).

        The receipt of each, the same whenever it is sent again. Raises BadRows listing each bad one.
        """
        given = tuple(rows)
        return self._writer.submit(
            lambda connection: consents.change_consents(self._scope, connection, given, actor)
        ).result()

    def delete_tag(self, customer_id: str, tag: str, actor: str) -> datetime:
        """Delete a customer's tag for good (R32); when it was, the first time if more than once."""
        return self._writer.submit(
            lambda connection: tag_deletions.delete_tag(self._scope, connection, customer_id, tag, actor)
        ).result()

    def begin(self, actor: str, route: str, key: str, body_digest: str) -> Claim | StoredAnswer:
        """A claim to an Idempotency-Key, or the answer it was finished with; raises StillRunning or OtherBody."""
        return self._writer.submit(
            lambda connection: idempotency.begin(connection, actor, route, key, body_digest)
        ).result()

    def finish(self, claim: Claim, status: int, answer: str) -> None:
        """Keep the answer of a claim whose work wrote nothing through `record`."""
        done = Finish(claim, status, answer)
        self._writer.submit(lambda connection: idempotency.finish(connection, done)).result()

    def abandon(self, claim: Claim) -> None:
        """Give a claim back after a failure, so that a retry need not wait."""
        self._writer.submit(lambda connection: idempotency.abandon(connection, claim)).result()

    def seed_history(
        self, contacts: pa.Table | None = None, responses: pa.Table | None = None, complaints: pa.Table | None = None
    ) -> None:
        """Take in the bank's own history, in the form of its tables; once more changes nothing."""
        from serving.ledger import history

        for name, rows in (("contact", contacts), ("response", responses), ("complaint", complaints)):
            for part in history.portions(rows) if rows is not None else ():
                self._writer.submit(partial(history.seed, name=name, rows=part)).result()

    def recent(self, customer_ids: Sequence[str], before: datetime, days: int = KEPT_DAYS) -> RecentRows:
        """Contacts and responses of the last `days` days and open complaints, strictly before an instant."""
        with self._engines.reading() as connection:
            return self._recent.read(connection, customer_ids, before, days)

    def moment(self, customer_ids: Sequence[str], *, before: datetime, on: date, start: datetime) -> Moment:
        """`recent` before an instant, `do_not_call` on a day and `first_decisions` from `start` on, in one reading."""
        waiting = self._waiting(customer_ids, start, before)
        with self._engines.asking() as cursor:
            return self._moment.read(cursor, customer_ids, waiting, before=before, on=on, start=start)

    def moments_of(
        self, customer_ids: Sequence[str], *, before: datetime, on: date, start: datetime
    ) -> dict[str, MomentOfOne]:
        """What `moment` gives, of each of a few customers without arrays; who is named twice is asked about once."""
        names = [*dict.fromkeys(customer_ids)]
        waiting = self._waiting(names, start, before)
        with self._engines.asking() as cursor:
            return self._moment.read_each(cursor, names, waiting, before=before, on=on, start=start)

    def decision(self, decision_id: str) -> StoredDecision:
        """The decision of this id; raises NotFound."""
        with self._reading() as connection:
            return reading.read_decision(connection, decision_id)

    def decisions(
        self, start: datetime, end: datetime, cursor: str | None = None, limit: int = reading.PAGE_ROWS
    ) -> DecisionPage:
        """A page of the decisions with start ≤ decided_at < end, in order of time; raises BadRequest for a cursor."""
        with self._reading() as connection:
            return reading.read_decisions(connection, start, end, cursor, limit)

    def first_decisions(
        self, customer_ids: Sequence[str], start: datetime, before: datetime
    ) -> dict[str, FirstDecision]:
        """Each customer's first decision in start ≤ decided_at < before: what later ones of the day repeat."""
        with self._reading() as connection:
            return self._day.first_decisions(connection, customer_ids, start, before)

    def placements(self, placement_ids: Sequence[str]) -> dict[str, StoredPlacement]:
        """The placements of these ids by id; unknown ids are left out."""
        with self._reading() as connection:
            return reading.read_placements(connection, placement_ids)

    def do_not_call(self, customer_ids: Sequence[str], on: date) -> dict[str, frozenset[str]]:
        """The channels that responses closed and no consent reopened, of each customer who has any on this day."""
        with self._engines.reading() as connection:
            return self._day.do_not_call(connection, customer_ids, on)

    def deleted_tags(self, customer_ids: Sequence[str]) -> dict[str, dict[str, datetime]]:
        """The tags that each customer deleted, with when; customers who deleted none are left out."""
        with self._engines.reading() as connection:
            return tag_deletions.read_deleted(connection, customer_ids)

    def latest_decisions(self, customer_id: str, before: datetime, limit: int) -> tuple[StoredDecision, ...]:
        """A customer's decisions before an instant, the newest first, at most `limit`."""
        with self._reading() as connection:
            return reading.read_latest_decisions(connection, customer_id, before, limit)

    def latest_at(self) -> datetime | None:
        """The last instant at which the ledger itself wrote something; None if it never did."""
        with self._reading() as connection:
            return reading.read_latest_at(connection)

    def advice(self, since: datetime, until: datetime) -> tuple[AdviceCounts, ...]:
        """What became of the decisions of some days, by models and by rules alone."""
        with self._reading() as connection:
            return read_advice(connection, since, until)

    def head(self) -> Head:
        """The last row of the chain: note it elsewhere, and pass it to `verify` as its anchor."""
        with self._reading() as connection:
            return head(connection)

    def verify(self, anchor: Head | None = None) -> ChainReport:
        """Recompute the chain of all decisions; the report lists where it does not hold."""
        with self._reading() as connection:
            return self._chain.verify(connection, anchor)

    def pseudonym(self, customer_id: str) -> str:
        """The customer's pseudonym for logs and model tracking."""
        return self._chain.pseudonym(customer_id)

    def export(self, folder: Path) -> dict[str, int]:
        """Write what the ledger learned as Parquet under `folder`; the number of rows by table."""
        from serving.ledger import export

        with self._reading() as connection:
            return export.export(connection, folder)

"""The one thread that writes: group commit, so that one sync to disk serves every request that waits.

While one group is being synced the next one queues; a group is one transaction, and its futures resolve after its
commit, never before. A job that fails fails alone: decisions are first written together, and if one of them cannot
be, the group is rolled back and every job is done again inside its own savepoint. A transaction that fails as a whole
(disk full, another process holding the lock too long, the server gone) fails all its jobs, and the thread goes on. Only
if the commit itself fails is it unknown whether they are on the disk, and that is what its jobs are told.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from features.errors import NotReady
from serving.ledger.rows import DecisionRow

T = TypeVar("T")
Work = Callable[[Connection], T]
QUEUE_MAX = 2_048  # jobs that wait; at 1,000 requests/s a caller beyond it would have waited two seconds
GROUP_MAX_ROWS = 1_024  # decisions of one transaction: some 50 ms of work, so that no one waits long for others


class Overloaded(NotReady):
    """More writes wait than are worth queueing."""

    slug = "ledger-overloaded"


class Unwritable(NotReady):
    """The ledger could not be written, so nothing was."""

    slug = "ledger-unwritable"


class Unconfirmed(NotReady):
    """The database did not confirm the commit: all of the request is on record, or nothing of it."""

    slug = "ledger-unconfirmed"


class Closed(NotReady):
    """The ledger is closed."""

    slug = "ledger-closed"


@dataclass(slots=True)
class _Job:
    """A piece of work, or decisions that may be written together with those of other jobs."""

    work: Work[Any] | None = None
    rows: Sequence[DecisionRow] = ()
    future: Future[Any] = field(default_factory=Future)

    @property
    def n_rows(self) -> int:
        return max(1, len(self.rows))


@dataclass(frozen=True, slots=True)
class _Done:
    job: _Job
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Queues work and writes it group by group; `record` writes the decisions of one or many jobs.

    `first` is called before each group; if it raises, nothing of the group is written.
    """

    def __init__(
        self,
        engine: Engine,
        record: Callable[[Connection, Sequence[DecisionRow]], None],
        *,
        queue_max: int = QUEUE_MAX,
        group_max_rows: int = GROUP_MAX_ROWS,
        first: Callable[[], object] = lambda: None,
    ) -> None:
        self._engine = engine
        self._first = first
        self._record = record
        self._queue_max = queue_max
        self._group_max_rows = group_max_rows
        self._queue: deque[_Job] = deque()
        self._wakes = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="tiercel-ledger", daemon=True)
        self._thread.start()

    def submit(self, work: Work[T]) -> Future[T]:
        """The future of `work(connection)`, done in a savepoint of its own; resolves after the commit."""
        return self._enqueue(_Job(work=work))

    def submit_rows(self, rows: Sequence[DecisionRow]) -> Future[None]:
        """The future of these decisions, all or none; resolves after the commit."""
        return self._enqueue(_Job(rows=rows))

    def close(self) -> None:
        """Write what is queued, then end the thread; later work is refused."""
        with self._wakes:
            self._is_closed = True
            self._wakes.notify()
        self._thread.join()

    def _enqueue(self, job: _Job) -> Future[Any]:
        with self._wakes:
            if self._is_closed:
                raise Closed("the ledger is closed", todo="open it again")
            if len(self._queue) >= self._queue_max:
                raise Overloaded("too many writes wait for the ledger", value=len(self._queue),
                                 allowed=f"up to {self._queue_max}", todo="try again in a second")  # fmt: skip
            self._queue.append(job)
            self._wakes.notify()
        return job.future

    def _run(self) -> None:
        while (jobs := self._take()) is not None:
            for done in self._commit(jobs) if jobs else ():
                if done.error is None:
                    done.job.future.set_result(done.result)
                else:
                    done.job.future.set_exception(done.error)

    def _take(self) -> list[_Job] | None:
        """The next group in order of arrival, without those given up; None once closed and nothing waits."""
        with self._wakes:
            while not self._queue and not self._is_closed:
                self._wakes.wait()
            if not self._queue:
                return None
            jobs: list[_Job] = []
            n_rows = 0
            while self._queue and (not jobs or n_rows + self._queue[0].n_rows <= self._group_max_rows):
                jobs.append(self._queue.popleft())
                n_rows += jobs[-1].n_rows
        return [job for job in jobs if job.future.set_running_or_notify_cancel()]

    def _commit(self, jobs: list[_Job]) -> list[_Done]:
        try:
            self._first()
            try:
                return self._together(jobs)
            except (OperationalError, Unconfirmed):
                raise
            except Exception:  # whichever row it was, each job is now tried alone and tells its own error
                return self._one_by_one(jobs)
        except Unconfirmed as error:
            return [_Done(job, error=error) for job in jobs]
        except Exception as error:  # the transaction itself failed: nothing is written, everybody is told
            return [_Done(job, error=_unwritable(error)) for job in jobs]

    def _together(self, jobs: list[_Job]) -> list[_Done]:
        with self._transaction() as connection:
            self._record(connection, [row for job in jobs for row in job.rows])
            return [_Done(job) if job.work is None else self._alone(connection, job) for job in jobs]

    def _one_by_one(self, jobs: list[_Job]) -> list[_Done]:
        with self._transaction() as connection:
            return [self._alone(connection, job) for job in jobs]

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Committed at the end, rolled back on an error; raises Unconfirmed if the commit is what failed."""
        with self._engine.connect() as connection, connection.begin() as transaction:
            yield connection
            try:
                transaction.commit()
            except Exception as error:
                raise Unconfirmed("the ledger's database did not confirm that it wrote",
                                  todo="ask again with the same Idempotency-Key") from error  # fmt: skip

    def _alone(self, connection: Connection, job: _Job) -> _Done:
        """One job inside a savepoint: its failure undoes only itself, unless the database itself gives way."""
        savepoint = connection.begin_nested()
        try:
            result = self._record(connection, job.rows) if job.work is None else job.work(connection)
            savepoint.commit()
        except OperationalError:
            raise
        except Exception as error:  # handed to the one who asked, whatever it is
            savepoint.rollback()
            return _Done(job, error=error)
        return _Done(job, result)


def _unwritable(error: Exception) -> Unwritable:
    told = Unwritable("the ledger could not be written and nothing was recorded", todo="look at disk and locks")
    told.__cause__ = error
    return told

"""Whoever changes the log of decisions behind the ledger's back is seen, at whatever row."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, StaticPool, create_engine, select, text

from features.errors import UserMistake
from serving.ledger import ChainReport, DecisionRow, Head, PlacementRow, WrongKey
from serving.ledger.chain import Chain, pseudonym_key
from serving.ledger.tables import decision, placement
from tests.serving.ledgers import NOON, LedgerUrl, change, opened

N_ROWS = 200


CHANGES = {
    "seq": "seq + 1000", "decided_at": "decided_at + 1", "is_stale": "NOT is_stale", "is_degraded": "NOT is_degraded",
    "is_fallback": "NOT is_fallback", "rank": "rank + 5", "propensity": "propensity + 1e-12", "cost_minor": "1",
    "expires_at": "expires_at + 1",
}  # fmt: skip


def decided(i: int) -> DecisionRow:
    slots = tuple(
        PlacementRow(f"P{i}.{rank}", rank, f"O{rank}", f"T{rank}", "APP", rank / 4, NOON + timedelta(days=7))
        for rank in range(1, 1 + i % 4)
    )
    return DecisionRow(
        f"D{i}", f"C{i % 7}", NOON + timedelta(seconds=i), "APP", "R1", "none", "s", "d", "treated",
        f'{{"i":{i}}}', '{"age":41}', slots, None if i % 2 else "D0", is_stale=i % 3 == 0,
        actor="rm-7" if i % 2 else None,
    )  # fmt: skip


@dataclass(frozen=True)
class Log:
    """A log of 200 decisions that a test may spoil and undo."""

    engine: Engine
    chain: Chain
    anchor: Head

    @contextmanager
    def spoiled(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            yield connection
            connection.rollback()

    def report(self, spoil: Callable[[Connection], object], anchor: Head | None = None) -> ChainReport:
        with self.spoiled() as connection:
            spoil(connection)
            return self.chain.verify(connection, anchor)


@pytest.fixture(scope="module")
def log(ledger_url: LedgerUrl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    home = tmp_path_factory.mktemp("log")
    url = ledger_url(home)
    with opened(url, home) as ledger:
        ledger.record([decided(i) for i in range(1, N_ROWS + 1)]).result()
        anchor = ledger.head()
    engine = within_reach(url, home)
    yield Log(engine, Chain(pseudonym_key(home)), anchor)
    engine.dispose()


def within_reach(url: str, home: Path) -> Engine:
    """The database as someone has it before him who may do anything: SQLite's file in memory, PostgreSQL's owner."""
    if url.startswith("sqlite"):
        memory = sqlite3.connect(":memory:", check_same_thread=False)
        with sqlite3.connect(home / "ledger.db") as stored:
            stored.backup(memory)
        return create_engine("sqlite://", creator=lambda: memory, poolclass=StaticPool)
    change(url, "ALTER TABLE placement DROP CONSTRAINT placement_decision_id_fkey")
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def sql(*statements: str) -> Callable[[Connection], None]:
    def run(connection: Connection) -> None:
        for statement in statements:
            assert connection.execute(text(statement)).rowcount > 0, statement

    return run


def shifted(past: int, by: int) -> tuple[str, str]:
    """Renumber the rows after `past`, so that no gap shows."""
    return f"UPDATE decision SET seq = -(seq + {by}) WHERE seq > {past}", "UPDATE decision SET seq = -seq WHERE seq < 0"


def test_an_untouched_log_is_whole_and_says_what_it_cannot_see(log: Log) -> None:
    plain, anchored = log.report(lambda _: None), log.report(lambda _: None, log.anchor)
    assert plain.is_whole
    assert anchored.is_whole
    assert (plain.n_rows, plain.head, plain.is_anchored) == (N_ROWS, log.anchor, False)
    assert "anchor" in plain.limits
    assert plain.limits != anchored.limits


def test_a_change_of_any_row_is_seen_at_that_row(log: Log) -> None:
    names = [column.name for column in decision.columns if column.name != "seq"]
    for seq in range(1, N_ROWS + 1):
        name = names[seq % len(names)]
        report = log.report(sql(f"UPDATE decision SET {name} = {CHANGES.get(name, repr('x'))} WHERE seq = {seq}"))
        assert seq in {fault.seq for fault in report.faults}, name


@pytest.mark.parametrize("name", [column.name for column in decision.columns if column.name != "decision_id"])
def test_every_column_of_a_decision_is_under_the_chain(log: Log, name: str) -> None:
    to = CHANGES.get(name, "'x'")
    assert not log.report(sql(f"UPDATE decision SET {name} = {to} WHERE seq = 51")).is_whole


def test_who_asked_can_neither_be_taken_from_a_decision_nor_given_to_an_older_one(log: Log) -> None:
    for seq, to in ((51, "NULL"), (52, "'rm-7'")):
        faults = log.report(sql(f"UPDATE decision SET actor = {to} WHERE seq = {seq}")).faults
        assert [(fault.seq, fault.kind) for fault in faults] == [(seq, "body")]


@pytest.mark.parametrize("name", [column.name for column in placement.columns])
def test_every_column_of_a_placement_is_under_the_chain(log: Log, name: str) -> None:
    to = CHANGES.get(name, "'x'")
    assert not log.report(sql(f"UPDATE placement SET {name} = {to} WHERE placement_id = 'P51.2'")).is_whole


def test_a_row_taken_out_is_seen_even_when_the_rest_is_renumbered(log: Log) -> None:
    for seq in range(1, N_ROWS + 1):
        gone = f"DELETE FROM decision WHERE seq = {seq}"
        assert not log.report(sql(gone)).is_whole
        if seq < N_ROWS:
            faults = log.report(sql(gone, *shifted(seq, -1))).faults
            assert faults[0].seq == seq
            assert {fault.kind for fault in faults} >= {"link", "body"}


def test_two_rows_that_change_places_are_seen(log: Log) -> None:
    for seq in range(1, N_ROWS):
        swap = sql(
            f"UPDATE decision SET seq = -1 WHERE seq = {seq}",
            f"UPDATE decision SET seq = {seq} WHERE seq = {seq + 1}",
            f"UPDATE decision SET seq = {seq + 1} WHERE seq = -1",
        )
        assert log.report(swap).faults[0].seq == seq


def test_a_row_put_in_is_seen_even_when_the_rest_is_renumbered(log: Log) -> None:
    columns = ", ".join(column.name for column in decision.columns if column.name not in ("seq", "decision_id"))
    for seq in range(1, N_ROWS + 1):
        copy = f"INSERT INTO decision (seq, decision_id, {columns}) " + (
            f"SELECT {seq + 1}, 'forged', {columns} FROM decision WHERE seq = {seq}"
        )
        before = shifted(seq, 1) if seq < N_ROWS else ()
        report = log.report(sql(*before, copy))
        assert (seq + 1, "link") in {(fault.seq, fault.kind) for fault in report.faults}


def test_a_forger_without_the_key_who_rewrites_all_that_follows_is_seen(log: Log) -> None:
    forger = Chain(b"a key of his own")

    def rewrite(connection: Connection) -> None:
        sql("UPDATE decision SET answer = '{}' WHERE seq = 120")(connection)
        last = connection.execute(text("SELECT row_hash FROM decision WHERE seq = 119")).scalar_one()
        for row in connection.execute(select(decision).where(decision.c.seq >= 120).order_by("seq")).mappings().all():
            mine = select(placement).where(placement.c.decision_id == row["decision_id"]).order_by(placement.c.rank)
            made = forger.row_hash(last, row, connection.execute(mine).mappings().all())
            connection.execute(
                text("UPDATE decision SET prev_hash = :prev, row_hash = :made WHERE seq = :seq"),
                {"prev": last, "made": made, "seq": row["seq"]},
            )
            last = made
        connection.execute(text("UPDATE chain_head SET row_hash = :last"), {"last": last})

    faults = log.report(rewrite).faults
    assert {(fault.seq, fault.kind) for fault in faults} == {(seq, "body") for seq in range(120, N_ROWS + 1)}


def test_a_tail_cut_off_with_its_head_is_seen_against_an_anchor_only(log: Log) -> None:
    for kept in (0, 1, 100, N_ROWS - 2):
        cut = (f"DELETE FROM placement WHERE decision_id IN (SELECT decision_id FROM decision WHERE seq > {kept})",
               f"DELETE FROM decision WHERE seq > {kept}")  # fmt: skip
        head = (f"UPDATE chain_head SET seq = {kept}, row_hash = "
                f"coalesce((SELECT row_hash FROM decision WHERE seq = {kept}), '{'0' * 64}')")  # fmt: skip
        assert {fault.kind for fault in log.report(sql(*cut)).faults} == {"head"}
        assert log.report(sql(*cut, head)).is_whole  # the limit that the report states
        assert {fault.kind for fault in log.report(sql(*cut, head), log.anchor).faults} == {"anchor"}


def test_an_anchor_holds_for_a_log_that_went_on(ledger_url: LedgerUrl, tmp_path: Path) -> None:
    with opened(ledger_url(tmp_path), tmp_path) as ledger:
        start = ledger.head()
        ledger.record([decided(1)]).result()
        anchor = ledger.head()
        ledger.record([decided(2)]).result()
        assert ledger.verify(start).is_whole
        assert ledger.verify(anchor).is_whole
        assert not ledger.verify(Head(1, "f" * 64)).is_whole


def test_the_placements_of_a_decision_that_is_gone_are_seen(log: Log) -> None:
    kinds = {fault.kind for fault in log.report(sql("DELETE FROM decision WHERE seq = 51")).faults}
    assert "orphan" in kinds


def test_the_chain_never_holds_a_customer_in_the_clear(ledger_url: LedgerUrl, tmp_path: Path) -> None:
    """Two homes have two keys: the same customer has two pseudonyms, and neither is a plain hash of his id."""
    names = []
    for name in ("one", "two"):
        with opened(ledger_url(tmp_path / name), tmp_path / name) as ledger:
            names.append(ledger.pseudonym("C1"))
            assert ledger.pseudonym("C1") == names[-1]
    assert len({*names, "C1"}) == 3
    assert all(len(name) == 64 for name in names)


def test_the_key_is_made_once_and_for_its_owner_alone(ledger_url: LedgerUrl, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "pseudonym.key"
    with opened(ledger_url(tmp_path), tmp_path):
        first = path.read_bytes()
    with opened(ledger_url(tmp_path), tmp_path):
        assert path.read_bytes() == first
    assert (len(first), path.stat().st_mode & 0o777) == (32, 0o600)
    path.chmod(0o640)
    with pytest.raises(UserMistake, match="0600"):
        opened(ledger_url(tmp_path), tmp_path)


def test_a_ledger_whose_key_was_lost_is_not_opened_with_a_new_one(ledger_url: LedgerUrl, tmp_path: Path) -> None:
    with opened(ledger_url(tmp_path), tmp_path) as ledger:
        ledger.record([decided(1)]).result()
    path = tmp_path / "keys" / "pseudonym.key"
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(WrongKey, match="backup"):
        opened(ledger_url(tmp_path), tmp_path)
    path.write_bytes(kept)
    with opened(ledger_url(tmp_path), tmp_path) as ledger:
        assert ledger.verify().is_whole

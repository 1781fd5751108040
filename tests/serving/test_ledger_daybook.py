"""What is entered in the daybook is kept, seen by everybody who reads the ledger, and posted once, in order."""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serving.doctor import examine
from serving.ledger import Ledger, ResponseRow, Unwritable, at_once, databases, daybook, posting
from serving.ledger.daybook import DaybookUnreadable, looked_into
from tests.serving.ledgers import NOON, opened, rows_of, write_lock_held
from tests.serving.test_ledger_decisions import decided
from tests.serving.test_ledger_throughput import decided as decided_at_length

MINUTE = timedelta(minutes=1)
LATER = NOON + timedelta(hours=1)
DAY = {"on": NOON.date(), "start": NOON}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy disk the daybook would leave some of the decisions to the queue."""
    monkeypatch.setattr(at_once, "SLOW_SECONDS", 60.0)
    monkeypatch.setattr(at_once, "HELD_MILLISECONDS", 5_000)


def posted(url: str) -> list[str]:
    """The decisions that the ledger itself has, in the order of its chain."""
    return [key for (key,) in rows_of(url, "SELECT decision_id FROM decision ORDER BY seq")]


def is_whole(ledger: Ledger, n_rows: int) -> bool:
    report = ledger.verify()
    return report.is_whole and report.n_rows == n_rows


def first_of(ledger: Ledger, customer_id: str = "C1", before: datetime = LATER) -> str | None:
    """The first decision of the day as a request is told it; the two ways of asking must agree."""
    one = ledger.moments_of([customer_id], before=before, **DAY)[customer_id].first
    assert ledger.moment([customer_id], before=before, **DAY).firsts.get(customer_id) == one
    return None if one is None else one.decision_id


def test_an_entry_reads_back_from_the_ledger_as_it_was_given(url: str, tmp_path: Path) -> None:
    at = NOON + timedelta(microseconds=7)
    rows = [
        decided("D1", at=at, answer='{"name":"定期存款"}', actor="rm7"),
        decided("D2", at=at + MINUTE, repeat_of="D1", is_degraded=True, is_fallback=True, is_stale=True,
                n_placements=0),
    ]  # fmt: skip
    with opened(url, tmp_path) as ledger:
        assert ledger.record_at_once(rows)
        assert posted(url) == []
        assert [ledger.decision(row.decision_id).row for row in rows] == rows
        assert posted(url) == ["D1", "D2"]
        assert is_whole(ledger, 2)


def test_what_is_given_in_utf8_reads_back_as_text_whichever_way_it_was_written(url: str, tmp_path: Path) -> None:
    text = {"answer": '{"name":"定期存款"}', "inputs": '{"名":1}'}
    given = {name: value.encode() for name, value in text.items()}
    with opened(url, tmp_path) as ledger:
        assert ledger.record_at_once([decided("D1")._replace(**given), decided("D2")._replace(**text)])
        ledger.record([decided("D3")._replace(**given)]).result()
        assert ledger.record_at_once([decided("D3")._replace(**given)])  # the same content: struck out
        for name in ("D1", "D2", "D3"):
            assert ledger.decision(name).row == decided(name)._replace(**text)
        assert (looked_into(url), is_whole(ledger, 3)) == ((0, {}), True)
    assert rows_of(url, "SELECT DISTINCT typeof(answer), typeof(inputs) FROM decision") == [("text", "text")]


def test_whoever_reads_the_ledger_sees_what_was_entered_a_moment_ago(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger, opened(url, tmp_path) as other:
        n = 0

        def entered() -> str:
            nonlocal n
            n += 1
            assert ledger.record_at_once([decided(f"D{n}", at=NOON + n * MINUTE)])
            return f"D{n}"

        for reader in (ledger, other):
            last = entered()
            assert reader.decision(last).row.decision_id == last
            last = entered()
            assert reader.decisions(NOON, LATER).rows[-1].row.decision_id == last
            last = entered()
            assert reader.latest_decisions("C1", LATER, 1)[0].row.decision_id == last
            entered()
            assert reader.latest_at() == NOON + n * MINUTE
            assert f"{entered()}.1" in reader.placements([f"D{n}.1"])
            entered()
            assert reader.advice(NOON, LATER)[0].n_advised == n
            entered()
            assert reader.head().seq == n
            entered()
            assert is_whole(reader, n)
            entered()
            assert reader.export(tmp_path / "out")["decision"] == n
        first = other.first_decisions(["C1"], NOON, LATER)["C1"].decision_id
        assert (first, posted(url)) == ("D1", [f"D{i + 1}" for i in range(n)])


def test_another_process_sees_an_entry(url: str, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom tests.serving.ledgers import opened\n"
        "with opened(sys.argv[1], Path(sys.argv[2])) as ledger:\n    print(ledger.decision('D1').row.customer_id)"
    )
    with opened(url, tmp_path) as ledger:
        assert ledger.record_at_once([decided("D1", customer_id="C9")])
        told = subprocess.run(
            [sys.executable, "-c", program, url, str(tmp_path)], cwd=Path(__file__).parents[2], capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        assert told.stdout == "C9\n"
        assert is_whole(ledger, 1)


def test_an_answer_finds_the_placement_of_a_decision_that_waits(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger, opened(url, tmp_path) as other:
        for n, listener in enumerate((ledger, other)):
            assert ledger.record_at_once([decided(f"D{n}")])
            told = listener.responses([ResponseRow(f"E{n}", f"D{n}.1", "refused", NOON)], "rm7")
            assert told[0].customer_id == "C1"


def test_the_first_decision_of_a_day_is_known_while_it_waits(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger, opened(url, tmp_path) as other:
        assert [first_of(one) for one in (ledger, other)] == [None, None]
        assert ledger.record_at_once([decided("D2", at=NOON + 2 * MINUTE), decided("D3", at=NOON + 3 * MINUTE)])
        assert other.record_at_once([decided("D9", customer_id="C9")])
        assert ledger.record_at_once([decided("D4", at=NOON + MINUTE, repeat_of="D2")])
        for one in (ledger, other):
            assert first_of(one) == "D2"
            assert first_of(one, before=NOON + 2 * MINUTE) is None  # strictly before
            assert first_of(one, "C9") == "D9"
            assert first_of(one, "C8") is None
        assert posted(url) == []
        assert ledger.record_at_once([decided("D0", at=NOON - MINUTE, customer_id="C7")])
        assert first_of(other, "C7") is None  # of the day before
        ledger.post()
        assert [first_of(one) for one in (ledger, other)] == ["D2", "D2"]
        assert other.record_at_once([decided("D1", at=NOON + MINUTE)])  # earlier than the one the ledger has
        assert [first_of(one) for one in (ledger, other)] == ["D1", "D1"]
        assert other.record_at_once([decided("D5", at=NOON + MINUTE, customer_id="C9")])  # later than that one
        assert [first_of(one, "C9") for one in (ledger, other)] == ["D9", "D9"]


def test_of_a_posted_and_a_waiting_decision_the_earlier_one_is_the_first(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger, opened(url, tmp_path) as other:
        ledger.record([decided("D5", at=NOON + 5 * MINUTE)]).result()
        for name, minutes, first in (("D7", 7, "D5"), ("E5", 5, "D5"), ("D3", 3, "D3")):
            assert ledger.record_at_once([decided(name, at=NOON + minutes * MINUTE)])
            assert [first_of(one) for one in (ledger, other)] == [first, first]
        assert first_of(other, before=NOON + 4 * MINUTE) == "D3"


def test_first_decisions_are_forgotten_and_read_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daybook, "KNOWN_FIRSTS", 5)
    with opened(url, tmp_path) as ledger:
        assert ledger._daybook is not None
        for n in range(40):
            assert ledger.record_at_once([decided(f"D{n}", customer_id=f"C{n}")])
            if n % 3 == 0:
                ledger.post()
            assert [first_of(ledger, f"C{k}") for k in (0, n)] == ["D0", f"D{n}"]
            assert ledger._daybook._n_firsts <= 5 + 3


def test_what_a_killed_process_entered_is_posted_when_the_ledger_is_opened(url: str, tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from tests.serving.ledgers import opened\nfrom tests.serving.test_ledger_decisions import decided\n"
        "ledger = opened(sys.argv[1], Path(sys.argv[2]))\n"
        "assert ledger.record_at_once([decided('D1'), decided('D2')])\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, url, str(tmp_path)], cwd=Path(__file__).parents[2], check=False
    )
    assert (killed.returncode, posted(url)) == (-9, [])
    with opened(url, tmp_path) as ledger:
        assert posted(url) == ["D1", "D2"]
        assert is_whole(ledger, 2)


def test_who_dies_before_he_strikes_out_leaves_nothing_to_be_posted_twice(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def die(*_: object) -> None:
        raise OSError("killed")

    rows = [decided("D1"), decided("D2", n_placements=0), decided("D3", is_stale=True)]
    with opened(url, tmp_path) as ledger:
        assert ledger.record_at_once(rows)
        with monkeypatch.context() as patched:
            patched.setattr(daybook, "strike", die)
            with pytest.raises(Unwritable):
                ledger.post()
        assert posted(url) == ["D1", "D2", "D3"]
        assert ledger.record_at_once([decided("D4")])
        ledger.post()
        assert posted(url) == ["D1", "D2", "D3", "D4"]
        assert looked_into(url) == (0, {})
        assert is_whole(ledger, 4)
    assert "stands aside" not in caplog.text


def test_nothing_is_struck_out_that_the_ledger_could_not_write(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tuple(pragma.replace("5000", "50") for pragma in databases.PRAGMAS)
    assert short != databases.PRAGMAS
    monkeypatch.setattr(databases, "PRAGMAS", short)
    with opened(url, tmp_path) as ledger:
        assert ledger.record_at_once([decided("D1")])
        with write_lock_held(url), pytest.raises(Unwritable):
            ledger.decision("D1")
        assert looked_into(url).n_waiting == 1
        assert ledger.decision("D1").seq == 1


@pytest.mark.parametrize("has_lock", [True, False])
def test_many_who_post_at_once_post_each_entry_once(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_lock: bool
) -> None:
    """Also where the lock that keeps them apart is not held, as after five seconds of waiting for it."""
    if not has_lock:
        monkeypatch.setattr(posting, "posting_alone", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(posting, "GROUP_MAX_ENTRIES", 8)
    with contextlib.ExitStack() as stack:
        ledgers = [stack.enter_context(opened(url, tmp_path)) for _ in range(3)]
        for turn in range(15):
            for n in range(25):
                assert ledgers[n % 3].record_at_once([decided(f"D{turn}-{n}")])
            threads = [threading.Thread(target=ledger.post) for ledger in ledgers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert looked_into(url) == (0, {})
        assert posted(url) == [f"D{turn}-{n}" for turn in range(15) for n in range(25)]
        assert is_whole(ledgers[0], 15 * 25)


def test_what_the_ledger_does_not_take_is_set_aside_and_told_and_holds_nobody_up(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(url, tmp_path) as ledger:
        ledger.record([decided("D1", answer="{}")]).result()
        assert ledger.record_at_once([decided("D0"), decided("D1", answer='{"other":1}'), decided("D2")])
        assert ledger.record_at_once([decided("D3")])
        assert ledger._daybook is not None
        ledger._daybook.connection.execute("UPDATE entry SET placements = '[[' WHERE decision_id = 'D3'")
        taken = decided("D2").placements[0]
        assert ledger.record_at_once([decided("D4", placements=(taken,)), decided("D5")])
        with caplog.at_level(logging.ERROR, "tiercel.serving"):
            ledger.post()
        assert [row.row.decision_id for row in ledger.decisions(NOON, LATER).rows] == ["D1", "D0", "D2", "D5"]
        assert ledger.decision("D1").row.answer == "{}"
        assert is_whole(ledger, 4)
        n_waiting, aside = looked_into(url)
        assert (n_waiting, list(aside)) == (0, ["D1", "D3", "D4"])
        assert [f"decision {name} stands aside" in caplog.text for name in aside] == [True] * 3
        told = examine(tmp_path)["daybook"]
        assert told.startswith("ALERT: 3 decisions that the ledger does not take stand aside: D1: its id")
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.daybook.db")) as db:
            kept = db.execute("SELECT answer FROM aside WHERE decision_id = 'D1'").fetchall()
        assert kept == [('{"other":1}',)]


def test_an_entry_that_the_ledger_has_with_the_same_content_is_struck_out(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger:
        row = decided("D1", actor="svc", placements=tuple(reversed(decided("D1").placements)))
        ledger.record([row]).result()
        assert ledger.record_at_once([row])
        ledger.post()
        assert looked_into(url) == (0, {})
        assert is_whole(ledger, 1)


def test_when_posting_does_not_keep_up_the_queue_does_the_work(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_once, "MOST_WAITING", 10)
    monkeypatch.setattr(at_once, "COUNTED_EVERY", 1)
    with opened(url, tmp_path) as ledger:
        entered = [ledger.record_at_once([decided(f"D{n:02}")]) for n in range(14)]
        assert entered == [True] * 11 + [False] * 3
        ledger.record([decided("D11")]).result()
        assert posted(url) == [f"D{n:02}" for n in range(12)]
        assert ledger.record_at_once([decided("D12")])


def test_the_daybook_does_not_grow_for_ever(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as ledger:
        for turn in range(30):
            assert ledger.record_at_once([decided_at_length(f"D{turn}-{n}") for n in range(40)])
            ledger.post()
        assert is_whole(ledger, 30 * 40)
    written = 30 * 40 * 7_000
    assert (tmp_path / "ledger.db").stat().st_size > written
    assert (tmp_path / "ledger.daybook.db").stat().st_size < written / 10
    assert not (tmp_path / "ledger.daybook.db-wal").exists()


def test_a_ledger_whose_daybook_cannot_be_made_goes_by_the_queue(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / ('n' * 244)}.db"  # as long as a file's name may be with what SQLite puts behind it
    with opened(url, tmp_path) as ledger:
        assert not ledger.record_at_once([decided("D1")])
        ledger.record([decided("D1")]).result()
        assert first_of(ledger) == "D1"
        ledger.post_apart()
        assert is_whole(ledger, 1)


def test_a_daybook_that_cannot_be_read_is_told_when_the_ledger_is_opened(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path):
        pass
    book = tmp_path / "ledger.daybook.db"
    content = book.read_bytes()
    book.write_bytes(b"not a database" * 100)
    for told in (lambda: opened(url, tmp_path), lambda: looked_into(url)):
        with pytest.raises(DaybookUnreadable):
            told()
    assert "daybook" in examine(tmp_path)["daybook"]
    book.write_bytes(content)
    with contextlib.closing(sqlite3.connect(book)) as db:
        db.execute("PRAGMA user_version = 2")
    with pytest.raises(DaybookUnreadable, match="later version"):
        opened(url, tmp_path)


def test_the_doctor_says_what_waits_and_changes_nothing(url: str, tmp_path: Path) -> None:
    assert examine(tmp_path)["daybook"] == "0 decisions wait to be posted to the ledger"
    with opened(url, tmp_path) as ledger:
        assert ledger.record_at_once([decided("D1"), decided("D2")])
        assert examine(tmp_path)["daybook"] == "2 decisions wait to be posted to the ledger"
        assert posted(url) == []


def test_a_whole_day_leaves_one_chain(url: str, tmp_path: Path) -> None:
    """Both ways to the disk, two ledgers and postings in between, from several threads."""
    with opened(url, tmp_path) as ledger, opened(url, tmp_path) as other:
        ends = threading.Event()

        def post(one: Ledger) -> None:
            while not ends.is_set():
                one.post()

        posters = [threading.Thread(target=post, args=(one,)) for one in (ledger, other)]
        for thread in posters:
            thread.start()
        for n in range(150):
            for name, one in (("a", ledger), ("b", other)):
                rows: list[Any] = [decided(f"{name}{n}-{k}") for k in range(3)]
                if n % 5 == 0 or not one.record_at_once(rows):
                    one.record([decided(f"{name}{n}-q{k}") for k in range(2)] if n % 5 == 0 else rows).result()
                if n % 5 == 0:
                    assert one.record_at_once(rows) or one.record(rows).result() is None
        ends.set()
        for thread in posters:
            thread.join()
        assert is_whole(ledger, 2 * (150 * 3 + 30 * 2))
        mine = [key for key in posted(url) if key.startswith("a") and "q" not in key]
        assert mine == [f"a{n}-{k}" for n in range(150) for k in range(3)]
        assert json.loads(ledger.decision("a0-0").row.answer) == {"offers": []}

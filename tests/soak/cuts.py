"""Power cuts under a ledger that is writing: how many were tried, and after how many something told was gone."""

from __future__ import annotations

import random
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from serving.ledger import checkpoints, databases
from tests.serving.ledgers import opened, rows_of
from tests.soak.lives import THREADS, at_once, check, queued, write
from tests.soak.power import Disk, powered

CUTS_A_HOME = 10
CHECKPOINT_PAGES = 60  # so that a short run meets checkpoints too


@dataclass(frozen=True)
class Cut:
    """The files that a cut left, and what had been told by then."""

    files: dict[str, bytes]
    told: list[str]


@dataclass(frozen=True)
class Figures:
    """Cuts, those after which something told was gone, and how much had been told at the cuts."""

    n_cuts: int
    n_losing: int
    n_acknowledged: int
    seconds: float

    def __str__(self) -> str:
        return (f"{self.n_cuts} power cuts, {self.n_acknowledged:,} acknowledged before them, after {self.n_losing} "
                f"of them something acknowledged was gone, {self.seconds:.0f} s")  # fmt: skip


def cut_power(folder: Path, n_cuts: int, *, synchronous: str) -> Figures:
    """Cuts while threads write to new homes, some while their tables are made.

    Whatever is lost, each file must open and the chain be whole; with `synchronous` FULL nothing told may be lost.
    """
    chance, began = random.Random(20251231), time.monotonic()
    pragmas, n_losing, n_acknowledged, done = databases.PRAGMAS, 0, 0, 0
    usual = checkpoints.EVERY_SECONDS
    weakened = (*pragmas, f"synchronous={synchronous}", f"wal_autocheckpoint={CHECKPOINT_PAGES}")
    while done < n_cuts:
        home = folder / f"home{done}"
        databases.PRAGMAS = weakened
        checkpoints.EVERY_SECONDS = 0.01
        try:
            cuts = _live(home, chance)
        finally:
            databases.PRAGMAS = pragmas
            checkpoints.EVERY_SECONDS = usual
        for cut in cuts[: n_cuts - done]:
            n_losing += _lost(cut, home, folder / f"after{done}")
            n_acknowledged += len(cut.told)
            done += 1
        shutil.rmtree(home)
    return Figures(n_cuts, n_losing, n_acknowledged, time.monotonic() - began)


def _live(home: Path, chance: random.Random) -> list[Cut]:
    """Write to a new ledger until the power was cut often enough."""
    told: list[str] = []
    cuts: list[Cut] = []
    home.mkdir(parents=True)
    disk = Disk(chance, lambda files: cuts.append(Cut(files, told.copy())))
    with powered(disk), opened(f"sqlite+apsw:///{home / 'ledger.db'}", home) as ledger:

        def go(thread: int) -> None:
            n = 0
            while len(cuts) < CUTS_A_HOME:
                write(ledger, f"{thread}-{n}", told.append, queued if thread else at_once)
                n += 1

        threads = [threading.Thread(target=go, args=(thread,)) for thread in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return cuts


def _lost(cut: Cut, home: Path, after: Path) -> bool:
    """Whether something told is gone when the power is back; raises unless what is there is whole."""
    after.mkdir()
    shutil.copytree(home / "keys", after / "keys")
    for path, content in cut.files.items():
        (after / Path(path).name).write_bytes(content)
    url = f"sqlite:///{after / 'ledger.db'}"
    check(url, after, [])
    decided = {key.rpartition(".")[0] for (key,) in rows_of(url, "SELECT decision_id FROM decision")}
    answered = {key for (key,) in rows_of(url, "SELECT event_id FROM response")}
    told = [line.split() for line in cut.told]
    shutil.rmtree(after)
    return not (
        {name for kind, name in told if kind == "recorded"} <= decided
        and {f"{name}.e" for kind, name in told if kind == "answered"} <= answered
    )

"""Builds that are killed, for tests: a nursery forks a process for each life, and what it left behind is judged.

The nursery (this file run as a script) builds the reference home once without interruption, which also compiles the
statements, and then forks a child for each life: the child runs one command in the home it is told. It is killed
with SIGKILL after so many seconds, or by its own hand right before its n-th step in the file system.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow.parquet as pq

from features import lineages, profiles
from features.policy import segments

INSTANT = datetime(2024, 6, 4, 4, tzinfo=UTC)
RESTATED = date(2024, 3, 31)
COMMANDS: dict[str, dict[str, Any]] = {"build": {}, "restate": {"restate": RESTATED}}
STEPS = {"open", "os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "shutil.copyfile"}


def run(home: Path, command: str) -> None:
    profiles.build(home, segments(), instant=INSTANT, **COMMANDS[command])


def nursery(reference: Path) -> None:
    for command in COMMANDS:
        run(reference, command)
    os.write(1, b"ready\n")
    for line in sys.stdin:
        home, command, step, seconds = line.strip().split("\t")
        child = os.fork()
        if child == 0:
            if int(step):
                sys.addaudithook(killer(int(step), home))
            run(Path(home), command)
            os.write(1, b"done\n")
            os._exit(0)
        if float(seconds):
            time.sleep(float(seconds))
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


def killer(step: int, home: str) -> Any:
    """An audit hook that kills this process right before its `step`-th step in the file system of the home."""
    left = iter(range(step - 1, -1, -1))

    def count(event: str, given: tuple[object, ...]) -> None:
        if event in STEPS and str(given[0]).startswith(home) and next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return count


@dataclass
class Nursery:
    """The running nursery."""

    told: IO[str]
    orders: IO[str]

    def life(self, home: Path, command: str, *, step: int = 0, seconds: float = 0) -> bool:
        """Whether a life came to its end by itself, if it was to be killed at a step, after some seconds, or not."""
        self.orders.write(f"{home}\t{command}\t{step}\t{seconds}\n")
        self.orders.flush()
        return "done" in list(iter(lambda: self.told.readline().strip(), "dead"))


@contextmanager
def raising(reference: Path) -> Iterator[Nursery]:
    """A nursery whose reference home is built."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, __file__, str(reference)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield Nursery(process.stdout, process.stdin)
    process.stdin.close()
    process.wait(10)


def new_home(reference: Path, place: Path) -> Path:
    """A home with the bank of the reference, of the same delivery, and nothing built."""
    kept = {"bank", "deliveries"}
    return Path(shutil.copytree(
        reference, place, symlinks=True,
        ignore=lambda folder, names: set(names) - kept if Path(folder) == reference else set(),
    ))  # fmt: skip


def check(home: Path, reference: Path) -> int:
    """Raise unless every month that is visible is whole and byte for byte that of the reference; how many there are."""
    seen = list(profiles.builds(home))
    for build in seen:
        twin = reference / build.path.relative_to(home)
        assert build.path.read_bytes() == twin.read_bytes(), build
        assert build.manifest.read_bytes() == twin.with_suffix(".json").read_bytes(), build
        assert lineages.sha256_of(build.path) == build.digest
    for lineage in lineages.lineages(home):
        whole = [build.as_of for build in profiles.builds(reference) if build.lineage == lineage.name]
        assert [build.as_of for build in lineage.months] == whole[: len(lineage.months)]
        assert lineage.restated_from is None or RESTATED in [build.as_of for build in lineage.months]
    return len(seen)


def check_whole(home: Path, reference: Path) -> None:
    """Raise unless the home holds the months of the reference, its tiles and windows row by row, and no rest."""
    assert check(home, reference) == check(reference, reference) > 0
    files = sorted(path.relative_to(reference) for path in reference.glob("tiles/*/*"))
    assert sorted(path.relative_to(home) for path in home.glob("tiles/*/*")) == files
    for file in files:
        assert rows(home / file) == rows(reference / file), file
    superseded = sorted(reference.glob("profiles/*/superseded/*"))
    assert superseded
    for path in superseded:
        assert (home / path.relative_to(reference)).read_bytes() == path.read_bytes()
    assert not list(home.rglob("*.half"))


def rows(path: Path) -> list[str]:
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in pq.ParquetFile(path).read().to_pylist())


def kill_at_random(raised: Nursery, reference: Path, place: Path, *, kills: int, seconds: float) -> int:
    """Lives killed after up to `seconds`, in as many homes as it takes; how many homes were built to the end."""
    chance = random.Random(20251231)
    n_homes, left = 0, kills
    while left > 0:
        home = new_home(reference, place / f"random{n_homes}")
        for command in COMMANDS:
            while left > 0 and not raised.life(home, command, seconds=chance.uniform(0, seconds)):
                left -= 1
                check(home, reference)
            assert raised.life(home, command)
        check_whole(home, reference)
        n_homes += 1
    return n_homes


def kill_at_steps(raised: Nursery, reference: Path, place: Path, *, stride: int) -> int:
    """Lives killed right before every `stride`-th step of a life, each going on where the last one died; how many."""
    n_lives = 0
    for command in COMMANDS:
        step, survived = 1, False
        while not survived:
            home = place / "steps" if command == "build" else place / "restating"
            if not home.exists():
                new_home(reference, home)
                if command == "restate":
                    assert raised.life(home, "build")
            survived = raised.life(home, command, step=step)
            check(home, reference)
            n_lives, step = n_lives + 1, step + stride
    check_whole(place / "restating", reference)
    return n_lives


if __name__ == "__main__":
    nursery(Path(sys.argv[1]))

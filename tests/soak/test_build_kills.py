"""Builds and restatings killed at any moment, many times: whole months only, and in the end the bytes of a quiet build.

SOAK_KILLS sets the number of kills at random times (60 unless told). Before them a life is killed right before each
of its steps in the file system: each file opened, renamed, linked or removed. A killed process keeps nothing of its
own but the operating system keeps its pages: this proves atomicity and going on, not that a month survives a power
cut. See docs/decisions/0005-builds.md.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from features.bank.quarantine import receive
from tests.features.conftest import tables_of
from tests.features.killed_builds import kill_at_random, kill_at_steps, raising
from tests.features.test_restate import history

N_KILLS = int(os.environ.get("SOAK_KILLS", "60"))


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    home = tmp_path / "reference"
    home.mkdir()
    receive(home, tables_of(**history(random.Random(3), months=5)))
    return home


def test_a_build_killed_at_every_step_and_at_random_times_ends_with_the_same_bytes(
    reference: Path, tmp_path: Path
) -> None:
    began = time.monotonic()
    with raising(reference) as raised:
        n_lives = kill_at_steps(raised, reference, tmp_path, stride=1)
        n_homes = kill_at_random(raised, reference, tmp_path, kills=N_KILLS, seconds=2.5)
    print(f"{n_lives} lives killed at a step, {N_KILLS} at random, {n_homes} homes, {time.monotonic() - began:.0f} s")  # noqa: T201  # the figure that the decision record quotes
    assert n_lives > 30

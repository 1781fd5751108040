"""A build that is killed and started again: no half month is ever visible, and nothing is counted twice.

A short version of `tests/soak/test_build_kills.py`; both judge the months against those of a build left alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.features.killed_builds import kill_at_random, kill_at_steps, raising
from tests.features.test_restate import history


@pytest.mark.slow
def test_a_killed_build_goes_on_and_ends_with_the_same_bytes(bank_of: Callable[..., Path], tmp_path: Path) -> None:
    reference = bank_of(**history(random.Random(3), months=5))
    with raising(reference) as raised:
        assert kill_at_steps(raised, reference, tmp_path, stride=5) > 8
        assert kill_at_random(raised, reference, tmp_path, kills=8, seconds=2.0) > 0

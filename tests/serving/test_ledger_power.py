"""The power is cut while the ledger writes: nothing that was answered is gone, and the control shows that it could be.

A short run of what `make soak` does at length; see tests/soak.
"""

from __future__ import annotations

from pathlib import Path

from tests.soak.cuts import cut_power

N_CUTS = 20


def test_nothing_acknowledged_is_lost_when_the_power_is_cut(tmp_path: Path) -> None:
    figures = cut_power(tmp_path, N_CUTS, synchronous="FULL")
    assert figures.n_losing == 0
    assert figures.n_acknowledged > N_CUTS


def test_without_a_sync_of_each_commit_something_is_lost(tmp_path: Path) -> None:
    assert cut_power(tmp_path, N_CUTS, synchronous="NORMAL").n_losing > 0

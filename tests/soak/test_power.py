"""What the ledger answered survives the loss of power, which a kill cannot show.

    SOAK_CUTS=1000 make soak

The control beside it is SQLite with `synchronous=NORMAL`, which does lose what it had answered: a test that cannot
fail would prove nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.soak.cuts import cut_power

N_CUTS = int(os.environ.get("SOAK_CUTS", "200"))
Figure = Callable[[object], None]


def test_nothing_acknowledged_is_lost_when_the_power_is_cut(tmp_path: Path, figure: Figure) -> None:
    figures = cut_power(tmp_path, N_CUTS, synchronous="FULL")
    figure(figures)
    assert figures.n_losing == 0
    assert figures.n_acknowledged > N_CUTS


def test_the_control_loses_what_it_had_acknowledged(tmp_path: Path, figure: Figure) -> None:
    figures = cut_power(tmp_path, N_CUTS, synchronous="NORMAL")
    figure(figures)
    assert figures.n_losing > N_CUTS // 20

"""Every cell of the matrix has customers after two whole years, whatever the seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.cells import customers_by_cell


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, 11])
def test_all_56_cells_have_customers_after_two_years(tmp_path: Path, seed: int) -> None:
    counts = customers_by_cell(tmp_path, customers=20_000, months=24, seed=seed)
    assert len(counts) == 56
    assert [cell for cell, n in counts.items() if n == 0] == []

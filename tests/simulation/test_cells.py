"""Every cell of the matrix has somebody to try it on."""

from __future__ import annotations

from pathlib import Path

from tests.simulation.cells import customers_by_cell


def test_all_56_cells_of_a_bank_of_20_000_have_customers(tmp_path: Path) -> None:
    """Half a year is enough to sleep, to wake and to be lost; two whole years are among the soak tests."""
    counts = customers_by_cell(tmp_path, customers=20_000, months=6)
    assert len(counts) == 56
    assert [cell for cell, n in counts.items() if n == 0] == []

"""Good banks mangled hundreds of times, and imports killed a hundred times: the suite's own properties, longer.

SOAK_MANGLED sets the examples of each property (300 unless told), SOAK_KILLS the imports that are killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGER = {
    "tests/features/test_quarantine_mangled.py": ("MANGLED_EXAMPLES", os.environ.get("SOAK_MANGLED", "300")),
    "tests/features/test_deliveries.py": ("IMPORT_KILLS", os.environ.get("SOAK_KILLS", "100")),
}


@pytest.mark.parametrize("file", LONGER)
def test_the_properties_of_an_import_hold_hundreds_of_times(file: str, figure: Callable[[object], None]) -> None:
    name, number = LONGER[file]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", file],
        cwd=ROOT, env=os.environ | {name: number, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    figure(f"{number} each: {run.stdout.strip().splitlines()[-1]}")
    assert run.returncode == 0, run.stdout[-4000:]

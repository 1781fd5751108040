"""What is compiled is kept as long as no module beside it changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
KERNEL = """
from features.compiling import compiled
from figures import FACTOR

@compiled
def times(x):
    return FACTOR * x
"""
ASK = "import kernels; print(kernels.times(2.0), sum(kernels.times.stats.cache_hits.values()))"


def asked(folder: Path) -> list[str]:
    """What a process of its own tells: the product, and how often it was compiled before."""
    paths = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", ASK], env=paths, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.split()


def test_a_constant_of_another_module_reaches_what_was_compiled_with_it(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNEL)
    (tmp_path / "figures.py").write_text("FACTOR = 3.0\n")
    assert [asked(tmp_path) for _ in range(2)] == [["6.0", "0"], ["6.0", "1"]]
    (tmp_path / "figures.py").write_text("FACTOR = 5.0\n")
    assert asked(tmp_path) == ["10.0", "0"]

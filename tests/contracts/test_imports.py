"""Starting must be quick: Feast alone takes 6 s to import, MLflow 2 s."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HELP = "import sys; sys.argv = ['tiercel', '--help']; from serving.cli import main; main()"
APP = "import serving.app"


def imported_by(program: str) -> set[str]:
    """Top-level names of all modules that a fresh interpreter imports while it runs `program`."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    timed, said = [], []
    for line in run.stderr.splitlines():
        (timed if line.startswith("import time:") else said).append(line)
    assert run.returncode == 0, "\n".join(said)
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in timed}


@pytest.mark.parametrize(
    ("program", "heavy"),
    [(HELP, {"mlflow", "feast", "lightgbm", "pandas"}), (APP, {"mlflow", "feast"})],
    ids=["help", "app"],
)
def test_starting_does_not_import(program: str, heavy: set[str]) -> None:
    assert not imported_by(program) & heavy


def test_an_import_is_seen_wherever_it_stands() -> None:
    assert {"json", "wave"} <= imported_by("import json\ndef f():\n    import wave\nf()")

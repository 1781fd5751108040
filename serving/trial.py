"""The first load of a model, in a process of its own: a damaged LightGBM text ends the process that parses it.

Of 400 mutated model texts 201 ended their process by a signal and 186 loaded without a word, so a hash is not enough
for a model that nobody has loaded yet, and an exit code is not enough for one that loads: the child scores the golden
rows and compares. A fresh interpreter is started, not forked: a fork after LightGBM's threads hangs.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from training.fitted import DamagedModel, FittedModel

GOLDEN_TOLERANCE = 1e-9
_SECONDS = 60
_OTHER_PREDICTIONS = 3
_CHILD = (
    "import sys; sys.path.insert(0, sys.argv[1]); from serving.trial import score_golden; score_golden(sys.argv[2:])"
)


def try_models(folders: Iterable[Path], seconds: float = _SECONDS) -> None:
    """Load the models in `folders` in a child process and let each score its golden rows; raises DamagedModel.

    Refused are models that end their process, hang longer than `seconds`, or differ from a golden probability by
    more than 1e-9.
    """
    paths = [str(folder.resolve()) for folder in folders]
    if not paths:
        return
    command = [sys.executable, "-c", _CHILD, str(Path(__file__).parent.parent), *paths]
    try:
        code = subprocess.run(command, timeout=seconds, capture_output=True, check=False).returncode
    except subprocess.TimeoutExpired:
        code = None
    if code != 0:
        names = ", ".join(Path(path).name for path in paths)
        raise DamagedModel(f"a model {_fate(code)} on its trial", value=names, todo="train again, or roll back")


def score_golden(folders: Iterable[str]) -> None:
    """Exit with 0 if the models score their golden rows as they did when they were made; runs in the child."""
    for folder in map(Path, folders):
        if not FittedModel.read(folder).largest_golden_difference(folder) <= GOLDEN_TOLERANCE:
            sys.exit(_OTHER_PREDICTIONS)


def _fate(code: int | None) -> str:
    if code is None:
        return "did not end"
    if code < 0:
        return f"ended its process by signal {-code}"
    return "gave other probabilities" if code == _OTHER_PREDICTIONS else "could not be read"

"""The small bank of the feature tests, for the plain sentences too."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PATH = Path(__file__).parent.parent / "features" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("small_bank", _PATH)
if _SPEC is None or _SPEC.loader is None:
    raise ImportError(str(_PATH))
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
bank_of = _MODULE.bank_of

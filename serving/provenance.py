"""Which code decides: the package's version and a digest of the rooms that a decision runs through."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_DECIDING = ("decisioning", "features")


@lru_cache(maxsize=1)
def code_version() -> str:
    """Version and twelve digits of the SHA-256 over the sources a decision runs through, such as 0.1.0+3f9a…"""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(path for room in _DECIDING for path in (root / room).rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return f"{_version('tiercel')}+{digest.hexdigest()[:12]}"


def lightgbm_version() -> str:
    """Version of the library that reads the champions."""
    return _version("lightgbm")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "0"

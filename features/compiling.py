"""Loops as machine code: what arrays say neither shortly nor fast."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import config, njit
from numba.core.caching import InTreeCacheLocator, UserProvidedCacheLocator, UserWideCacheLocator

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
_NUMBA: Any = config  # as NUMBA_CACHE_LOCATOR_CLASSES in the environment would, for these functions alone


def compiled(function: Kernel) -> Kernel:
    """`function` as machine code: compiled when it is first called, and kept for the next process.

    It is kept beside its file or, where that folder cannot be written to, in the user's cache, as long as no file of
    its folder changes: a loop may call another of its folder and read its constants. Who must not wait for a compiler
    calls it once beforehand. Additions stand as written: nothing is reordered; a division by 0 gives what arrays give.
    """
    before = _NUMBA.CACHE_LOCATOR_CLASSES
    _NUMBA.CACHE_LOCATOR_CLASSES = _LOCATORS
    try:
        return cast(Kernel, njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # nothing can be written to anywhere
        return cast(Kernel, njit(nogil=True, error_model="numpy")(function))
    finally:
        _NUMBA.CACHE_LOCATOR_CLASSES = before


class _OfFolder:
    """What was kept counts as long as no module of the folder changes."""

    _py_file: str

    def get_source_stamp(self) -> str:
        return _stamp(self._py_file)


class WhereTold(_OfFolder, UserProvidedCacheLocator):
    """In the folder that NUMBA_CACHE_DIR names."""


class BesideFile(_OfFolder, InTreeCacheLocator):
    """In the folder of the function's file."""


class InUsersCache(_OfFolder, UserWideCacheLocator):
    """Where that folder cannot be written to."""


_LOCATORS = ",".join(f"{__name__}.{kind.__name__}" for kind in (WhereTold, BesideFile, InUsersCache))


@lru_cache
def _stamp(file: str) -> str:
    """Digest of every module beside a file."""
    digest = hashlib.sha256()
    for module in sorted(Path(file).parent.glob("*.py")):
        digest.update(module.name.encode() + b"\0" + module.read_bytes() + b"\0")
    return digest.hexdigest()

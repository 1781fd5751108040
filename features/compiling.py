"""Loops as machine code: what arrays say neither shortly nor fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """`function` as machine code: compiled when it is first called, and kept for the next process.

    It is kept beside its file or, where that folder cannot be written to, in the user's cache. Who must not wait for a
    compiler calls it once beforehand. Additions stand as written: nothing is reordered.
    """
    try:
        return cast(Kernel, njit(cache=True, nogil=True)(function))
    except RuntimeError:  # nothing can be written to anywhere
        return cast(Kernel, njit(nogil=True)(function))

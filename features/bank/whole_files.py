"""A file that a reader sees whole or not at all: written beside its place, brought to the disk, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which becomes `path` when the block ends well.

    A process that is killed meanwhile leaves a `.half` file, which the next write replaces and no reader looks at.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    yield half
    with half.open("rb") as file:
        os.fsync(file.fileno())
    half.replace(path)

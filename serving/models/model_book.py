"""The models of a home as people see them: read from the registry by a process of its own, kept until it changes.

MLflow takes seconds and hundreds of megabytes to load; a process that answers decisions must not. What it
said is kept beside the registry, and a release that is cut leaves it up to date.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from features.bank.whole_files import whole
from features.errors import NotReady
from serving.releases import Release

Plain = dict[str, Any]
_LONGEST_SECONDS = 120
_KEPT = Path("mlflow") / "versions.json"
_Stamp = list[list[int]]


class ClosedRegistry(NotReady):
    """The registry of models could not be read."""

    slug = "closed-registry"


class ModelBook:
    """Every registered version of one home; see `training.versions.told`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._reading = asyncio.Lock()
        self._kept: tuple[_Stamp, list[Plain]] = ([], [])

    async def versions(self) -> list[Plain]:
        """All versions as they are registered now, by model and then newest first; raises ClosedRegistry."""
        async with self._reading:
            stamp = _stamp(self._home)
            if self._kept[0] != stamp:
                self._kept = (stamp, await asyncio.to_thread(_read, self._home, stamp))
        return self._kept[1]


def keep(home: Path) -> None:
    """Note what the registry holds now, so that no page has to wait for it; for a process that has MLflow loaded."""
    from training.versions import told

    _note(home, _stamp(home), told(home))


def released(release: Release, versions: list[Plain]) -> dict[str, Plain | None]:
    """The version behind each champion of a release, by its files; None for one that the registry does not know."""
    files = release.manifest["files"]
    found: dict[str, Plain | None] = {}
    for model in release.manifest["champions"]:
        held = {path.rpartition("/")[2]: sha for path, sha in files.items() if path.startswith(f"models/{model}/")}
        same = [one for one in versions if one["model"] == model and one["digests"].items() <= held.items()]
        named = release.manifest.get("versions", {}).get(model)  # two trainings may come to the same files
        found[model] = next((one for one in same if one["version"] == named), same[0] if same else None)
    return found


def _read(home: Path, stamp: _Stamp) -> list[Plain]:
    """What is kept, or else what a process of its own reads from the registry."""
    with suppress(OSError, ValueError):
        kept = json.loads((home / _KEPT).read_text("utf-8"))
        if kept["stamp"] == stamp:
            return list(kept["versions"])
    command = [sys.executable, "-m", "training.versions", str(home)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise ClosedRegistry("the registry of models cannot be read", todo="run `tiercel doctor`",
                             zh="模型台账无法读取，请运行 tiercel doctor") from error  # fmt: skip
    found: list[Plain] = json.loads(done.stdout.splitlines()[-1])
    _note(home, stamp, found)
    return found


def _note(home: Path, stamp: _Stamp, found: list[Plain]) -> None:
    if stamp:
        with whole(home / _KEPT) as half:
            half.write_text(json.dumps({"stamp": stamp, "versions": found}, default=str), "utf-8")


def _stamp(home: Path) -> _Stamp:
    """What changes with every write into the registry; empty for a home that has none."""
    places = [home / "mlflow" / name for name in ("mlflow.db", "mlflow.db-wal")]
    return [[one.st_mtime_ns, one.st_size] for one in (path.stat() for path in places if path.exists())]

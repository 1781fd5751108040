"""What a home has and lacks, told without changing anything."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from features import profiles
from features.bank.tables import TABLES
from features.errors import TiercelError
from serving import releases
from serving.settings import home_facts

_LIBRARIES = ("duckdb", "ibis-framework", "sqlglot", "feast", "mlflow", "lightgbm", "pyarrow")


def examine(home: Path) -> dict[str, str]:
    """One sentence each on bank, builds, release, keys, clock and libraries of `home`."""
    tables = [name for name in TABLES if any((home / "bank" / name).glob("*.parquet"))]
    absent = [name for name in TABLES if name not in tables]
    builds = list(profiles.builds(home))
    keys = sorted(path.name for path in (home / "keys").glob("*.key") if path.stem != "pseudonym")
    return {
        "home": str(home.resolve()),
        "bank": f"{len(tables)} tables; absent: {', '.join(absent) or 'none'}" if tables else "no bank here yet",
        "clock": str(home_facts(home).get("instant", "live")),
        "builds": f"{len(builds)} months to {builds[-1].as_of}" if builds else "none; run `tiercel build`",
        "release": _release(home),
        "keys": ", ".join(keys) or "none; `tiercel keys` makes them",
        "libraries": ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES),
    }


def _release(home: Path) -> str:
    try:
        release = releases.current(home)
        releases.verify(release)
    except TiercelError as error:
        return str(error)
    return f"{release.id}, every file as released; models {', '.join(release.manifest['champions']) or 'none'}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"

"""The months of a release's lineage, opened once for those who ask of one customer's past: the portraits."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from features import profiles
from features.bank.engines import connect
from serving.releases import Release

_OF_ONE = (
    "as_of", "tier", "tier_state", "mda", "grade", "customer_class", "stage", "stage_reason", "stage_entered_on",
)  # fmt: skip


class Months:
    """Every month of one lineage up to a release's own; may be shared by threads."""

    def __init__(self, home: Path, release: Release) -> None:
        found = [b for b in profiles.builds(home) if b.lineage == release.lineage and b.as_of <= release.as_of]
        self._lock = threading.Lock()
        self._con = connect() if found else None
        self._rows = None if self._con is None else self._con.read_parquet([b.path for b in found], union_by_name=True)

    def history(self, customer_id: str) -> list[dict[str, Any]]:
        """One customer's tier, grade, class and stage at each month's end, oldest first."""
        if self._rows is None:
            return []
        mine = self._rows.filter(self._rows.customer_id == customer_id).select(*_OF_ONE).order_by("as_of")
        with self._lock:
            found: list[dict[str, Any]] = mine.to_pyarrow().to_pylist()
        return found

    def close(self) -> None:
        if self._con is not None:
            self._con.disconnect()


class Shelf:
    """The months of the release that answers now, opened when they are first asked for."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._standing: tuple[str, Months] | None = None

    def of(self, release: Release) -> Months:
        """The months of `release`; those of the release before are let go."""
        with self._lock:
            if self._standing is None or self._standing[0] != release.id:
                self._standing = (release.id, Months(self._home, release))
            return self._standing[1]

    def close(self) -> None:
        """Let go of what is open."""
        with self._lock:
            if self._standing is not None:
                self._standing[1].close()

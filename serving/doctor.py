"""What a home has and lacks, told without changing anything."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from features import profiles
from features.bank.tables import TABLES
from features.errors import BadBank, NotReady, TiercelError
from insight.mix import Mix, mix
from serving import releases
from serving.abilities import Abilities, of_home
from serving.ledger.advice import read_advice
from serving.ledger.daybook import looked_into
from serving.ledger.engine import looked_at
from serving.ledger.reading import read_latest_at
from serving.models.advice_use import RULES, use_of
from serving.settings import clock_of, home_facts, ledger_url, read_settings
from training.judging.idleness import DAYS, LEAST_SHARE, Use

_NO_ADVICE = "nobody was advised yet"
_NAMED = 5  # decisions that stand aside
_LIBRARIES = ("duckdb", "ibis-framework", "sqlglot", "feast", "mlflow", "lightgbm", "pyarrow")


def examine(home: Path) -> dict[str, str]:
    """One sentence each on bank, builds, release, use of advice, keys, clock and libraries of `home`."""
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
        "advice": _advice(home),
        "daybook": _daybook(home),
        "keys": ", ".join(keys) or "none; `tiercel keys` makes them",
        "libraries": ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES),
    }


@dataclass(frozen=True, slots=True)
class BankState:
    """The bank of a home: rows, what was set aside at the last import, and what works with its tables."""

    rows: dict[str, int]
    aside: dict[str, int]
    can: Abilities
    mix: Mix | None

    def lines(self) -> list[str]:
        rows = ", ".join(f"{n:,} {name}" for name, n in self.rows.items())
        aside = ", ".join(f"{n:,} × {rule}" for rule, n in self.aside.items()) or "nothing"
        return [f"bank: {rows}", f"set aside: {aside}", *self.can.lines(), *self._mix()]

    def _mix(self) -> list[str]:
        """The customers of the newest month by tier, grade, stage and cell."""
        if self.mix is None:
            return ["no month is built yet: tiercel build"]
        groups = {
            "tiers": self.mix.tiers,
            "grades": self.mix.grades,
            "stages": self.mix.stages,
            "cells": self.mix.cells,
        }
        counts = {name: ", ".join(f"{s.name} {s.n_customers:,}" for s in group) for name, group in groups.items()}
        return [f"{name}: {told or 'none'}" for name, told in counts.items()]

    def to_json(self) -> dict[str, Any]:
        mix = None if self.mix is None else asdict(self.mix)
        return {"rows": self.rows, "aside": self.aside, **self.can.to_json(), "mix": mix}


def examine_bank(home: Path) -> BankState:
    """The bank of `home`; raises BadBank where there is none."""
    rows = {}
    for name in TABLES:
        files = sorted((home / "bank" / name).glob("*.parquet"))
        if files:
            rows[name] = sum(pq.read_metadata(file).num_rows for file in files)
    if "customer" not in rows:
        raise BadBank("this folder holds no bank", value=str(home), todo="run `tiercel simulate` or `tiercel import`")
    built = list(profiles.builds(home))
    return BankState(rows, set_aside(home), of_home(home), mix(built[-1].path) if built else None)


def set_aside(home: Path) -> dict[str, int]:
    """Rows in quarantine since the last import, by table and rule."""
    files = sorted((home / "quarantine").glob("*.parquet"))
    rules = ((file.stem, pq.read_table(file, columns=["_rule"])["_rule"].to_pylist()) for file in files)
    return dict(Counter(f"{table}: {rule}" for table, broken in rules for rule in broken))


def _release(home: Path) -> str:
    try:
        release = releases.current(home)
        releases.verify(release)
    except TiercelError as error:
        return str(error)
    return f"{release.id}, every file as released; models {', '.join(release.manifest['champions']) or 'none'}"


def _advice(home: Path) -> str:
    """Whether people act on what the models advise; models that nobody follows come first, as an alert (X11)."""
    settings, models = read_settings(home=home), list[str]()
    if settings.ledger_url is None and not (home / "ledger.db").exists():
        return _NO_ADVICE
    clock = clock_of(settings)
    try:
        with suppress(NotReady):
            models = releases.current(home).manifest["champions"]
        with looked_at(ledger_url(settings)) as ledger:
            if ledger is None:
                return _NO_ADVICE
            clock.move_past(read_latest_at(ledger))
            rows = use_of(partial(read_advice, ledger), models, clock.now())
    except TiercelError as error:
        return str(error)
    said = [f"{row['model']} {row['use']}, {row['n_acted']:,} of {row['n_advised']:,} acted on" for row in rows]
    idle = [row["model"] for row in rows if row["use"] == Use.IDLE and row["model"] != RULES]
    alert = f"ALERT: less than {LEAST_SHARE:.0%} of the advice of {', '.join(idle)} is followed in {DAYS} days; "
    return (alert if idle else "") + ("; ".join(said) or _NO_ADVICE)


def _daybook(home: Path) -> str:
    """What waits to be posted to the ledger; what the ledger refused comes first, as an alert."""
    try:
        n_waiting, aside = looked_into(ledger_url(read_settings(home=home)))
    except TiercelError as error:
        return str(error)
    named = "; ".join(f"{decision_id}: {reason}" for decision_id, reason in list(aside.items())[:_NAMED])
    alert = f"ALERT: {len(aside):,} decisions that the ledger does not take stand aside: {named}; " if aside else ""
    return alert + f"{n_waiting:,} decisions wait to be posted to the ledger"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"

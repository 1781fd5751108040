"""A released home of N customers for benchmarks: random rows in the shape of real ones, real models, a real ledger.

The customers are not a bank's: their figures follow no story, and only their shape counts (how many columns, how many
offers pass, how many contacts the ledger holds). So a million of them are ready in minutes, without the whole pipeline.
Of the shipped catalogue every second offer is ranked, by id: thirty, products alone and under a hook and services.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from decisioning.catalogue.catalogue import Catalogue
from decisioning.policy import DecisionsPolicy, decisions
from features.bank.tables import TABLES
from features.facts import PROFILE, RECENT, STANDING, TODAY
from features.packing import ARROW_TYPES
from features.policy import segments
from features.policy_book import PolicyBook
from features.profiles import Build
from features.publishing import ViewRows, publish
from features.vocabulary import AS_OF_AT, AVAILABLE_AT, CUSTOMER_ID, Column, Kind
from serving.desk.ground import catalogue_of
from serving.ledger import Ledger
from serving.releases import Release, cut, switch
from training.boosting import Parameters, Trees, grow
from training.calibration import Calibration
from training.encoding import LEARNABLE, Recipe, arrays_of, offer_features
from training.fitted import FittedModel

LINEAGE = "bench"
AS_OF = date(2025, 12, 31)
INSTANT = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)  # eleven in the morning in Shanghai, outside quiet hours
MISSING_SHARE = 0.1
N_TREES, N_EXAMPLES = 150, 40_000
_FEW = ("is_staff", "is_restricted", "has_marketing_optout")  # 2 in 100, so that most customers are offered something
_NEVER_MISSING = ("age", "customer_class", "stage", "tier", *_FEW)
_CODES: Mapping[str, tuple[str, ...]] = {
    "tier": ("V0", "V1", "V2", "V3", "V4", "V5", "VIP", "VVIP"),
    "tier_state": ("NORMAL", "NORMAL", "NORMAL", "GRACE", "WATCH"),
    "customer_class": ("SILVER", "BIZ_OWNER", "WEALTH", "PAYROLL", "CREDIT", "YOUNG", "MASS", "MASS", "MASS"),
    "stage": ("NEW", "GROWTH", "GROWTH", "MATURE", "MATURE", "DECLINE", "LOST"),
    "grade": ("A", "B", "C", "D"),
    "id_doc_type": ("MAINLAND",),
    "investor_type": ("ORDINARY", "ORDINARY", "ORDINARY", "QUALIFIED"),
}
_SETS: Mapping[str, tuple[str, ...]] = {
    "held_products": ("|", "|P03|", "|P01|P11|", "|P03|P06|P22|"),
    "active_services": ("|", "|P27|", "|P25|P26|"),
    "customer_facts": ("|IDENTITY_VERIFIED|",),
    "consented_channels": ("|ALL|", "|ALL|", "|APP|SMS|"),
    "do_not_call": ("|", "|", "|", "|CALL|"),
    "other_classes": ("|", "|", "|CREDIT|", "|PAYROLL|"),
    "preapproved": ("|", "|", "|P22|"),
    "tags": ("|",),
}
_RANGES: Mapping[str, tuple[int, int]] = {"age": (18, 85), "risk_level": (1, 6), "n_holdings": (0, 6)}
_AHEAD = ("next_maturity_on", "next_loan_end_on", "risk_expires_on")


def write(home: Path, n: int) -> Release:
    """A home of n customers at INSTANT: rows published, champions trained, two contacts a customer in the ledger."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "home.json").write_text(json.dumps({"instant": INSTANT.isoformat(), "currency": "CNY", "source": "bench"}))
    chance = np.random.default_rng(11)
    month = rows(PROFILE, n, chance)
    publish(
        home / "feast" / "online" / f"{LINEAGE}.sqlite",
        ViewRows("profile_month", PROFILE, timedelta(days=62), month),
        ViewRows("today_day", TODAY, timedelta(days=3), rows(TODAY, n, chance)),
    )
    champions = models(home / "champions", chance)
    known = segments().view(AS_OF)
    build = Build(
        as_of=AS_OF, lineage=LINEAGE, path=home / "profiles" / LINEAGE / f"{AS_OF}.parquet", n_customers=n,
        digest=hashlib.sha256(str(n).encode()).hexdigest(), segments_digest=known.digest, available_at=INSTANT,
    )  # fmt: skip
    release = cut(home, segments=segments(), decisions=thirty(), champions=champions, now=INSTANT, build=build)
    switch(home, release)
    zone = ZoneInfo(known.bank.zone)
    with Ledger.open(f"sqlite:///{home / 'ledger.db'}", home, zone=zone, clock=lambda: INSTANT) as ledger:
        ledger.seed_history(contacts=contacts(2 * n, n, chance))
    return release


def thirty() -> PolicyBook[DecisionsPolicy]:
    """The shipped policy with every second offer alone, wherever the others are named."""
    sections = decisions().sections
    kept = frozenset(sorted(sections["offers"])[1::2])
    offers = {name: offer for name, offer in sections["offers"].items() if name in kept}
    return PolicyBook(
        DecisionsPolicy, {name: _only(part, kept) for name, part in sections.items()} | {"offers": offers}
    )


def shelf() -> Catalogue:
    """The catalogue of those offers."""
    return catalogue_of(thirty().view(AS_OF), segments().view(AS_OF))


def _only(node: Any, kept: Collection[str]) -> Any:
    """A part of the policy whose lists of offers hold only those that are kept."""
    if isinstance(node, list):
        return [_only(child, kept) for child in node]
    if not isinstance(node, dict):
        return node
    return {
        key: [name for name in child if name in kept] if key == "offers" else _only(child, kept)
        for key, child in node.items()
    }


def customer(place: int) -> str:
    """Id of the customer at a place."""
    return f"C{place:08d}"


def rows(columns: tuple[Column, ...], n: int, chance: np.random.Generator) -> pa.Table:
    """One row a customer with every column of a view, a tenth of the values missing."""
    stamp = pa.array(np.full(n, np.datetime64(INSTANT.replace(tzinfo=None) - timedelta(hours=2), "us")),
                     pa.timestamp("us", tz="UTC"))  # fmt: skip
    ids = pa.array([customer(place) for place in range(n)])
    kept = {column.name: _values(column, n, chance) for column in columns}
    return pa.table({CUSTOMER_ID: ids, AS_OF_AT: stamp, AVAILABLE_AT: stamp} | kept)


def contacts(k: int, n: int, chance: np.random.Generator) -> pa.Table:
    """k rows of bank table `contact` over n customers in the last half year."""
    at = np.datetime64(INSTANT.replace(tzinfo=None), "us") - chance.integers(3_600, 86_400 * 180, k).astype(
        "timedelta64[s]"
    )
    known: dict[str, Any] = {
        "contact_id": [f"K{place:09d}" for place in range(k)],
        "customer_id": [customer(place) for place in np.sort(chance.integers(0, n, k)).tolist()],
        "offer_id": chance.choice(np.array(["P03", "P06", "H06-P03"], dtype=object), k),
        "channel": chance.choice(np.array(["APP", "SMS", "WECHAT"], dtype=object), k),
        "purpose": chance.choice(np.array(["SALES", "SALES", "SERVICE"], dtype=object), k),
        "sent_at": at, "known_at": at, "business_on": at.astype("datetime64[D]"),
        "opened_at": np.where(chance.random(k) < 0.3, at + np.timedelta64(600, "s"), np.datetime64("NaT", "us")),
        "cost_amount": None,
    }  # fmt: skip
    arrays: dict[str, pa.Array] = {}
    for column in TABLES["contact"].columns:
        values = known.get(column.name)
        if column.kind is Kind.AMOUNT:
            arrays[column.name] = pa.array(np.zeros(k)).cast(ARROW_TYPES[Kind.AMOUNT])
        elif values is None:
            arrays[column.name] = pa.nulls(k, ARROW_TYPES[column.kind])
        else:
            arrays[column.name] = pa.array(values).cast(ARROW_TYPES[column.kind])
    return pa.table(arrays)


def models(folder: Path, chance: np.random.Generator) -> dict[str, Path]:
    """Response and churn champions of N_TREES trees with 31 leaves, over every fact that a model can learn from."""
    facts = tuple(column for column in (*PROFILE, *TODAY, *STANDING, *RECENT) if column.kind in LEARNABLE)
    offers = offer_features(c for c in TABLES["offer"].columns if c.kind in LEARNABLE and c.name != "offer_id")
    channel = Column("channel", Kind.CODE, "channel of the contact")
    frame = _examples((*facts, *offers, channel), N_EXAMPLES, chance)
    months = tuple(column for column in PROFILE if column.kind in LEARNABLE)
    answered, left = _outcomes(frame, chance, "aum_now", "offer_"), _outcomes(frame, chance, "mda", "n_")
    _fit("response", frame, answered, facts, (*offers, channel)).write(folder / "response", frame)
    _fit("churn", frame, left, months, ()).write(folder / "churn", frame)
    return {"response": folder / "response", "churn": folder / "churn"}


def _values(column: Column, n: int, chance: np.random.Generator) -> pa.Array:
    missing = np.zeros(n, dtype=bool)
    if column.is_nullable and column.name not in _NEVER_MISSING:
        missing = chance.random(n) < (0.98 if column.name == "overdue_from_on" else MISSING_SHARE)
    match column.kind:
        case Kind.NUMBER:
            return pa.array(np.round(chance.lognormal(9, 2, n), 2), pa.float64(), mask=missing)
        case Kind.INTEGER:
            return pa.array(chance.integers(*_RANGES.get(column.name, (0, 40)), n), pa.int64(), mask=missing)
        case Kind.FLAG:
            share = 0.02 if column.name in _FEW else 0.5
            return pa.array(chance.random(n) < share, pa.bool_(), mask=missing)
        case Kind.DATE:
            first = AS_OF.toordinal() - 719_163 + (3 if column.name in _AHEAD else -1_500)
            days = first + chance.integers(0, 300 if column.name in _AHEAD else 1_500, n)
            return pa.array(days.astype(np.int32), pa.int32(), mask=missing).cast(pa.date32())
    words = (_SETS if column.kind is Kind.SET else _CODES).get(column.name) or column.allowed or ("X1", "X2", "X3")
    picked = pa.array(chance.integers(0, len(words), n).astype(np.int32), mask=missing)
    return pa.DictionaryArray.from_arrays(picked, pa.array(list(words))).cast(pa.string())


def _examples(columns: tuple[Column, ...], n: int, chance: np.random.Generator) -> pd.DataFrame:
    catalogue = shelf()
    cards = pd.DataFrame([card.row() for card in catalogue.cards]).add_prefix("offer_")
    offers = cards.iloc[chance.integers(len(cards), size=n)].reset_index(drop=True)
    found: dict[str, Any] = {}
    for column in columns:
        if column.name in offers:
            values = offers[column.name]
            found[column.name] = values.astype(float) if column.kind is not Kind.CODE else values
        elif column.name == "channel":
            found["channel"] = chance.choice(np.array(sorted(catalogue.channels), dtype=object), n)
        else:
            found[column.name] = _values(column, n, chance).to_pandas()
    return pd.DataFrame(found)


def _outcomes(frame: pd.DataFrame, chance: np.random.Generator, amount: str, prefix: str) -> Any:
    """Outcomes that many columns have a hand in, so that the trees split on many."""
    numbers = [name for name in frame if name.startswith(("days_", "n_", prefix)) and frame[name].dtype != object]
    ranked = frame[[amount, *numbers]].astype(float).rank(pct=True).fillna(0.5)
    tilt = (ranked - 0.5) @ chance.normal(0, 0.6, len(ranked.columns))
    return (chance.random(len(frame)) < 1 / (1 + np.exp(2.2 - tilt.to_numpy()))).astype(float)


def _fit(
    name: str, frame: pd.DataFrame, outcomes: Any, columns: tuple[Column, ...], offers: tuple[Column, ...]
) -> FittedModel:
    arrays = arrays_of(frame, [*columns, *offers])
    recipe = Recipe.learn(columns, offers, arrays)
    matrix = recipe.encode(arrays)
    text = grow(matrix, outcomes, recipe, Parameters(n_rounds=N_TREES, n_threads=1))
    return FittedModel(name, text, recipe, Calibration.fit(Trees(text).score(matrix), outcomes))

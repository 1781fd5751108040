"""A small real home: five customers, packed rows, two trained models, shipped policy; nothing in it is pretended.

The customers differ in the one thing their name says. Rows hold what a build and a day's publication would hold; a
column that a customer's story does not mention is missing, as in a bank that lacks the table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from decisioning.policy import decisions
from features.facts import PROFILE, RECENT, STANDING, TODAY
from features.packing import ARROW_TYPES
from features.policy import segments
from features.profiles import Build
from features.publishing import ViewRows, publish
from features.recent import Happenings
from features.standing import standing
from features.vocabulary import AS_OF_AT, AVAILABLE_AT, CUSTOMER_ID, Column, Kind
from serving.customer_reader import recent_facts
from serving.desk.ground import catalogue_of
from serving.releases import Release, cut, switch
from training.boosting import Parameters, Trees, grow
from training.calibration import Calibration
from training.encoding import Recipe, arrays_of
from training.fitted import FittedModel

LINEAGE = "ltest"
AS_OF = date(2025, 12, 31)
INSTANT = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)  # eleven in the morning in Shanghai, outside quiet hours
MONTH_VIEW, DAY_VIEW = "profile_month", "today_day"

_USUAL: dict[str, Any] = {
    "gender": "F", "region": "EAST", "tenure_days": 1500, "is_staff": False, "is_restricted": False,
    "is_student": False, "has_marketing_optout": False, "id_doc_type": "MAINLAND", "age": 38,
    "mda": 42_000.0, "mda_mean_3m": 41_000.0, "mda_mean_6m": 40_000.0, "mda_peak_12m": 45_000.0, "aum_end": 43_000.0,
    "invest_end": 0.0, "n_holdings": 2, "n_asset_classes": 1, "has_deposit": True, "has_wealth": False,
    "has_loan": False, "has_card": False, "n_txn_1m": 14, "n_txn_3m": 40, "txn_amount_3m": 21_000.0,
    "n_salary_3m": 0, "app_days_1m": 9, "app_days_3m": 26, "n_channels_3m": 3, "n_services_3m": 4,
    "active_days_1m": 12, "active_days_3m": 35, "last_active_on": date(2025, 12, 30), "n_contacts_3m": 1,
    "n_contacts_12m": 4, "n_conversions_12m": 1, "tier": "V1", "tier_state": "NORMAL",
    "tier_since_on": date(2025, 3, 31), "months_below": 0, "near_up": True, "next_tier_gap": 8_000.0,
    "rated_mda": 42_000.0, "net_mda": 42_000.0, "tier_floor": 10_000.0, "next_floor": 50_000.0,
    "is_next_highest": False, "is_hot_money": False, "value_12m": 180.0, "grade_score": 61.0,
    "customer_class": "MASS", "class_reason": "default", "other_classes": "|", "stage": "GROWTH",
    "stage_entered_on": date(2025, 6, 30), "stage_reason": "settled", "previous_stage": "NEW", "grade": "B",
    "tags": "|effective|long_tail|near_up|", "cell": "MASS/GROWTH",
    "registered_on": date(2021, 11, 20), "first_product_on": date(2021, 11, 25), "mtd_days": 1, "mtd_mda": 43_500.0,
    "basis_days": 1, "rated_to_date": 43_500.0, "net_to_date": 43_500.0, "rated_now": 43_500.0,
    "aum_now": 43_500.0, "n_txn_mtd": 1, "txn_amount_mtd": 300.0, "spend_amount_mtd": 300.0, "app_days_mtd": 1,
    "last_txn_on": date(2025, 12, 30), "last_login_on": date(2026, 1, 1), "next_maturity_on": date(2026, 1, 20),
    "next_maturity_amount": 20_000.0, "held_products": "|", "active_services": "|", "risk_level": 3,
    "risk_expires_on": date(2026, 9, 1), "investor_type": "ORDINARY", "preapproved": "|",
    "customer_facts": "|IDENTITY_VERIFIED|", "consented_channels": "|ALL|", "do_not_call": "|",
}  # fmt: skip
CUSTOMERS: dict[str, dict[str, Any]] = {
    "C-USUAL": {},
    "C-RESTRICTED": {"is_restricted": True},
    "C-WEALTHY": {
        "mda": 650_000.0,
        "tier": "V4",
        "customer_class": "WEALTH",
        "cell": "WEALTH/GROWTH",
        "age": 51,
        "tags": "|near_up|payroll|",
    },
    "C-SILENT": {"do_not_call": "|SMS|CALL|RM|", "has_marketing_optout": True},
    "C-YOUNG": {"age": 21, "customer_class": "YOUNG", "cell": "YOUNG/GROWTH", "tier": "V0", "mda": 900.0},
}
_LEARNT = ("age", "mda", "tier", "stage", "n_contacts_30d", "days_to_maturity")
_OFFER = (
    Column("offer_category", Kind.CODE, "category", "none"),
    Column("offer_role", Kind.CODE, "role"),
    Column("offer_reward_amount", Kind.AMOUNT, "reward"),
    Column("channel", Kind.CODE, "channel"),
)


def facts_of(customer_id: str) -> dict[str, Any]:
    """All month and day columns of one customer, None where the story says nothing."""
    said = _USUAL | CUSTOMERS[customer_id]
    return {column.name: said.get(column.name) for column in (*PROFILE, *TODAY)}


def write_home(home: Path, *, instant: datetime | None = INSTANT, with_models: bool = True) -> Release:
    """A home with one released month, standing at `instant` (None: live), and its current release."""
    home.mkdir(parents=True, exist_ok=True)
    stated = {"instant": instant.isoformat()} if instant else {}
    (home / "home.json").write_text(json.dumps(stated | {"currency": "CNY", "source": "test"}))
    publish_rows(home, at=instant or datetime.now(UTC))
    write_profile(home)
    champions = write_models(home / "champions") if with_models else {}
    now = instant or datetime.now(UTC)
    release = cut(home, segments=segments(), decisions=decisions(), champions=champions, now=now, build=build(home))
    switch(home, release)
    return release


def build(home: Path, *, segments_digest: str | None = None) -> Build:
    """The build that the rows belong to."""
    digest = segments_digest or segments().view(AS_OF).digest
    path = home / "profiles" / LINEAGE / f"{AS_OF}.parquet"
    return Build(
        as_of=AS_OF,
        lineage=LINEAGE,
        path=path,
        n_customers=len(CUSTOMERS),
        digest=hashlib.sha256(b"rows").hexdigest(),
        segments_digest=digest,
        available_at=INSTANT,
    )


def write_profile(home: Path) -> Path:
    """The month's profile file, from which the rows come, and its manifest."""
    standing = build(home)
    standing.path.parent.mkdir(parents=True, exist_ok=True)
    rows = {customer: facts_of(customer) for customer in CUSTOMERS}
    table = _table(PROFILE, rows, INSTANT)
    pq.write_table(table.append_column("as_of", pa.array([AS_OF] * len(table), pa.date32())), standing.path)
    standing.manifest.write_text(json.dumps(asdict(standing) | {"path": standing.path.name}, default=str))
    return standing.path


def publish_rows(home: Path, *, at: datetime, changes: Mapping[str, Mapping[str, Any]] | None = None) -> Path:
    """Publish month and day rows of all customers as known a little before `at`, `changes` by customer on top."""
    rows = {customer: facts_of(customer) | dict((changes or {}).get(customer, {})) for customer in CUSTOMERS}
    path = home / "feast" / "online" / f"{LINEAGE}.sqlite"
    known_at = at - timedelta(hours=2)
    publish(
        path,
        ViewRows(MONTH_VIEW, PROFILE, timedelta(days=62), _table(PROFILE, rows, known_at)),
        ViewRows(DAY_VIEW, TODAY, timedelta(days=3), _table(TODAY, rows, known_at)),
    )
    return path


def write_models(folder: Path) -> dict[str, Path]:
    """Response and churn champions, trained on random customers whose truth is simple; folders by name."""
    chance = np.random.default_rng(7)
    frame = _examples(chance, 3_000)
    answered = (chance.random(len(frame)) < 0.05 + 0.3 * (frame["mda"] > 40_000)).astype(float)
    left = (chance.random(len(frame)) < 0.1 + 0.3 * (frame["age"] < 30)).astype(float)
    customer = tuple(column for column in (*PROFILE, *STANDING, *RECENT) if column.name in _LEARNT)
    months = tuple(column for column in PROFILE if column.name in _LEARNT)
    fit("response", frame, answered, customer, _OFFER).write(folder / "response", frame)
    fit("churn", frame, left, months, ()).write(folder / "churn", frame)
    return {"response": folder / "response", "churn": folder / "churn"}


def _examples(chance: np.random.Generator, n: int) -> pd.DataFrame:
    policy = decisions().view(AS_OF)
    cards = catalogue_of(policy, segments().view(AS_OF)).cards
    offers = pd.DataFrame([cards[place].row() for place in chance.integers(len(cards), size=n)])
    return pd.DataFrame(
        {
            "age": chance.integers(18, 80, n).astype(float),
            "mda": np.exp(chance.normal(10, 1.5, n)),
            "tier": chance.choice(["V0", "V1", "V4"], n),
            "stage": chance.choice(["NEW", "GROWTH", "MATURE"], n),
            "n_contacts_30d": chance.integers(0, 5, n).astype(float),
            "days_to_maturity": np.where(chance.random(n) < 0.5, np.nan, chance.integers(0, 60, n).astype(float)),
            "offer_category": offers["category"],
            "offer_role": offers["role"],
            "offer_reward_amount": offers["reward_amount"].astype(float),
            "channel": chance.choice(sorted(policy.channels), n),
        }
    )


def fit(
    name: str, frame: pd.DataFrame, outcomes: Any, columns: tuple[Column, ...], offer_columns: tuple[Column, ...]
) -> FittedModel:
    """A model of `outcomes` on those columns of `frame`."""
    arrays = arrays_of(frame, [*columns, *offer_columns])
    recipe = Recipe.learn(columns, offer_columns, arrays)
    matrix, outcome = recipe.encode(arrays), np.asarray(outcomes)
    text = grow(matrix, outcome, recipe, Parameters(n_rounds=30, min_leaf_rows=20, n_threads=1))
    return FittedModel(name, text, recipe, Calibration.fit(Trees(text).score(matrix), outcome))


def arrays_for(customer_id: str, *, on: date, now: datetime) -> dict[str, Any]:
    """The facts of one customer without recent contacts, in the array convention, written here a second time."""
    said = facts_of(customer_id)
    facts: dict[str, Any] = {}
    for column in (*PROFILE, *TODAY):
        value = said[column.name]
        if column.kind is Kind.DATE:
            facts[column.name] = np.array([value or "NaT"], dtype="datetime64[D]")
        elif column.kind in (Kind.CODE, Kind.SET):
            facts[column.name] = np.array([value], dtype=object)
        else:
            facts[column.name] = np.array([np.nan if value is None else float(value)])
    nothing = Happenings(
        np.array([], dtype=np.int64), np.array([], dtype="datetime64[us]"), np.array([], dtype=np.int8)
    )
    return facts | standing(facts, on) | recent_facts(1, now, nothing)


def _table(columns: tuple[Column, ...], rows: Mapping[str, Mapping[str, Any]], known_at: datetime) -> pa.Table:
    stamp = pa.array([known_at] * len(rows), pa.timestamp("us", tz="UTC"))
    kept = {
        column.name: pa.array([row[column.name] for row in rows.values()], ARROW_TYPES[column.kind])
        for column in columns
    }
    return pa.table({CUSTOMER_ID: list(rows), AS_OF_AT: stamp, AVAILABLE_AT: stamp} | kept)

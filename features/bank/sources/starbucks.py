"""The Starbucks offers data as a bank home: 17,000 members, ten offers, 30 days of contacts, views, purchases.

What the data set says, in our words: bogo and discount offers are hooks without a product, an informational offer is a
contact and no more. Hour 0 is the start of 2018-08-01, after the last membership date, so that no month closes within.
An age of 118 stands for "not given". A view or completion belongs to the newest contact of that offer before it.
Tables that the data set lacks are absent. The home attests consent, and carries its own policy and catalogue.
"""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml

from features.bank.engines import STORED, arrow_schema
from features.bank.quarantine import receive
from features.bank.tables import TABLES
from features.errors import BadBank
from features.vocabulary import Kind, Outcome, Purpose

HOUR_ZERO = datetime(2018, 8, 1, tzinfo=UTC)
TEST_HOUR = 504
LAST_HOUR = 714
POLICY = Path(__file__).parent / "starbucks"
_FILES = ("portfolio.json", "profile.json", "transcript.json.gz")
_AGE_NOT_GIVEN = 118
_CHANNEL = "APP"
_CHANNELS = {"web": "WEB", "email": "EMAIL", "mobile": "APP", "social": "SOCIAL"}


def read(folder: Path) -> dict[str, pa.Table]:
    """The bank tables that the data set holds, as Arrow tables; raises BadBank if a file is missing or not its own."""
    portfolio, profile, transcript = (_lines(folder / name) for name in _FILES)
    members = pd.DataFrame(profile)
    joined = pd.to_datetime(members["became_member_on"].astype(str), format="%Y%m%d")
    if joined.max() >= pd.Timestamp(HOUR_ZERO.date()):
        raise BadBank(
            "a member joined after hour 0", value=str(joined.max().date()), allowed=f"before {HOUR_ZERO.date()}"
        )
    events = pd.DataFrame(transcript)
    value = events.pop("value")
    events["offer_id"] = [v.get("offer id", v.get("offer_id")) for v in value]
    events["amount"] = [v.get("amount", v.get("reward")) for v in value]
    contacts, answers = _contacts(events)
    return {
        "customer": _customers(members, joined),
        "txn": _txns(events[events.event == "transaction"]),
        "contact": contacts,
        "response": answers,
        "offer": _offers(portfolio),
    }


def bring_in(folder: Path, home: Path) -> dict[str, int]:
    """A bank home made of the data set in `folder`: its tables, policy and clock; rows written, by table."""
    tables = read(folder)
    counts = receive(home, tables)
    shutil.copytree(POLICY, home / "policy", dirs_exist_ok=True)
    offers = _offer_cards(_lines(folder / _FILES[0]))
    (home / "policy" / "decisions" / "offers.yaml").write_text(yaml.safe_dump(offers, allow_unicode=True), "utf-8")
    at = HOUR_ZERO + timedelta(hours=TEST_HOUR)
    about = {
        "source": "starbucks_offers",
        "instant": at.isoformat(),
        "trains_as_of": (HOUR_ZERO + timedelta(hours=LAST_HOUR)).isoformat(),
        "test_from": at.isoformat(),
        "test_to": (at + timedelta(hours=1)).isoformat(),
    }
    (home / "home.json").write_text(json.dumps(about, indent=1))
    return counts


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        raise BadBank(
            "a file of the data set is missing", value=path.name, allowed=", ".join(_FILES), todo="name its folder"
        )
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        try:
            return [json.loads(line) for line in file if line.strip()]
        except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
            raise BadBank("a file is not lines of JSON", value=path.name, todo=str(error)) from error


def _at(hours: Any) -> Any:
    """Instants of hours since hour 0."""
    return pd.Timestamp(HOUR_ZERO) + pd.to_timedelta(hours, unit="h")


def _arrow(name: str, columns: dict[str, Any], n: int) -> pa.Table:
    """A bank table from the columns given; the others are null."""
    schema = arrow_schema(TABLES[name])
    arrays = []
    for field in schema:
        given = columns.get(field.name)
        if given is None:
            arrays.append(pa.nulls(n, field.type))
        elif np.isscalar(given) or isinstance(given, date | datetime):
            arrays.append(pa.array([given] * n, field.type))
        else:
            arrays.append(pa.array(given, field.type, from_pandas=True))
    return pa.table(arrays, schema=schema)


def _customers(members: pd.DataFrame, joined: pd.Series[Any]) -> pa.Table:
    given = members.age != _AGE_NOT_GIVEN
    born = [date(HOUR_ZERO.year - int(age), 1, 1) if ok else None for age, ok in zip(members.age, given, strict=True)]
    columns = {
        "customer_id": members.id,
        "birth_on": born,
        "gender": members.gender,
        "declared_income_amount": _money(members.income),
        "registered_on": joined.dt.date,
        "first_product_on": joined.dt.date,
        "is_staff": False,
        "is_restricted": False,
        "has_marketing_optout": False,
        "known_at": joined.dt.tz_localize("UTC"),
    }
    return _arrow("customer", columns, len(members))


def _txns(events: pd.DataFrame) -> pa.Table:
    at = _at(events.time)
    columns = {
        "txn_id": [f"t{i}" for i in events.index],
        "customer_id": events.person,
        "occurred_at": at,
        "business_on": at.dt.date,
        "txn_type": "CONSUME",
        "amount": _money(events.amount),
        "counterparty": "MERCHANT",
        "channel": None,
        "by_customer": True,
        "known_at": at,
    }
    return _arrow("txn", columns, len(events))


def _contacts(events: pd.DataFrame) -> tuple[pa.Table, pa.Table]:
    """Contacts with the instant of their first view, and completions as answers to them."""
    sent = events[events.event == "offer received"].copy()
    sent["contact_id"] = [f"c{i}" for i in sent.index]
    seen = _of_newest(events[events.event == "offer viewed"], sent)
    opened = seen.groupby("contact_id").time.min()
    first_view = sent.contact_id.map(opened)
    at, opened_at = _at(sent.time), _at(first_view)
    columns = {
        "contact_id": sent.contact_id,
        "customer_id": sent.person,
        "offer_id": sent.offer_id,
        "campaign_id": [f"wave-{hour}" for hour in sent.time],
        "channel": _CHANNEL,
        "purpose": Purpose.SALES.value,
        "sent_at": at,
        "business_on": at.dt.date,
        "opened_at": opened_at,
        "cost_amount": _money(pd.Series(0.0, sent.index)),
        "known_at": at,
    }
    done = _of_newest(events[events.event == "offer completed"], sent)
    done_at = _at(done.time)
    answers = {
        "event_id": [f"r{i}" for i in done.row],
        "customer_id": done.person,
        "contact_id": done.contact_id,
        "offer_id": done.offer_id,
        "outcome": Outcome.CONVERTED.value,
        "occurred_at": done_at,
        "business_on": done_at.dt.date,
        "amount": _money(done.amount),
        "known_at": done_at,
    }
    return _arrow("contact", columns, len(sent)), _arrow("response", answers, len(done))


def _of_newest(rows: pd.DataFrame, sent: pd.DataFrame) -> pd.DataFrame:
    """`rows` with the contact_id of the newest contact of the same member and offer at or before each."""
    left = rows.assign(row=rows.index).sort_values("time")
    right = sent[["person", "offer_id", "time", "contact_id"]].sort_values("time")
    matched = pd.merge_asof(left, right, on="time", by=["person", "offer_id"], direction="backward")
    return matched.sort_values("row", ignore_index=True)


def _offers(portfolio: list[dict[str, Any]]) -> pa.Table:
    p = pd.DataFrame(portfolio)
    is_information = p.offer_type == "informational"
    columns = {
        "offer_id": p.id,
        "from_on": HOUR_ZERO.date(),
        "hook_id": np.where(is_information, None, p.offer_type.str.upper()),
        "kind": np.where(is_information, "information", "hook"),
        "category": p.offer_type,
        "subcategory": p.offer_type,
        "role": np.where(is_information, "information", "hook"),
        "risk_level": 0,
        "min_amount": _money(p.difficulty),
        "reward_amount": _money(p.reward),
        "outcome_days": p.duration.astype("int64"),
        "n_channels": [len(c) for c in p.channels],
        "needs_view": ~is_information,
        "is_ranked": ~is_information,
        "known_at": HOUR_ZERO - timedelta(days=1),
    }
    return _arrow("offer", columns, len(p))


def _offer_cards(portfolio: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The offers as the decisions policy takes them: what each asks, gives, how long and by which channels."""
    cards = {}
    for row in portfolio:
        days, ask, reward = int(row["duration"]), row["difficulty"], row["reward"]
        card: dict[str, Any] = {"outcome_days": days, "channels": [_CHANNELS[name] for name in row["channels"]]}
        if row["offer_type"] == "informational":
            card |= {"is_information": True, "en": f"news for {days} days", "zh": f"{days}天资讯"}
            card |= {"copy_en": "What is new this week. Reply T to opt out.", "copy_zh": "本周新品。退订回T。"}
        else:
            en, zh = f"spend {ask} within {days} days, get {reward}", f"{days}天内消费满{ask}得{reward}"
            card |= {"hook": row["offer_type"].upper(), "en": en, "zh": zh, "needs_view": True}
            card |= {"reward_amount": reward, "min_amount": ask}
            card |= {"copy_en": f"{en.capitalize()}. Reply T to opt out.", "copy_zh": f"{zh}。退订回T。"}
        cards[row["id"]] = card
    return cards


def _money(values: Any) -> pa.Array:
    return pa.array(pd.Series(values, dtype="float64").round(2), pa.float64(), from_pandas=True).cast(
        STORED[Kind.AMOUNT]
    )

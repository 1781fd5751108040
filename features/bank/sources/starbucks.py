"""The Starbucks offers data as a bank home.

What a mapping can say stands in starbucks/mapping.yaml. What it cannot: a view or completion belongs to the newest
contact of that member and offer before it, and the offers are the home's catalogue too.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from features.bank.importing import Imported, Progress, silent
from features.bank.importing import bring_in as import_
from features.bank.mapping import load
from features.bank.shaping import find
from features.errors import BadBank

HOUR_ZERO = datetime(2018, 8, 1, tzinfo=UTC)
TEST_HOUR = 504
LAST_HOUR = 714
FOLDER = Path(__file__).parent / "starbucks"
_FILES = ("portfolio.json", "profile.json", "transcript.json.gz")
_CHANNELS = {"web": "WEB", "email": "EMAIL", "mobile": "APP", "social": "SOCIAL"}


def bring_in(folder: Path, home: Path, progress: Progress = silent) -> Imported:
    """A bank home made of the data set in `folder`: its tables, policy, catalogue and clock; raises BadBank."""
    portfolio_file, _, transcript_file = find([folder], _FILES)
    portfolio = _lines(portfolio_file)
    with tempfile.TemporaryDirectory(prefix="tiercel-starbucks-") as folder_made:
        prepared = Path(folder_made)
        for name, rows in _prepared(portfolio, _lines(transcript_file)).items():
            rows.to_parquet(prepared / f"{name}.parquet", index=False)
        mapping = load(FOLDER / "mapping.yaml")
        made = import_(mapping, folder, home, beside=FOLDER, prepared=prepared, progress=progress)
    cards = yaml.safe_dump(_offer_cards(portfolio), allow_unicode=True)
    (home / "policy" / "decisions" / "offers.yaml").write_text(cards, "utf-8")
    return made


def _lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        try:
            return [json.loads(line) for line in file if line.strip()]
        except (ValueError, EOFError, OSError) as error:
            raise BadBank("a file is not lines of JSON", value=path.name, todo=str(error)) from error


def _prepared(portfolio: list[dict[str, Any]], transcript: list[dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """Contacts with the hour of their first view, completions with their contact, offers with channels counted."""
    events = pd.DataFrame(transcript)
    value = events.pop("value")
    events["offer_id"] = [v.get("offer id", v.get("offer_id")) for v in value]
    events["amount"] = [v.get("reward") for v in value]
    sent = events[events.event == "offer received"].copy()
    sent["contact_id"] = [f"c{i}" for i in sent.index]
    seen = _of_newest(events[events.event == "offer viewed"], sent)
    sent["opened"] = sent.contact_id.map(seen.groupby("contact_id").time.min())
    offers = pd.DataFrame(portfolio)
    offers["n_channels"] = offers.pop("channels").map(len)
    return {
        "contacts": sent[["contact_id", "person", "offer_id", "time", "opened"]],
        "answers": _of_newest(events[events.event == "offer completed"], sent),
        "offers": offers,
    }


def _of_newest(rows: pd.DataFrame, sent: pd.DataFrame) -> pd.DataFrame:
    """`rows` with the contact_id of the newest contact of the same member and offer at or before each."""
    left = rows.assign(row=rows.index).sort_values("time")
    right = sent[["person", "offer_id", "time", "contact_id"]].sort_values("time")
    matched = pd.merge_asof(left, right, on="time", by=["person", "offer_id"], direction="backward")
    return matched.sort_values("row", ignore_index=True)


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

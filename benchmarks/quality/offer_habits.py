"""What a member of the offers app had done before an offer was sent: habits of viewing, of completing and of spending.

A bank's own features in one file: made from the home's tables, one row a contact, nothing from the instant of the
contact on. Hours count from the first wave. A share is missing where there was nothing to share.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from features.bank.sources.starbucks import HOUR_ZERO

WINDOWS = (24, 72, 168, 336)  # hours
_CHANNELS = {"WEB": "web", "APP": "mobile", "SOCIAL": "social"}  # every offer goes by e-mail
_DAY = 24.0


@dataclass(frozen=True)
class Events:
    """Contacts with hours of view and completion, purchases, and the offers by id, as the home's tables hold them."""

    contacts: pd.DataFrame
    purchases: pd.DataFrame
    offers: pd.DataFrame

    @classmethod
    def read(cls, home: Path) -> Events:
        """The events of an imported home."""
        table = {name: pd.read_parquet(home / "bank" / name) for name in ("contact", "response", "txn", "offer")}
        cards = yaml.safe_load((home / "policy" / "decisions" / "offers.yaml").read_text("utf-8"))
        offers = table["offer"].set_index("offer_id")
        offers = offers.assign(
            kind=offers["hook_id"].fillna("INFORMATION"), ask=offers["min_amount"].astype(float),
            lasts=offers["outcome_days"].astype(float) * _DAY,
            **{f"by_{name}": [float(channel in cards[offer]["channels"]) for offer in offers.index]
               for channel, name in _CHANNELS.items()},
        )  # fmt: skip
        offers = offers[["kind", "ask", "lasts", *(f"by_{name}" for name in _CHANNELS.values())]]
        done = (
            table["response"].assign(done=hours(table["response"]["occurred_at"])).groupby("contact_id")["done"].min()
        )
        sent = table["contact"].assign(
            at=hours(table["contact"]["sent_at"]), seen=hours(table["contact"]["opened_at"]),
            done=table["contact"]["contact_id"].map(done),
        )  # fmt: skip
        contacts = sent[["contact_id", "customer_id", "offer_id", "at", "seen", "done"]].join(offers, on="offer_id")
        bought = table["txn"].assign(at=hours(table["txn"]["occurred_at"]), amount=table["txn"]["amount"].astype(float))
        return cls(contacts, bought[["customer_id", "at", "amount"]], offers)

    def seen_by(self, contact_ids: pd.Series, closes: np.ndarray) -> np.ndarray:
        """1 where a contact (n,) was viewed by the hour `closes` (n,), else 0."""
        seen = self.contacts.set_index("contact_id")["seen"].reindex(contact_ids).to_numpy()
        return np.asarray(seen <= closes, dtype=np.float64)


def hours(instants: pd.Series) -> np.ndarray:
    """Hours since the first wave, NaN for no instant."""
    return ((pd.to_datetime(instants, utc=True) - pd.Timestamp(HOUR_ZERO)) / pd.Timedelta("1h")).to_numpy(float)


def habits(rows: pd.DataFrame, events: Events) -> pd.DataFrame:
    """The habits before each of `rows` (customer_id, offer_id, sent_at), in their order, all float64."""
    asked = pd.DataFrame({
        "row": np.arange(len(rows)), "customer_id": rows["customer_id"].to_numpy(), "now": hours(rows["sent_at"]),
        "offer": rows["offer_id"].to_numpy(),
    }).join(events.offers[["ask", "lasts"]], on="offer")  # fmt: skip
    known = events.offers.loc[asked["offer"]].reset_index(drop=True)
    own = known.filter(like="by_").assign(ask_a_day=known["ask"] / (known["lasts"] / _DAY))
    found = pd.concat([own, _contacts(asked, events), _spending(asked, events)], axis=1)
    return found.assign(**_against(found, asked)).astype("float64")


def _contacts(asked: pd.DataFrame, events: Events) -> pd.DataFrame:
    """Offers received before: seen, completed, completed knowingly; by kind, channel and offer, and those that run."""
    past = asked.merge(events.contacts, on="customer_id", suffixes=("_now", ""))
    past = past[past["at"] < past["now"]]
    seen, done = past["seen"] < past["now"], past["done"] < past["now"]
    past = past.assign(
        is_seen=seen * 1.0, is_done=done * 1.0, is_aware=(seen & done & (past["seen"] <= past["done"])) * 1.0,
        delay=(past["seen"] - past["at"]).where(seen),
    )  # fmt: skip
    all_of, shares = past.groupby("row"), ["is_seen", "is_done", "is_aware"]
    parts = [all_of[shares].mean().add_suffix("_share"), all_of.size().rename("n_received"),
             all_of["delay"].agg(["mean", "min"]).add_prefix("delay_")]  # fmt: skip
    parts += [some.groupby("row")[shares].mean().add_suffix(f"_{kind}") for kind, some in past.groupby("kind")]
    for name in _CHANNELS.values():
        by = past.groupby(["row", f"by_{name}"])["is_seen"].mean().unstack()
        parts.append(by.rename(columns={1.0: f"is_seen_with_{name}", 0.0: f"is_seen_without_{name}"}))
    same = past[past["offer"] == past["offer_id"]].groupby("row")
    parts += [same[["is_seen", "is_done"]].mean().add_suffix("_same"), same.size().rename("n_same")]
    last = past.sort_values("at").groupby("row").tail(1).set_index("row")
    parts.append(last[["is_seen", "is_done"]].add_suffix("_last").assign(last_age=last["now"] - last["at"]))
    runs = past[(past["at"] + past["lasts"] > past["now"]) & ~done].groupby("row")
    running = runs.agg(n_running=("at", "size"), n_running_seen=("is_seen", "sum"), running_ask=("ask", "sum"))
    found = pd.concat([*parts, running], axis=1).reindex(asked["row"])
    return found.fillna(dict.fromkeys(running, 0.0)).reset_index(drop=True)


def _spending(asked: pd.DataFrame, events: Events) -> pd.DataFrame:
    """Purchases before: how many, how large, how lately, and what share of them alone would do for the offer."""
    past = asked.merge(events.purchases, on="customer_id")
    past = past[past["at"] < past["now"]]
    past = past.assign(age=past["now"] - past["at"], is_enough=(past["amount"] >= past["ask"]) * 1.0)
    by = past.groupby("row")
    tickets = by["amount"].agg(["mean", "median", "max", "min", "std"]).add_prefix("ticket_")
    parts = [by["age"].min().rename("hours_since"), by["is_enough"].mean().rename("enough_share")]
    sums = {"ever": past} | {f"{window}h": past[past["age"] <= window] for window in WINDOWS}
    totals = pd.concat(
        [some.groupby("row")["amount"].agg(["size", "sum"]).set_axis([f"n_{name}", f"spent_{name}"], axis=1)
         for name, some in sums.items()], axis=1,
    ).reindex(asked["row"]).fillna(0.0)  # fmt: skip
    return pd.concat([tickets, *parts], axis=1).reindex(asked["row"]).join(totals).reset_index(drop=True)


def _against(found: pd.DataFrame, asked: pd.DataFrame) -> dict[str, pd.Series]:
    """What is spent usually and lately over the days of the offer, against what it asks."""
    days, lasts = np.maximum(asked["now"] / _DAY, 1), asked["lasts"] / _DAY
    lately = found["spent_336h"] / np.clip(days, 1, WINDOWS[-1] / _DAY)
    return {
        "n_a_day": found["n_ever"] / days, "spent_a_day": found["spent_ever"] / days,
        "usual_over_ask": found["spent_ever"] / days * lasts / asked["ask"],
        "lately_over_ask": lately * lasts / asked["ask"],
        "ticket_over_ask": found["ticket_mean"] / asked["ask"],
        "last_half": found["spent_168h"] / np.maximum(found["spent_336h"], 1e-9),
    }  # fmt: skip

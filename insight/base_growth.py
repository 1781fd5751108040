"""Growth of the base that is there (存量经营): net growth of AUM as new, upsell and churn, and who had been foretold.

    new         came into the base, or came back from LOST, and what they brought
    upsell      more in the hands of those who stayed: woken from DORMANT (唤醒), with a product more than a month ago
                (交叉销售), or in what they held (提升)
    churn       who left the base, and what is less in the hands of those who stayed
    net         new + upsell − churn = closing − opening

A customer is in one part, by the first that fits. AUM is the monthly daily average; people as in `insight.bridge`,
whose steps these parts add up to. Beside them, for scores that were told at the opening: the share of the money of a
part that lay with the tenth of highest score, which chance would put at a tenth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import ibis
import pandas as pd

from features.vocabulary import CUSTOMER_ID, Stage
from insight.history import AWAY, History

NEW, WON_BACK = "new", "won_back"
WOKEN, CROSS_SOLD, GROWN = "woken", "cross_sold", "grown"
LEFT, SHRUNK = "left", "shrunk"
UPSELL, CHURN = (WOKEN, CROSS_SOLD, GROWN), (LEFT, SHRUNK)
PARTS = (NEW, WON_BACK, *UPSELL, *CHURN)
TOP_SHARE = 0.1
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Part:
    """The people of one part and the money that moved with them, above 0 for every part."""

    n: int
    amount: float


@dataclass(frozen=True, slots=True)
class Growth:
    """Net growth of AUM between two month ends, in currency."""

    from_on: date
    to_on: date
    opening: float
    closing: float
    parts: Mapping[str, Part]

    @property
    def new(self) -> float:
        return math.fsum(self.parts[name].amount for name in (NEW, WON_BACK))

    @property
    def upsell(self) -> float:
        return math.fsum(self.parts[name].amount for name in UPSELL)

    @property
    def churn(self) -> float:
        return math.fsum(self.parts[name].amount for name in CHURN)

    @property
    def net(self) -> float:
        return self.new + self.upsell - self.churn

    def to_json(self) -> dict[str, Any]:
        sums = {name: getattr(self, name) for name in ("opening", "new", "upsell", "churn", "net", "closing")}
        parts = {name: asdict(part) for name, part in self.parts.items()}
        return {"from_on": self.from_on.isoformat(), "to_on": self.to_on.isoformat(), **sums, "parts": parts}


@dataclass(frozen=True, slots=True)
class Foretold:
    """The share of a part's money that lay with the tenth of highest score, with its 95 % interval; NaN without money.

    `says` is BETTER than chance, WORSE, or EVEN: not distinguishable from a tenth.
    """

    share: float
    low: float
    high: float
    n: int

    @property
    def says(self) -> str:
        if self.low > TOP_SHARE:
            return "BETTER"
        return "WORSE" if self.high < TOP_SHARE else "EVEN"

    def to_json(self) -> dict[str, Any]:
        shown = {name: None if math.isnan(value) else value for name, value in asdict(self).items()}
        return shown | {"says": self.says}


def moved(history: History) -> pd.DataFrame:
    """One row a customer of the last two months whose money moved: customer_id, `part` and `amount` above 0.

    Raises IndexError where there is one month only.
    """
    rows = _beside(history)
    was, stands = _is_in(rows["stage_before"]), _is_in(rows["stage_after"])
    change = rows["after"] - rows["before"]
    tests = {
        WON_BACK: stands & (rows["stage_before"] == Stage.LOST),
        NEW: stands & ~was,
        LEFT: was & ~stands,
        SHRUNK: was & stands & (change < 0),
        WOKEN: was & stands & (rows["stage_before"] == Stage.DORMANT) & (rows["stage_after"] != Stage.DORMANT),
        CROSS_SOLD: was & stands & (rows["held_after"] > rows["held_before"]),
        GROWN: was & stands,
    }
    part = pd.Series(None, index=rows.index, dtype=object)
    for name, holds in tests.items():
        part = part.where(part.notna() | ~holds, name)
    amount = change.abs().where(part.isin([SHRUNK, *UPSELL]), rows["after"].where(part != LEFT, rows["before"]))
    told = pd.DataFrame({CUSTOMER_ID: rows[CUSTOMER_ID], "part": part, "amount": amount})
    return told[told["part"].notna() & (told["amount"] != 0)].reset_index(drop=True)


def growth(history: History) -> Growth:
    """The last two months as one Growth."""
    rows, opened, closed = moved(history), history.months[-2], history.months[-1]
    sums = rows.groupby("part")["amount"].agg(["count", math.fsum])
    parts = {name: Part(int(sums["count"].get(name, 0)), float(sums["fsum"].get(name, 0.0))) for name in PARTS}
    stand = _beside(history)
    opening = math.fsum(stand["before"][_is_in(stand["stage_before"])])
    closing = math.fsum(stand["after"][_is_in(stand["stage_after"])])
    return Growth(opened.as_of, closed.as_of, opening, closing, parts)


def foretold(rows: pd.DataFrame, scores: pd.Series[float], parts: tuple[str, ...]) -> Foretold:
    """How much of the money of `parts` lay with the tenth of `scores` (by customer_id) that is highest.

    r = Σ aᵢtᵢ ÷ Σ aᵢ over those with a score, aᵢ the money and tᵢ whether among the top; its variance by the ratio's
    linear part, Σ aᵢ²(tᵢ − r)² ÷ (Σ aᵢ)². Customers are drawn, not money: a few large sums make the interval wide, and
    with a handful of customers it is too narrow.
    """
    known = scores.dropna()
    top = set(known.nlargest(math.ceil(TOP_SHARE * len(known))).index)
    mine = rows[rows["part"].isin(parts) & rows[CUSTOMER_ID].isin(known.index)]
    amount, is_top = mine["amount"].to_numpy(), mine[CUSTOMER_ID].isin(top).to_numpy()
    whole = math.fsum(amount)
    if not whole > 0:
        return Foretold(math.nan, math.nan, math.nan, len(mine))
    share = math.fsum(amount[is_top]) / whole
    error = math.sqrt(math.fsum((amount * (is_top - share)) ** 2)) / whole
    return Foretold(share, max(share - _Z * error, 0.0), min(share + _Z * error, 1.0), len(mine))


def _beside(history: History) -> pd.DataFrame:
    """Everybody of the last two months with stage, AUM and number of holdings in both."""
    sides = []
    for place, name in ((-2, "before"), (-1, "after")):
        month = history.month(place)
        held = month.n_holdings if "n_holdings" in month.columns else ibis.null("int64")
        sides.append(month.select(
            CUSTOMER_ID, **{f"stage_{name}": month.stage, name: month.mda.fill_null(0.0), f"held_{name}": held}
        ))  # fmt: skip
    joined = sides[0].outer_join(sides[1], CUSTOMER_ID)
    who = ibis.coalesce(joined[CUSTOMER_ID], joined[f"{CUSTOMER_ID}_right"])
    frame = joined.mutate(who=who).drop(CUSTOMER_ID, f"{CUSTOMER_ID}_right").rename({CUSTOMER_ID: "who"}).to_pandas()
    return frame.sort_values(CUSTOMER_ID, ignore_index=True).fillna({"before": 0.0, "after": 0.0})


def _is_in(stages: pd.Series[Any]) -> pd.Series[bool]:
    return stages.notna() & ~stages.isin([str(away) for away in AWAY])

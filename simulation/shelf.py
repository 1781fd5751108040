"""What the simulated customers can buy: what each product does to an account, and the offers that name it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa

from features.bank.engines import arrow_schema
from features.bank.tables import ASSET_CLASSES, TABLES
from features.errors import BadRequest
from simulation.chance import Array

SLOT = {name: i for i, name in enumerate(ASSET_CLASSES)}
NO_SLOT = -1


class Need(IntEnum):
    """What a customer can have a need of; every offer answers one."""

    DEPOSIT = 0
    WEALTH = 1
    FUND = 2
    INSURANCE = 3
    CREDIT = 4
    PAYMENT = 5
    SCENE = 6
    TOOL = 7
    CARE = 8


class Form(IntEnum):
    """Which bank table tells that a product is held."""

    HOLDING = 0
    LOAN = 1
    SERVICE = 2


@dataclass(frozen=True, slots=True)
class Product:
    """What a product does: its form, the asset class its money lies in, its terms in days (none: open-ended)."""

    form: Form
    need: Need
    asset: str | None = None
    terms_days: tuple[int, ...] = ()
    is_repeatable: bool = False


_H, _L, _S = Form.HOLDING, Form.LOAN, Form.SERVICE
PRODUCTS: dict[str, Product] = {
    "P01": Product(_H, Need.DEPOSIT, "TIME", (90, 180)),
    "P02": Product(_H, Need.WEALTH, "WMP", (30, 60, 90)),
    "P03": Product(_H, Need.DEPOSIT, "MMF"),
    "P04": Product(_H, Need.PAYMENT),
    "P05": Product(_S, Need.PAYMENT),
    "P06": Product(_H, Need.DEPOSIT, "TIME", (90, 180, 365), is_repeatable=True),
    "P07": Product(_H, Need.DEPOSIT, "LCD", (365, 1095), is_repeatable=True),
    "P08": Product(_S, Need.TOOL),
    "P09": Product(_H, Need.WEALTH, "WMP", (60, 90, 180), is_repeatable=True),
    "P10": Product(_H, Need.WEALTH, "WMP", (180, 365), is_repeatable=True),
    "P11": Product(_H, Need.FUND, "FUND"),
    "P12": Product(_H, Need.FUND, "FUND"),
    "P13": Product(_H, Need.INSURANCE, "INS"),
    "P14": Product(_H, Need.INSURANCE, "INS"),
    "P15": Product(_H, Need.INSURANCE, "TIME", (3650,)),
    "P16": Product(_H, Need.FUND, "GOLD"),
    "P17": Product(_H, Need.WEALTH, "TRUST", (365, 730)),
    "P18": Product(_H, Need.WEALTH, "TRUST", (3650,)),
    "P19": Product(_L, Need.CREDIT, terms_days=(360, 720)),
    "P20": Product(_L, Need.CREDIT, terms_days=(3600, 7200)),
    "P21": Product(_L, Need.CREDIT, terms_days=(360,)),
    "P22": Product(_L, Need.CREDIT),
    "P23": Product(_L, Need.CREDIT, terms_days=(180, 360)),
    "P24": Product(_S, Need.SCENE),
    "P25": Product(_S, Need.SCENE),
    "P26": Product(_S, Need.SCENE),
    "P27": Product(_S, Need.TOOL),
    "P28": Product(_S, Need.TOOL),
    "P29": Product(_S, Need.TOOL),
    "P30": Product(_S, Need.TOOL),
    "P31": Product(_S, Need.TOOL),
}
_BY_KIND = {
    "financial": Product(_H, Need.WEALTH),
    "platform": Product(_S, Need.SCENE),
    "service": Product(_S, Need.CARE),
}


class Shelf:
    """Products by number, and offers by number with arrays over them; money in minor units.

    `rows` are the offers as bank table `offer` holds them. `plain` gives for each product the offer that sells it
    without a hook, or the first that names it, or -1.
    """

    def __init__(self, offers: pa.Table) -> None:
        self.rows = conformed(offers)
        rows = self.rows.to_pylist()
        self.offer_ids: list[str] = [row["offer_id"] for row in rows]
        if len(set(self.offer_ids)) != len(self.offer_ids):
            raise BadRequest("offers are listed twice", todo="pass the rows of one day of bank table `offer`")
        known = dict(PRODUCTS)
        of_offer = []
        for row in rows:
            product_id = row["product_id"] or row["offer_id"]  # a hook or service action alone is held as itself
            known.setdefault(product_id, _BY_KIND.get(row["kind"], Product(_S, Need.TOOL)))
            of_offer.append(product_id)
        self.product_ids = list(known)
        self._arrays(known, [self.product_ids.index(product_id) for product_id in of_offer], rows)

    def _arrays(self, known: dict[str, Product], of_offer: list[int], rows: list[dict[str, Any]]) -> None:
        products = list(known.values())
        self.form = np.array([p.form for p in products], np.int8)
        self.slot = np.array([SLOT[p.asset] if p.asset else NO_SLOT for p in products], np.int8)
        self.is_repeatable = np.array([p.is_repeatable for p in products])
        self.terms = _padded([p.terms_days for p in products])
        self.product = np.array(of_offer, np.int16)
        self.need = np.array([products[i].need for i in of_offer], np.int8)
        self.is_care = np.array([row["kind"] == "service" or row["role"] == "care" for row in rows])
        self.is_ranked = np.array([row["is_ranked"] for row in rows], dtype=bool)
        self.is_hooked = np.array([row["hook_id"] is not None for row in rows])
        self.min_minor = np.array([int(row["min_amount"] * 100) for row in rows], np.int64)
        self.has_reward = np.array([row["reward_amount"] > 0 for row in rows])
        self.risk = np.array([row["risk_level"] for row in rows], np.int8)
        self.outcome_days = np.array([row["outcome_days"] for row in rows], np.int32)
        self.plain = np.full(len(products), -1, np.int16)
        for offer in sorted(range(len(rows)), key=lambda i: bool(self.is_hooked[i]), reverse=True):
            self.plain[of_offer[offer]] = offer

    def product_number(self, product_id: str) -> int:
        """The product's number."""
        return self.product_ids.index(product_id)

    def offer_number(self, offer_id: str) -> int:
        """The offer's number; raises BadRequest for one that is not on the shelf."""
        if offer_id not in self.offer_ids:
            raise BadRequest("offer is not on the shelf", value=offer_id, allowed=self.offer_ids)
        return self.offer_ids.index(offer_id)


def conformed(offers: pa.Table) -> pa.Table:
    """The rows in the types of bank table `offer`; raises BadRequest if they do not fit."""
    schema = arrow_schema(TABLES["offer"])
    missing = set(schema.names) - set(offers.column_names)
    if missing:
        raise BadRequest("the offers lack columns", value=sorted(missing), todo="pass rows of bank table `offer`")
    try:
        return offers.select(schema.names).cast(schema).combine_chunks()
    except (pa.ArrowException, ValueError) as error:
        raise BadRequest("the offers do not fit", value=str(error), todo="pass rows of bank table `offer`") from error


def _padded(terms: list[tuple[int, ...]]) -> Array:
    """Terms as (products, 3) days: short lists repeat, open-ended products have 0."""
    return np.array([(list(t) * 3)[:3] if t else [0, 0, 0] for t in terms], np.int32)

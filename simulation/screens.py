"""What customers look at on their screens, and how the app runs for them: bank table `app_quality`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.bank.tables import EVENTS
from simulation.bank_files import codes, dates, ids, instants, known_next_morning
from simulation.behaviour import CHANNEL, EVENT, Month, Visits
from simulation.chance import Array, pick
from simulation.population import Population
from simulation.shelf import PRODUCTS, Need

PAGES = ("PRODUCT", "SEARCH", "TRANSFER_OUT")
_PAGE_OF = {"VIEW": 0, "CLICK": 0, "STEP": 0, "SUBMIT": 0, "DONE": 0, "SEARCH": 1, "TRANSFER_OUT_PAGE": 2}
_OF_NEED_SHARE = 0.5  # of the products looked at, those that answer the customer's strongest need
_LOOKED_SHARE = 0.6  # of the events on product pages, those whose product the app can tell
DEVICES = ("IOS", "ANDROID", "HARMONY")
_DEVICE_SHARES = (0.3, 0.5, 0.2)
_CRASHES, _FAILURES, _LATENCY_MS = (0.01, 0.05, 0.03), (0.1, 0.25, 0.2), (350, 700, 550)  # a day, by device
_SPREAD = 0.4
_MEASURED_SHARE = 0.9


def pages(seen: Visits) -> Array:
    """The number of the page of each event in PAGES, -1 for none."""
    of_event = np.array([_PAGE_OF.get(name, -1) for name in EVENTS], np.int8)
    return of_event[seen.event]


def looked_at(people: Population, seen: Visits, rng: np.random.Generator) -> pa.Array:
    """The product that each event looks at, null for none: half of them answer the customer's strongest need."""
    k, names = len(seen.who), list(PRODUCTS)
    strongest = people.latents.need.argmax(axis=1)[seen.who]
    nth = (rng.random(k, dtype=np.float32) * _N_OF_NEED[strongest]).astype(np.int64)
    any_product = rng.integers(0, len(names), k)
    product = np.where(rng.random(k, dtype=np.float32) < _OF_NEED_SHARE, _OF_NEED[strongest, nth], any_product)
    is_told = (pages(seen) == 0) & (rng.random(k, dtype=np.float32) < _LOOKED_SHARE)
    return codes(names, np.where(is_told, product, -1).astype(np.int8))


def _products_by_need() -> tuple[Array, Array]:
    """The numbers of the products that answer each need, a row a need, and how many they are; care has none: all."""
    by_need = [
        [i for i, p in enumerate(PRODUCTS.values()) if p.need == need] or [*range(len(PRODUCTS))] for need in Need
    ]
    counts = np.array([len(row) for row in by_need])
    return np.array([row + [0] * (int(counts.max()) - len(row)) for row in by_need]), counts


_OF_NEED, _N_OF_NEED = _products_by_need()


def devices(people: Population, rng: np.random.Generator) -> Array:
    """The number of each customer's device in DEVICES, shape (n,)."""
    return pick(rng, _DEVICE_SHARES, people.n)


def app_columns(seen: Visits, device: Array, month: Month, rng: np.random.Generator) -> dict[str, pa.Array]:
    """The bank table `app_quality` of a month: one row a customer and day with a login to the app."""
    logins = (seen.channel == CHANNEL["APP"]) & (seen.event == EVENT["LOGIN"])
    days = np.unique(seen.who[logins].astype(np.int64) * 32 + seen.day[logins])
    who, on = days >> 5, (month.first_on + (days & 31) - 1).astype(np.int32)
    k, mine = len(who), device[days >> 5]
    latency = np.array(_LATENCY_MS)[mine] * np.exp(_SPREAD * rng.standard_normal(k))
    is_measured = rng.random(k, dtype=np.float32) < _MEASURED_SHARE
    return {
        "customer_id": ids("C", who),
        "device": codes(DEVICES, mine),
        "business_on": dates(on),
        "n_crashes": pa.array(rng.poisson(np.array(_CRASHES)[mine]).astype(np.int64)),
        "n_failures": pa.array(rng.poisson(np.array(_FAILURES)[mine]).astype(np.int64)),
        "latency_ms": pa.array(latency.astype(np.int64), mask=~is_measured),
        "known_at": instants(known_next_morning(rng, on)),
    }

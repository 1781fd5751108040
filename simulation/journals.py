"""The two journals of daily life as bank tables: `txn` and `channel_event`, a month at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.bank.tables import EVENT_CHANNELS, EVENTS, TXN_TYPES
from simulation.bank_files import amounts, at_times, codes, dates, hours, ids, in_office, instants, known_after
from simulation.behaviour import CHANNEL, COUNTERPARTY, Month, Txns, Visits
from simulation.chance import Array
from simulation.screens import PAGES, pages

_STAFFED = [CHANNEL[name] for name in ("BRANCH", "CALL", "RM")]  # where the bank's people are, by day


def txn_columns(txns: Txns, month: Month, rng: np.random.Generator) -> dict[str, pa.Array]:
    """The bank table `txn` of a month."""
    on = month.first_on + txns.day.astype(np.int32) - 1
    local = hours(rng, len(on), 6, 23.5)
    at = at_times(on, np.where(np.isin(txns.channel, _STAFFED), in_office(local), local))
    return {
        "txn_id": ids("T", _numbers(month, len(on)), 12),
        "customer_id": ids("C", txns.who),
        "occurred_at": instants(at),
        "business_on": dates(on),
        "account_id": ids("A", txns.who.astype(np.int64) * 10, 12),
        "txn_type": codes(TXN_TYPES, txns.kind),
        "amount": amounts(txns.minor),
        "counterparty": codes(tuple(COUNTERPARTY), txns.counterparty),
        "channel": codes(EVENT_CHANNELS, txns.channel),
        "by_customer": pa.array(txns.by_customer),
        "known_at": instants(known_after(rng, at)),
    }


def event_columns(seen: Visits, month: Month, services: list[str], rng: np.random.Generator, *, looked_at: pa.Array
                  ) -> dict[str, pa.Array]:  # fmt: skip
    """The bank table `channel_event` of a month; `services` names the services by their number.

    `looked_at` is the product that each event looks at.
    """
    on = month.first_on + seen.day - 1
    local = hours(rng, len(on), 7, 23)
    at = at_times(on, np.where(np.isin(seen.channel, _STAFFED), in_office(local), local))
    return {
        "event_id": ids("V", _numbers(month, len(on)), 12),
        "customer_id": ids("C", seen.who),
        "occurred_at": instants(at),
        "business_on": dates(on),
        "channel": codes(EVENT_CHANNELS, seen.channel),
        "event": codes(EVENTS, seen.event),
        "service_id": codes(services, seen.service),
        "page": codes(PAGES, pages(seen)),
        "product_id": looked_at,
        "known_at": instants(known_after(rng, at)),
    }


def _numbers(month: Month, n: int) -> Array:
    """Numbers of a month's rows: year, month, running number."""
    return np.arange(n) + month.code * 10**8

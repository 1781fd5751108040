"""What goes into the loops and comes out of them: rows of a few customers, and what their columns and bits are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Bools, Floats
from decisioning.few.shelf import Ints

Codes = NDArray[np.int16]
# columns of what is asked of a customer; where the answers to the rules' questions about his texts begin follows
(
    NOW, CHANNEL, BASIS, IS_QUIET, IS_GENERIC, IS_HELD_OUT, IS_BARRED, INVESTOR, ASKED, MOMENT, ASSUMED, HELD, SERVICES,
    CLOSED, OPENED, WITHHELD, LISTED, LEADING, ORDER_OF_BAND, SECONDARY, FIRST_EVENT, LAST_EVENT, LIMIT, TEXTS,
) = range(24)  # fmt: skip
NO_BASIS, ATTESTS, OPT_IN = range(3)
QUALIFIED, UNKNOWN_INVESTOR, OTHER_INVESTOR = range(3)
# columns of what happened to him, and what a purpose and an outcome are
IS_CONTACT, AT, OFFER, THERE, PURPOSE, OUTCOME = range(6)
OTHER, SALES, LEGAL = range(3)
REFUSED, CONVERTED = 1, 2
# columns of what is told of an offer
SCORE, TOLD_P, TOLD_UPLIFT, TOLD_VALUE, COST, CONTEXT, PROPENSITY = range(7)
# bits of what is noted of an offer; the overlay and one more from bit OVERLAY_AT on, the channel from CHANNEL_AT on
IS_LISTED, IS_SECONDARY, IS_LEADING, IS_LIKELY, IS_WORTHWHILE, IS_PRIOR, IS_ASSUMED, WAS_ASKED, IS_MOMENT = (
    1 << bit for bit in range(9)
)
OVERLAY_AT, CHANNEL_AT = 16, 32
# reasons beside those of the filters, and the filters that have a loop; from GIVEN on stand those that have none
NOT_IN_CHANNEL, TOOL_ALONE, HELD_OUT, ASLEEP = range(1, 5)
EXCLUSION, CONSENT, ELIGIBILITY, APPLICABILITY, SUITABILITY, CONTACT_POLICY, GIVEN = range(7)
NEVER_US = int(np.datetime64("9999-12-31", "us").astype(np.int64))


class Given(NamedTuple):
    """What g filters that have no loop said of n customers, m offers and c channels, as reasons; 0 is none."""

    codes: Codes  # (g, n, m)
    channels: Codes  # (g, n, m, c)
    until: Ints  # (g, n, m), microseconds since 1970, 0 unknown


class Rows(NamedTuple):
    """n customers as the loops read them."""

    asked: Ints  # (n, TEXTS + columns): NOW …
    numbers: Floats  # (n, numbers) by `shelf.numbers_of`
    p: Floats  # (n, m), as in `Inputs`
    uplift: Floats
    share: Floats
    price: Floats
    events: Ints  # (events, 6), customer by customer: IS_CONTACT …
    keys: NDArray[np.uint64]  # (n, 2), of their noise


class Weighed(NamedTuple):
    """What became of n customers' m offers; k lists of s slots are those of the customers and then those which the ones
    held out would have had."""

    reason: Codes  # (n, m), 0 for an offer that may be told
    until: Ints  # (n, m), microseconds since 1970 at which the reason lapses, 0 unknown
    offers: Ints  # (k, s), EMPTY behind the list's end
    notes: Ints  # (k, s): IS_LISTED …
    figures: Floats  # (k, s, 7): SCORE …
    ends: Floats  # (k,), the propensity of NO_ACTION where it ended the list, else NaN


class One(NamedTuple):
    """One customer, and room to work in."""

    asked: Ints
    numbers: Floats
    p: Floats  # (m,), as the three that follow
    uplift: Floats
    share: Floats
    price: Floats
    events: Ints
    said: Codes
    reason: Codes
    until: Ints
    closed: Codes  # (m, c): the reason for which a channel is closed to an offer
    shut: Codes  # (m, c): likewise, of one filter
    yes: Bools  # (r,): the rules that hold
    no: Bools  # (r,): those that fail
    is_asked: Bools  # (m,)
    sells: Bools  # (m,): neither care nor asked for
    times: Ints  # of events

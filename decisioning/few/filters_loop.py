"""The filters asked of one customer, each beside its file in `decisioning/filters` and in its order."""

from __future__ import annotations

import numpy as np

from decisioning.catalogue.catalogue import Bools, Floats
from decisioning.few.rows import (
    APPLICABILITY,
    AT,
    ATTESTS,
    BASIS,
    CLOSED,
    CONSENT,
    CONTACT_POLICY,
    CONVERTED,
    ELIGIBILITY,
    EXCLUSION,
    GIVEN,
    HELD,
    INVESTOR,
    IS_BARRED,
    IS_CONTACT,
    IS_QUIET,
    LEGAL,
    NEVER_US,
    NO_BASIS,
    NOW,
    OFFER,
    OPENED,
    OTHER,
    OUTCOME,
    PURPOSE,
    QUALIFIED,
    REFUSED,
    SALES,
    SERVICES,
    SUITABILITY,
    THERE,
    UNKNOWN_INVESTOR,
    WITHHELD,
    Codes,
    Given,
    One,
)
from decisioning.few.shelf import (
    CAP,
    CARE,
    CORE,
    OUTBOUND,
    OWN_MINIMUM,
    PRIVATE,
    QUIET,
    READINESS,
    REPEATABLE,
    RISK,
    WINDOW_US,
    Ints,
    Shelf,
)
from features.compiling import compiled

(
    _COMPLAINTS, _IS_STALE, _DAYS, _SERVICES, _ACTIVE_DAYS, _CONVERSIONS, _AUM, _LEVEL, _IS_VALID, _AGE
) = range(10)  # of `shelf.NUMBERS`  # fmt: skip


@compiled
def apply(one: One, shelf: Shelf, which: int, first: int, i: int, given: Given) -> None:
    """Ask a filter, whose reasons follow `first`, about the customer in row i."""
    if which == EXCLUSION:
        _exclude(one, shelf, first)
    elif which == CONSENT:
        _consent(one, shelf, first)
    elif which == ELIGIBILITY:
        _eligible(one, shelf, first)
    elif which == APPLICABILITY:
        _applicable(one, shelf, first)
    elif which == SUITABILITY:
        _suitable(one, shelf, first)
    elif which == CONTACT_POLICY:
        _contact(one, shelf, first)
    else:
        codes, until = given.codes[which - GIVEN, i], given.until[which - GIVEN, i]
        for j in range(len(codes)):
            if one.reason[j] == 0 and codes[j] != 0:
                one.reason[j], one.until[j] = codes[j], until[j]
        one.shut[:] = given.channels[which - GIVEN, i]
        _close(one.reason, one.closed, one.shut)


@compiled
def reject(reason: Codes, j: int, code: int) -> None:
    """Put an offer out for a reason, unless it is out."""
    if reason[j] == 0:
        reason[j] = code


@compiled
def _close(reason: Codes, closed: Codes, shut: Codes) -> None:
    """Close what is shut; an offer whose last channel closes is out, for the reason of its first that was open."""
    m, c = shut.shape
    for j in range(m):
        first, is_open, is_shut = -1, False, False
        for k in range(c):
            is_shut = is_shut or shut[j, k] != 0
            if closed[j, k] == 0:
                first = k if first == -1 else first
                closed[j, k] = shut[j, k]
                is_open = is_open or shut[j, k] == 0
        if is_shut and not is_open:
            reject(reason, j, closed[j, max(first, 0)])


@compiled
def _exclude(one: One, shelf: Shelf, first: int) -> None:
    n = shelf.exclusions.shape[1]
    rule = len(one.yes) - len(shelf.overlay_factor) - n
    for k in range(n):
        if one.yes[rule + k]:
            for j in range(len(one.reason)):
                if not (shelf.offers[CARE, j] and shelf.exclusions[1, k] == 1):
                    reject(one.reason, j, first + shelf.exclusions[0, k])


@compiled
def _consent(one: One, shelf: Shelf, first: int) -> None:
    do_not_call, no_consent, withheld = first + 1, first + 2, first + 3
    basis, closed, opened = one.asked[BASIS], one.asked[CLOSED], one.asked[OPENED]
    m, c = one.shut.shape
    for k in range(c):
        code = 0
        is_open = basis == ATTESTS if opened < 0 else one.said[opened + k] == 1
        if closed >= 0 and one.said[closed + k] == 1:
            code = do_not_call
        elif shelf.channels[OUTBOUND, k] == 1 and (basis == NO_BASIS or not is_open):
            code = no_consent
        for j in range(m):
            one.shut[j, k] = code
    if one.asked[WITHHELD] >= 0:
        _withhold(one, one.asked[WITHHELD], withheld)
    _close(one.reason, one.closed, one.shut)


@compiled
def _withhold(one: One, said: int, withheld: int) -> None:
    """Put out sales of categories of which the customer wants to hear nothing; shut the channels he closed to some."""
    m, c = one.shut.shape
    for j in range(m):
        if one.sells[j]:
            if one.said[said + j] == 1:
                reject(one.reason, j, withheld)
            for k in range(c):
                if one.shut[j, k] == 0 and one.said[said + m + j * c + k] == 1:
                    one.shut[j, k] = withheld


@compiled
def _eligible(one: One, shelf: Shelf, first: int) -> None:
    data_missing, gate, cell_barred, not_ready, below_minimum = first + 1, first + 2, first + 3, first + 4, first + 5
    is_stranger, ready = not one.numbers[_DAYS] >= shelf.figures.stranger_days, _readiness(one.numbers, shelf)
    is_barred, money = one.asked[IS_BARRED] == 1, one.numbers[_AUM]
    for j in range(len(one.reason)):
        is_unasked_core, wanted = shelf.offers[CORE, j] and not one.is_asked[j], shelf.amounts[READINESS, j]
        if one.no[j]:
            reject(one.reason, j, gate)
        elif not one.yes[j]:
            reject(one.reason, j, data_missing)
        elif is_unasked_core and is_barred:
            reject(one.reason, j, cell_barred)
        elif is_unasked_core and wanted > 0 and (is_stranger or ready < wanted):
            reject(one.reason, j, not_ready)
        elif money < shelf.amounts[OWN_MINIMUM, j]:
            reject(one.reason, j, below_minimum)


@compiled
def _readiness(numbers: Floats, shelf: Shelf) -> float:
    figures, total = shelf.figures, 0.0
    for k in range(len(shelf.readiness)):
        which = shelf.readiness[k, 0]
        if which == 0:
            part = numbers[_DAYS] / figures.full_days
        elif which == 1:
            part = numbers[_SERVICES] / figures.full_services
        elif which == 2:
            part = numbers[_ACTIVE_DAYS] / figures.full_active_days
        else:
            part = 1.0 if numbers[_CONVERSIONS] >= 1 else 0.0
        total += shelf.readiness[k, 1] * (min(part, 1.0) if part > 0 else 0.0)
    return total


@compiled
def _applicable(one: One, shelf: Shelf, first: int) -> None:
    held, refused, converted = first + 1, first + 2, first + 3
    products, services = one.asked[HELD], one.asked[SERVICES]
    for j in range(len(one.reason)):
        if (one.said[products + j] == 1 or one.said[services + j] == 1) and not shelf.offers[REPEATABLE, j]:
            reject(one.reason, j, held)
    if _n_answered(one.events):
        now, refusal_us = one.asked[NOW], shelf.figures.refusal_us
        for j in range(len(one.reason)):
            until = _latest(one.events, shelf.same_thing[j], REFUSED) + refusal_us
            if one.reason[j] == 0 and until > now and not one.is_asked[j]:
                one.reason[j], one.until[j] = refused, until
            until = _latest(one.events, shelf.same_thing[j], CONVERTED) + shelf.outcome_us[j]
            if one.reason[j] == 0 and until > now:
                one.reason[j], one.until[j] = converted, until


@compiled
def _n_answered(events: Ints) -> int:
    n = 0
    for k in range(len(events)):
        n += events[k, OUTCOME] != OTHER
    return n


@compiled
def _latest(events: Ints, same_thing: Bools, outcome: int) -> int:
    """When an offer, or another of its product, was last answered so; long ago where it never was."""
    latest = -NEVER_US
    for k in range(len(events)):
        offer = events[k, OFFER]
        if events[k, OUTCOME] == outcome and offer >= 0 and same_thing[offer]:
            latest = max(latest, events[k, AT])
    return latest


@compiled
def _suitable(one: One, shelf: Shelf, first: int) -> None:
    data_missing, expired, too_high, age_cap, not_qualified = first + 1, first + 2, first + 3, first + 4, first + 5
    level, is_valid, age = one.numbers[_LEVEL], one.numbers[_IS_VALID], one.numbers[_AGE]
    is_assessed, investor = level == level and is_valid == is_valid, one.asked[INVESTOR]
    for j in range(len(one.reason)):
        risk = shelf.amounts[RISK, j]
        if risk >= 1 and not is_assessed:
            reject(one.reason, j, data_missing)
        if risk >= 1 and is_valid == 0:
            reject(one.reason, j, expired)
        if level < risk:
            reject(one.reason, j, too_high)
        for k in range(len(shelf.age_caps)):
            if risk > shelf.age_caps[k, 1]:
                if age != age:
                    reject(one.reason, j, data_missing)
                elif age >= shelf.age_caps[k, 0]:
                    reject(one.reason, j, age_cap)
        if shelf.offers[PRIVATE, j] and investor != QUALIFIED:
            reject(one.reason, j, data_missing if investor == UNKNOWN_INVESTOR else not_qualified)


@compiled
def _contact(one: One, shelf: Shelf, first: int) -> None:
    complaint, sales_cap, channel_cap = first + 1, first + 2, first + 7
    figures, now, complains = shelf.figures, one.asked[NOW], one.numbers[_COMPLAINTS] > 0
    m, c = one.shut.shape
    n_messages = _times(one.events, one.times, False, -1)
    is_full = _freed_at(one.times, n_messages, figures.all_max, figures.all_window_us) > now
    n_sales = _times(one.events, one.times, True, -1)
    freed_at = _freed_at(one.times, n_sales, figures.sales_max, figures.sales_window_us)
    for j in range(m):
        if one.sells[j] and one.reason[j] == 0:
            if complains:
                one.reason[j] = complaint
            elif freed_at > now:
                one.reason[j], one.until[j] = sales_cap, 0 if freed_at == NEVER_US else freed_at
    for k in range(c):
        code = _closing(one, shelf.channels[OUTBOUND, k] == 1, shelf.channels[QUIET, k] == 1, one.yes[m + k], is_full)
        most, is_capped = shelf.channels[CAP, k], False
        if 0 <= most <= n_sales:
            n_there = _times(one.events, one.times, True, k)
            is_capped = code == 0 and _freed_at(one.times, n_there, most, shelf.channels[WINDOW_US, k]) > now
        for j in range(m):
            one.shut[j, k] = first + code if code else channel_cap if is_capped and one.sells[j] else 0
    _close(one.reason, one.closed, one.shut)


@compiled
def _closing(one: One, is_outbound: bool, is_quiet_there: bool, is_for_customer: bool, is_full: bool) -> int:
    """The place of the reason, in the filter's table, that closes a channel for care as for sales; 0 for none."""
    not_for_customer, stale, quiet_hours, message_cap = 3, 4, 5, 6
    if not is_for_customer:
        return not_for_customer
    if is_outbound and one.numbers[_IS_STALE] == 1:
        return stale
    if is_quiet_there and one.asked[IS_QUIET] == 1:
        return quiet_hours
    return message_cap if is_outbound and is_full else 0


@compiled
def _times(events: Ints, times: Ints, is_sales: bool, channel: int) -> int:
    """Put down when the customer was spoken to (all but LEGAL, or to sell, there or anywhere), and count it."""
    n = 0
    for k in range(len(events)):
        purpose = events[k, PURPOSE]
        counts = purpose == SALES if is_sales else purpose != LEGAL
        if events[k, IS_CONTACT] == 1 and counts and (channel == -1 or events[k, THERE] == channel):
            times[n] = events[k, AT]
            n += 1
    return n


@compiled
def _freed_at(times: Ints, n: int, most: int, window_us: int) -> int:
    """When there is room again under a cap of `most` contacts in a window; 0 where fewer ever were."""
    if most == 0:
        return NEVER_US
    return np.sort(times[:n])[n - most] + window_us if n >= most else 0

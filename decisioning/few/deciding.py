"""A few customers decided: read, weighed and drawn in arrays of all of them, and told one by one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import NamedTuple

import numpy as np
import orjson

from decisioning.candidates import FILTERS, Filter
from decisioning.case import Case
from decisioning.catalogue.catalogue import Catalogue
from decisioning.decision import Decision, ShadowSlot
from decisioning.exploration import NOTHING, draw, gumbel_of, noise_key
from decisioning.few.loops import weighed
from decisioning.few.reading import Known, Reading, nothing_given
from decisioning.few.rows import (
    GIVEN,
    Given,
    Weighed,
)  # fmt: skip
from decisioning.few.shelf import Shelf, codes_of
from decisioning.few.telling import REASONS, Telling
from decisioning.inputs import Inputs, Terms
from decisioning.policy import DecisionsPolicy
from decisioning.situation import Situation
from features.errors import BadRequest

_LOOPS = ("exclusion", "consent", "eligibility", "applicability", "suitability", "contact_policy")  # as in `rows.py`
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Drawn(NamedTuple):
    """Offers in order with the probability of each given those above it, and NO_ACTION's where it ended the list."""

    slots: list[tuple[int, float]]
    end_propensity: float | None


class Few:
    """Decides a few customers under one catalogue and policy; may be shared by threads."""

    def __init__(
        self, catalogue: Catalogue, policy: DecisionsPolicy, filters: Sequence[tuple[str, Filter]] = FILTERS
    ) -> None:
        """`filters` by name, in order; those that have no loop are asked in arrays, one customer after the other."""
        self._catalogue, self._policy = catalogue, policy
        self._shelf, self._reading = Shelf.of(catalogue, policy), Reading(catalogue, policy)
        self._reasons: list[tuple[str, str]] = list(REASONS)
        self._without_loop = [(name, apply) for name, apply in filters if name not in _LOOPS]
        self._steps = np.array([self._step(name) for name, _ in filters], dtype=np.int64).reshape(-1, 2).T.copy()
        self._telling = Telling(catalogue, policy, self._reasons)
        self._turn = threading.Lock()
        self.decide([_nobody(catalogue.m)])  # compiled before somebody waits for it

    def decide(self, cases: Sequence[Case]) -> list[Decision]:
        """The decision of each of a few customers; raises BadRequest for an unknown channel."""
        for terms in (case.terms for case in cases):
            if terms.channel and terms.channel not in self._catalogue.channel_index:
                raise BadRequest("unknown channel", value=terms.channel, allowed=self._catalogue.channels)
        if not cases:
            return []
        given = self._given(cases)
        with self._turn:
            self._reading.sayings.renew()
            known, rows = self._reading.read(cases, given)
            found = weighed(self._shelf, self._reading.sayings.rows, rows, self._steps)
        return self._told(known, found)

    def _step(self, name: str) -> tuple[int, int]:
        """A filter as the loops know it: which one, and its first reason."""
        if name not in _LOOPS:
            return GIVEN + [name for name, _ in self._without_loop].index(name), 0
        first = len(self._reasons) - 1
        self._reasons += [(name, code) for code in self._codes(name)[1:]]
        return _LOOPS.index(name), first

    def _codes(self, name: str) -> Sequence[str]:
        """The codes of a filter that has a loop."""
        codes: Sequence[str] | None = getattr(import_module(f"decisioning.filters.{name}"), "TABLE", None)
        return codes_of(self._policy) if codes is None else codes

    def _given(self, cases: Sequence[Case]) -> Given:
        """What filters without a loop say of each customer by himself."""
        catalogue, n = self._catalogue, len(cases)
        nothing = nothing_given(n, *catalogue.has_channel.shape)
        if not self._without_loop:
            return nothing
        given = Given(*[np.zeros((len(self._without_loop), *part.shape[1:]), part.dtype) for part in nothing])
        for i, case in enumerate(cases):
            situation = Situation.of(Inputs.from_json(orjson.loads(orjson.dumps(case.to_json()))), catalogue)
            for g, (name, apply) in enumerate(self._without_loop):
                verdicts = apply(situation, catalogue, self._policy)
                reasons = np.array([0, *[self._reason(name, code) for code in verdicts.table[1:]]], dtype=np.int16)
                given.codes[g, i] = reasons[verdicts.codes[0]]
                if verdicts.channels is not None:
                    given.channels[g, i] = reasons[verdicts.channels[0]]
                if verdicts.until is not None:
                    until = verdicts.until[0].astype("datetime64[us]")
                    given.until[g, i] = np.where(np.isnat(until), 0, until.astype(np.int64))
        return given

    def _reason(self, name: str, code: str) -> int:
        if (name, code) not in self._reasons:
            self._reasons.append((name, code))
        return self._reasons.index((name, code))

    def _told(self, known: Sequence[Known], found: Weighed) -> list[Decision]:
        drawn, shadows = self._drawn(known, found)
        places = [(i, j) for i, one in enumerate(drawn) for j, _ in one.slots]
        rows, offers = [i for i, _ in places], [j for _, j in places]
        told = zip(found.figures[rows, offers].tolist(), found.notes[rows, offers].tolist(), strict=True)
        return [
            self._telling.decision(
                one,
                tuple([self._telling.slot(one, *slot, *next(told)) for slot in enumerate(mine.slots, 1)]),
                self._telling.left_out(found.reason[i], found.until[i]),
                shadows.get(i, ()),
                mine.end_propensity,
            )
            for i, (one, mine) in enumerate(zip(known, drawn, strict=True))
        ]

    def _drawn(self, known: Sequence[Known], found: Weighed) -> tuple[list[_Drawn], dict[int, tuple[ShadowSlot, ...]]]:
        """Each one's list, and by row what those held out would have had; who gets nothing personal shares the
        stranger's noise.

        All are drawn at once and as long as the longest: a list goes on as it began, so that a shorter one is the
        beginning of a longer.
        """
        m, figures = self._catalogue.m, self._policy.arbitration
        names = ["" if one.generic is not None else one.case.customer_id for one in known]
        keys = [noise_key(name, one.on, one.case.terms.epoch) for name, one in zip(names, known, strict=True)]
        limits = [one.case.terms.limit for one in known]
        held_out = [i for i, one in enumerate(known) if one.is_held_out]
        score, permitted = found.score, found.permitted
        if held_out:
            score = np.concatenate([score, score[held_out]])
            permitted = np.concatenate([permitted, found.candidates[held_out]])
            keys, limits = keys + [keys[i] for i in held_out], limits + [limits[i] for i in held_out]
        lists = draw(
            score, permitted, gumbel_of(keys, m), catalogue=self._catalogue, figures=figures, limit=max(limits)
        )
        every = zip(lists.offer.tolist(), lists.propensity.tolist(), lists.end_propensity.tolist(), limits, strict=True)
        drawn = [_list(*one) for one in every]
        shadows = {
            i: tuple(
                ShadowSlot(rank, self._catalogue.cards[j].offer_id, float(found.score[i, j]), chance)
                for rank, (j, chance) in enumerate(one.slots, 1)
            )
            for i, one in zip(held_out, drawn[len(known) :], strict=True)
        }
        return drawn[: len(known)], shadows


def _list(offers: Sequence[int], chances: Sequence[float], end: float, limit: int) -> _Drawn:
    taken = [slot for slot in zip(offers, chances, strict=True) if slot[0] != NOTHING][:limit]
    return _Drawn(taken, None if end != end or len(taken) == limit else end)


def _nobody(m: int) -> Case:
    terms = Terms(channel="", limit=1, now=_EPOCH, zone="UTC", consent_basis="none", release_id="", epoch="",
                  prices_version="")  # fmt: skip
    return Case("", {}, [], None, None, (0.0,) * m, (True,) * m, terms)

"""A few customers decided: read, weighed and drawn in arrays of all of them, and told one by one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import numpy as np
import orjson

from decisioning.candidates import FILTERS, Filter
from decisioning.case import Case
from decisioning.catalogue.catalogue import Catalogue
from decisioning.decision import Decision
from decisioning.few.loops import weighed
from decisioning.few.reading import Known, Reading, nothing_given
from decisioning.few.rows import GIVEN, Given, Weighed
from decisioning.few.shelf import Shelf, codes_of, packed
from decisioning.few.telling import REASONS, Telling
from decisioning.inputs import Inputs, Terms
from decisioning.policy import DecisionsPolicy
from decisioning.situation import Situation
from features.errors import BadRequest

_LOOPS = ("exclusion", "consent", "eligibility", "applicability", "suitability", "contact_policy")  # as in `rows.py`
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Few:
    """Decides a few customers under one catalogue and policy; may be shared by threads."""

    def __init__(
        self, catalogue: Catalogue, policy: DecisionsPolicy, filters: Sequence[tuple[str, Filter]] = FILTERS
    ) -> None:
        """`filters` by name, in order; those that have no loop are asked in arrays, one customer after the other."""
        self._catalogue, self._policy = catalogue, policy
        self._shelf, self._reading = packed(Shelf.of(catalogue, policy)), Reading(catalogue, policy)
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
            known, rows = self._reading.read(cases)
            parts: tuple[Any, ...] = (*self._shelf, self._reading.sayings.rows, *rows, self._steps, *given)
            found = weighed(*parts)
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
        lists = list(zip(found.offers.tolist(), found.notes.tolist(), found.figures.tolist(), strict=True))
        shadows, n, ends = iter(lists[len(known) :]), len(known), found.ends.tolist()
        return [
            self._telling.decision(
                one,
                lists[i],
                ends[i],
                self._telling.left_out(found.reason[i], found.until[i]),
                next(shadows) if one.is_held_out else None,
            )
            for i, one in zip(range(n), known, strict=True)
        ]


def _nobody(m: int) -> Case:
    terms = Terms(channel="", limit=1, now=_EPOCH, zone="UTC", consent_basis="none", release_id="", epoch="",
                  prices_version="")  # fmt: skip
    return Case("", {}, [], None, None, (0.0,) * m, (True,) * m, terms)

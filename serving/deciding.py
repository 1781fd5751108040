"""The desk: reads the customers, scores, decides, keeps the decision, and answers only once it is on the disk.

A request pins one release. Its noise belongs to the release that the customer's first decision of the day pinned, so
that a switch at noon does not draw anew; later decisions of the day name the first as what they repeat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np

from decisioning.case import Case, Terms
from decisioning.decide import decide
from decisioning.decision import Decision
from decisioning.inputs import Inputs
from features.errors import MissingRelease, NotReady, TiercelError, UserMistake
from features.online_rows import microseconds
from features.policy import segments
from serving.api.documents import DecisionRequest
from serving.batches import Batch, BatchTerms, batches
from serving.customer_reader import Facts
from serving.errors import UnknownChannel, UnknownCustomer, UnknownOffer
from serving.ground import Ground, Rulebook
from serving.keeping import Keeper
from serving.ledger import DecisionRow, FirstDecision, Ledger, Moment
from serving.moment import closed_channels, counted, moment_facts, recent_of, told_of, with_closed
from serving.portraits import Known
from serving.records import Kept, Plain, kept_of, new_decision_id, placements_of, written
from serving.releases import DamagedRelease, current
from serving.repeats import epoch_of, start_of
from serving.settings import Clock, Settings, ledger_url, zone_of

NO_PRICES = "none"  # until an allocation publishes shadow prices
MOST_ALONE = 16  # customers of a request that are decided one by one


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions of one request in the order asked, the customers it does not know, and the rows to keep."""

    kept: dict[str, Kept]
    unknown: tuple[str, ...]
    rows: tuple[DecisionRow, ...]


_Made = tuple[Kept, DecisionRow | None]


@dataclass(frozen=True, slots=True)
class _Pinned:
    """What a request stands on: a release, what is in force on its day, and its instant."""

    ground: Ground
    rules: Rulebook
    now: datetime
    day: date


class Desk:
    """One home's release, ledger and clock, behind every route."""

    def __init__(self, home: Path, clock: Clock, ledger: Ledger) -> None:
        self.home = home
        self.clock = clock
        self.ledger = ledger
        self.keeper = Keeper(ledger)
        self._ground: Ground | None = None
        self._retired: Ground | None = None
        self._trouble: TiercelError = MissingRelease("nothing has been released", todo="run `tiercel release cut`")
        self.refresh()

    @classmethod
    def open(cls, settings: Settings, clock: Clock) -> Self:
        """The desk of a home; it opens without a release too.

        Raises what opening the ledger raises, and BadPolicy where neither release nor policy names the bank's zone.
        """
        home = settings.home.resolve()
        ledger = Ledger.open(ledger_url(settings), home, zone=_zone(home, clock), clock=clock.now)
        clock.move_past(ledger.latest_at())
        return cls(home, clock, ledger)

    def ground(self) -> Ground:
        """The release that requests pin now; raises why there is none."""
        if self._ground is None:
            raise self._trouble
        return self._ground

    def rulebook(self) -> Rulebook:
        """Policy, catalogue and scorer of today."""
        ground = self.ground()
        return ground.rulebook(ground.business_day(self.clock.now()))

    def refresh(self) -> None:
        """Take up the release that the pointer names, if it is another; one that cannot be opened changes nothing.

        The release before is kept open for requests that pinned it. Raises what opening raises once one is open.
        """
        try:
            release = current(self.home)
            if self._ground is not None and release.id == self._ground.id:
                return
            ground = Ground(release)
            ground.rulebook(ground.business_day(self.clock.now()))
        except TiercelError as error:
            self._trouble = error if isinstance(error, NotReady) else _unfit(error)
            if self._ground is not None:
                raise
            return
        retired, self._retired, self._ground = self._retired, self._ground, ground
        if retired is not None:
            retired.close()

    def close(self) -> None:
        """Write what is queued and close everything."""
        self.ledger.close()
        for ground in (self._ground, self._retired):
            if ground is not None:
                ground.close()

    def decide(self, asked: DecisionRequest, customer_ids: Sequence[str]) -> Decided:
        """The decisions of `customer_ids`, not yet kept; raises UnknownChannel, UnknownOffer and why not ready."""
        _check(asked, self.rulebook())
        if len(customer_ids) <= MOST_ALONE:
            return self._one_by_one(asked, customer_ids)
        return self._together(asked, customer_ids)

    def _one_by_one(self, asked: DecisionRequest, customer_ids: Sequence[str]) -> Decided:
        pinned = self._pinned()
        found = {}
        for customer_id in customer_ids:
            one = self._one(asked, customer_id, pinned)
            if one is not None:
                found[customer_id] = one
        return _answered(customer_ids, found)

    def _one(self, asked: DecisionRequest, customer_id: str, pinned: _Pinned) -> _Made | None:
        """One customer's decision without arrays; None for one whom the release does not know."""
        ground, rules, now, day = pinned.ground, pinned.rules, pinned.now, pinned.day
        row = ground.reader.read_one(customer_id, at=now, day=day)
        if row is None:
            return None
        moment = self.ledger.moment_of(customer_id, before=now, on=day, start=start_of(day, ground.zone))
        facts = row.facts
        facts.update(counted(microseconds(now), moment.happened))
        if moment.closed:
            facts["do_not_call"] = with_closed(facts["do_not_call"], moment.closed)
        scores = rules.scorer.score_one(facts, asked.channel)
        facts["p_churn"] = scores.p_churn
        case = Case(
            customer_id=customer_id,
            facts=facts,
            recent=told_of(moment.happened),
            p=scores.p,
            p_channel=scores.p_channel,
            uplift_share=rules.uplift_share,
            uplift_is_assumed=rules.uplift_is_assumed,
            terms=Terms(
                channel=asked.channel,
                limit=asked.limit,
                now=now,
                zone=ground.zone.key,
                consent_basis=ground.consent_basis,
                release_id=ground.id,
                epoch=self._epoch(moment.first, ground),
                prices_version=NO_PRICES,
                asked=asked.context.asked,
                moment=asked.context.moment,
                degraded=scores.p is None,
                stale=row.is_stale,
            ),
        )
        return _made(rules.alone.decide(case), case.to_json(), asked, moment.first, pinned)

    def _together(self, asked: DecisionRequest, customer_ids: Sequence[str]) -> Decided:
        """Many customers in a few passes over arrays."""
        pinned = self._pinned()
        ground, rules, now = pinned.ground, pinned.rules, pinned.now
        customers = ground.reader.read(list(dict.fromkeys(customer_ids)), at=now, day=pinned.day)
        moment = self._moment(customers.ids, ground, now)
        firsts, facts = moment.firsts, self._facts(customers.ids, customers.facts, moment, rules, now)
        terms = [
            BatchTerms(self._epoch(firsts.get(customer), ground), is_stale)
            for customer, is_stale in zip(customers.ids, customers.stale.tolist(), strict=True)
        ]
        found: dict[str, _Made] = {}
        for batch in batches(terms, facts, recent_of(moment.recent)):
            ids = tuple(customers.ids[place] for place in batch.places)
            inputs = _inputs(ids, batch, asked, pinned)
            for decision, plain in zip(decide(inputs, rules.catalogue, rules.policy), inputs.each_json(), strict=True):
                first = firsts.get(decision.customer_id)
                found[decision.customer_id] = _made(decision, plain, asked, first, pinned)
        return _answered(customer_ids, found)

    def _pinned(self) -> _Pinned:
        ground, now = self.ground(), self.clock.now()
        day = ground.business_day(now)
        return _Pinned(ground, ground.rulebook(day), now, day)

    def known(self, customer_id: str, now: datetime) -> Known | None:
        """What is known of one customer at `now`; None for one whom the release does not know."""
        ground = self.ground()
        day = ground.business_day(now)
        rules = ground.rulebook(day)
        found = ground.reader.read([customer_id], at=now, day=day)
        if not found.ids:
            return None
        facts = self._facts(found.ids, found.facts, self._moment(found.ids, ground, now), rules, now)
        scores = rules.scorer.score(facts, 1, "")
        p_best = None if scores is None else float(np.nanmax(scores.p))
        return Known(customer_id, facts, p_best, bool(found.stale[0]))

    def _epoch(self, first: FirstDecision | None, ground: Ground) -> str:
        if first is None or first.release_id == ground.id:
            return ground.release.epoch
        return epoch_of(self.home, first.release_id) or ground.release.epoch

    def _moment(self, ids: tuple[str, ...], ground: Ground, now: datetime) -> Moment:
        day = ground.business_day(now)
        return self.ledger.moment(ids, before=now, on=day, start=start_of(day, ground.zone))

    def _facts(self, ids: tuple[str, ...], rows: Facts, moment: Moment, rules: Rulebook, now: datetime) -> Facts:
        """Rows, moment and churn of customers."""
        facts = rows | moment_facts(len(ids), now, moment.recent)
        facts["do_not_call"] = closed_channels(ids, facts["do_not_call"], moment.closed)
        facts["p_churn"] = rules.scorer.churn(facts, len(ids))
        return facts


def _zone(home: Path, clock: Clock) -> ZoneInfo:
    """The bank's zone: that of the release, since a policy that is being drafted must not move a running server."""
    with suppress(NotReady, UserMistake, OSError):
        release = current(home)
        return zone_of(release.segments().view(release.as_of).bank.zone)
    return zone_of(segments(home / "policy" / "segments").view(clock.now().date()).bank.zone)


def _unfit(error: TiercelError) -> DamagedRelease:
    told = DamagedRelease(f"the release cannot be served: {error}", todo="roll back, or cut another")
    told.__cause__ = error
    return told


def _inputs(ids: tuple[str, ...], batch: Batch, asked: DecisionRequest, pinned: _Pinned) -> Inputs:
    ground, scorer = pinned.ground, pinned.rules.scorer
    scores = scorer.score(batch.facts, len(ids), asked.channel)
    return Inputs(
        customer_ids=ids,
        facts=batch.facts,
        recent=batch.recent,
        p=None if scores is None else scores.p,
        p_channel=None if scores is None else scores.p_channel,
        uplift_share=scorer.uplift_share,
        uplift_is_assumed=scorer.uplift_is_assumed,
        channel=asked.channel,
        limit=asked.limit,
        now=pinned.now,
        zone=ground.zone.key,
        consent_basis=ground.consent_basis,
        release_id=ground.id,
        epoch=batch.terms.epoch,
        prices_version=NO_PRICES,
        asked=asked.context.asked,
        moment=asked.context.moment,
        degraded=scores is None,
        stale=batch.terms.is_stale,
    )


def _made(
    decision: Decision,
    inputs: Plain,
    asked: DecisionRequest,
    first: FirstDecision | None,
    pinned: _Pinned,
) -> _Made:
    """The record of a decision, and the row to keep unless it is a dry run."""
    repeat_of = None if first is None else first.decision_id
    if asked.dry_run:
        return kept_of(decision, None, repeat_of), None
    one = kept_of(decision, new_decision_id(pinned.now), repeat_of)
    return one, _row(one, asked.channel, written(inputs), pinned.ground, pinned.rules)


def _answered(customer_ids: Sequence[str], found: Mapping[str, _Made]) -> Decided:
    """The decisions that were made, in the order asked."""
    made = {customer: found[customer] for customer in customer_ids if customer in found}
    return Decided(
        {customer: kept for customer, (kept, _) in made.items()},
        tuple(customer for customer in customer_ids if customer not in found),
        tuple(row for _, row in made.values() if row is not None),
    )


def _check(asked: DecisionRequest, rules: Rulebook) -> None:
    if asked.channel and asked.channel not in rules.catalogue.channel_index:  # a night's list asks for any channel
        raise UnknownChannel("unknown channel", value=asked.channel, allowed=sorted(rules.catalogue.channels))
    for offer_id in (*asked.context.asked, *asked.context.moment):
        if offer_id not in rules.catalogue.index:
            raise UnknownOffer("unknown offer in the context", value=offer_id, todo="GET /v1/offers lists them")


def unknown_customer(customer_id: str) -> UnknownCustomer:
    """What is told of a customer whom the release does not know."""
    return UnknownCustomer("no customer of this id in the release", value=customer_id)


def _row(one: Kept, channel: str, inputs: str, ground: Ground, rules: Rulebook) -> DecisionRow:
    decision = one.decision
    return DecisionRow(
        decision_id=str(one.decision_id),
        customer_id=decision.customer_id,
        decided_at=decision.decided_at,
        channel=channel,
        release_id=decision.release_id,
        prices_version=decision.prices_version,
        segments_digest=ground.release.manifest["segments_digest"],
        decisions_digest=rules.policy.digest,
        arm=decision.arm.name,
        answer=one.stored_text(),
        inputs=inputs,
        placements=placements_of(one, rules.catalogue, rules.costs),
        repeat_of=one.repeat_of,
        is_degraded=decision.degraded,
        is_fallback=decision.fallback,
        is_stale=decision.stale,
    )

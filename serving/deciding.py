"""The desk: reads the customers, scores, decides, keeps the decision, and answers only once it is on the disk.

A request pins one release. Its noise belongs to the release that the customer's first decision of the day pinned, so
that a switch at noon does not draw anew; later decisions of the day name the first as what they repeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import numpy as np

from decisioning.decide import decide
from decisioning.inputs import Inputs
from features.errors import MissingRelease, TiercelError
from features.policy import segments
from serving.api.answers import text_of
from serving.api.documents import DecisionRequest
from serving.batches import Batch, batches, of_one
from serving.customer_reader import Facts
from serving.errors import UnknownChannel, UnknownCustomer, UnknownOffer
from serving.ground import Ground, Rulebook
from serving.ledger import DecisionRow, Finish, FirstDecision, Ledger, RecentRows
from serving.moment import closed_channels, moment_facts, recent_of
from serving.portraits import Known
from serving.records import Kept, kept_of, new_decision_id, placements_of
from serving.releases import current
from serving.repeats import FirstDecisions, epoch_of
from serving.settings import Clock, zone_of

NO_PRICES = "none"  # until an allocation publishes shadow prices


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions of one request in the order asked, the customers it does not know, and the rows to keep."""

    kept: dict[str, Kept]
    unknown: tuple[str, ...]
    rows: tuple[DecisionRow, ...]


class Desk:
    """One home's release, ledger and clock, behind every route."""

    def __init__(self, home: Path, clock: Clock, ledger: Ledger) -> None:
        self.home = home
        self.clock = clock
        self.ledger = ledger
        self._firsts = FirstDecisions(ledger)
        self._ground: Ground | None = None
        self._retired: Ground | None = None
        self._trouble: TiercelError = MissingRelease("nothing has been released", todo="run `tiercel release cut`")
        self.refresh()

    @classmethod
    def open(cls, home: Path, clock: Clock) -> Self:
        """The desk of `home`; it opens without a release too. Raises what opening the ledger raises."""
        home = home.resolve()
        zone = zone_of(segments(home / "policy" / "segments").view(clock.now().date()).bank.zone)
        ledger = Ledger.open(f"sqlite:///{home / 'ledger.db'}", home, zone=zone, clock=clock.now)
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
            self._trouble = error
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
        ground, now = self.ground(), self.clock.now()
        day = ground.business_day(now)
        rules = ground.rulebook(day)
        _check(asked, rules)
        customers = ground.reader.read(customer_ids, at=now, day=day)
        firsts = self._firsts.of(customers.ids, day=day, zone=ground.zone, before=now)
        kept: dict[str, Kept] = {}
        rows: list[DecisionRow] = []
        epochs = [self._epoch(firsts.get(customer), ground) for customer in customers.ids]
        for batch in batches(customers, epochs):
            inputs = self._inputs(asked, batch, ground, rules, now)
            for place, decision in enumerate(decide(inputs, rules.catalogue, rules.policy)):
                first = firsts.get(decision.customer_id)
                decision_id = None if asked.dry_run else new_decision_id(now)
                one = kept_of(decision, decision_id, first.decision_id if first else None)
                kept[decision.customer_id] = one
                if not asked.dry_run:
                    rows.append(_row(one, of_one(inputs, place), ground, rules))
        return Decided(kept, customers.unknown, tuple(rows))

    def known(self, customer_id: str, now: datetime) -> Known | None:
        """What is known of one customer at `now`; None for one whom the release does not know."""
        ground = self.ground()
        day = ground.business_day(now)
        rules = ground.rulebook(day)
        found = ground.reader.read([customer_id], at=now, day=day)
        if not found.ids:
            return None
        facts, _ = self._facts(found.ids, found.facts, ground, rules, now)
        scores = rules.scorer.score(facts, 1, "")
        p_best = None if scores is None else float(np.nanmax(scores.p))
        return Known(customer_id, facts, p_best, bool(found.stale[0]))

    async def keep(self, decided: Decided, finish: Finish | None = None) -> None:
        """Return once the decisions are on the disk, all of them; raises with none of them written."""
        if decided.rows:
            await asyncio.wrap_future(self.ledger.record(decided.rows, finish=finish))

    def _epoch(self, first: FirstDecision | None, ground: Ground) -> str:
        if first is None or first.release_id == ground.id:
            return ground.release.epoch
        return epoch_of(self.home, first.release_id) or ground.release.epoch

    def _facts(
        self, ids: tuple[str, ...], rows: Facts, ground: Ground, rules: Rulebook, now: datetime
    ) -> tuple[Facts, RecentRows]:
        """Rows, moment and churn of customers, and the ledger's rows that the moment came from."""
        recent = self.ledger.recent(ids, now)
        facts = rows | moment_facts(len(ids), now, recent)
        closed = self.ledger.do_not_call(ids, ground.business_day(now))
        facts["do_not_call"] = closed_channels(ids, facts["do_not_call"], closed)
        facts["p_churn"] = rules.scorer.churn(facts, len(ids))
        return facts, recent

    def _inputs(self, asked: DecisionRequest, batch: Batch, ground: Ground, rules: Rulebook, now: datetime) -> Inputs:
        scorer = rules.scorer
        facts, recent = self._facts(batch.ids, batch.facts, ground, rules, now)
        scores = scorer.score(facts, len(batch.ids), asked.channel)
        return Inputs(
            customer_ids=batch.ids,
            facts=facts,
            recent=recent_of(recent),
            p=None if scores is None else scores.p,
            p_channel=None if scores is None else scores.p_channel,
            uplift_share=scorer.uplift_share,
            uplift_is_assumed=scorer.uplift_is_assumed,
            channel=asked.channel,
            limit=asked.limit,
            now=now,
            zone=ground.zone.key,
            consent_basis=ground.consent_basis,
            release_id=ground.id,
            epoch=batch.epoch,
            prices_version=NO_PRICES,
            asked=asked.context.asked,
            moment=asked.context.moment,
            degraded=scores is None,
            stale=batch.is_stale,
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


def _row(one: Kept, inputs: Inputs, ground: Ground, rules: Rulebook) -> DecisionRow:
    decision = one.decision
    return DecisionRow(
        decision_id=one.public["decision_id"],
        customer_id=decision.customer_id,
        decided_at=decision.decided_at,
        channel=inputs.channel,
        release_id=decision.release_id,
        prices_version=decision.prices_version,
        segments_digest=ground.release.manifest["segments_digest"],
        decisions_digest=rules.policy.digest,
        arm=decision.arm.name,
        answer=one.stored_text(),
        inputs=text_of(inputs.to_json()),
        placements=placements_of(one, rules.catalogue, rules.policy),
        repeat_of=one.public["repeat_of"],
        is_degraded=decision.degraded,
        is_fallback=decision.fallback,
        is_stale=decision.stale,
    )

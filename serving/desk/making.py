"""Decisions as they are made and recorded: a few customers stage by stage, many in passes over arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Self

from decisioning.case import Case
from decisioning.decide import decide
from decisioning.decision import Decision
from decisioning.inputs import Inputs, Terms
from features.online_rows import OnlineRow, microseconds
from features.packing import Plain
from serving.api.documents import DecisionRequest
from serving.customer_reader import Facts
from serving.desk.batches import Batch, BatchTerms, batches
from serving.desk.consents import after_words
from serving.desk.ground import Ground, Rulebook
from serving.desk.moment import closed_channels, counted, moment_facts, recent_of, told_of, with_closed
from serving.desk.records import Kept, kept_of, new_decision_id, placements_of, written
from serving.desk.repeats import epoch_of, start_of
from serving.desk.tags import kept_tags, without
from serving.ledger import DecisionRow, FirstDecision, Ledger, Moment, MomentOfOne
from serving.scorer import ScoresOfOne

NO_PRICES = "none"  # until an allocation publishes shadow prices


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions of one request in the order asked, the customers it does not know, and the rows to keep."""

    kept: dict[str, Kept]
    unknown: tuple[str, ...]
    rows: tuple[DecisionRow, ...]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What was asked, about which customers as far as its caller may ask about them, and who he is.

    `is_kept_at_once`: nothing else has to be written together with its decisions.
    """

    asked: DecisionRequest
    customer_ids: Sequence[str]
    actor: str | None = None
    is_kept_at_once: bool = True


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a request stands on: a release, what is in force on its day, and its instant, in microseconds too."""

    ground: Ground
    rules: Rulebook
    now: datetime
    day: date
    now_us: int

    @classmethod
    def at(cls, now: datetime, ground: Ground) -> Self:
        """What requests at `now` stand on."""
        day = ground.business_day(now)
        return cls(ground, ground.rulebook(day), now, day, microseconds(now))


_Made = tuple[Kept, DecisionRow | None]


class Maker:
    """Makes decisions of one home; what they stand on is given with each request."""

    def __init__(self, home: Path, ledger: Ledger) -> None:
        self._home, self._ledger = home, ledger

    def stage_by_stage(self, inquiries: Sequence[Inquiry], pinned: Pinned) -> list[Decided]:
        """A few customers without arrays, of one request or of several that came at once.

        All are read, then all scored, then all decided: what a stage needs lies in the processor's cache for all but
        the first.
        """
        asked_of = [(inquiry, customer_id) for inquiry in inquiries for customer_id in inquiry.customer_ids]
        ground, now, day = pinned.ground, pinned.now, pinned.day
        rows = ground.reader.read_each([customer_id for _, customer_id in asked_of], at=now, day=day)
        found = [(*asked, row) for asked, row in zip(asked_of, rows, strict=True) if row is not None]
        ids, start = [customer_id for _, customer_id, _ in found], start_of(day, ground.zone)
        moments = self._ledger.moments_of(ids, before=now, on=day, start=start)
        known = [(*one, moments[one[1]]) for one in found]
        for _, _, row, moment in known:
            _happened(row.facts, moment, pinned)
        scored = _scored(
            [(inquiry.asked.channel, customer_id, row.facts) for inquiry, customer_id, row, _ in known], pinned
        )
        cases = [self._case(*one, *scores, pinned) for one, scores in zip(known, scored, strict=True)]
        decisions = pinned.rules.few.decide(cases)
        made = {
            (id(inquiry), customer_id): _made(decision, case.to_json(), inquiry, moment.first, pinned)
            for (inquiry, customer_id, _, moment), case, decision in zip(known, cases, decisions, strict=True)
        }
        return [
            _answered(ids, {name: made[id(inquiry), name] for name in ids if (id(inquiry), name) in made})
            for inquiry in inquiries
            for ids in (inquiry.customer_ids,)
        ]

    def _case(
        self,
        inquiry: Inquiry,
        customer_id: str,
        row: OnlineRow,
        moment: MomentOfOne,
        scores: ScoresOfOne,
        scored_by: str,
        pinned: Pinned,
    ) -> Case:
        """What one customer's decision stands on."""
        row.facts["p_churn"] = scores.p_churn
        return Case(
            customer_id=customer_id,
            facts=row.facts,
            recent=told_of(moment.happened),
            p=scores.p,
            p_channel=scores.p_channel,
            uplift_share=scores.uplift_share,
            uplift_is_assumed=scores.uplift_is_assumed,
            uplift=scores.uplift,
            terms=_terms(
                inquiry.asked,
                pinned,
                epoch=self._epoch(moment.first, pinned.ground),
                degraded=scores.p is None,
                stale=row.is_stale,
                scored_by=scored_by,
            ),
        )

    def together(self, inquiry: Inquiry, pinned: Pinned) -> Decided:
        """Many customers in a few passes over arrays."""
        ground, rules, now = pinned.ground, pinned.rules, pinned.now
        customers = ground.reader.read(list(dict.fromkeys(inquiry.customer_ids)), at=now, day=pinned.day)
        moment = self.moment(customers.ids, ground, now)
        firsts, facts = moment.firsts, self.facts(customers.ids, customers.facts, moment, ground=ground, now=now)
        terms = [
            BatchTerms(self._epoch(firsts.get(customer), ground), is_stale, rules.scorer_of(customer, pinned.day)[1])
            for customer, is_stale in zip(customers.ids, customers.stale.tolist(), strict=True)
        ]
        found: dict[str, _Made] = {}
        for batch in batches(terms, facts, recent_of(moment.recent)):
            ids = tuple(customers.ids[place] for place in batch.places)
            inputs = _inputs(ids, batch, inquiry.asked, pinned)
            for decision, plain in zip(decide(inputs, rules.catalogue, rules.policy), inputs.each_json(), strict=True):
                first = firsts.get(decision.customer_id)
                found[decision.customer_id] = _made(decision, plain, inquiry, first, pinned)
        return _answered(inquiry.customer_ids, found)

    def _epoch(self, first: FirstDecision | None, ground: Ground) -> str:
        if first is None or first.release_id == ground.id:
            return ground.release.epoch
        return epoch_of(self._home, first.release_id) or ground.release.epoch

    def moment(self, ids: tuple[str, ...], ground: Ground, now: datetime) -> Moment:
        day = ground.business_day(now)
        return self._ledger.moment(ids, before=now, on=day, start=start_of(day, ground.zone))

    def facts(self, ids: tuple[str, ...], rows: Facts, moment: Moment, *, ground: Ground, now: datetime) -> Facts:
        """Rows and moment of customers."""
        facts = rows | moment_facts(len(ids), now, moment.recent)
        if moment.said:
            facts |= after_words(ids, facts, moment.said, ground.hearing)
        facts["do_not_call"] = closed_channels(ids, facts["do_not_call"], moment.closed)
        facts["tags"] = kept_tags(ids, facts["tags"], moment.untagged)
        return facts


def _happened(facts: dict[str, Plain], moment: MomentOfOne, pinned: Pinned) -> None:
    """Write into the facts of one customer's rows what the ledger knows of him."""
    facts.update(counted(pinned.now_us, moment.happened))
    if moment.said:
        facts.update(pinned.ground.hearing.heard(facts, moment.said))
    if moment.closed:
        facts["do_not_call"] = with_closed(facts["do_not_call"], moment.closed)
    if moment.untagged:
        facts["tags"] = without(facts["tags"], moment.untagged)


def _scored(customers: Sequence[tuple[str, str, Mapping[str, Plain]]], pinned: Pinned) -> list[tuple[ScoresOfOne, str]]:
    """The scores of each of a few customers (channel, id, facts), in one pass a scorer, and who scored him."""
    by = [pinned.rules.scorer_of(customer_id, pinned.day) for _, customer_id, _ in customers]
    found: dict[int, tuple[ScoresOfOne, str]] = {}
    for name, scorer in {name: scorer for scorer, name in by}.items():
        places = [place for place, (_, scored_by) in enumerate(by) if scored_by == name]
        mine = scorer.score_each([customers[place][2] for place in places], [customers[place][0] for place in places])
        found.update((place, (scores, name)) for place, scores in zip(places, mine, strict=True))
    return [found[place] for place in range(len(customers))]


def _terms(asked: DecisionRequest, pinned: Pinned, *, epoch: str, degraded: bool, stale: bool, scored_by: str) -> Terms:
    ground = pinned.ground
    return Terms(
        channel=asked.channel,
        limit=asked.limit,
        now=pinned.now,
        zone=ground.zone.key,
        consent_basis=ground.consent_basis,
        release_id=ground.id,
        epoch=epoch,
        prices_version=NO_PRICES,
        asked=asked.context.asked,
        moment=asked.context.moment,
        degraded=degraded,
        stale=stale,
        scored_by=scored_by,
    )


def _inputs(ids: tuple[str, ...], batch: Batch, asked: DecisionRequest, pinned: Pinned) -> Inputs:
    shared, (scorer, _) = batch.terms, pinned.rules.scorer_of(ids[0], pinned.day)
    scores = scorer.score(batch.facts, len(ids), asked.channel)
    terms = _terms(
        asked, pinned, epoch=shared.epoch, degraded=scores is None, stale=shared.is_stale, scored_by=shared.scored_by
    )
    return Inputs(
        customer_ids=ids,
        facts=batch.facts | {"p_churn": scorer.churn(batch.facts, len(ids))},
        recent=batch.recent,
        p=None if scores is None else scores.p,
        p_channel=None if scores is None else scores.p_channel,
        uplift_share=scorer.uplift_share,
        uplift_is_assumed=scorer.uplift_is_assumed,
        uplift=scorer.effects(batch.facts, len(ids)),
        **terms.terms(),
    )


def _made(
    decision: Decision,
    inputs: dict[str, Any],
    inquiry: Inquiry,
    first: FirstDecision | None,
    pinned: Pinned,
) -> _Made:
    """The record of a decision, and the row to keep unless it is a dry run."""
    repeat_of = None if first is None else first.decision_id
    if inquiry.asked.dry_run:
        return kept_of(decision, None, repeat_of), None
    one = kept_of(decision, new_decision_id(pinned.now), repeat_of)
    return one, _row(one, inquiry, written(inputs), pinned.ground, pinned.rules)


def _answered(customer_ids: Sequence[str], found: Mapping[str, _Made]) -> Decided:
    """The decisions that were made, in the order asked."""
    made = {customer: found[customer] for customer in customer_ids if customer in found}
    return Decided(
        {customer: kept for customer, (kept, _) in made.items()},
        tuple(customer for customer in customer_ids if customer not in found),
        tuple(row for _, row in made.values() if row is not None),
    )


def _row(one: Kept, inquiry: Inquiry, inputs: bytes, ground: Ground, rules: Rulebook) -> DecisionRow:
    decision = one.decision
    return DecisionRow(
        decision_id=str(one.decision_id),
        customer_id=decision.customer_id,
        decided_at=decision.decided_at,
        channel=inquiry.asked.channel,
        release_id=decision.release_id,
        prices_version=decision.prices_version,
        segments_digest=ground.release.manifest["segments_digest"],
        decisions_digest=rules.policy.digest,
        arm=decision.arm.name,
        answer=one.stored_text(),
        inputs=inputs,
        placements=placements_of(one, rules.costs),
        repeat_of=one.repeat_of,
        is_degraded=decision.degraded,
        is_fallback=decision.fallback,
        is_stale=decision.stale,
        actor=inquiry.actor,
    )

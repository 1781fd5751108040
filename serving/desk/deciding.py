"""The desk: reads the customers, scores, decides, keeps the decision, and answers only once it is on the disk.

A request pins one release. Its noise belongs to the release that the customer's first decision of the day pinned, so
that a switch at noon does not draw anew; later decisions of the day name the first as what they repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

from features.errors import MissingRelease, NotReady, TiercelError, UserMistake
from features.policy import segments
from serving.api.documents import DecisionRequest
from serving.customer_reader import Customers
from serving.desk.gathering import Gathering
from serving.desk.ground import Ground, Rulebook
from serving.desk.making import Decided, Inquiry, Maker, Pinned
from serving.desk.turns import Turns
from serving.desk.waking import Waking
from serving.errors import UnknownChannel, UnknownCustomer, UnknownOffer
from serving.ledger import Ledger
from serving.releases import DamagedRelease, current
from serving.settings import Clock, Settings, ledger_url, zone_of

MOST_ALONE = 16  # customers of a request that are decided without arrays


class Done(NamedTuple):
    """A decided inquiry, and whether its decisions are on the disk already, or why nobody can tell."""

    decided: Decided
    is_kept: bool = False
    trouble: Exception | None = None


class Desk:
    """One home's release, ledger and clock, behind every route."""

    def __init__(self, home: Path, clock: Clock, ledger: Ledger) -> None:
        self.home = home
        self.clock = clock
        self.ledger = ledger
        self.turns = Turns()
        self._maker = Maker(home, ledger)
        self.few = Gathering(self._few)
        self.waking = Waking()
        self._ground: Ground | None = None
        self._retired: Ground | None = None
        self._trouble: TiercelError = MissingRelease("nothing has been released", todo="run `tiercel release cut`",
                                                     zh="还没有任何发布，请运行 tiercel release cut")  # fmt: skip
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

    def decide(self, inquiry: Inquiry) -> Decided:
        """The decisions of an inquiry, not yet kept; raises UnknownChannel, UnknownOffer and why not ready."""
        pinned = self._pinned()
        _check(inquiry.asked, pinned.rules)
        if len(inquiry.customer_ids) <= MOST_ALONE:
            return self._maker.stage_by_stage([inquiry], pinned)[0]
        return self._maker.together(inquiry, pinned)

    def _few(self, inquiries: Sequence[Inquiry]) -> list[Done]:
        """The same of inquiries about few customers each, all at one instant; kept in one write where that is fast."""
        pinned = self._pinned()
        for inquiry in inquiries:
            _check(inquiry.asked, pinned.rules)
        decided = self._maker.stage_by_stage(inquiries, pinned)
        at_once = [one.rows if inquiry.is_kept_at_once else () for one, inquiry in zip(decided, inquiries, strict=True)]
        every = [row for rows in at_once for row in rows]
        try:
            is_kept, trouble = bool(every) and self.ledger.record_at_once(every), None
        except Exception as error:  # handed to all who asked, whatever it is: none may be decided twice for it
            is_kept, trouble = False, error
        return [Done(one, is_kept, trouble) if rows else Done(one) for one, rows in zip(decided, at_once, strict=True)]

    def _pinned(self) -> Pinned:
        ground = self.ground()
        return Pinned.at(self.clock.now(), ground)

    def facts(self, customer_ids: Sequence[str], now: datetime) -> Customers:
        """Customers as they stand at `now`, with what happened up to then."""
        ground = self.ground()
        found = ground.reader.read(customer_ids, at=now, day=ground.business_day(now))
        moment = self._maker.moment(found.ids, ground, now)
        return replace(found, facts=self._maker.facts(found.ids, found.facts, moment, ground=ground, now=now))


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


def _check(asked: DecisionRequest, rules: Rulebook) -> None:
    if asked.channel and asked.channel not in rules.catalogue.channel_index:  # a night's list asks for any channel
        raise UnknownChannel("unknown channel", value=asked.channel, allowed=sorted(rules.catalogue.channels))
    for offer_id in (*asked.context.asked, *asked.context.moment):
        if offer_id not in rules.catalogue.index:
            raise UnknownOffer("unknown offer in the context", value=offer_id, todo="GET /v1/offers lists them")


def unknown_customer(customer_id: str) -> UnknownCustomer:
    """What is told of a customer whom the release does not know."""
    return UnknownCustomer("no customer of this id in the release", value=customer_id,
                           zh=f"当前发布里没有客户 {customer_id}")  # fmt: skip

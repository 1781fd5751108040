"""What the bank does to its customers, by chance that is logged: tests of hooks, monthly contacts, the yearly holdout.

Each month some customers have attention for one offer. Whether they are told is the bank's doing: those it may tell
are told and convert with p1, the others (holdout, no consent, control arm) convert with p0. For everything else
interest is quiet: a fraction of p0 a month.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from features.vocabulary import Purpose
from simulation.bank_files import NEVER
from simulation.behaviour import CHANNEL, Life, Month, lives
from simulation.chance import Array, Chance, days_within, pick_by
from simulation.contacts import PURPOSES, Plans, Played
from simulation.eligibility import Gates
from simulation.experiments import CONTROL, HOLDOUT, TREAT, Arms, HookTest
from simulation.ledger import Ledger
from simulation.population import YEAR_DAYS, Population
from simulation.portfolio import UNDECIDED, Log, Portfolio, Purchases
from simulation.records import CHANNEL_COLUMN, CONTACT_CHANNELS, Records
from simulation.shelf import NO_SLOT, Need, Shelf
from simulation.truth import Moment, State, Truth

HOLDOUT_SHARE = 0.02
QUIET_PACE = 0.2
_ATTENTION = np.array([0.34, 0.32, 0.25, 0.14, 0.2, 0, 0, 0.2])  # by state, a month
_UNIFORM_SHARE = 0.35  # of the choice of offer that is drawn evenly, so that every eligible offer has support
_WAYS = np.array([[0.4, 0.3, 0.08, 0.22, 0.0], [0.66, 0.2, 0.1, 0.04, 0.0], [0.25, 0.15, 0.05, 0.1, 0.45]])
_CONTACT_CHANNEL = np.array([CHANNEL[name] for name in CONTACT_CHANNELS], np.int8)
_NOTICE_DAYS = 7
_MIN_MATURING = 500_000  # minor units: smaller contracts get no roll-over campaign
_CARE_MONTHS = 3
CARE_SAVES_SHARE = 0.35  # of those in their first month of leaving whom care reaches
_WELCOME_DAYS = 5


class Desk:
    """The marketing desk: plans, contacts, draws who converts, and remembers what is still to come."""

    def __init__(self, people: Population, shelf: Shelf, truth: Truth, records: Records, tests: tuple[HookTest, ...]
                 ) -> None:  # fmt: skip
        self.people, self.shelf, self.truth, self.records, self.tests = people, shelf, truth, records, tests
        self.is_held_out = np.zeros(people.n, dtype=bool)
        self.busy_until = np.full((people.n, len(shelf.product_ids)), NEVER, np.int32)
        self.recent = np.zeros((3, people.n), np.int8)
        self.due = Log(who=np.int64, product=np.int16, offer=np.int16, on=np.int32, contact=np.int64, minor=np.int64)
        self.arms = Arms()
        self.campaigns = ("MONTHLY", *(test.hook_id for test in tests))
        tested = {shelf.offer_number(test.offer_id) for test in tests}
        self._usual_offers = [i for i in np.flatnonzero(shelf.is_ranked) if i not in tested]

    def month(self, life: Life, portfolio: Portfolio, ledger: Ledger, month: Month, chance: Chance) -> Played:
        """The plans of a month with their outcomes; conversions that are still to come wait in `due`."""
        self.recent = np.roll(self.recent, 1, axis=0)
        self.recent[0] = 0
        if not self.arms.experiments or month.label.endswith("-01"):
            self._hold_out(month, chance)
        gates = Gates(self.people, life, self.records, portfolio, self.shelf, ledger.aum(), self.busy_until,
                      month.first_on)  # fmt: skip
        parts, first = [], 0
        for campaign, test in enumerate(self.tests, start=1):
            rng = chance.of(f"test {test.hook_id}", month.number)
            parts.append(self._tested(test, campaign, gates, month, rng, first))
            first += len(parts[-1].number)
        plans = self._usual(gates, month, chance.of("monthly contacts", month.number))
        parts.append(self._play(plans, life, month, chance.of("monthly outcomes", month.number), first))
        self._quiet(gates, month, chance.of("quiet interest", month.number))
        return _joined(parts)

    def _hold_out(self, month: Month, chance: Chance) -> None:
        """Draws the year's global holdout anew; those who register later in the year are drawn with the others."""
        year = int(month.label[:4])
        self.is_held_out = chance.of("holdout", year).random(self.people.n) < HOLDOUT_SHARE
        who = np.flatnonzero(self.is_held_out & (self.people.registered_on < month.first_on + int(YEAR_DAYS)))
        on = np.maximum(self.people.registered_on[who], month.first_on)
        self.arms.assign(f"GLOBAL-{year}", who, on, offer=-1, arm=HOLDOUT, propensity=HOLDOUT_SHARE)

    def _tested(self, test: HookTest, campaign: int, gates: Gates, month: Month, rng: np.random.Generator, first: int
                ) -> Played:  # fmt: skip
        """Everybody at the hook's moment; those who can be told are drawn into arms, the others convert by p0."""
        offer = self.shelf.offer_number(test.offer_id)
        who, on, maturing = self._at_moment(test, offer, gates, month, rng)
        channel = self._channels(who, rng)
        can = self._may_tell(who, channel) & ~(self.is_held_out[who] & (test.purpose is Purpose.SALES))
        treats = rng.random(len(who)) < test.treat_share
        n = len(who)
        plans = Plans(who, np.full(n, offer, np.int16), on, channel, np.full(n, campaign, np.int8),
                      np.full(n, PURPOSES.index(test.purpose), np.int8), np.full(n, np.nan), can & treats)  # fmt: skip
        played = self._play(plans, gates.life, month, rng, first, rolls=maturing)
        if maturing is not None:
            gates.portfolio.decide(who, played.converts_on != NEVER, month.last_on + _NOTICE_DAYS)
        self.arms.assign(
            f"{test.hook_id}-{month.label}", who[can], on[can], offer=offer,
            arm=np.where(treats, TREAT, CONTROL)[can],
            propensity=np.where(treats, test.treat_share, 1 - test.treat_share)[can],
            p0=played.p0[can], p1=played.p1[can], converts_on=played.converts_on[can],
        )  # fmt: skip
        if test.moment == "DECLINE":
            self._care(gates.life, who[plans.is_told], month, rng)
        return played

    def _at_moment(self, test: HookTest, offer: int, gates: Gates, month: Month, rng: np.random.Generator
                   ) -> tuple[Array, Array, Array | None]:  # fmt: skip
        """Distinct customers at the moment, the day each is told, and the maturing amount of each."""
        life, product = gates.life, int(self.shelf.product[offer])
        if test.moment == "MATURITY":
            held = gates.portfolio.holdings
            rows = gates.portfolio.maturing(month.first_on + _NOTICE_DAYS, month.last_on + _NOTICE_DAYS)
            rows = rows[(held["minor"][rows] >= _MIN_MATURING) & (held["rolls"][rows] == UNDECIDED)]
            rows = rows[(life.state[held["who"][rows]] < State.CLOSING)]
            rows = rows[self.shelf.slot[held["product"][rows]] != NO_SLOT]
            rows = rows[self.busy_until[held["who"][rows], product] < month.first_on]
            rows = rows[np.unique(held["who"][rows], return_index=True)[1]]
            return held["who"][rows], held["matures"][rows] - _NOTICE_DAYS, held["minor"][rows]
        if test.moment == "FIRST_PRODUCT":
            told_on = self.people.first_product_on + _WELCOME_DAYS
            at = (told_on >= month.first_on) & (told_on <= month.last_on) & (life.state <= State.FADING)
            who = np.flatnonzero(at)
            on = told_on[who]
        else:
            who = np.flatnonzero(life.is_declining & (life.state <= State.LEAVING))
            on = days_within(rng, month.first_on + 3, month.first_on + 17, len(who))
        free = ~gates.portfolio.held[who, product] & (self.busy_until[who, product] < month.first_on)
        return who[free], on[free], None

    def _care(self, life: Life, who: Array, month: Month, rng: np.random.Generator) -> None:
        """Care keeps some who had just begun to leave, and weighs against leaving for three months."""
        life.cared_until[who] = month.number + _CARE_MONTHS
        saved = who[(life.leaving_month[who] == 1) & (rng.random(len(who)) < CARE_SAVES_SHARE)]
        life.state[saved] = State.ACTIVE
        life.leaving_month[saved] = 0

    def _usual(self, gates: Gates, month: Month, rng: np.random.Generator) -> Plans:
        """The month's ordinary contacts: one offer each, drawn among the eligible with a logged probability."""
        life = gates.life
        rate = _ATTENTION[life.state] * (self.people.registered_on < month.first_on)
        is_joining = self.people.first_product_on > month.last_on  # told last month and decided
        who = np.flatnonzero((rng.random(self.people.n) < rate) & ~is_joining)
        is_outside = life.state[who] == State.OUTSIDE
        # a prospect who converts begins as a customer next month, so he is told late in this one
        first = np.maximum(month.first_on + np.where(is_outside, 20, 1), self.people.first_product_on[who])
        on = days_within(rng, first, np.maximum(first, month.first_on + 24), len(who))
        chosen, propensity = self._draw_offers(who, gates, rng)
        some = chosen >= 0
        who, on, chosen, propensity = who[some], on[some], chosen[some], propensity[some]
        channel = self._channels(who, rng)
        is_care = self.shelf.is_care[chosen]
        is_told = self._may_tell(who, channel) & (is_care | ~self.is_held_out[who])
        purpose = np.where(is_care, PURPOSES.index(Purpose.SERVICE), PURPOSES.index(Purpose.SALES)).astype(np.int8)
        return Plans(who, chosen, on, channel, np.zeros(len(who), np.int8), purpose, propensity, is_told)

    def _draw_offers(self, who: Array, gates: Gates, rng: np.random.Generator) -> tuple[Array, Array]:
        """An eligible offer for each of `who`, or -1, and the probability with which it was drawn."""
        offers = np.array(self._usual_offers, np.int16)
        liking = rng.normal(0, 0.4, len(offers))  # what the desk pushes this month
        weight = np.zeros((len(who), len(offers)), np.float32)
        fits = self._fits(who, gates)
        for column, offer in enumerate(offers):
            admitted = gates.admits(who, int(offer))
            weight[:, column] = admitted * np.exp(fits[:, self.shelf.need[offer]] + liking[column])
        n_eligible = (weight > 0).sum(axis=1)
        some = n_eligible > 0
        total = np.where(some, weight.sum(axis=1), 1)[:, None]
        p = (1 - _UNIFORM_SHARE) * weight / total + _UNIFORM_SHARE * (weight > 0) / np.maximum(n_eligible, 1)[:, None]
        edges = np.cumsum(p, axis=1)
        drawn = (rng.random(len(who))[:, None] * edges[:, -1:] >= edges).sum(axis=1)
        drawn = np.minimum(drawn, len(offers) - 1)
        chosen = np.where(some, offers[drawn], -1).astype(np.int16)
        return chosen, np.minimum(p[np.arange(len(who)), drawn].astype(np.float64), 1)

    def _fits(self, who: Array, gates: Gates) -> Array:
        """The desk's own idea of what suits whom, from age and money alone, (k, needs)."""
        age = (self.people.age[who] - 45) / 18
        money = np.log10(1 + gates.aum[who] / 100) - 3.5
        fits = np.zeros((len(who), len(Need)), np.float32)
        fits[:, Need.DEPOSIT] = 0.5 * age + 0.3 * money
        fits[:, Need.WEALTH] = fits[:, Need.FUND] = 0.5 * money
        fits[:, Need.CREDIT] = -0.4 * age
        fits[:, Need.PAYMENT] = fits[:, Need.SCENE] = -0.4 * age
        fits[:, Need.CARE] = -1.0
        return fits

    def _channels(self, who: Array, rng: np.random.Generator) -> Array:
        is_led = (self.people.manager[who] >= 0) & (self.people.target_aum[who] > 2e5)
        kind = np.where(is_led, 2, (self.people.latents.digital[who] > -0.2).astype(np.int8))
        return np.asarray(_CONTACT_CHANNEL[pick_by(rng, _WAYS, kind)])

    def _may_tell(self, who: Array, channel: Array) -> Array:
        people = self.people
        consented = self.records.may_contact[who, CHANNEL_COLUMN[channel]]
        barred = people.has_optout | people.is_staff | people.is_restricted | (people.age < 18)
        return np.asarray(consented & ~barred[who])

    def _play(self, plans: Plans, life: Life, month: Month, rng: np.random.Generator, first: int,
              rolls: Array | None = None) -> Played:  # fmt: skip
        """Draws the outcome of plans from the truth; `rolls` are the amounts of maturing contracts that it decides."""
        who, offer = plans.who, plans.offer
        product, window = self.shelf.product[offer], self.shelf.outcome_days[offer]
        state = life.state[who]
        p0, p1 = self.truth.probabilities(Moment(who, offer, plans.channel, state, self.recent.sum(axis=0)[who]))
        u = rng.random(len(who))
        converts = u < np.where(plans.is_told, p1, p0)
        after = 1 + ((window - 2).clip(0) * rng.random(len(who)) ** 2).astype(np.int32)
        on = plans.on + (after if rolls is None else _NOTICE_DAYS)
        on = np.where(state == State.OUTSIDE, np.maximum(on, month.last_on + 1), on).astype(np.int32)
        number = np.where(plans.is_told, month.code * 10**8 + first + np.arange(len(who)), -1)
        self.busy_until[who, product] = plans.on + window
        self.recent[0, who] += plans.is_told
        joins = np.flatnonzero(converts & (self.people.first_product_on[who] == NEVER))
        self.people.first_product_on[who[joins]] = on[joins]
        some = np.flatnonzero(converts)
        self.due.add(who=who[some], offer=offer[some], on=on[some], contact=number[some],
                     product=product[some] if rolls is None else np.full(len(some), -1),
                     minor=self.shelf.min_minor[offer[some]] if rolls is None else rolls[some])  # fmt: skip
        return Played(plans, number, state.copy(), p0, p1, np.where(converts, on, NEVER),
                      converts & plans.is_told & (u >= p0))  # fmt: skip

    def _quiet(self, gates: Gates, month: Month, rng: np.random.Generator) -> None:
        """What customers take of themselves, outside of any moment of attention."""
        life = gates.life
        who = lives(life)
        who = who[life.state[who] <= State.FADING]
        for product, offer in enumerate(self.shelf.plain.tolist()):
            if offer < 0 or not self.shelf.is_ranked[offer]:
                continue
            logit = self.truth.logit_without(who, offer, life.state[who])
            keen = who[rng.random(len(who), dtype=np.float32) < QUIET_PACE * expit(logit)]
            keen = keen[gates.admits(keen, offer)]
            keen = keen[self.busy_until[keen, product] < month.first_on]
            first = np.maximum(month.first_on, self.people.first_product_on[keen])
            self.due.add(who=keen, product=product, offer=offer, on=days_within(rng, first, month.last_on, len(keen)),
                         contact=-1, minor=self.shelf.min_minor[offer])  # fmt: skip

    def fall_due(self, life: Life, month: Month) -> tuple[Purchases, Array, Array]:
        """The conversions of this month, with the offer and the contact of each; those of closed customers lapse.

        Sleepers who take something wake up.
        A purchase whose product is -1 has happened already: a contract that was rolled over.
        """
        due = self.due
        ripe = due["on"] <= month.last_on
        rows = np.flatnonzero(ripe & (life.state[due["who"]] <= State.LEAVING))
        product, offer = due["product"][rows], due["offer"][rows]
        bought = Purchases(due["who"][rows], product, due["on"][rows], due["minor"][rows])
        contact = due["contact"][rows]
        woken = bought.who[life.state[bought.who] == State.ASLEEP]
        life.state[woken] = State.ACTIVE
        due.keep(~ripe)
        return bought, offer, contact


def _joined(parts: list[Played]) -> Played:
    plans = Plans(*(np.concatenate([getattr(p.plans, name) for p in parts]) for name in Plans.__slots__))
    others = (np.concatenate([getattr(p, name) for p in parts]) for name in Played.__slots__ if name != "plans")
    return Played(plans, *others)

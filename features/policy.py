"""Everything that decides who a customer is, as one typed and dated policy; a change of it needs a build.

Sections are the files of `features/policy/`. How dated values are read stands in `policy_book.py`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from features.bank.tables import AUM_CLASSES, TABLES
from features.errors import BadPredicate
from features.policy_book import Frozen, PolicyBook, PolicyValues, Rule, Share

SHIPPED = Path(__file__).parent / "policy"
EventKind = Literal["transfer_out", "deposit", "wealth", "insurance", "loan", "card", "begun", "done"]
EVENT_COLUMNS = {
    name: TABLES["channel_event"].column(name) for name in ("channel", "event", "page", "product_id", "service_id")
}

__all__ = [
    "EVENT_COLUMNS", "SHIPPED", "Activity", "Bank", "Classes", "CustomerClass", "EventKind", "Frozen", "FullMarks",
    "Grace", "Grades", "HotMoney", "Lifecycle", "LoanPath", "Margin", "PolicyBook", "PolicyValues", "Rule",
    "SegmentsPolicy", "Share", "Tag", "Tiers", "Value", "segments",
]  # fmt: skip


class Bank(Frozen):
    """What holds for the whole bank."""

    currency: str
    zone: str
    publishing_lag_hours: Annotated[int, Field(ge=0)]
    day_lag_hours: Annotated[int, Field(ge=0)]
    consent_basis: str = Field(pattern="^(none|bank_attests|opt_in)$")
    quarantine_share: Share


class Grace(Frozen):
    """Months below the own threshold after which a tier is watched, and after which it falls (R10, R12)."""

    watch_after_months: Annotated[int, Field(ge=1)]
    demote_after_months: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.watch_after_months > self.demote_after_months:
            raise ValueError("watch_after_months must not exceed demote_after_months")
        return self


class HotMoney(Frozen):
    """Money that came before an assessment and left after it: least amount, and least share of the balance (R16)."""

    amount: Annotated[float, Field(gt=0)]
    share: Share


class LoanPath(Frozen):
    """A tier that running loans of this amount together lead to, whatever the balances (R14)."""

    tier: str
    amount: Annotated[float, Field(gt=0)]


class Tiers(Frozen):
    """分层. Thresholds ascend from zero, in reporting currency of the daily average over the basis.

    An asset class counts with its weight, 1 if none is given (R13); the highest tier counts everything once. With
    `assessment_months` a tier falls at the end of those months only (R11). `loan_path` and `merges_families` are other
    ways to a tier (R14); after `newcomer_days` a new customer is measured by the days since he came. Without
    `hot_money`, `loan_path` or `newcomer_days` nobody is asked. `owners` say which desk looks after a tier (R04).
    """

    thresholds: dict[str, Annotated[int, Field(ge=0)]]
    basis: Literal["month", "quarter"] = "month"
    asset_weights: dict[str, Annotated[float, Field(ge=0, le=10)]] = Field(default_factory=dict)
    top_levels: tuple[Annotated[int, Field(ge=0)], ...] = ()
    loan_path: LoanPath | None = None
    merges_families: bool = False
    newcomer_days: Annotated[int, Field(ge=1, le=28)] | None = None
    grace: dict[str, Grace]
    assessment_months: tuple[Annotated[int, Field(ge=1, le=12)], ...] = ()
    near_up_share: Share
    near_up_from: str
    hot_money: HotMoney | None = None
    owners: dict[str, str] = Field(default_factory=dict)
    benefits: dict[str, tuple[str, ...]]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        floors = list(self.thresholds.values())
        if floors != sorted(set(floors)) or floors[0] != 0:
            raise ValueError("tier thresholds must ascend strictly and begin at 0")
        named = {"grace": {*self.grace}, "benefits": {*self.benefits}, "near_up_from": {self.near_up_from}}
        named |= {"loan_path": {self.loan_path.tier}} if self.loan_path else {}
        for name, tiers in named.items():
            unknown = tiers - set(self.thresholds) - ({"default"} if name == "grace" else set())
            if unknown:
                raise ValueError(f"{name} names unknown tiers {sorted(unknown)}; allowed: {list(self.thresholds)}")
        if "default" not in self.grace or set(self.benefits) != set(self.thresholds):
            raise ValueError("grace needs a default, and benefits a list for every tier")
        if self.owners and set(self.owners) != set(self.thresholds):
            raise ValueError(f"owners name a desk for every tier or for none; allowed: {list(self.thresholds)}")
        return self

    @model_validator(mode="after")
    def _weighed(self) -> Self:
        unknown = set(self.asset_weights) - set(AUM_CLASSES)
        if unknown:
            raise ValueError(f"asset_weights names unknown classes {sorted(unknown)}; allowed: {list(AUM_CLASSES)}")
        if any(round(100 * weight) != 100 * weight for weight in self.asset_weights.values()):
            raise ValueError("asset_weights must have at most two decimals, so that one fen decides")
        if list(self.top_levels) != sorted(set(self.top_levels)):
            raise ValueError("top_levels must ascend strictly")
        return self

    @property
    def is_weighted(self) -> bool:
        return any(weight != 1 for weight in self.asset_weights.values())

    @property
    def basis_months(self) -> int:
        return {"month": 1, "quarter": 3}[self.basis]

    def grace_of(self, tier: str) -> Grace:
        return self.grace.get(tier, self.grace["default"])


Factor = Literal["aum", "services", "business_activity", "channel_activity", "contribution"]


class FullMarks(Frozen):
    """What earns the whole of a factor: amounts in reporting currency, counts in the grade's own windows."""

    aum_amount: Annotated[float, Field(gt=0)]
    n_services: Annotated[float, Field(gt=0)]
    n_txn: Annotated[float, Field(gt=0)]
    txn_amount: Annotated[float, Field(gt=0)]
    app_days: Annotated[float, Field(gt=0)]
    n_channels: Annotated[float, Field(gt=0)]
    value_amount: Annotated[float, Field(gt=0)]


class Grades(Frozen):
    """分级. Score = 100 × Σ weight × factor; a factor of weight 0 is not asked for. Bands ascend."""

    weights: dict[Factor, Share]
    full_marks: FullMarks
    bands: dict[str, float]
    hysteresis_points: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _sum(self) -> Self:
        if abs(sum(self.weights.values()) - 1) > 1e-9:
            raise ValueError("grade weights must sum to 1")
        return self


class Margin(Frozen):
    """What a contract earns: basis points a year on its amount, an amount a year, % of the first premium."""

    bp_balance: float = 0.0
    amount_year: float = 0.0
    pct_first_premium: float = 0.0


class Value(Frozen):
    """价值. Margins by product; basis points a year on balances by asset class and of amounts by kind of transaction.

    Balances and transactions are for what belongs to no product, whole basis points.
    """

    products: dict[str, Margin]
    balances: dict[str, int]
    txns: dict[str, int]


class CustomerClass(Frozen):
    """分类. One customer class: first match by precedence wins, the others become tags.

    Who is in it stays while `keep` holds, though `rule` no longer does. Without `en` English readers see its id.
    """

    zh: str
    en: str = ""
    precedence: Annotated[int, Field(ge=1)]
    rule: Rule | None  # None matches everybody: the default class
    keep: Rule | None = None


class Classes(Frozen):
    """The classes by id, the last of which matches everybody."""

    classes: dict[str, CustomerClass]
    wealth_stay_amount: Annotated[float, Field(ge=0)]  # below it a month counts towards leaving WEALTH

    @model_validator(mode="after")
    def _default_is_last(self) -> Self:
        ranked = self.ranked()
        if ranked[-1][1].rule is not None or any(c.rule is None for _, c in ranked[:-1]):
            raise ValueError("exactly the class of the last precedence has no rule")
        if len({c.precedence for _, c in ranked}) != len(ranked):
            raise ValueError("class precedences must differ")
        return self

    def name(self, class_id: str) -> dict[str, str]:
        """A class in both languages; its id where nobody wrote a word for it."""
        known = self.classes.get(class_id)
        return {"zh": known.zh if known else class_id, "en": (known.en if known else "") or class_id}

    def ranked(self) -> list[tuple[str, CustomerClass]]:
        return sorted(self.classes.items(), key=lambda item: item[1].precedence)


class Activity(Frozen):
    """活跃与行为. What counts as used, and which channel events count as what.

    `events` are rules over one row of the bank table `channel_event`; an event may count as several things.
    """

    service_idle_days: Annotated[int, Field(ge=0)]
    payday_days: Annotated[int, Field(ge=0, le=28)]
    events: dict[EventKind, Rule]

    @model_validator(mode="after")
    def _told_of_events(self) -> Self:
        if missing := set(get_args(EventKind)) - self.events.keys():
            raise ValueError(f"events lack {sorted(missing)}")
        for rule in self.events.values():
            try:
                rule.check(EVENT_COLUMNS)
            except BadPredicate as error:  # as a ValueError it is told with its place in the policy
                raise ValueError(str(error)) from error
        return self


class Lifecycle(Frozen):
    """生命周期. The figures of the stage machine; days unless the name says otherwise."""

    funded_amount: Annotated[float, Field(gt=0)]
    stale_days: Annotated[int, Field(ge=0)]
    new_days: int
    new_settles_days: int
    mature_days: int
    mature_services: int
    mature_categories: int
    mature_spread_share: Share
    mature_months: int
    growth_aum_share: float
    growth_months: int
    decline_hard_share: Share
    decline_hard_amount: float
    decline_soft_share: Share
    decline_app_share: Share
    decline_login_share: Share
    decline_outflow_times: Annotated[float, Field(gt=1)]
    decline_chance: Annotated[float, Field(ge=0)]
    decline_matured_days: Annotated[int, Field(ge=1)]
    decline_matured_amount: Annotated[float, Field(gt=0)]
    decline_matured_share: Share
    decline_nps: int
    decline_nps_days: Annotated[int, Field(ge=1)]
    decline_complaint_days: Annotated[int, Field(ge=0)]
    decline_soft_signs: int
    payday_share: Annotated[float, Field(ge=1)]
    recover_aum_share: Share
    recover_app_share: Share
    recover_months: int
    decline_days: int
    dormant_days: int
    wake_active_days: int
    wake_amount: float
    lost_days: int
    lost_amount: float
    lost_peak_share: Share
    lost_peak_amount: float
    lost_peak_months: int
    winback_amount: float
    winback_days: int
    reactivated_days: int
    account_idle_days: int
    account_idle_amount: float
    legal_moves: dict[str, tuple[str, ...]]


class Tag(Frozen):
    """A tag of the portrait: a definition, an owner, days to live, sensitivity; C3 never enters (R33).

    Without `owner_zh` Chinese readers see the owner as he is written.
    """

    zh: str
    en: str
    rule: Rule
    owner: Annotated[str, Field(min_length=1)]
    owner_zh: str = ""
    expires_days: Annotated[int, Field(ge=1)]
    sensitivity: str = Field(pattern="^C[12]$")


class Labels(Frozen):
    """What counts as leaving: the figures of the churn label."""

    churn_balance_amount: Annotated[float, Field(ge=0)]
    churn_months_ahead: Annotated[int, Field(ge=1)]
    churn_kept_share: Share
    churn_drop_amount: Annotated[float, Field(ge=0)]


class SegmentsPolicy(PolicyValues):
    """Everything that decides who a customer is; a change needs a build."""

    bank: Bank
    tiers: Tiers
    grades: Grades
    value: Value
    classes: Classes
    activity: Activity
    lifecycle: Lifecycle
    tags: dict[str, Tag]
    lifetimes: dict[str, int]
    labels: Labels


@lru_cache(maxsize=8)
def segments(*folders: Path) -> PolicyBook[SegmentsPolicy]:
    """The segments book: the shipped one, with sections replaced by those in `folders`; tags of theirs are added."""
    return PolicyBook.read(SegmentsPolicy, SHIPPED, *folders, registers=("tags",))

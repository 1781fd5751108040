"""Promises about the lifecycle: legal moves, an identical replay, users and customers, no look into the future."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decisioning.catalogue.catalogue import Catalogue
from decisioning.catalogue.variants import Variant, variant
from decisioning.decide import decide
from decisioning.decision import Decision
from decisioning.policy import DecisionsPolicy, decisions
from features import profiles
from features.bank.engines import month_end
from features.lineages import Build
from features.policy import PolicyBook, segments
from features.segments import behaviour
from features.vocabulary import Stage
from serving.api.documents import DecisionRequest
from serving.desk.deciding import MOST_ALONE
from serving.desk.making import Inquiry
from serving.releases import cut, switch
from tests.acceptance.test_policy_rows import inputs, objects
from tests.features.conftest import bank_of
from tests.serving import homes
from tests.serving.conftest import Bank
from tests.serving.conftest import open_bank as opened
from tests.simulation.banks import LAST_ON, Simulated, simulated

__all__ = ["bank_of"]
BOOK = segments()
POLICY, WHAT = BOOK.view(LAST_ON), decisions().view(LAST_ON)
AFTER = datetime(2026, 1, 20, tzinfo=UTC)
Rows = list[dict[str, Any]]
LED_INTO = {
    ("PROSPECT", "no product yet"), ("NEW", "first product"), ("NEW", "first days"), ("NEW", "winback"),
    ("GROWTH", "default"), ("GROWTH", "recovered"), ("GROWTH", "re-based"), ("GROWTH", "reactivated"),
    ("GROWTH", "money grew"), ("GROWTH", "new category"),
    ("MATURE", "steady and broad"), ("MATURE", "recovered"), ("DECLINE", "money left"),
    ("DECLINE", "several weak signs"), ("DORMANT", "silent"), ("LOST", "all closed"), ("LOST", "nothing left"),
}  # fmt: skip


def at(day: date) -> datetime:
    return datetime.combine(day, time(4), UTC)


def newest(home: Path, instant: datetime) -> pd.DataFrame:
    return pd.read_parquet(profiles.build(home, BOOK, instant=instant)[-1].path).set_index("customer_id")


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Simulated, list[Build]]:
    """A simulated bank of ten months whose books lack every third customer's first product, and its months."""
    bank = simulated(tmp_path_factory.mktemp("year"), customers=1_500, months=10, seed=5)
    (path,) = (bank.home / "bank" / "customer").glob("*.parquet")
    rows = pq.read_table(path)
    days = [None if place % 3 == 0 else day for place, day in enumerate(rows["first_product_on"].to_pylist())]
    place = rows.column_names.index("first_product_on")
    pq.write_table(rows.set_column(place, rows.schema.field(place), pa.array(days, pa.date32())), path)
    return bank, profiles.build(bank.home, BOOK, instant=AFTER, as_of=LAST_ON)


def test_B01_everybody_is_in_one_stage_and_moves_only_along_legal_moves(year: tuple[Simulated, list[Build]]) -> None:
    _, months = year
    frames = [pd.read_parquet(build.path).set_index("customer_id") for build in months]
    pairs: set[tuple[str, str]] = set()
    reasons: set[tuple[str, str]] = set()
    for before, now in itertools.pairwise(frames):
        assert now.index.is_unique
        assert now.stage.isin([*Stage]).all()
        both = now.join(before[["stage", "stage_entered_on", "stage_reason"]], rsuffix="_before", how="inner")
        moved = both[both.stage != both.stage_before]
        stayed = both[both.stage == both.stage_before]
        pairs |= set(zip(moved.stage_before, moved.stage, strict=True))
        assert (moved.stage_entered_on == moved.as_of).all()
        assert (moved.previous_stage == moved.stage_before).all()
        assert (stayed.stage_entered_on == stayed.stage_entered_on_before).all()
        assert (stayed.stage_reason == stayed.stage_reason_before).all()
        reasons |= {
            (stage, why.removeprefix("seeded: ")) for stage, why in zip(now.stage, now.stage_reason, strict=True)
        }
    assert reasons <= LED_INTO
    legal = {(held, wanted) for held, row in POLICY.lifecycle.legal_moves.items() for wanted in row}
    assert len(legal) == 21, "of the 42 ordered pairs of stages"
    assert pairs <= legal
    assert len(pairs) >= 9


def test_B01_a_replayed_history_is_identical(year: tuple[Simulated, list[Build]], tmp_path: Path) -> None:
    bank, months = year
    (tmp_path / "bank").symlink_to(bank.home / "bank")
    again = profiles.build(tmp_path, BOOK, instant=AFTER, as_of=LAST_ON)
    assert [build.digest for build in again] == [build.digest for build in months]


def complaint_of(who: str, day: date, opened: datetime, *, severity: int) -> dict[str, Any]:
    return {"complaint_id": f"q{day}", "customer_id": who, "opened_at": opened, "business_on": day, "topic": "APP",
            "severity": severity}  # fmt: skip


def step_of(who: str, day: date, begun: datetime, *, outcome: str = "DONE") -> dict[str, Any]:
    return {"journey_id": f"j{day}", "customer_id": who, "journey": "TRANSFER", "step_no": 1, "step": "PAYEE",
            "channel": "APP", "started_at": begun, "ended_at": begun + timedelta(seconds=30), "outcome": outcome,
            "business_on": day}  # fmt: skip


def test_B03_no_behaviour_feature_reads_an_event_later_than_the_decision(bank_of: Callable[..., Path], tmp_path: Path
                                                                         ) -> None:  # fmt: skip
    """Whatever happens after the decision, or is told after it, no column of behaviour or activity moves."""
    decided_at = datetime(2024, 3, 5, 4, tzinfo=UTC)
    what = ("TRANSFER_OUT_PAGE", "VIEW", "STEP", "DONE", "LOGIN")
    days = [date(2024, month, day) for month in (1, 2) for day in (4, 11, 19)]
    event = {"customer_id": "c", "product_id": "P09", "service_id": "P24"}
    app = {"customer_id": "c", "device": "IOS", "n_crashes": 1, "n_failures": 2, "latency_ms": 500}
    known: dict[str, Rows] = {
        "channel_event": [event | {"event": e, "business_on": d, "occurred_at": at(d)} for e in what for d in days],
        "app_quality": [app | {"business_on": day} for day in days],
        "service_activation": [{"customer_id": "c", "service_id": "P24", "activated_on": date(2023, 6, 1)}],
    }
    known["complaint"] = [complaint_of("c", day, at(day), severity=2) for day in days]
    known["journey_event"] = [step_of("c", day, at(day)) for day in days]
    later = {name: list(rows) for name, rows in known.items()}
    for back in range(60):
        happened = decided_at.date() + timedelta(days=back - 40)  # from before the decision to weeks after it
        told = {"business_on": happened, "known_at": decided_at + timedelta(hours=1 + 24 * max(back - 40, 0))}
        later["channel_event"] += [event | told | {"event": e, "occurred_at": at(happened)} for e in what]
        later["complaint"].append(
            complaint_of("c", happened, at(happened), severity=5) | told | {"complaint_id": f"l{back}"}
        )
        later["journey_event"].append(step_of("c", happened, at(happened), outcome="FAILED")
                                      | told | {"journey_id": f"l{back}"})  # fmt: skip
        later["app_quality"].append(app | told | {"device": "ANDROID", "n_crashes": 9, "latency_ms": 9_000})
    customer = [{"customer_id": "c"}]
    before = newest(bank_of(home=tmp_path / "before", customer=customer, **known), decided_at)
    after = newest(bank_of(home=tmp_path / "after", customer=customer, **later), decided_at)
    pd.testing.assert_frame_equal(before, after)
    assert before.available_at.iloc[0] <= pd.Timestamp(decided_at)
    row = before[[column.name for column in behaviour.COLUMNS]].iloc[0]
    assert row.notna().all()
    assert row.n_transfer_out_views_3m == row.n_wealth_views_3m == len(days)
    moved = newest(tmp_path / "after", datetime(2024, 5, 5, tzinfo=UTC))
    assert moved.n_transfer_out_views_3m.iloc[0] > len(days), "what came later counts later"


def begun(bank: Simulated, build: Build) -> pd.Series[Any]:
    """First day as a customer as the bank's books tell it at a build: by hand, from what was known then."""
    rows = bank.sql(f"""
        WITH begun AS (
          SELECT customer_id, first_product_on AS day FROM {{customer}} WHERE first_product_on IS NOT NULL
          UNION ALL SELECT customer_id, from_on FROM {{balance}} WHERE asset_class <> 'CUSTODY_3P'
            AND amount - in_transit_amount - loan_proceeds_amount >= 100 AND known_at <= '{build.available_at}'
          UNION ALL SELECT customer_id, opened_on FROM {{holding}} WHERE known_at <= '{build.available_at}'
          UNION ALL SELECT customer_id, opened_on FROM {{loan}} WHERE known_at <= '{build.available_at}')
        SELECT customer_id, min(day) AS day FROM begun WHERE day <= DATE '{build.as_of}' GROUP BY customer_id
    """)
    return pd.DataFrame(rows).set_index("customer_id").day


def test_B06_a_registered_user_becomes_a_customer_once_with_the_first_money_or_product(
    year: tuple[Simulated, list[Build]],
) -> None:
    """Told by the field of the first product or not: of every third customer the field was emptied."""
    bank, months = year
    frames = [pd.read_parquet(build.path).set_index("customer_id") for build in months]
    told = pd.DataFrame(bank.sql("SELECT customer_id, first_product_on FROM {customer}")).set_index("customer_id")
    before = pd.Series(dtype=object)
    counted: dict[str, int] = {}
    for build, frame in zip(months, frames, strict=True):
        known = pd.to_datetime(frame.became_customer_on)
        assert (frame.is_customer == known.notna()).all()
        pd.testing.assert_series_equal(
            known.dropna(), begun(bank, build).reindex(known.index).dropna(), check_names=False, check_dtype=False
        )
        assert (frame[~frame.is_customer].stage.isin(["PROSPECT", "LOST"])).all()
        assert not (frame[frame.is_customer].stage == "PROSPECT").any()
        for customer_id in frame.index[frame.is_customer].difference(before.index):
            counted[customer_id] = counted.get(customer_id, 0) + 1
        before = known.dropna()
    assert set(counted.values()) == {1}
    untold = told.index[told.first_product_on.isna()].intersection(frames[-1].index[frames[-1].is_customer])
    assert len(untold) > 300, "customers by their money and contracts alone"
    assert (~frames[-1].is_customer).sum() > 10, "some stay users"


def test_B08_every_cell_is_a_whole_plan() -> None:
    cells = [(name, stage, WHAT.matrix[name][stage]) for name in POLICY.classes.classes for stage in Stage]
    assert len(cells) == 56
    for name, stage, cell in cells:
        hook = WHAT.hooks[cell.hook]
        assert cell.products, (name, stage)
        assert len(hook.steps) >= 2, (name, stage, cell.hook)
        assert all(step.channels for step in hook.steps)
        assert hook.kpi


def test_B08_low_middle_and_high_tiers_of_a_class_differ_in_every_cell() -> None:
    """In channels, benefit or products; a benefit is one that the tier has, and each tier stands in one band."""
    tiers = list(POLICY.tiers.thresholds)
    bands = {"V0-V2": ("V0", "V1", "V2"), "V3-V4": ("V3", "V4"), "V5+": ("V5", "VIP", "VVIP")}
    assert WHAT.variants.bands == bands
    assert [tier for band in bands.values() for tier in band] == tiers

    def seen(name: str, stage: Stage, tier: str) -> Variant:
        return variant(WHAT.matrix, WHAT.variants, name, stage, tier)

    reordered = 0
    for name, stage in itertools.product(POLICY.classes.classes, Stage):
        for band in bands.values():
            assert len({seen(name, stage, tier) for tier in band}) == 1
            assert all(seen(name, stage, tier).benefit in POLICY.tiers.benefits[tier] for tier in band)
        variants = [seen(name, stage, band[0]) for band in bands.values()]
        for one, other in itertools.combinations(variants, 2):
            assert one.channels != other.channels
            assert one.benefit != other.benefit
        reordered += len({found.products for found in variants}) > 1
    assert reordered > 20


def test_B08_two_customers_of_one_cell_and_two_tiers_are_told_another_channel_benefit_and_product(
    tmp_path: Path,
) -> None:
    """Over HTTP, alike but for the tier, and without chance; what is kept says it, and re-decided it is the same."""
    homes.write_home(tmp_path, with_models=False)
    alike = {name: homes.facts_of("C-USUAL")[name] for name in ("age", "customer_class", "cell", "mda")}
    alike |= {"tags": "|", "near_up": False}
    customers = {"C-USUAL": "V1", "C-YOUNG": "V3", "C-WEALTHY": "VIP"}
    changes = {name: alike | {"tier": tier} for name, tier in customers.items()}
    homes.publish_rows(tmp_path, at=homes.INSTANT, changes=changes)
    sections = copy.deepcopy(dict(decisions().sections))
    for name, figure in {"exploration_amount": 0, "holdout_share": 0, "relevance_floor_amount": -1000}.items():
        sections["arbitration"][name] = {"unit": "under test", "source": "B08", "since": {date(1990, 1, 1): figure}}
    book = PolicyBook(DecisionsPolicy, sections)
    release = cut(tmp_path, segments=BOOK, decisions=book, champions={}, now=homes.INSTANT, build=homes.build(tmp_path))
    switch(tmp_path, release)
    for bank in opened(tmp_path):
        told = [bank.decide(name, channel="APP", limit=50) for name in customers]
        assert [answer["cell"] for answer in told] == [{"customer_class": "MASS", "stage": "GROWTH"}] * 3
        assert [answer["variant"]["band"] for answer in told] == ["V0-V2", "V3-V4", "V5+"]
        for one, other in itertools.combinations(told, 2):
            assert (
                one["variant"]["channels"][0] != other["variant"]["channels"][0] or "APP" in one["variant"]["channels"]
            )
            assert one["variant"]["benefit"] != other["variant"]["benefit"]
            assert one["benefits"] != other["benefits"]
        leading = [{slot["product_id"] for slot in answer["offers"] if reasons_of(slot) & {"TIER_LEADS"}}
                   for answer in told]  # fmt: skip
        listed = [{slot["product_id"]: slot["components"]["context"] for slot in answer["offers"]} for answer in told]
        assert leading == [{"P24", "P03"}, {"P06"}, {"P06"}], "of the cell's P03 P06 P24 P26"
        lead = WHAT.arbitration.lead_factor
        assert [(seen["P03"], seen["P06"]) for seen in listed] == [(lead, 1.0), (1.0, lead), (1.0, lead)]
        scores = [{slot["product_id"]: slot["score"] for slot in answer["offers"]} for answer in told]
        assert scores[0]["P03"] > scores[1]["P03"]
        assert scores[0]["P06"] < scores[1]["P06"]
        for answer in told:
            again = bank.ask("POST", f"/v1/decisions/{answer['decision_id']}/replay", role="auditor").json()
            assert again["identical"] is True, again
            kept = bank.ask("GET", f"/v1/decisions/{answer['decision_id']}", role="auditor").json()
            assert kept["variant"] == answer["variant"]
        for crowd in ([], [f"NOBODY-{k}" for k in range(MOST_ALONE)]):  # a few alone, a night's many in arrays
            by_night = night_of(bank, [*customers, *crowd])
            assert [by_night[name]["variant"] for name in customers] == [answer["variant"] for answer in told]
            low, middle, high = (channels_of(by_night[name]) for name in customers)
            assert high["P06"] == "RM" != low["P06"] == middle["P06"] == "APP", "the first that is open of each band"
            leads = [{slot["product_id"] for slot in by_night[name]["offers"] if reasons_of(slot) & {"TIER_LEADS"}}
                     for name in customers]  # fmt: skip
            assert leads == leading


def night_of(bank: Bank, customers: Sequence[str]) -> dict[str, Any]:
    """The decisions of these customers where any channel will do, as a night asks."""
    asked = DecisionRequest.model_construct(channel="", limit=50)
    return {name: kept.public for name, kept in bank.desk.decide(Inquiry(asked, customers)).kept.items()}


def channels_of(answer: Any) -> dict[str, str]:
    return {slot["offer_id"]: slot["treatment_id"].split(":")[1] for slot in answer["offers"]}


def reasons_of(slot: Any) -> set[str]:
    return {reason["code"] for reason in slot["reasons"]}


def test_B08_where_any_channel_will_do_the_tier_decides_which(bank_of: Callable[..., Path]) -> None:
    """Every cell, one customer a band and nothing else between them: by the policy's first open channel."""
    catalogue, bands = Catalogue.of(WHAT), WHAT.variants.bands
    differing = 0
    for name, stage in itertools.product(POLICY.classes.classes, Stage):
        told = [decided(name, stage, tiers[0], catalogue) for tiers in bands.values()]
        channels = [{slot.offer_id: slot.channel for slot in decision.offers} for decision in told]
        for seen, band in zip(channels, bands, strict=True):
            order = WHAT.variants.classes[name][band].channels
            for offer_id, channel in seen.items():
                carried = catalogue.cards[catalogue.index[offer_id]].channels
                usable = [ours for ours in order if ours in carried and is_open(name, ours)]
                assert channel == usable[0] if usable else channel not in order, (name, stage, band, offer_id)
        first = [decision.offers[0].offer_id for decision in told if decision.offers]
        differing += len(set(first)) > 1 or len({tuple(seen.items()) for seen in channels}) > 1
    assert differing == len(POLICY.classes.classes) * len(Stage)


def is_open(name: str, channel: str) -> bool:
    """What is open in session and face to face to one of whom nothing but the class is known."""
    mode = WHAT.channels[channel].mode
    rule = WHAT.channels[channel].allowed_for
    if mode == "outbound" or rule is None:
        return mode != "outbound"
    truth = rule.truth({"customer_class": objects(name), "tags": objects("|")})
    return bool(truth.true[0])


def decided(name: str, stage: Stage, tier: str, catalogue: Catalogue) -> Decision:
    """The decision of a contented customer of this cell and tier, without chance."""
    figures = WHAT.arbitration.model_copy(update={"exploration_amount": 0.0, "holdout_share": 0.0})
    policy = WHAT.model_copy(update={"arbitration": figures})
    given = inputs(classes=(name,), stages=(str(stage),))
    facts = dict(given.facts) | {"tier": objects(tier), "tags": objects("|")}
    facts |= {"days_with_product": np.array([400.0]), "aum_now": np.array([4e6]), "age": np.array([40.0])}
    (decision,) = decide(replace(given, facts=facts, limit=50), catalogue, policy)
    return decision


def test_X16_crashes_latency_and_device_are_features_that_were_known_at_the_time(bank_of: Callable[..., Path]) -> None:
    """A crash of January that the bank hears of in March is in March's profile and in none before."""
    ran = {"customer_id": "c", "device": "IOS", "n_crashes": 1, "n_failures": 3, "latency_ms": 400}
    late = ran | {"device": "ANDROID", "n_crashes": 5, "latency_ms": 2_000, "business_on": date(2024, 1, 20),
                  "known_at": at(date(2024, 3, 9))}  # fmt: skip
    home = bank_of(customer=[{"customer_id": "c"}], app_quality=[ran | {"business_on": date(2024, 1, 9)}, late])
    months = profiles.build(home, BOOK, instant=at(month_end(date(2024, 3, 1)) + timedelta(days=2)))
    rows = pd.concat([pd.read_parquet(build.path) for build in months])
    assert rows.n_app_crashes_3m.tolist() == [1, 1, 6]
    assert rows.n_app_failures_3m.tolist() == [3, 3, 6]
    assert rows.app_latency_ms_3m.tolist() == [400.0, 400.0, 1_200.0]
    assert rows.app_latency_worst_ms_3m.tolist() == [400, 400, 2_000]
    assert rows.app_device.tolist() == ["IOS", "IOS", "ANDROID"]

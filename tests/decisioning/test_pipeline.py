"""The vectorised pipeline against the rules in plain loops, and against itself in other batches and after storage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decisioning.candidates import FILTERS
from decisioning.case import Case
from decisioning.catalogue.catalogue import Catalogue
from decisioning.decide import decide
from decisioning.decision import Decision
from decisioning.few import sayings
from decisioning.few.deciding import Few
from decisioning.inputs import Inputs, Recent
from decisioning.policy import DecisionsPolicy
from serving.desk.records import kept_of, written
from tests.decisioning import oracle
from tests.decisioning.builders import USUAL, inputs, shipped_policy, small_policy
from tests.decisioning.strategies import SMALL_CHANNELS, SMALL_CLASSES, SMALL_OFFERS, customers, moments, recent_rows

SMALL = small_policy()
NOISY = small_policy(arbitration={"exploration_amount": 3.0, "holdout_share": 0.3})
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
SHIPPED = shipped_policy()
SHIPPED_CUSTOMERS = customers(tuple(SHIPPED.matrix), ("P03", "P06", "P22", "P24"), tuple(SHIPPED.channels))


@st.composite
def batches(draw: st.DrawFn, policy: DecisionsPolicy, who: st.SearchStrategy[dict[str, Any]], most: int = 5) -> Inputs:
    """Inputs of some random customers at one moment."""
    catalogue = Catalogue.of(policy)
    crowd = draw(st.lists(who, min_size=1, max_size=most))
    now, n = draw(moments()), len(crowd)
    ranked = list(catalogue.offer_ids)
    offers = SMALL_OFFERS if policy is not SHIPPED else ranked[:8]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return inputs(
        *crowd,
        catalogue=catalogue,
        now=now,
        recent=draw(recent_rows(now, n, offers, SMALL_CHANNELS if policy is not SHIPPED else tuple(policy.channels))),
        p=draw(st.sampled_from([None, rng.random((n, catalogue.m)) ** 3])),
        p_channel=rng.random((n, catalogue.m)),
        channel=draw(st.sampled_from(["", *policy.channels])),
        consent_basis=draw(st.sampled_from(["none", "opt_in", "bank_attests"])),
        asked=tuple(draw(st.lists(st.sampled_from(ranked), max_size=2))),
        moment=tuple(draw(st.lists(st.sampled_from(ranked), max_size=2))),
        shadow_price=draw(st.sampled_from([None, rng.random(catalogue.m)])),
        uplift=draw(st.sampled_from([None, effects(rng, (n, catalogue.m))])),
        degraded=draw(st.booleans()),
        stale=draw(st.booleans()),
        limit=draw(st.integers(1, 5)),
    )


def effects(rng: np.random.Generator, shape: tuple[int, int]) -> Any:
    """Measured effects, a third of them below 0; half of the pairs were never tested."""
    return np.where(rng.random(shape) < 0.5, np.nan, rng.uniform(-0.1, 0.2, shape))


def recent_of(stored: Inputs, rows: Sequence[int]) -> Recent:
    """The recent rows of these customers, who are renumbered in this order."""
    recent = stored.recent
    kept = [k for row in rows for k in np.flatnonzero(recent.customer == row)]
    place = {row: i for i, row in enumerate(rows)}
    parts = {name: getattr(recent, name)[kept] for name in Recent.__slots__}
    return Recent(**parts | {"customer": np.array([place[int(c)] for c in parts["customer"]], dtype=np.int64)})


def part_of(stored: Inputs, rows: Sequence[int]) -> Inputs:
    """The same inputs for some of the customers, in this order."""
    picked = list(rows)
    return replace(
        stored,
        customer_ids=tuple(stored.customer_ids[row] for row in picked),
        facts={name: values[picked] for name, values in stored.facts.items()},
        recent=recent_of(stored, picked),
        p=None if stored.p is None else stored.p[picked],
        p_channel=None if stored.p_channel is None else stored.p_channel[picked],
        uplift=None if stored.uplift is None else stored.uplift[picked],
    )


def plain_customer(stored: Inputs, row: int, policy: DecisionsPolicy) -> oracle.Customer:
    facts: dict[str, Any] = dict(USUAL)
    for name, values in stored.facts.items():
        value = values[row].item() if hasattr(values[row], "item") else values[row]
        facts[name] = None if value is None or value != value else (str(value) if name.endswith("_on") else value)
    mine = stored.recent
    rows = [
        {"kind": mine.kind[k], "at": mine.at[k].item(), "offer_id": mine.offer_id[k],
         "channel": mine.channel[k], "purpose": mine.purpose[k], "outcome": mine.outcome[k]}
        for k in np.flatnonzero(stored.recent.customer == row)
    ]  # fmt: skip
    return oracle.Customer(
        facts, rows, stored.now, stored.consent_basis, stored.channel, stored.asked, stored.moment, policy
    )


def check_against_oracle(stored: Inputs, policy: DecisionsPolicy) -> None:
    catalogue = Catalogue.of(policy)
    for row, decision in enumerate(decide(stored, catalogue, policy)):
        customer = plain_customer(stored, row, policy)
        effect = {name: None if stored.uplift is None else float(stored.uplift[row, j])
                  for j, name in enumerate(catalogue.offer_ids)}  # fmt: skip
        verdicts = {name: oracle.outcome(name, customer, effect[name]) for name in catalogue.offer_ids}
        scores = {}
        for j, (name, found) in enumerate(verdicts.items()):
            if isinstance(found, list):
                p = policy.arbitration.prior_p if stored.p is None else float(stored.p[row, j])
                price = 0.0 if stored.shadow_price is None else float(stored.shadow_price[j])
                scores[name] = oracle.score(name, customer, p=p, share=0.3, channels=found, price=price,
                                            effect=effect[name])  # fmt: skip
        tools = {name for name in scores if catalogue.cards[catalogue.index[name]].is_tool}
        if tools and tools == set(scores):
            verdicts |= dict.fromkeys(tools, ("applicability", "TOOL_ALONE"))
            scores = {}
        expected = {name: found for name, found in verdicts.items() if isinstance(found, tuple)}
        assert {out.offer_id: (out.filter, out.code) for out in decision.suppressed} == expected
        assert {slot.offer_id: slot.score for slot in decision.offers} == pytest.approx(
            {slot.offer_id: scores[slot.offer_id] for slot in decision.offers}, abs=1e-9
        )
        assert [slot.offer_id for slot in decision.offers] == oracle.greedy_list(scores, policy, stored.limit)
        for slot in decision.offers:
            found = verdicts[slot.offer_id]
            assert isinstance(found, list)
            assert slot.channel == (stored.channel or oracle.told_by(slot.offer_id, customer, found))
            is_told = any(reason.code == "TIER_LEADS" for reason in slot.reasons)
            assert is_told == (not customer.says_generic() and oracle.leads(slot.offer_id, customer))
        row = None if customer.says_generic() else oracle.row_of(customer)
        assert decision.tier == customer.facts["tier"]
        assert (decision.variant and (decision.variant.channels, decision.variant.benefit)) == (
            row and (row.channels, row.benefit)
        )


@RELAXED
@given(batches(SMALL, customers()))
def test_every_offers_fate_is_that_of_the_plain_rules(stored: Inputs) -> None:
    check_against_oracle(stored, SMALL)


@settings(RELAXED, max_examples=30)
@given(batches(SHIPPED, SHIPPED_CUSTOMERS, most=3))
def test_the_shipped_policys_fates_are_those_of_the_plain_rules(stored: Inputs) -> None:
    greedy = SHIPPED.model_copy(
        update={"arbitration": SHIPPED.arbitration.model_copy(update={"exploration_amount": 0.0, "holdout_share": 0.0})}
    )
    check_against_oracle(stored, greedy)


def known_of(stored: Inputs | dict[str, Any]) -> dict[str, Any]:
    """What is written down of one customer, without the facts that are missing."""
    plain: dict[str, Any] = json.loads(written(stored.each_json()[0] if isinstance(stored, Inputs) else stored))
    missing = (None, int(np.iinfo(np.int64).min))
    return plain | {"facts": {name: value for name, value in plain["facts"].items() if value not in missing}}


@RELAXED
@given(batches(NOISY, customers()))
def test_deciding_from_stored_inputs_is_identical_to_the_bit(stored: Inputs) -> None:
    catalogue = Catalogue.of(NOISY)
    decisions = decide(stored, catalogue, NOISY)
    for one, decision in zip(stored.each_json(), decisions, strict=True):
        again = Inputs.from_json(json.loads(written(one)))
        assert decide(again, catalogue, NOISY) == [decision]
        assert known_of(again) == known_of(one)


@pytest.mark.parametrize(
    ("policy", "who"),
    [(SMALL, customers()), (NOISY, customers()), (SHIPPED, SHIPPED_CUSTOMERS)],
    ids=["small", "noisy", "shipped"],
)
def test_a_customer_decided_in_loops_gets_the_same_to_the_bit(
    policy: DecisionsPolicy, who: st.SearchStrategy[dict[str, Any]]
) -> None:
    catalogue = Catalogue.of(policy)
    few = Few(catalogue, policy)

    @settings(RELAXED, max_examples=150)
    @given(batches(policy, who, most=4))
    def hold(stored: Inputs) -> None:
        expected = decide(stored, catalogue, policy)
        found = few.decide([Case.of(part_of(stored, [row])) for row in range(stored.n)])
        assert found == expected
        for mine, other in zip(found, expected, strict=True):
            told, kept = (kept_of(one, None, None).stored_text() for one in (mine, other))
            assert told == kept  # 0 and 0.0 are not one

    hold()


@settings(RELAXED, max_examples=60)
@given(batches(NOISY, customers(), most=4), st.lists(st.integers(1, 12), min_size=4, max_size=4))
def test_customers_of_other_lengths_of_list_may_be_decided_together(stored: Inputs, limits: list[int]) -> None:
    catalogue = Catalogue.of(NOISY)
    asked = [replace(part_of(stored, [row]), limit=limit) for row, limit in zip(range(stored.n), limits, strict=False)]
    found = Few(catalogue, NOISY).decide([Case.of(one) for one in asked])
    assert found == [decide(one, catalogue, NOISY)[0] for one in asked]


def test_a_list_that_is_cut_does_not_say_that_doing_nothing_ended_it() -> None:
    catalogue = Catalogue.of(SMALL)
    stored = inputs({}, catalogue=catalogue)
    asked = [replace(stored, limit=limit) for limit in (1, 11)]
    short, long = Few(catalogue, SMALL).decide([Case.of(one) for one in asked])
    assert (len(short.offers), short.end_propensity) == (1, None)
    assert len(long.offers) > 1
    assert long.end_propensity is not None
    assert [short, long] == [decide(one, catalogue, SMALL)[0] for one in asked]


@settings(RELAXED, max_examples=40)
@given(batches(NOISY, customers(), most=2))
def test_filters_without_a_loop_are_asked_in_arrays_and_decide_the_same(stored: Inputs) -> None:
    catalogue = Catalogue.of(NOISY)
    few = Few(catalogue, NOISY, [(f"own_{name}", apply) for name, apply in FILTERS])
    found = few.decide([Case.of(part_of(stored, [row])) for row in range(stored.n)])
    assert [own_left_out(one) for one in found] == [own_left_out(one) for one in decide(stored, catalogue, NOISY)]


def own_left_out(decision: Decision) -> Decision:
    """The decision as if every filter were a bank's own."""
    ours = {name for name, _ in FILTERS}
    renamed = [out._replace(filter=f"own_{out.filter}") if out.filter in ours else out for out in decision.left_out]
    return decision._replace(left_out=tuple(renamed))


def test_what_texts_say_is_worked_out_anew_where_it_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = Catalogue.of(NOISY)
    few = Few(catalogue, NOISY)
    monkeypatch.setattr(sayings, "_MOST", 200)
    for held in ("|DEP|", "|FUND|", "|LOAN|", "|DEP|FUND|", "|DEP|"):
        for customer_class in SMALL_CLASSES:
            one = inputs({"held_products": held, "customer_class": customer_class}, catalogue=catalogue)
            assert few.decide([Case.of(one)]) == decide(one, catalogue, NOISY)


@pytest.mark.parametrize("factors", [(1.2, 1.9), (1.9, 1.2)])
def test_of_several_overlays_the_strongest_counts(factors: tuple[float, float]) -> None:
    overlays = [
        {"id": name, "when": "age >= 18", "hook": "TASKS", "offers": ["DEP"], "factor": factor}
        for name, factor in zip(("MATURITY", "PAYDAY"), factors, strict=True)
    ]
    policy = small_policy(overlays=overlays)
    catalogue = Catalogue.of(policy)
    one = inputs({"age": 40}, catalogue=catalogue, p=0.5, limit=11)
    (found,) = Few(catalogue, policy).decide([Case.of(one)])
    assert [found] == decide(one, catalogue, policy)
    strongest = f"OVERLAY_{('MATURITY', 'PAYDAY')[factors.index(1.9)]}"
    lifted = [slot for slot in found.offers if any(code.code.startswith("OVERLAY") for code in slot.reasons)]
    assert lifted
    for slot in lifted:
        assert strongest in [reason.code for reason in slot.reasons]
        assert slot.components.context == policy.arbitration.weight_listed * 1.9


def test_threads_may_share_it() -> None:
    catalogue = Catalogue.of(NOISY)
    few = Few(catalogue, NOISY)
    asked = [inputs({"age": age, "tags": f"|T{age}|"}, catalogue=catalogue) for age in range(18, 90)]
    expected = [decide(one, catalogue, NOISY)[0] for one in asked]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda one: few.decide([Case.of(one)])[0], asked * 3))
    assert found == expected * 3


@RELAXED
@given(batches(NOISY, customers()))
def test_a_case_is_stored_as_the_inputs_of_its_customer(stored: Inputs) -> None:
    for row in range(stored.n):
        mine = part_of(stored, [row])
        assert [written(Case.of(mine).to_json())] == [written(one) for one in mine.each_json()]


@RELAXED
@given(batches(NOISY, customers()))
def test_each_customers_inputs_are_stored_as_if_he_were_alone(stored: Inputs) -> None:
    alone = [part_of(stored, [row]).each_json() for row in range(stored.n)]
    assert [[written(one)] for one in stored.each_json()] == [[written(one) for one in mine] for mine in alone]


@RELAXED
@given(batches(NOISY, customers(), most=6), st.randoms(use_true_random=False))
def test_neither_batch_nor_order_changes_a_decision(stored: Inputs, random: Any) -> None:
    catalogue = Catalogue.of(NOISY)
    together = decide(stored, catalogue, NOISY)
    one_by_one = [decide(part_of(stored, [row]), catalogue, NOISY)[0] for row in range(stored.n)]
    assert one_by_one == together
    order = random.sample(range(stored.n), stored.n)
    assert decide(part_of(stored, order), catalogue, NOISY) == [together[row] for row in order]


@settings(RELAXED, max_examples=20)
@given(batches(SHIPPED, SHIPPED_CUSTOMERS, most=4))
def test_a_shipped_decision_survives_storage_and_splitting(stored: Inputs) -> None:
    catalogue = Catalogue.of(SHIPPED)
    together = decide(stored, catalogue, SHIPPED)
    for row in range(stored.n):
        alone = part_of(stored, [row])
        kept = Inputs.from_json(json.loads(written(alone.each_json()[0])))
        assert decide(kept, catalogue, SHIPPED) == decide(alone, catalogue, SHIPPED) == [together[row]]

"""Migration, stays and the bridge, held against a loop over the people."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from features.vocabulary import Stage
from insight.bridge import Money, bridge, span
from insight.flows import last_flows, merged, passages, still
from insight.history import UNKNOWN, BrokenHistory, Label, open_history
from tests.insight.histories import NAMES, SLOW, Month, Person, days, histories, history_of, whole_histories, write

LABELS: tuple[Label, ...] = ("tier", "stage")


def label_of(month: Month, who: str, label: Label) -> str | None:
    return (getattr(month[who], label) or UNKNOWN) if who in month else None


def aum(month: Month, who: str) -> float:
    return (month[who].mda or 0.0) if who in month else 0.0


@given(histories)
@SLOW
def test_every_person_of_two_months_is_in_one_move_with_his_money(months: list[Month]) -> None:
    with history_of(*months) as history:
        found = list(passages(history, NAMES))
    assert len(found) == len(months) - 1
    for passage, old, new in zip(found, months, months[1:], strict=False):
        for label in LABELS:
            flow = passage.flows[label]
            moves = Counter((label_of(old, who, label), label_of(new, who, label)) for who in {*old, *new})
            assert {(move.before, move.after): move.n for move in flow.moves} == moves
            for move in flow.moves:
                same = [
                    who
                    for who in {*old, *new}
                    if (label_of(old, who, label), label_of(new, who, label)) == (move.before, move.after)
                ]
                change = [aum(new, who) - aum(old, who) for who in same]
                assert move.aum_before == pytest.approx(sum(aum(old, who) for who in same))
                assert move.aum_after == pytest.approx(sum(aum(new, who) for who in same))
                assert move.grown == pytest.approx(sum(max(c, 0) for c in change))
                assert move.shrunk == pytest.approx(sum(max(-c, 0) for c in change))


@given(histories)
@SLOW
def test_opening_plus_arrivals_minus_departures_is_closing_for_every_label(months: list[Month]) -> None:
    with history_of(*months) as history:
        found = list(passages(history, NAMES))
    for passage, old, new in zip(found, months, months[1:], strict=False):
        for label in LABELS:
            flow = passage.flows[label]
            for name in flow.names:
                opening = sum(label_of(old, who, label) == name for who in old)
                closing = sum(label_of(new, who, label) == name for who in new)
                assert (flow.before(name), flow.after(name)) == (opening, closing)
                assert opening + flow.arrived(name) - flow.departed(name) == closing
            told = flow.to_json()
            shares = Counter[str | None]()
            for cell in told["moves"]:
                shares[cell["from"]] += cell["share"] or 0.0
            assert all(share == pytest.approx(1) for share in shares.values())


@given(whole_histories)
@SLOW
def test_a_stay_is_every_unbroken_row_of_months_whose_beginning_was_seen(months: list[Month]) -> None:
    with history_of(*months) as history:
        seen = list(passages(history, NAMES))
        open_still = still(history, "stage")
    ended: Counter[tuple[str, int]] = Counter()
    running: Counter[tuple[str, int]] = Counter()
    for who in months[0]:
        row = [month[who].stage for month in months]
        start = 0
        for place in range(1, len(row) + 1):
            if place == len(row) or row[place] != row[start]:
                if start > 0:
                    (running if place == len(row) else ended)[row[start], place - start] += 1
                start = place
    assert {(s.name, s.months): s.n for s in merged(s for passage in seen for s in passage.stays["stage"])} == ended
    assert {(s.name, s.months): s.n for s in open_still} == running


@given(histories)
@SLOW
def test_the_bridge_follows_the_people_and_their_money(months: list[Month]) -> None:
    away = {None, Stage.PROSPECT, Stage.LOST}
    with history_of(*months) as history:
        found = [bridge(passage.flows["stage"]) for passage in passages(history, NAMES)]
    for step, old, new in zip(found, months, months[1:], strict=False):
        went = {who: (label_of(old, who, "stage"), label_of(new, who, "stage")) for who in {*old, *new}}
        came = {who for who, (a, b) in went.items() if a in away and b not in away}
        back = {who for who in came if went[who][0] == Stage.LOST}
        gone = {who for who, (a, b) in went.items() if a not in away and b in away}
        stayed = {who for who, (a, b) in went.items() if a not in away and b not in away}
        assert (step.new, step.won_back, step.lost) == (len(came - back), len(back), len(gone))
        assert step.opening == len(gone | stayed)
        assert step.opening + step.new + step.won_back - step.lost == step.closing == len(came | stayed)
        if all(person.mda is None for month in (old, new) for person in month.values()):
            assert step.aum is None
            continue
        money = step.aum
        assert money is not None
        assert money.new == pytest.approx(sum(aum(new, who) for who in came - back))
        assert money.lost == pytest.approx(sum(aum(old, who) for who in gone))
        grown = sum(aum(new, who) - aum(old, who) for who in stayed)
        assert money.grown - money.shrunk == pytest.approx(grown)
        assert money.closing == pytest.approx(money.opening + money.new + money.won_back - money.lost + grown)
    if found:
        whole = span(found)
        assert (whole.opening, whole.closing) == (found[0].opening, found[-1].closing)
        assert whole.new == sum(step.new for step in found)


def test_a_matrix_by_hand() -> None:
    """Ten growing customers: two mature, one leaves the files; one appears, one is won back."""
    old = {f"g{i}": Person("GROWTH", mda=100.0) for i in range(10)} | {"lost": Person("LOST", mda=5.0)}
    new = {f"g{i}": Person("MATURE" if i < 2 else "GROWTH", mda=110.0) for i in range(9)}
    new |= {"fresh": Person("NEW", mda=50.0), "lost": Person("NEW", mda=20.0)}
    with history_of(old, new) as history:
        flow = last_flows(history, NAMES)["stage"]
    assert (flow.from_on, flow.to_on) == tuple(days(2))
    assert flow.names == ("NEW", "GROWTH", "MATURE", "LOST")
    assert flow.share("GROWTH", "MATURE") == 0.2
    assert (flow.before(None), flow.after(None)) == (1, 1)
    assert flow.share("NEW", "NEW") is None
    step = bridge(flow)
    assert (step.opening, step.new, step.won_back, step.lost, step.closing) == (10, 1, 1, 1, 11)
    assert step.aum == Money(1000.0, new=50.0, won_back=20.0, lost=100.0, grown=90.0, shrunk=0.0, closing=1060.0)


def test_a_bank_without_balances_has_a_bridge_of_customers_and_none_of_money() -> None:
    with history_of({"a": Person(mda=None)}, {"a": Person(mda=None), "b": Person("NEW", mda=None)}) as history:
        step = bridge(last_flows(history, NAMES)["stage"])
    assert (step.opening, step.new, step.closing, step.aum) == (1, 1, 2, None)
    assert span([step]).aum is None


def test_one_month_has_no_flows() -> None:
    with history_of({"a": Person()}) as history:
        assert last_flows(history, NAMES) == {}


@pytest.mark.parametrize("twice_in", [0, 1])
def test_a_person_who_stands_twice_in_a_file_is_not_told_as_growth(tmp_path: Path, twice_in: int) -> None:
    """The identity is checked where it is used, not here alone: the file is damaged after it was written."""
    builds = write(tmp_path, [{"a": Person("NEW"), "b": Person("GROWTH")}, {"a": Person("GROWTH"), "b": Person("NEW")}])
    rows = pq.read_table(builds[twice_in].path)
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 1)]), builds[twice_in].path)
    with open_history(builds) as history, pytest.raises(BrokenHistory, match="does not add up"):
        last_flows(history, NAMES)

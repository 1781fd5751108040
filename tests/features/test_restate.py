"""Rows that come late: counted once, from the build after their arrival; older months see them by a restating alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from decisioning.policy import decisions
from features import feast_views, lineages, profiles, views
from features.bank.engines import open_bank
from features.errors import BadRequest, MissingBuild
from features.lineages import Lineage
from features.policy import segments
from features.profiles import Build
from features.publishing import ViewRows, publish
from serving.releases import cut, switch

BOOK = segments()
JANUARY, FEBRUARY, MARCH = date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31)
RESTATED_AT = datetime(2024, 4, 5, 4, tzinfo=UTC)
PERSON = [{"customer_id": "a"}]
Rows = list[dict[str, Any]]


def at(day: date, hour: int = 4) -> datetime:
    return datetime.combine(day, time(hour), UTC)


def txn(day: date, amount: float = 50, known: datetime | None = None, **more: Any) -> dict[str, Any]:
    row = {"customer_id": "a", "business_on": day, "occurred_at": at(day), "amount": amount, **more}
    return row | {"known_at": known or at(day, 5)}


def balance(start: date, stop: date | None, amount: float, known: datetime | None = None) -> dict[str, Any]:
    found = {"customer_id": "a", "account_id": f"{start}", "from_on": start, "to_on": stop, "amount": amount}
    return found | {"known_at": known or at(start, 5)}


def contact(day: date, known: datetime | None = None) -> dict[str, Any]:
    return {"customer_id": "a", "business_on": day, "sent_at": at(day), "known_at": known or at(day, 5)}


def built(home: Path, instant: datetime = RESTATED_AT, restate: date | None = None) -> list[Build]:
    return profiles.build(home, BOOK, instant=instant, restate=restate)


def figures(builds: list[Build], column: str) -> list[Any]:
    """The column of customer a, month by month."""
    return [pd.read_parquet(build.path).set_index("customer_id").loc["a", column] for build in builds]


def test_a_late_transaction_counts_after_its_arrival_and_a_restating_puts_it_in_its_month(
    bank_of: Callable[..., Path],
) -> None:
    late = txn(date(2024, 1, 20), known=at(date(2024, 2, 15)))
    home = bank_of(customer=PERSON, txn=[txn(date(2024, 1, 5)), late])
    first = built(home)
    assert figures(first, "n_txn_1m") == [1, 0, 0]
    assert figures(first, "n_txn_3m") == [1, 2, 2]
    restated = built(home, restate=JANUARY)
    assert figures(restated, "n_txn_1m") == [2, 0, 0]
    assert figures(restated, "n_txn_3m") == [2, 2, 2]


def test_what_is_known_at_the_very_instant_of_a_closing_counts_once(bank_of: Callable[..., Path]) -> None:
    closing = datetime(2024, 2, 1, 0, tzinfo=UTC)  # eight in the morning of the first of February in the bank's zone
    days = balance(date(2024, 1, 11), date(2024, 1, 21), 31_000, known=closing)
    home = bank_of(customer=PERSON, txn=[txn(date(2024, 1, 20), known=closing)], balance=[days])
    months = built(home)
    assert months[0].available_at == closing
    assert figures(months, "n_txn_3m") == [1, 1, 1]
    assert figures(months, "mda_peak_12m") == [10_000, 10_000, 10_000]


def test_a_late_balance_interval_counts_to_the_fen_in_windows_of_builds_after_its_arrival(
    bank_of: Callable[..., Path],
) -> None:
    """31,000.00 for ten days of January is 10,000.00 a day of the month; the bank learns of it in February."""
    ten_days = balance(date(2024, 1, 11), date(2024, 1, 21), 31_000, known=at(date(2024, 2, 15)))
    home = bank_of(customer=PERSON, balance=[balance(date(2024, 1, 1), None, 600), ten_days])
    first = built(home)
    assert figures(first, "mda") == [600, 600, 600]
    assert figures(first, "mda_mean_3m") == [600, (10_600 + 600) / 2, (10_600 + 600 + 600) / 3]
    assert figures(first, "mda_peak_12m") == [600, 10_600, 10_600]
    assert figures(built(home, restate=JANUARY), "mda") == [10_600, 600, 600]


def test_an_interval_known_late_that_still_runs_counts_in_each_month_it_touches(bank_of: Callable[..., Path]) -> None:
    runs_on = balance(date(2024, 1, 17), None, 3_100, known=at(date(2024, 3, 20)))
    home = bank_of(customer=PERSON, balance=[balance(date(2024, 1, 1), None, 600), runs_on])
    january = 600 + 3_100 * 15 / 31
    assert figures(built(home), "mda") == [600, 600, 3_700]
    assert figures(built(home), "mda_mean_3m")[-1] == pytest.approx((january + 3_700 + 3_700) / 3)
    assert figures(built(home), "aum_end_before")[-1] == 3_700
    assert figures(built(home, restate=JANUARY), "mda") == [january, 3_700, 3_700]


def test_a_late_contact_counts_from_the_build_after_its_arrival(bank_of: Callable[..., Path]) -> None:
    late = contact(date(2024, 1, 9), known=at(date(2024, 3, 2)))
    home = bank_of(customer=PERSON, contact=[contact(date(2024, 1, 5)), late])
    assert figures(built(home), "n_contacts_12m") == [1, 1, 2]
    assert figures(built(home, restate=FEBRUARY), "n_contacts_12m") == [1, 2, 2]


def test_what_was_delivered_after_a_build_and_what_was_mended_is_seen_by_a_restating_alone(
    bank_of: Callable[..., Path],
) -> None:
    """The second file says it knew of the row in January, and holds another amount for the first one."""
    home = bank_of(customer=PERSON, txn=[txn(date(2024, 1, 5), 900, txn_id="t1"), txn(date(2024, 3, 5))])
    first = built(home)
    mended = [txn(date(2024, 1, 5), 90, txn_id="t1"), txn(date(2024, 1, 6), 5), txn(date(2024, 3, 5))]
    bank_of(home=home, customer=PERSON, txn=mended)
    assert figures(built(home), "txn_amount_3m") == [900, 900, 950]
    assert built(home) == first
    assert figures(built(home, restate=JANUARY), "txn_amount_3m") == [95, 95, 145]


def test_a_restating_leaves_the_old_lineage_as_it_is_and_carries_older_months_over(
    bank_of: Callable[..., Path],
) -> None:
    home = bank_of(customer=PERSON, txn=[txn(date(2024, 1, 5)), txn(date(2024, 1, 6), known=at(date(2024, 3, 8)))])
    old = built(home)
    before = {path: path.read_bytes() for path in sorted(home.glob("profiles/**/*")) if path.is_file()}
    new = built(home, restate=FEBRUARY)
    assert {path: path.read_bytes() for path in before} == before
    assert {build.lineage for build in old}.isdisjoint(build.lineage for build in new)
    assert new[0].path.read_bytes() == old[0].path.read_bytes()
    assert [build.available_at for build in new] == [old[0].available_at, RESTATED_AT, RESTATED_AT]
    assert figures(new, "n_txn_3m") == [1, 2, 2]
    assert profiles.latest(home, RESTATED_AT) == new[-1]
    assert profiles.latest(home, RESTATED_AT - timedelta(seconds=1)) == old[-1]
    assert not list((home / ".restating").glob("*"))


def test_a_bank_that_was_mended_is_restated_again_though_its_clock_stands(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=PERSON, txn=[txn(date(2024, 1, 5), 900)])
    old = built(home)
    for amount in (90, 9):
        bank_of(home=home, customer=PERSON, txn=[txn(date(2024, 1, 5), amount)])
        mended = built(home, restate=JANUARY)
        assert figures(mended, "txn_amount_3m") == [amount, amount, amount]
        assert built(home, restate=JANUARY) == mended
    assert figures(old, "txn_amount_3m") == [900, 900, 900]
    assert lineages.lineages(home)[-1].months == tuple(mended)


def test_a_second_restating_at_the_same_instant_changes_nothing_and_a_later_one_begins_anew(
    bank_of: Callable[..., Path],
) -> None:
    home = bank_of(customer=PERSON, txn=[txn(date(2024, 1, 5)), txn(date(2024, 1, 6), known=at(date(2024, 4, 8)))])
    built(home)
    first = built(home, restate=FEBRUARY)
    assert built(home, restate=FEBRUARY) == first
    later = built(home, restate=FEBRUARY, instant=at(date(2024, 4, 9)))
    assert figures(first, "n_txn_3m") == [1, 1, 1]
    assert figures(later, "n_txn_3m") == [1, 2, 2]
    assert len({build.lineage for build in profiles.builds(home)}) == 3


def test_what_an_interrupted_restating_left_is_gone_once_anything_is_built(
    bank_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = bank_of(customer=PERSON, txn=[txn(date(2024, 1, 5))])
    built(home)
    stands = sorted(home.rglob("*"))

    def interrupted(_: Lineage) -> Lineage:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(lineages, "shown", interrupted)
        with pytest.raises(KeyboardInterrupt):
            built(home, restate=FEBRUARY, instant=at(date(2024, 4, 9)))
    assert sorted(home.rglob("*")) != stands
    built(home)
    assert sorted(home.rglob("*")) == stands


def test_the_month_after_a_restating_continues_it_and_counts_nothing_twice(bank_of: Callable[..., Path]) -> None:
    rows = [txn(date(2024, 1, 5)), txn(date(2024, 1, 6), known=at(date(2024, 3, 8))), txn(date(2024, 4, 7))]
    rows.append(txn(date(2024, 2, 2), known=at(date(2024, 4, 20))))
    home = bank_of(customer=PERSON, txn=rows)
    built(home)
    restated = built(home, restate=JANUARY)
    later = built(home, instant=at(date(2024, 5, 3)))
    assert later[:3] == restated
    assert later[3].lineage == restated[0].lineage
    assert figures(later, "n_txn_3m") == [2, 2, 2, 2]  # of February, March and April: one late, none, one
    assert figures(later, "n_txn_prior_3m")[-1] == 2


@pytest.mark.parametrize("month", [date(2023, 12, 31), date(2024, 4, 30)])
def test_only_a_month_that_stands_can_be_restated(bank_of: Callable[..., Path], month: date) -> None:
    home = bank_of(customer=PERSON, txn=[txn(date(2024, 1, 5))])
    with pytest.raises(MissingBuild, match="run `tiercel build` first"):
        built(home, restate=month)
    built(home)
    with pytest.raises(BadRequest, match=r"has not been built: '\d{4}-\d\d'; allowed: 2024-01 to 2024-03; name one"):
        built(home, restate=month)


def test_an_example_of_the_past_sees_what_was_known_then_though_the_lineage_is_restated(
    bank_of: Callable[..., Path],
) -> None:
    home = bank_of(customer=PERSON, txn=[txn(date(2024, 1, 5)), txn(date(2024, 1, 6), known=at(date(2024, 3, 8)))])
    built(home)
    restated = built(home, restate=JANUARY)
    lineage = restated[-1].lineage
    feast_views.apply(home, lineage, feast_views.view_specs(lineage, BOOK.view(MARCH).lifetimes)[:1])
    spine = pd.DataFrame({"customer_id": "a", "event_timestamp": [at(date(2024, 2, 10)), at(date(2024, 4, 20))]})
    seen = feast_views.historical(home, lineage, spine, "churn_v1")
    assert seen["n_txn_3m"].tolist() == [1, 2]
    assert seen["n_txn_1m"].tolist() == [1, 0]


def test_a_release_is_cut_from_the_restated_lineage(bank_of: Callable[..., Path]) -> None:
    home = bank_of(customer=PERSON, txn=[txn(date(2024, 1, 5)), txn(date(2024, 3, 6), known=at(date(2024, 4, 3)))])
    built(home)
    build = built(home, restate=MARCH)[-1]
    policy = BOOK.view(build.as_of)
    with open_bank(home) as bank:
        today = views.write_today(bank, build.lineage, RESTATED_AT, policy)
    specs = feast_views.view_specs(build.lineage, policy.lifetimes)
    files = {feast_views.MONTH: build.path, feast_views.DAY: today}
    rows = [ViewRows(s.name, s.columns, s.lifetime, pq.read_table(files[s.name])) for s in specs if s.is_online]
    publish(feast_views.online_path(home, build.lineage), *rows)
    release = cut(home, segments=BOOK, decisions=decisions(), champions={}, now=RESTATED_AT)
    switch(home, release)
    assert (release.lineage, release.as_of) == (build.lineage, MARCH)
    assert release.manifest["build_digest"] == build.digest


def test_a_window_rolled_on_equals_one_rolled_up_from_the_bank(bank_of: Callable[..., Path]) -> None:
    """The window of a month is lost between two builds, with late rows before and after it."""
    home = bank_of(**history(random.Random(5)))
    whole = [build.path.read_bytes() for build in built(home, at(date(2024, 9, 5)))]
    again = home.parent / "again"
    bank_of(home=again, **history(random.Random(5)))
    built(again, at(date(2024, 5, 5)))
    (window,) = again.glob("tiles/*/window-2024-04.parquet")
    window.unlink()
    assert [build.path.read_bytes() for build in built(again, at(date(2024, 9, 5)))] == whole


DEMAND_BP = BOOK.view(date(2024, 1, 31)).value.balances["DEMAND"]  # every balance of a history is one on demand


def history(chance: random.Random, months: int = 8, customers: int = 12) -> dict[str, Rows]:
    """Random rows of eight months, a third of them known up to a hundred days late."""
    rows: dict[str, Rows] = {"txn": [], "contact": [], "channel_event": [], "balance": []}
    days = months * 30
    people = [f"c{i:02}" for i in range(customers)]
    for i in range(400):
        day = date(2024, 1, 1) + timedelta(days=chance.randrange(days) if i else 0)
        known = at(day, 5) + timedelta(days=chance.choice([0, 0, chance.randrange(100)]))
        who = {"customer_id": chance.choice(people), "known_at": known}
        amount = chance.randrange(1, 90_000) / 100
        rows["txn"].append(txn(day, amount) | who)
        rows["contact"].append(contact(day) | who)
        service = chance.choice([None, "P05", "P08", "P10"])
        rows["channel_event"].append({"business_on": day, "occurred_at": at(day), "service_id": service} | who)
        stop = day + timedelta(days=chance.randrange(1, 70)) if chance.random() < 0.8 else None
        rows["balance"].append(balance(day, stop, amount) | who | {"account_id": f"a{i}"})
    return {"customer": [{"customer_id": who} for who in people], **rows}


def closing_of(as_of: date) -> datetime:
    """Eight in the morning after the month, in Shanghai."""
    return datetime.combine(as_of + timedelta(days=1), time(0), UTC)


def in_a_loop(rows: dict[str, Rows], who: str, as_of: date, known: datetime) -> dict[str, float]:
    """Figures of one customer at a month's end as one would count them by hand, from the rows known at an instant."""

    def seen(table: str, months: int, back: int = 0) -> Rows:
        first, last = month_start(as_of, months - 1 + back), month_start(as_of, back - 1)
        mine = (row for row in rows[table] if row["customer_id"] == who and row["known_at"] <= known)
        return [row for row in mine if first <= row["business_on"] < last]

    def day_minor(back: int) -> int:
        first, after = month_start(as_of, back), month_start(as_of, back - 1)
        minor = 0
        for row in rows["balance"]:
            if row["customer_id"] == who and row["known_at"] <= known:
                days = (min(row["to_on"] or after, after) - max(row["from_on"], first)).days
                minor += max(days, 0) * round(row["amount"] * 100)
        return minor

    def mda(back: int) -> float:
        return day_minor(back) / (100 * (month_start(as_of, back - 1) - month_start(as_of, back)).days)

    return {
        "n_txn_1m": len(seen("txn", 1)),
        "n_txn_3m": len(seen("txn", 3)),
        "n_txn_prior_3m": len(seen("txn", 3, back=3)),
        "txn_amount_3m": sum(round(row["amount"] * 100) for row in seen("txn", 3)) / 100,
        "n_contacts_12m": len(seen("contact", 12)),
        "app_days_3m": len({row["business_on"] for row in seen("channel_event", 3)}),
        "active_days_3m": len({row["business_on"] for table in ("txn", "channel_event") for row in seen(table, 3)}),
        "n_services_3m": len({row["service_id"] for row in seen("channel_event", 3)} - {None}),
        "mda": mda(0),
        "mda_peak_12m": max(mda(back) for back in range(12)),
        "value_12m": sum(day_minor(back) for back in range(12)) * DEMAND_BP / 10_000 / 365 / 100,
    }


def month_start(as_of: date, back: int) -> date:
    number = as_of.year * 12 + as_of.month - 1 - back
    return date(number // 12, number % 12 + 1, 1)


def test_every_month_of_both_lineages_equals_a_plain_loop_over_the_rows_known_then(
    bank_of: Callable[..., Path],
) -> None:
    rows = history(random.Random(11))
    home = bank_of(**rows)
    restated_at, n_late = at(date(2024, 9, 5)), 0
    old = built(home, restated_at)
    new = built(home, restated_at, restate=date(2024, 4, 30))
    people = [row["customer_id"] for row in rows["customer"]]
    for builds in (old, new):
        for build in builds:
            known = restated_at if builds is new and build.as_of >= date(2024, 4, 30) else closing_of(build.as_of)
            frame = pd.read_parquet(build.path).set_index("customer_id")
            for who in people:
                told = in_a_loop(rows, who, build.as_of, known)
                assert frame.loc[who, list(told)].to_dict() == pytest.approx(told, abs=1e-9), (who, build.as_of)
                n_late += told != in_a_loop(rows, who, build.as_of, restated_at)
    assert len(old) == len(new) == 8
    assert n_late > 40

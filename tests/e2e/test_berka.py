"""A real bank of 1993 to 1998 from its own files to ranked offers: two homes, checked by SQL written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from features.bank.importing import Imported
from features.bank.sources import berka
from features.errors import BadBank, MissingModel
from serving import jobs
from serving.app import create_app
from serving.doctor import examine_bank
from serving.importing import Told
from serving.importing import bring_in as import_by_name
from serving.key_file import make_keys
from serving.settings import clock_of, read_settings
from training.retrain import retrain

AS_OF = {"prefix": date(1994, 3, 31), "loans": date(1998, 11, 30)}
OWNERS = {"prefix": 1_229, "loans": 354}
TIERS = {"V0": 0, "V1": 10_000, "V2": 20_000, "V3": 30_000, "V4": 45_000, "V5": 60_000, "VIP": 80_000, "VVIP": 120_000}

# The balance after the last transaction of a day is the printed one that lies nearest to the sum of all movements so
# far; the last day's rows are taken as they are. Every day of the month then counts with the balance that stood on it.
BY_HAND = """
WITH rows AS (
  SELECT account_id, strptime('19' || date, '%Y%m%d')::DATE AS day, (balance::DECIMAL(18, 2) * 100)::BIGINT AS after,
    CASE type WHEN 'PRIJEM' THEN 1 WHEN 'credit' THEN 1 ELSE -1 END * (amount::DECIMAL(18, 2) * 100)::BIGINT AS moved
  FROM read_csv('{transactions}', delim = ';', header = true, all_varchar = true) WHERE date <= '{last}'),
closing AS (
  SELECT r.account_id, r.day, r.after,
    abs(r.after - (SELECT sum(s.moved) FROM rows s WHERE s.account_id = r.account_id AND s.day <= r.day)) AS off
  FROM rows r WHERE r.account_id IN ({accounts})),
standing AS (
  SELECT account_id, day, arg_min(after, off) AS after, lead(day) OVER (PARTITION BY account_id ORDER BY day) AS until
  FROM closing GROUP BY account_id, day),
calendar AS (SELECT unnest(generate_series(DATE '{first}', DATE '{as_of}', INTERVAL 1 DAY))::DATE AS day)
SELECT s.account_id, sum(s.after)::BIGINT AS day_sum, max(s.after) FILTER (c.day = DATE '{as_of}') AS at_end
FROM calendar c JOIN standing s ON s.day <= c.day AND (s.until IS NULL OR c.day < s.until)
GROUP BY s.account_id
"""


@pytest.fixture(scope="module")
def raw(shared_data: Path) -> Path:
    return shared_data / "berka"


@pytest.fixture(scope="module")
def told(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    return import_by_name("berka", raw, tmp_path_factory.mktemp("berka"), lambda _what, _share: None)


@pytest.fixture(scope="module")
def made(told: Told) -> dict[str, Imported]:
    return {done.home.name: done for done, _ in told.parts}


@pytest.fixture(scope="module")
def homes(made: dict[str, Imported]) -> dict[str, Path]:
    for done in made.values():
        jobs.build(done.home, clock_of(read_settings(home=done.home)))
    return {name: done.home for name, done in made.items()}


def profile(home: Path) -> pd.DataFrame:
    return pd.read_parquet(jobs.standing_builds(home)[-1].path).set_index("customer_id")


def text(raw: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(raw / name, sep=";", dtype=str)


def test_both_homes_hold_every_row_of_the_files_that_is_theirs(made: dict[str, Imported], raw: Path) -> None:
    prefix, loans = made["prefix"], made["loans"]
    assert prefix.kept | {"balance": 0} == {
        "customer": 1_229, "account": 1_229, "txn": 49_102, "loan": 44, "balance": 0,
    }  # fmt: skip
    later = text(raw, berka.HOMES["loans"]).date > "981130"
    assert loans.kept["txn"] == 30_200 - later.sum() == 30_196
    assert loans.kept["customer"] == 354
    assert prefix.received.aside == loans.received.aside == []
    assert (prefix.first_on, prefix.last_on) == (date(1993, 1, 1), date(1994, 3, 31))


def test_the_gap_in_the_history_is_printed_and_the_loan_home_begins_anew(told: Told, homes: dict[str, Path]) -> None:
    said = "\n".join(told.lines())
    assert "no transaction between 1994-03-31 and 1995-04-19" in said
    assert "the last day may be incomplete; its rows are taken as they are" in said
    first = pd.read_parquet(jobs.standing_builds(homes["loans"])[0].path)
    assert first.as_of.unique().tolist() == [date(1995, 4, 30)]
    assert first.stage_reason.str.startswith("seeded").all()
    assert (first.tier_state == "SEEDED").all()


def test_a_disponent_owns_nothing(homes: dict[str, Path], raw: Path) -> None:
    relations = text(raw, "disp.asc")
    disponents = set(relations[relations.type == "DISPONENT"].client_id)
    for home in homes.values():
        owners = set(pq.read_table(home / "bank" / "customer")["customer_id"].to_pylist())
        assert not owners & disponents
        for table in ("account", "balance", "txn", "loan"):
            assert set(pq.read_table(home / "bank" / table)["customer_id"].to_pylist()) <= owners


@pytest.mark.parametrize("name", AS_OF)
def test_every_owner_has_tier_grade_class_stage_and_cell(homes: dict[str, Path], name: str) -> None:
    build = jobs.standing_builds(homes[name])[-1]
    found = profile(homes[name])
    assert build.as_of == AS_OF[name]
    assert len(found) == OWNERS[name]
    assert found[["tier", "grade", "customer_class", "stage", "cell"]].notna().all().all()
    assert found.cell.equals(found.customer_class + "/" + found.stage)
    assert set(found.tier) <= set(TIERS)
    assert found.tier.nunique() >= 5


@pytest.mark.parametrize("name", AS_OF)
def test_ten_owners_agree_to_the_heller_with_sql_written_by_hand(homes: dict[str, Path], raw: Path, name: str) -> None:
    owner = text(raw, "disp.asc").query("type == 'OWNER'").set_index("account_id").client_id
    found = profile(homes[name])
    accounts = [a for a in sorted(owner.index, key=int) if owner[a] in found.index]
    ten = accounts[:: len(accounts) // 10][:10]
    as_of = AS_OF[name]
    answer = duckdb.sql(BY_HAND.format(
        transactions=raw / berka.HOMES[name], last=f"{as_of:%y%m%d}", as_of=as_of, first=as_of.replace(day=1),
        accounts=", ".join(f"'{a}'" for a in ten),
    )).df().set_index("account_id")  # fmt: skip
    assert len(answer) == 10
    for account, row in answer.iterrows():
        ours = found.loc[owner[account]]
        assert ours.aum_day_minor == max(row.day_sum, 0)
        assert ours.mda == max(row.day_sum, 0) / (100 * as_of.day)
        assert round(ours.aum_end * 100) == row.at_end
        earned = [tier for tier, floor in TIERS.items() if max(row.day_sum, 0) >= floor * 100 * as_of.day][-1]
        kept_for_a_while = list(TIERS).index(ours.tier) > list(TIERS).index(earned)
        assert ours.tier == earned or (kept_for_a_while and ours.tier_state in ("GRACE", "WATCH"))


def test_the_report_shows_the_mix(homes: dict[str, Path]) -> None:
    found = profile(homes["prefix"])
    said = examine_bank(homes["prefix"]).lines()
    for name, column in (("tiers", "tier"), ("grades", "grade"), ("stages", "stage"), ("cells", "cell")):
        counts = found[column].value_counts().sort_index()
        assert f"{name}: " + ", ".join(f"{label} {n:,}" for label, n in counts.items()) in said
    assert any(line.startswith("with your 5 tables") for line in said)


def test_women_are_born_in_the_month_less_fifty(homes: dict[str, Path], raw: Path) -> None:
    customers = pq.read_table(homes["prefix"] / "bank" / "customer").to_pandas().set_index("customer_id")
    for client, number in text(raw, "client.asc").set_index("client_id").birth_number.items():
        if client in customers.index:
            month = int(number[2:4])
            assert customers.gender[client] == ("F" if month > 50 else "M")
            assert customers.birth_on[client] == date(1900 + int(number[:2]), month % 50, int(number[4:]))


@pytest.mark.parametrize("name", AS_OF)
def test_response_training_is_refused_in_one_sentence(homes: dict[str, Path], name: str) -> None:
    with pytest.raises(MissingModel, match="response cannot be trained: the bank has no table contact") as refused:
        retrain(homes[name], "response")
    assert "\n" not in str(refused.value)


def test_churn_trains_with_enough_departures_and_refuses_with_their_number_otherwise(homes: dict[str, Path]) -> None:
    with pytest.raises(MissingModel, match=r"too few departures in the training rows of model churn: 28; allowed: 50"):
        retrain(homes["prefix"], "churn", date(1993, 7, 31))
    trained = retrain(homes["prefix"], "churn")
    assert trained.sizes["train"] > 1_000
    assert 0 < trained.judgement.figures["ours"]["auc"].value <= 1


@pytest.fixture(scope="module")
def api(homes: dict[str, Path]) -> Iterator[TestClient]:
    home = homes["loans"]
    clock = clock_of(read_settings(home=home))
    jobs.publish(home, clock)
    jobs.cut_release(home, clock)
    tokens = make_keys(home)
    with TestClient(create_app(read_settings(home=home))) as client:
        client.headers["Authorization"] = f"Bearer {tokens['service']}"
        yield client


def test_serving_ranks_by_policy_and_says_so(api: TestClient, homes: dict[str, Path]) -> None:
    asked = {"customer_ids": profile(homes["loans"]).index[:50].tolist(), "channel": "BRANCH", "limit": 3}
    answer = api.post("/v1/decisions", json=asked)
    assert answer.status_code == 200, answer.text
    decisions = answer.json()["decisions"]
    assert len(decisions) == 50
    assert all(decision["fallback"] for decision in decisions)
    offers = [offer for decision in decisions for offer in decision["offers"]]
    assert len(offers) > 25
    scores = [[offer["score"] for offer in decision["offers"]] for decision in decisions]
    assert any(len(set(ranked)) > 1 for ranked in scores)


def test_without_a_table_of_consents_nobody_is_sent_anything(api: TestClient, homes: dict[str, Path]) -> None:
    asked = {"customer_ids": profile(homes["loans"]).index[:50].tolist(), "channel": "SMS", "limit": 3}
    decisions = api.post("/v1/decisions", json=asked).json()["decisions"]
    assert [offer for decision in decisions for offer in decision["offers"]] == []


def test_a_folder_without_the_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadBank, match=r"file of the data set is missing.*trans_prefix"):
        berka.bring_in(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()

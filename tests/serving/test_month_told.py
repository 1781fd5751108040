"""What `tiercel build` ends with, on a bank small enough to know every move."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from features.bank.quarantine import receive
from serving.cli import app
from tests.features.conftest import tables_of


def bank(place: Path) -> Path:
    """Four customers since January: one rises from V0 to V2 in March; one joins in March; one balance is nobody's."""
    customers: list[dict[str, Any]] = [{"customer_id": f"c{i}"} for i in range(1, 5)]
    joined = date(2024, 3, 5)
    customers.append({"customer_id": "late", "registered_on": joined, "first_product_on": joined})
    balances: list[dict[str, Any]] = [{"customer_id": f"c{i}", "amount": 100} for i in range(2, 5)]
    balances += [
        {"customer_id": "c1", "amount": 100, "to_on": date(2024, 3, 1)},
        {"customer_id": "c1", "amount": 60_000, "from_on": date(2024, 3, 1)},
        {"customer_id": "late", "amount": 31_000, "from_on": date(2024, 3, 31)},
        {"customer_id": "nobody", "amount": 5},
    ]
    receive(place, tables_of(customer=customers, balance=balances), largest_share=0.5)
    (place / "home.json").write_text(json.dumps({"instant": "2024-04-03T10:00:00+08:00"}))
    return place


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bank with all its months built."""
    place = bank(tmp_path_factory.mktemp("months") / "home")
    said(place, "build")
    return place


def said(home: Path, *arguments: str) -> str:
    answer = CliRunner().invoke(app, [*arguments, "--home", str(home)])
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_a_build_ends_with_migration_growth_heat_map_and_quarantine(home: Path) -> None:
    text = said(home, "build")
    assert "0 months built, 3 unchanged; the newest is 2024-03-31 with 5 customers" in text
    assert "Tiers (分层迁移), from 2024-02-29 to 2024-03-31" in text
    rows = {line.split("│")[1].strip(): line for line in text.splitlines() if line.startswith("│")}
    assert "3 (75%)" in rows["V0"]
    assert "1 (25%)" in rows["V0"]
    assert [cell.strip() for cell in rows["not there"].split("│")[2:-2]].count("1") == 1
    assert "customers (净增): 4 + 1 new + 0 won back - 0 lost = 5; AUM in 万元: 0 +0 new" in text
    assert "客户行为矩阵), 5 in all" in text
    assert "quarantine (隔离): 1 rows set aside at the last import: 1 × balance: " in text


def test_a_customer_who_logs_in_often_counts_once_in_the_month_and_a_user_does_not(tmp_path: Path) -> None:
    logins = [("c1", "APP", date(2024, 3, 1)), ("c1", "APP", date(2024, 3, 2)), ("c2", "APP", date(2024, 3, 31)),
              ("c3", "APP", date(2024, 2, 29)), ("c4", "BRANCH", date(2024, 3, 8)),
              ("user", "APP", date(2024, 3, 5))]  # fmt: skip
    events = [{"customer_id": who, "channel": where, "business_on": on} for who, where, on in logins]
    customers = [{"customer_id": f"c{i}"} for i in range(1, 6)] + [{"customer_id": "user", "first_product_on": None}]
    receive(tmp_path, tables_of(customer=customers, channel_event=events), largest_share=0.5)
    (tmp_path / "home.json").write_text(json.dumps({"instant": "2024-04-03T10:00:00+08:00"}))
    assert "MAU (月活): 2; effective (有效户): 0; of 6" in said(tmp_path, "build")
    assert json.loads(said(tmp_path, "build", "--json"))["mau"] == 2


def test_a_restating_tells_what_it_carried_over(home: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(home, tmp_path / "home"))
    assert "2 months built, 1 carried over, 0 unchanged; the newest is 2024-03-31" in said(
        copied, "build", "--restate", "2024-02"
    )


def test_the_same_stands_in_the_json(home: Path) -> None:
    told = json.loads(said(home, "build", "--json"))
    assert [build["as_of"] for build in told["builds"]] == ["2024-01-31", "2024-02-29", "2024-03-31"]
    moves = {(move["from"], move["to"]): (move["n"], move["share"]) for move in told["migration"]["tier"]["moves"]}
    assert moves == {("V0", "V0"): (3, 0.75), ("V0", "V2"): (1, 0.25), (None, "V0"): (1, 1.0)}
    assert (told["bridge"]["opening"], told["bridge"]["new"], told["bridge"]["closing"]) == (4, 1, 5)
    assert told["bridge"]["aum"]["new"] == 1_000.0, "31,000 on the last of 31 days"
    assert told["bridge"]["aum"]["grown"] == 59_900.0
    assert sum(cell["n_customers"] for cell in told["cells"]) == 5
    assert list(told["quarantine"].values()) == [1]
    assert (told["mau"], told["effective"]) == (None, 2), "no events; 60,000 and just 1,000 on average over the month"
    for figure in ("aum", "value"):
        days = [curve["as_of"] for curve in told["pareto"] if curve["figure"] == figure]
        assert days == ["2024-01-31", "2024-02-29", "2024-03-31"]


def test_a_first_month_says_that_nobody_can_have_moved_yet(tmp_path: Path) -> None:
    home = bank(tmp_path / "home")
    text = said(home, "build", "--as-of", "2024-01-31")
    assert "one month only: nobody can have gone anywhere yet" in text
    assert "迁移" not in text
    told = json.loads(said(home, "build", "--as-of", "2024-01-31", "--json"))
    assert (told["migration"], told["bridge"], told["jumps"]) == ({}, None, [])


def test_the_whole_history_is_told_without_contacts(home: Path) -> None:
    text = said(home, "insight")
    assert "Net growth (净增)" in text
    assert "0 further preferences rest on too few answers" in text
    told = json.loads(said(home, "insight", "--as-of", "2024-02-29", "--json"))
    assert [step["to_on"] for step in told["bridges"]] == ["2024-02-29"]
    assert told["preferences"] == []


def test_a_home_without_builds_has_nothing_to_tell_and_says_what_to_do(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["insight", "--home", str(bank(tmp_path / "home"))])
    assert answer.exit_code == 2
    assert "tiercel build" in answer.stderr

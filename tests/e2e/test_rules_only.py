"""A bank with customers and balances and nothing else is of use on its first day, and is told what it gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from serving import jobs
from serving.app import create_app
from serving.cli import app
from serving.key_file import make_keys
from serving.settings import clock_of, read_settings
from tests.features.bank_files import SMALLEST, smallest

N = 80


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("rules")
    smallest(made / "files", N)
    mapping = {"source": "two tables", "instant": "2024-03-05T10:00:00+08:00", "tables": SMALLEST}
    (made / "bank.yaml").write_text(yaml.safe_dump(mapping), "utf-8")
    return made


@pytest.fixture(scope="module")
def said(folder: Path) -> str:
    run = CliRunner().invoke(
        app, ["import", str(folder / "bank.yaml"), str(folder / "files"), "--out", str(folder / "home")]
    )
    assert run.exit_code == 0, run.output
    return run.output


@pytest.fixture(scope="module")
def home(folder: Path, said: str) -> Path:
    home = folder / "home"
    clock = clock_of(read_settings(home=home))
    jobs.build(home, clock)
    jobs.publish(home, clock)
    jobs.cut_release(home, clock)
    return home


@pytest.fixture(scope="module")
def api(home: Path) -> Iterator[TestClient]:
    tokens = make_keys(home)
    with TestClient(create_app(read_settings(home=home))) as client:
        client.headers["Authorization"] = f"Bearer {tokens['service']}"
        yield client


def test_the_command_ends_by_saying_what_works_and_what_waits(said: str) -> None:
    assert "with your 2 tables these families, filters and models work: families value (more with" in said
    assert "these wait for: families activity (txn, channel_event), behaviour (channel_event), grades" in said
    assert "ranked by policy alone (rules only)" in said
    assert "without a consent table nobody is sent anything" in said


def test_the_doctor_says_the_same(folder: Path, said: str, home: Path) -> None:
    run = CliRunner().invoke(app, ["doctor", "--bank", "--home", str(home)])
    assert run.exit_code == 0, run.output
    told = set(said.splitlines())
    assert next(line for line in run.output.splitlines() if line in told).startswith("with your 2 tables")
    assert f"tiers: V0 10, V1 40, V2 {N - 50}" in run.output
    answer = json.loads(CliRunner().invoke(app, ["doctor", "--bank", "--json", "--home", str(home)]).output)
    assert answer["rows"].pop("offer") > 0  # the catalogue, which the import wrote
    assert answer["rows"] == {"customer": N, "balance": N}


def test_everybody_has_tier_class_stage_and_cell_on_the_first_day(home: Path) -> None:
    found = pd.read_parquet(jobs.standing_builds(home)[-1].path)
    assert len(found) == N
    assert found[["tier", "customer_class", "stage", "cell"]].notna().all().all()
    assert found.set_index("customer_id").tier["C079"] == "V2"  # 79,000
    assert found.grade.isna().all()


def test_offers_are_ranked_by_policy_within_the_rules_of_consent_and_risk(api: TestClient, home: Path) -> None:
    asked = {"customer_ids": [f"C{i:03d}" for i in range(N)], "channel": "BRANCH", "limit": 5}
    answer = api.post("/v1/decisions", json=asked)
    assert answer.status_code == 200, answer.text
    decisions = answer.json()["decisions"]
    offers = [offer for decision in decisions for offer in decision["offers"]]
    assert all(decision["fallback"] for decision in decisions)
    assert len(offers) >= N
    policy = jobs.decisions_book(home).view(clock_of(read_settings(home=home)).now().date())
    risk = {name: product.risk_level for name, product in policy.products.items()}
    assert all(risk.get(offer["product_id"] or "", 0) == 0 for offer in offers)
    sent = api.post("/v1/decisions", json=asked | {"channel": "SMS"}).json()["decisions"]
    assert all(not decision["offers"] for decision in sent)


def test_a_mistake_is_one_sentence_and_exit_code_two(folder: Path, tmp_path: Path) -> None:
    for words, says in (
        (["import", "nobody", str(tmp_path)], "no importer of that name: 'nobody'; allowed: berka, starbucks"),
        (["import", str(folder / "bank.yaml"), str(tmp_path)], "a file of the data set is missing"),
        (
            ["import", str(folder / "bank.yaml"), str(folder / "files"), "--propose"],
            "the mapping file is there already",
        ),
        (["doctor", "--bank", "--home", str(tmp_path)], "this folder holds no bank"),
    ):
        out = [] if "doctor" in words else ["--out", str(tmp_path / "home")]
        run = CliRunner().invoke(app, [*words, *out])
        assert run.exit_code == 2
        assert says in run.output
        assert "Traceback" not in run.output
    assert not (tmp_path / "home").exists()

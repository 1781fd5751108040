"""The newcomer's command, small: from nothing to a summary, and the second time unchanged."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
TIERCEL = str(Path(sys.executable).parent / "tiercel")


def run(*arguments: str, home: Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [TIERCEL, *arguments, "--home", str(home)], capture_output=True, text=True, cwd=home.parent, timeout=300
    )
    assert done.returncode == expect, done.stderr + done.stdout
    return done


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def first(home: Path) -> str:
    return run("demo", "--no-serve", "--customers", "2500", "--months", "12", home=home).stdout


def test_the_first_run_tells_mix_models_offers_and_keys(first: str, home: Path) -> None:
    assert "2,500 customers over 12 months" in first
    assert "12 months built, 0 unchanged" in first
    counted = sum(int(n.replace(",", "")) for n in re.findall(r"(?<=│)\s*([\d,]+)\s*(?=│)", cells_part(first)))
    assert counted == 2_500
    assert "response version 1 is champion" in first
    assert "Best offer of 2,500 customers" in first
    assert "API keys, shown once" in first


def cells_part(text: str) -> str:
    """The heat map's rows."""
    between = text.split("客户行为矩阵")[1].split("Tiers (分层)")[0]
    return "\n".join(line for line in between.splitlines() if re.match(r"│ [A-Z_]+ +│", line))


def test_the_second_run_says_what_is_unchanged_and_shows_no_key(first: str, home: Path) -> None:
    again = run("demo", "--no-serve", "--customers", "2500", "--months", "12", home=home).stdout
    for sentence in ("the simulated bank stands, unchanged", "0 months built, 12 unchanged", "is current, unchanged",
                     "the decisions of this release stand, unchanged"):  # fmt: skip
        assert sentence in again
    assert "API keys" not in again
    assert cells_part(again) == cells_part(first)


def test_every_customer_has_one_decision_and_the_chain_holds(first: str, home: Path) -> None:
    told = json.loads(run("audit", "verify", "--json", home=home).stdout)
    assert told["is_whole"] is True
    assert told["n_rows"] == 2_500
    run("ledger", "export", home=home)
    decisions = pq.read_table(home / "export" / "decision").to_pandas()
    assert decisions.customer_id.nunique() == len(decisions) == 2_500


def test_the_policy_of_the_home_holds_together_and_the_doctor_sees_everything(first: str, home: Path) -> None:
    assert "the policy holds together" in run("policy", "check", home=home).stdout
    found = json.loads(run("doctor", "--json", home=home).stdout)
    assert found["builds"].startswith("12 months to 2025-12-31")
    assert "every file as released" in found["release"]


def test_a_policy_file_with_an_unknown_key_is_one_sentence(first: str, home: Path) -> None:
    own = home / "policy" / "decisions" / "suitability.yaml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("age_caps: {65: 2}\nage_cap: {70: 1}\n", "utf-8")
    try:
        told = run("policy", "check", home=home, expect=2).stderr
    finally:
        own.unlink()
    assert "suitability.age_cap" in told
    assert "Traceback" not in told


def test_a_home_without_a_bank_or_a_build_says_what_to_do(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "tiercel simulate" in run("build", home=empty, expect=2).stderr
    assert "tiercel build" in run("release", "cut", home=empty, expect=2).stderr
    assert "tiercel build" in run("train", "response", home=empty, expect=2).stderr


def test_a_reading_command_makes_no_home(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert "has no ledger" in run("audit", "verify", home=missing, expect=2).stderr
    assert not missing.exists()


def test_a_home_that_holds_a_bank_keeps_its_policy(first: str, home: Path) -> None:
    before = {path: path.read_bytes() for path in (home / "policy").rglob("*.yaml")}
    told = run("simulate", "--customers", "100", "--months", "1", home=home, expect=2).stderr
    assert "holds a bank already" in told
    assert {path: path.read_bytes() for path in (home / "policy").rglob("*.yaml")} == before


def test_keys_are_shown_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    shown = run("keys", home=home).stdout.split()
    assert set(shown[::2]) >= {"service", "rm", "auditor"}
    assert "every role has its key" in run("keys", home=home).stdout
    assert oct((home / "keys" / "service.key").stat().st_mode & 0o777) == "0o600"
    assert not any(token in (home / "keys" / "keys.json").read_text() for token in shown[1::2])

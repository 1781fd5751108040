"""From a bank's tables to a champion: a small bank whose customers open, and then buy, by their own habit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from features.errors import MissingModel, UserMistake
from features.policy import segments
from tests.training.habits import AS_OF, GATES, N_CUSTOMERS, N_WAVES, bank
from training import registry
from training.gates import Verdict
from training.policy import models
from training.promotion import GateClosed, promote, reexamine
from training.retrain import main, retrain

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def reexamined(home: Path, version: int) -> Verdict:
    return reexamine(home, "response", version)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bank(tmp_path_factory.mktemp("bank") / "home")


def test_habits_that_only_the_moment_shows_make_a_champion_with_all_its_facts(home: Path) -> None:
    told: list[str] = []
    done = retrain(home, "response", AS_OF, 1, lambda what, _share: told.append(what))
    assert done.is_champion
    assert done.judgement.ours_less_plain.low > 0
    assert told == ["examples", "trees", "judgement", "MLflow", "done"]
    assert sum(done.sizes.values()) == N_CUSTOMERS * N_WAVES - sum(done.excluded.values())
    found = registry.champion(home, "response")
    facts = found.facts
    assert facts["segments_digest"] == segments().view(AS_OF).digest
    assert facts["horizon"] == "2025-04-15T16:00:00+00:00"  # midnight after the day, in Shanghai
    assert int(facts["rows.train"]) == done.sizes["train"]
    (share,) = found.read().shares
    assert share == {"category": "fund", "share": 0.3, "n_treat": 0, "n_control": 0, "is_assumed": True}


def test_what_the_bank_insists_on_reaches_the_trees(home: Path) -> None:
    """The shipped list, as the policy dates it; LightGBM's text names a direction for each column, 0 for none."""
    asked = models().view(AS_OF).monotone["response"]
    model = registry.champion(home, "response").read()
    (line,) = [line for line in model.text.splitlines() if line.startswith("monotone_constraints=")]
    told = dict(zip(model.recipe.names, map(int, line.partition("=")[2].split(" ")), strict=True))
    assert {name: way for name, way in told.items() if way} == dict(asked)


def test_the_same_day_and_seed_give_the_same_model_and_the_paired_gate_says_so(home: Path) -> None:
    before = registry.champion(home, "response")
    done = retrain(home, "response", AS_OF, 1)
    assert registry.champion(home, "response").digests == before.digests
    assert done.verdict.says.startswith("not distinguishable from the champion: difference 0.0000 [0.0000, 0.0000]")


def test_contacts_of_an_open_window_are_counted_and_left_out(home: Path) -> None:
    """The last wave is sent on 27 March: with the horizon two days on, its window of five days is open."""
    done = retrain(home, "response", date(2025, 3, 29), 1)
    assert done.excluded == {"IMMATURE": N_CUSTOMERS}


def test_mlflow_run_does_the_same_from_the_root_and_leaves_nothing_behind(home: Path) -> None:
    before = {path.name for path in ROOT.iterdir()} | {f"mlflow/{path.name}" for path in (ROOT / "mlflow").iterdir()}
    n_versions = len(registry.versions(home, "response"))
    bin_folder = Path(sys.executable).parent
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow' / 'mlflow.db'}",
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
    }
    run = subprocess.run(
        [str(bin_folder / "mlflow"), "run", "mlflow", "-e", "retrain", "--env-manager=local", "-P", f"home={home}",
         "-P", "model=response", "-P", f"as_of={AS_OF}"], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "response version" in run.stdout
    assert len(registry.versions(home, "response")) == n_versions + 1
    after = {path.name for path in ROOT.iterdir()} | {f"mlflow/{path.name}" for path in (ROOT / "mlflow").iterdir()}
    assert {name for name in after - before if "mlflow" in name or "mlruns" in name} == set()


def test_a_version_is_promoted_through_the_gates_on_its_own_window_and_gives_way_again(home: Path) -> None:
    standing = registry.champion(home, "response")
    before = standing.version
    later = retrain(home, "response", AS_OF, int(standing.facts["seed"]))
    registry.crown(home, "response", before)
    done = promote(home, "response", later.version, "Wang Fang")
    names = {gate.name: gate for gate in done.gates}
    assert names["not_worse"].limit == "not below the champion"
    assert names["second_person"].says == "made by Data science, approved by Wang Fang"
    champion = registry.champion(home, "response")
    assert (champion.version, champion.facts["approver"]) == (later.version, "Wang Fang")
    figures = {name: gate.figure for name, gate in names.items() if name != "second_person"}
    told = {gate.name: gate.figure for gate in reexamined(home, later.version).gates if gate.name in figures}
    assert told | {"not_worse": ""} == figures | {"not_worse": ""}  # the champion beside it is now itself
    assert registry.dethrone(home, "response").version == before


def test_scores_that_moved_further_than_the_bank_allows_leave_a_challenger_and_say_by_how_much(home: Path) -> None:
    gates = home / "policy" / "models" / "gates.yaml"
    gates.write_text(GATES.replace("0.5}", "0.01}"))
    try:
        done = retrain(home, "response", AS_OF, 1)
    finally:
        gates.write_text(GATES)
    (closed,) = done.verdict.failed
    assert (done.alias, closed.name, closed.limit) == ("challenger", "score_stability", "below 0.01")
    assert done.sentence().endswith(f"is above 0.01 by {float(closed.figure) - 0.01:.3f}")


def test_the_author_is_refused_as_approver_and_the_champion_stays(home: Path) -> None:
    before = registry.champion(home, "response").version
    with pytest.raises(GateClosed, match="Data science made the model and cannot approve it"):
        promote(home, "response", before, "Data science")
    assert registry.champion(home, "response").version == before


def test_who_made_a_version_cannot_approve_it_whatever_the_inventory_says_since(home: Path) -> None:
    inventory = home / "policy" / "models" / "inventory.yaml"
    kept, before = inventory.read_text(), registry.champion(home, "response").version
    inventory.write_text(kept.replace("author: Data science", "author: Somebody else"))
    try:
        with pytest.raises(GateClosed, match="made the model and cannot approve it") as refused:
            promote(home, "response", before, " data SCIENCE ")
    finally:
        inventory.write_text(kept)
    assert [gate.name for gate in refused.value.verdict.failed] == ["second_person"]


def test_noise_is_registered_and_never_champion(tmp_path: Path) -> None:
    done = retrain(bank(tmp_path / "home", is_noise=True), "response", AS_OF, 1)
    assert done.alias is None
    assert done.verdict.says.startswith("not better than a constant")
    with pytest.raises(MissingModel):
        registry.champion(tmp_path / "home", "response")


def test_what_cannot_be_trained_is_said_in_one_sentence(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserMistake, match="no such model: 'loan'; allowed: churn, next_step, response, uplift, value"):
        retrain(home, "loan", AS_OF)
    with pytest.raises(MissingModel, match="no contact has a closed outcome window"):
        retrain(home, "response", date(2025, 1, 8))
    assert main(["--home", str(home), "--model", "response", "--as-of", "2025-01-08"]) == 2
    assert capsys.readouterr().err.startswith("no contact has a closed outcome window")


def test_the_homes_own_clock_and_test_window_decide_where_no_day_is_asked_for(home: Path) -> None:
    stated = {"trains_as_of": "2025-04-10T00:00:00+00:00", "test_from": "2025-03-07T01:00:00+00:00",
              "test_to": "2025-03-17T01:00:00+00:00"}  # fmt: skip
    (home / "home.json").write_text(json.dumps(stated))
    try:
        done = retrain(home, "response", seed=1)
    finally:
        (home / "home.json").unlink()
    assert done.sizes == {"train": 6 * N_CUSTOMERS, "test": N_CUSTOMERS, "purged": 2 * N_CUSTOMERS}

"""A real MLflow on SQLite: what is logged comes back elsewhere, to the last digit; a damaged file does not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import MissingModel, NotFound, NotReady
from tests.training.made_up import FACTS, OFFERS, PROFILE, QUICK, evidence_of, examples_of
from training import registry, tracking
from training.examples import instants, split_by_time
from training.fitted import DamagedModel
from training.fitting import Trained, constant
from training.gates import Verdict, examine
from training.judging.judgement import CONSTANT, OURS, PLAIN, judge
from training.models import response
from training.tuning import Trial

pytestmark = pytest.mark.slow
TRIALS = (Trial(QUICK, 0.31), Trial(replace(QUICK, n_leaves=15), 0.29))
GOOD = Verdict(True, True, "better than the plain model")

_ELSEWHERE = """
import sys
sys.modules["training"] = sys.modules["features"] = None  # as where the project was never installed
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model("models:/response@champion")
frame = pd.read_json(sys.argv[1], orient="split", dtype=False)
for name, kind in ((c.name, str(c.type)) for c in model.metadata.signature.inputs):
    if kind == "DataType.double":
        frame[name] = frame[name].astype("float64")
print(model.predict(frame).tolist())
"""


@dataclass(frozen=True)
class Logged:
    home: Path
    trained: Trained
    recorded: tracking.Recorded
    version: int
    test: pd.DataFrame


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    home, elsewhere = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("elsewhere")
    before = Path.cwd()
    os.chdir(elsewhere)
    try:
        yield log(home)
        assert list(elsewhere.iterdir()) == []  # nothing is dropped where the process stands
    finally:
        os.chdir(before)


def log(home: Path, *, seed: int = 1) -> Logged:
    examples = examples_of(seed=seed)
    split = split_by_time(instants(examples.frame["sent_at"]), instants(examples.frame["closes_at"]))
    trained = response.train(examples, split, facts=FACTS, profile=PROFILE, offers=OFFERS, parameters=QUICK)
    test = examples.frame[split.test]
    scores = {OURS: trained.ours.predict(test), PLAIN: trained.plain.predict(test),
              CONSTANT: constant(examples.outcomes, split)}  # fmt: skip
    judged = judge(examples.outcomes[split.test], scores, test["customer_id"].to_numpy(), seed=1, n_resamples=50)
    evidence = evidence_of(judgement=judged)
    facts = {"lineage": "l1", "segments_digest": "d" * 64, "seed": 7}
    recorded = tracking.record(
        home, tracking.Training(trained, QUICK.to_json(), facts, test, evidence, examine(evidence), TRIALS)
    )
    version = registry.register(home, "response", recorded, facts, GOOD)
    registry.admit(home, "response", version, GOOD)
    return Logged(home, trained, recorded, version, test)


def test_a_run_keeps_parameters_figures_tags_and_report(logged: Logged) -> None:
    client = tracking.library(logged.home).MlflowClient()
    run = client.get_run(logged.recorded.run_id)
    assert run.data.params["n_leaves"] == "7"
    assert set(run.data.params) == set(QUICK.to_json())
    assert run.data.tags["lineage"] == "l1"
    figures = run.data.metrics
    assert figures["ours_auc_low"] < figures["ours_auc"] < figures["ours_auc_high"]
    assert {"plain_auc", "constant_brier", "ours_less_plain_auc_low", "ours_slope_high", "ours_ece"} <= set(figures)
    assert {item.path for item in client.list_artifacts(logged.recorded.run_id)} == {
        "calibration.png", "examination.json", "gain.png", "plain", "report.html",
    }  # fmt: skip
    assert client.get_experiment(run.info.experiment_id).name == "response"


def test_each_trial_of_a_tuning_is_a_run_nested_in_the_trainings_own(logged: Logged) -> None:
    client = tracking.library(logged.home).MlflowClient()
    run = client.get_run(logged.recorded.run_id)
    inside = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    nested = client.search_runs([run.info.experiment_id], filter_string=inside)
    assert {(one.data.params["n_leaves"], one.data.metrics["inner_log_loss"]) for one in nested} == {
        ("7", 0.31), ("15", 0.29),
    }  # fmt: skip


def test_all_files_lie_under_the_home_and_none_is_a_pickle(logged: Logged) -> None:
    files = [path for path in (logged.home / "mlflow").rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".joblib")]
    place = registry.champion(logged.home, "response").folder
    assert place.is_relative_to(logged.home)
    requirements = (place.parent / "requirements.txt").read_text().split()
    assert sorted(line.partition("==")[0] for line in requirements) == ["lightgbm", "mlflow", "numpy", "pandas"]


def test_a_plain_process_without_the_project_predicts_what_our_scorer_does(logged: Logged, tmp_path: Path) -> None:
    """Texts, missing values, an unseen code: the whole natural frame."""
    columns = [column.name for column in (*FACTS, *OFFERS)]
    frame = logged.test[columns].head(200).reset_index(drop=True)
    frame.loc[0, "tier"], frame.loc[1, "offer_id"], frame.loc[2, "channel"] = "V9", None, "FAX"
    frame.to_json(tmp_path / "frame.json", orient="split", double_precision=15)
    empty = tmp_path / "empty"
    empty.mkdir()
    uri = f"sqlite:///{logged.home / 'mlflow' / 'mlflow.db'}"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-I", "-c", _ELSEWHERE, str(tmp_path / "frame.json")], cwd=empty, check=False,
        capture_output=True, text=True, env=environment | {"MLFLOW_TRACKING_URI": uri},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    theirs = np.array(json.loads(run.stdout.splitlines()[-1]))
    np.testing.assert_allclose(theirs, logged.trained.ours.predict(frame), rtol=0, atol=1e-12)
    assert list(empty.iterdir()) == []


def test_the_champion_reads_back_whole_with_its_hashes(logged: Logged) -> None:
    found = registry.champion(logged.home, "response")
    assert (found.version, found.digests) == (logged.version, logged.recorded.digests)
    assert found.facts["segments_digest"] == "d" * 64
    assert registry.verify(found)
    model = found.read()
    assert model == logged.trained.ours
    assert model.largest_golden_difference(found.folder) == 0


def test_aliases_follow_the_verdict_and_a_person_may_promote(tmp_path: Path, logged: Logged) -> None:
    home = logged.home
    second = registry.register(home, "response", logged.recorded, {}, GOOD)
    assert registry.admit(home, "response", second, Verdict(False, False, "")) is None
    assert registry.admit(home, "response", second, Verdict(False, True, "")) == "challenger"
    challenger = registry.with_alias(home, "response", registry.CHALLENGER)
    assert challenger is not None
    assert challenger.version == second
    promoted = registry.crown(home, "response", second)
    assert promoted.aliases == ("champion",)
    assert [(v.version, v.aliases) for v in registry.versions(home, "response")] == [(2, ("champion",)), (1, ())]
    registry.crown(home, "response", logged.version)
    assert registry.dethrone(home, "response").version == second  # one command back
    with pytest.raises(NotFound, match="no such version: 9; allowed: 2, 1"):
        registry.crown(home, "response", 9)


def test_a_home_without_models_says_so_and_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(MissingModel, match="no champion is registered: 'churn'"):
        registry.champion(tmp_path, "churn")
    assert list(tmp_path.iterdir()) == []


def test_a_tampered_model_is_neither_read_nor_promoted(tmp_path: Path) -> None:
    logged = log(tmp_path, seed=5)
    found = registry.champion(tmp_path, "response")
    text = found.folder / "model.txt"
    text.write_text(text.read_text().replace("leaf_value=", "leaf_value=9", 1))
    assert not registry.verify(found)
    with pytest.raises(DamagedModel, match=r"model\.txt"):
        found.read()
    with pytest.raises(DamagedModel):
        registry.crown(tmp_path, "response", logged.version)


def test_several_processes_may_meet_an_empty_home(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from training.tracking import prepare; prepare(Path(sys.argv[1]))"
    processes = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len(tracking.library(tmp_path).MlflowClient().search_experiments()) == 1


def test_a_store_that_was_half_made_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "mlflow"
    folder.mkdir()
    (folder / "mlflow.db").touch()
    (folder / "mlflow.half").write_bytes(b"cut short")
    assert tracking.library(tmp_path).MlflowClient().search_experiments()[0].name == "Default"


def test_importing_training_costs_nothing() -> None:
    program = (
        "import sys, training, training.models, training.judging;"
        "print(*{'mlflow', 'lightgbm', 'feast', 'pandas', 'scipy', 'ibis', 'matplotlib'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"


def test_a_home_that_was_moved_says_where_its_models_were_and_goes_on_once_that_place_is_linked(
    tmp_path: Path,
) -> None:
    home, moved = tmp_path / "home", tmp_path / "moved"
    log(home)
    home.rename(moved)
    with pytest.raises(NotReady, match=r"MLflow keeps whole paths: '.*home/mlflow/artifacts'; move the home back"):
        registry.versions(moved, "response")
    (home / "mlflow").mkdir(parents=True)
    (home / "mlflow" / "artifacts").symlink_to(moved / "mlflow" / "artifacts")
    assert registry.verify(registry.versions(moved, "response")[0])


def test_a_version_whose_files_are_gone_is_named(tmp_path: Path) -> None:
    log(tmp_path)
    for folder in (tmp_path / "mlflow" / "artifacts").rglob("models"):
        shutil.rmtree(folder)
    with pytest.raises(DamagedModel, match=r"files of model response version 1 are gone.*delete that version"):
        registry.versions(tmp_path, "response")

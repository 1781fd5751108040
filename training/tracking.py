"""Writes MLflow: one experiment a model, one run a training, everything that was decided on in it.

The store lies under the home (`mlflow/mlflow.db`, `mlflow/artifacts`) and nothing is dropped where the process happens
to stand. Several processes that meet an empty SQLite store destroy it, so the schema is made once, under a lock, beside
the final name.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from features.errors import NotReady
from features.vocabulary import Kind
from training.encoding import Recipe
from training.fitted import FILES, FittedModel, digests_of
from training.fitting import Trained
from training.gates import Evidence, Verdict
from training.judging import pictures, report
from training.tuning import Trial

_LOADER = Path(__file__).parent / "pyfunc_model.py"
_PINNED = ("lightgbm", "mlflow", "numpy", "pandas")
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # a server that is down stalled each call for 249 s with the defaults
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
}
MODEL_ARTEFACT, PLAIN_ARTEFACT = "model", "plain"
EXAMINATION, REPORT = "examination.json", "report.html"


@dataclass(frozen=True)
class Training:
    """All that a run keeps: the model and its plain rival, how they were judged, and what stood behind it.

    `frame` holds the test rows, of which the first become golden. `facts` are tags: lineage, digests, data span, code
    version, seed, counts of rows and of exclusions, the inventory's row.
    """

    trained: Trained
    parameters: Mapping[str, Any]
    facts: Mapping[str, object]
    frame: Any
    evidence: Evidence[Any]
    verdict: Verdict
    trials: Sequence[Trial] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a training stands in MLflow; `digests` are the SHA-256 of its files."""

    run_id: str
    model_uri: str
    digests: Mapping[str, str]


def library(home: Path) -> Any:
    """The mlflow module, silent, without telemetry, and pointed at the store of `home`, which exists afterwards."""
    uri = prepare(home)
    import mlflow

    _hush()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return mlflow


def prepare(home: Path) -> str:
    """The URI of the store of `home`, made if it was not there; raises NotReady where its files were left elsewhere."""
    os.environ.update(_QUIET)  # MLflow looks for these names while it is imported
    folder = (home / "mlflow").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "mlflow.db"
    with _locked(folder / "mlflow.lock"):
        if not _has_schema(database):
            _make(database, folder / "artifacts")
    if lost := [place for place in _places(database) if not place.parent.exists()]:
        raise NotReady(
            "the models of this home are not where they were written, and MLflow keeps whole paths",
            value=str(lost[0].parent), todo=f"move the home back, or link that place to {folder / 'artifacts'}",
        )  # fmt: skip
    return _uri(database)


def record(home: Path, training: Training) -> Recorded:
    """Log `training` as one run of the experiment named after its model; the plain rival lies beside it."""
    mlflow = library(home)
    ours, name = training.trained.ours, training.trained.ours.name
    tags = {key: str(value) for key, value in training.facts.items()}  # a run that is killed is known by its occasion
    run = mlflow.MlflowClient().create_run(_experiment(mlflow, home, name), run_name=name, tags=tags)
    with mlflow.start_run(run_id=run.info.run_id), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ours.write(folder / "files", training.frame)
        training.trained.plain.write(folder / PLAIN_ARTEFACT, training.frame)
        digests = digests_of(folder / "files")
        mlflow.log_params({key: str(value) for key, value in training.parameters.items()})
        mlflow.log_metrics(_figures(training))
        mlflow.log_artifacts(str(folder / PLAIN_ARTEFACT), PLAIN_ARTEFACT)
        _log_report(mlflow, training, folder)
        _log_trials(mlflow, training)
        model_uri = _log_model(mlflow, ours.recipe, folder / "files")
    return Recorded(run.info.run_id, model_uri, digests)


def plain_of(home: Path, run_id: str) -> FittedModel:
    """The plain rival that a run kept."""
    place = library(home).artifacts.download_artifacts(run_id=run_id, artifact_path=PLAIN_ARTEFACT)
    return FittedModel.read(Path(place))


def figures_of(home: Path, run_id: str) -> dict[str, float]:
    """Every figure that a run logged, under the names it has there."""
    return dict(library(home).MlflowClient().get_run(run_id).data.metrics)


def kept_of(home: Path, run_id: str, name: str) -> Path | None:
    """The file of that name that a run kept, None for a run without it."""
    mlflow = library(home)
    client = mlflow.MlflowClient()
    if name not in {item.path for item in client.list_artifacts(run_id)}:
        return None
    place = client.get_run(run_id).info.artifact_uri  # a run's own address makes MLflow copy the file first
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=f"{place}/{name}"))


def _figures(training: Training) -> dict[str, float]:
    """Every figure of the judgement, the gates and the groups, under names that MLflow takes."""
    evidence = training.evidence
    figures: dict[str, float] = evidence.judgement.flat()
    figures |= {"score_psi": evidence.score_psi, "n_suspicions": len(evidence.suspicions)}
    figures |= training.trained.figures()
    figures |= {f"gate_{gate.name}": float(gate.passes) for gate in training.verdict.gates}
    if evidence.less_champion is not None:
        ends, name = {"": "value", "_low": "low", "_high": "high"}, f"ours_less_champion_{evidence.judgement.measure}"
        figures |= {name + end: getattr(evidence.less_champion, part) for end, part in ends.items()}
    widest = [abs(one.calibration_gap.value) for one in evidence.slices if not one.is_small]
    return figures | ({"widest_calibration_gap": max(widest)} if widest else {})


def signature_of(recipe: Recipe) -> Any:
    """The MLflow signature: a text for each code, a double for each number or flag, all optional, and a double out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    types = {True: DataType.string, False: DataType.double}
    columns = [ColSpec(types[f.kind is Kind.CODE], f.name, required=False) for f in recipe.features]
    return ModelSignature(inputs=Schema(columns), outputs=Schema([ColSpec(DataType.double)]))


def _log_report(mlflow: Any, training: Training, folder: Path) -> None:
    evidence, name = training.evidence, training.trained.ours.name
    drawn = pictures.draw(evidence.judgement, folder)
    page = report.page(f"{name}: how good it is 模型好坏", training.facts, evidence, training.verdict, drawn)
    (folder / REPORT).write_text(page, "utf-8")
    told = {"gates": [gate.to_json() for gate in training.verdict.gates],
            "slices": [one.to_json() for one in evidence.slices],
            "suspicions": [one.to_json() for one in evidence.suspicions]}  # fmt: skip
    (folder / EXAMINATION).write_text(json.dumps(told, indent=1, default=str), "utf-8")
    for path in (*drawn, folder / REPORT, folder / EXAMINATION):
        mlflow.log_artifact(str(path))


def _log_trials(mlflow: Any, training: Training) -> None:
    """Each trial of a tuning as a run nested in the training's own."""
    experiment = mlflow.active_run().info.experiment_id
    for place, trial in enumerate(training.trials):
        with mlflow.start_run(run_name=f"trial {place}", experiment_id=experiment, nested=True):
            mlflow.log_params({key: str(value) for key, value in trial.parameters.to_json().items()})
            mlflow.log_metric("inner_log_loss", trial.log_loss)


def _log_model(mlflow: Any, recipe: Recipe, folder: Path) -> str:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*input example was not provided")  # golden.json is the example
        logged = mlflow.pyfunc.log_model(
            name=MODEL_ARTEFACT,
            python_model=str(_LOADER),
            artifacts={Path(name).stem: str(folder / name) for name in FILES},
            signature=signature_of(recipe),
            pip_requirements=[f"{package}=={version(package)}" for package in _PINNED],
        )
    return str(logged.model_uri)


def _experiment(mlflow: Any, home: Path, name: str) -> str:
    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = (home / "mlflow" / "artifacts" / name).resolve()
    return str(client.create_experiment(name, artifact_location=place.as_uri()))


def _make(database: Path, artefacts: Path) -> None:
    """An empty store at `database`; a process that dies on the way leaves only a half that the next one replaces."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    _hush()
    half = database.with_suffix(".half")
    half.unlink(missing_ok=True)
    SqlAlchemyStore(_uri(half), artefacts.as_uri()).engine.dispose()
    half.replace(database)


def _hush() -> None:
    """Only warnings of MLflow reach the console, and not the one about its own use of SQLAlchemy."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*noload.*", category=DeprecationWarning)


def _has_schema(database: Path) -> bool:
    if not database.exists():
        return False
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    return bool(found[0])


def _places(database: Path) -> list[Path]:
    """Where the experiments of a store keep their files, of those that hold a run."""
    sql = ("SELECT DISTINCT artifact_location FROM experiments JOIN runs USING (experiment_id) "
           "WHERE artifact_location LIKE 'file://%'")  # fmt: skip
    with closing(sqlite3.connect(database)) as connection:
        return [Path(url2pathname(urlparse(row[0]).path)) for row in connection.execute(sql)]


def _uri(database: Path) -> str:
    return f"sqlite:///{database}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

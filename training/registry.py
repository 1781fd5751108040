"""Reads MLflow and decides who is champion: versions, aliases, and the files behind them with their hashes.

A version carries the SHA-256 of its files as tags. Nothing here loads a model through MLflow: what serving gets is a
folder of plain files and the hashes they must have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.errors import MissingModel, NotFound
from training.fitted import FILES, DamagedModel, FittedModel, digests_of
from training.gates import Verdict
from training.tracking import Recorded, library

CHAMPION, CHALLENGER = "champion", "challenger"
FOLLOWS = "follows"  # the champion that this version took over from
RECALIBRATION = "recalibration"  # of a champion by recent labels (training.recalibration), JSON
BESIDE = "judged_beside"  # the champion that it was compared with at its training
OCCASION = "occasion"  # the month-end that a training was for
_HASH_TAG, _PASSES, _BEATS, _CLOSED = "sha256.", "passes", "beats_constant", "closed_gates"
_NEVER_LIVE = frozenset({"no_leak", "assessment", "second_person"})  # closed, they keep a model from any customer
_LONGEST_TAG = 5000


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered version: its folder of files, the hashes they were registered with, its aliases and tags."""

    model: str
    version: int
    run_id: str
    folder: Path
    digests: Mapping[str, str]
    aliases: tuple[str, ...]
    facts: Mapping[str, str]

    @property
    def verdict(self) -> Verdict:
        """What was said when the version was registered, without its gates."""
        passes, beats = (self.facts[name] == str(True) for name in (_PASSES, _BEATS))
        return Verdict(passes, beats, self.facts["says"], says_zh=self.facts.get("says_zh", ""))

    @property
    def bars_live(self) -> tuple[str, ...]:
        """Closed gates that let it decide for nobody, not even on trial; all where a version tells of no gates."""
        closed = self.facts.get(_CLOSED)
        return tuple(sorted(_NEVER_LIVE if closed is None else _NEVER_LIVE & set(closed.split(","))))

    def read(self) -> FittedModel:
        """The model; raises DamagedModel if its files are not those that were registered."""
        return FittedModel.read(self.folder, self.digests)


def register(home: Path, model: str, recorded: Recorded, facts: Mapping[str, object], verdict: Verdict) -> int:
    """Register what `recorded` logged as the next version of `model`, with what was said of it; its number."""
    mlflow = library(home)
    client = mlflow.MlflowClient()
    if not any(found.name == model for found in client.search_registered_models(f"name = '{model}'")):
        client.create_registered_model(model)
    tags = {_HASH_TAG + name: digest for name, digest in recorded.digests.items()}
    told = {_PASSES: verdict.passes, _BEATS: verdict.is_better_than_constant, "says": verdict.says}
    told |= {"says_zh": verdict.says_zh}
    told |= {_CLOSED: ",".join(gate.name for gate in verdict.failed) or "none"}
    tags |= {key: str(value)[:_LONGEST_TAG] for key, value in {**facts, **told}.items()}
    made = client.create_model_version(model, recorded.model_uri, recorded.run_id, tags=tags)
    return int(made.version)


def admit(home: Path, model: str, version: int, verdict: Verdict) -> str | None:
    """Give the version the alias that `verdict` earns it: champion, challenger, or None."""
    if verdict.passes:
        crown(home, model, version)
        return CHAMPION
    if verdict.is_better_than_constant:
        library(home).MlflowClient().set_registered_model_alias(model, CHALLENGER, str(version))
        return CHALLENGER
    return None


def crown(home: Path, model: str, version: int) -> ModelVersion:
    """Make `version` the champion of `model`, once its files are verified; raises NotFound or DamagedModel.

    The champion before it is kept by its number, for the way back. Whether a version may be champion is not asked here.
    """
    client = library(home).MlflowClient()
    found = version_of(home, model, version)
    found.read()
    before = with_alias(home, model, CHAMPION)
    if before is not None and before.version != version:
        client.set_model_version_tag(model, str(version), FOLLOWS, str(before.version))
    client.set_registered_model_alias(model, CHAMPION, str(version))
    if CHALLENGER in found.aliases:
        client.delete_registered_model_alias(model, CHALLENGER)
    return version_of(home, model, version)


def note(home: Path, model: str, version: int, name: str, value: str) -> None:
    """Write one fact onto a version."""
    library(home).MlflowClient().set_model_version_tag(model, str(version), name, value)


def dethrone(home: Path, model: str) -> ModelVersion:
    """Give the place back to the champion before this one; raises MissingModel or NotFound."""
    now = champion(home, model)
    before = now.facts.get(FOLLOWS)
    if before is None:
        raise NotFound("there is no earlier champion to go back to", value=f"{model} version {now.version}")
    earlier = version_of(home, model, int(before))
    earlier.read()
    library(home).MlflowClient().set_registered_model_alias(model, CHAMPION, str(earlier.version))
    return version_of(home, model, earlier.version)


def champion(home: Path, model: str) -> ModelVersion:
    """The champion of `model`; raises MissingModel if there is none."""
    found = with_alias(home, model, CHAMPION)
    if found is None:
        raise MissingModel("no champion is registered", value=model, todo=f"run `tiercel train {model}`")
    return found


def with_alias(home: Path, model: str, alias: str) -> ModelVersion | None:
    """The version of `model` that carries `alias`, None without one."""
    return next((found for found in versions(home, model) if alias in found.aliases), None)


def of_occasion(home: Path, model: str, occasion: str) -> ModelVersion | None:
    """The newest version that was trained for `occasion`, None without one."""
    return next((found for found in versions(home, model) if found.facts.get(OCCASION) == occasion), None)


def clear(home: Path, model: str, occasion: str) -> int:
    """Drop runs of `occasion` that never became a version, as a training that was killed leaves them; how many."""
    mlflow = library(home)
    if mlflow.MlflowClient().get_experiment_by_name(model) is None:
        return 0
    kept = {found.run_id for found in versions(home, model)}
    runs = mlflow.search_runs(
        experiment_names=[model], filter_string=f"tags.{OCCASION} = '{occasion}'", output_format="list"
    )
    orphans = [run.info.run_id for run in runs if run.info.run_id not in kept]
    for run_id in orphans:
        mlflow.MlflowClient().delete_run(run_id)
    return len(orphans)


def versions(home: Path, model: str) -> list[ModelVersion]:
    """Every version of `model`, newest first; empty in a home that has never trained."""
    if not (home / "mlflow" / "mlflow.db").exists():
        return []
    mlflow = library(home)
    client = mlflow.MlflowClient()
    names = [found for found in client.search_registered_models(f"name = '{model}'") if found.name == model]
    if not names:
        return []
    aliases: dict[str, list[str]] = {}
    for alias, version in names[0].aliases.items():
        aliases.setdefault(str(version), []).append(alias)
    found = client.search_model_versions(f"name = '{model}'")
    rows = [_version(mlflow, row, tuple(sorted(aliases.get(str(row.version), ())))) for row in found]
    return sorted(rows, key=lambda row: -row.version)


def names(home: Path) -> list[str]:
    """Every model that was ever registered; empty in a home that has never trained."""
    if not (home / "mlflow" / "mlflow.db").exists():
        return []
    return sorted(found.name for found in library(home).MlflowClient().search_registered_models())


def verify(found: ModelVersion) -> bool:
    """Are the files of `found` those that were registered?"""
    return digests_of(found.folder) == dict(found.digests)


def version_of(home: Path, model: str, version: int) -> ModelVersion:
    """The version of `model` of that number; raises NotFound."""
    known = versions(home, model)
    for found in known:
        if found.version == version:
            return found
    raise NotFound(
        f"model {model} has no such version", value=version, allowed=[found.version for found in known] or "none yet",
        todo="`tiercel train` makes one",
    )  # fmt: skip


def _version(mlflow: Any, row: Any, aliases: tuple[str, ...]) -> ModelVersion:
    try:
        place = Path(mlflow.artifacts.download_artifacts(artifact_uri=row.source)) / "artifacts"
    except (mlflow.exceptions.MlflowException, OSError) as error:
        raise DamagedModel(f"the files of model {row.name} version {row.version} are gone", value=row.source,
                           todo="bring them back, or delete that version in MLflow") from error  # fmt: skip
    digests = {name: row.tags[_HASH_TAG + name] for name in FILES if _HASH_TAG + name in row.tags}
    facts = {key: value for key, value in row.tags.items() if not key.startswith(_HASH_TAG)}
    return ModelVersion(row.name, int(row.version), row.run_id, place, digests, aliases, facts)

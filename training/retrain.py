"""One training from end to end: examples, fit, judgement, MLflow, and whether it becomes champion.

`tiercel train` calls `retrain`, and so does `mlflow run mlflow -e retrain`, which runs this file as a program.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console

from features.bank.engines import Bank, open_bank
from features.errors import MissingModel, TiercelError, UserMistake
from features.nearness import SO_FAR
from features.policy import SegmentsPolicy, segments
from features.profiles import PROFILE, Build, latest, silent
from features.recent import RECENT
from features.segments.grades import POINTS
from features.today import STANDING, TODAY
from training import registry, tracking
from training.boosting import Parameters
from training.encoding import LEARNABLE
from training.examples import Examples, Split, churn_examples, instants, response_examples, split_by_time
from training.fitting import Trained, constant
from training.judging import report
from training.judging.judgement import CONSTANT, OURS, PLAIN, Judgement, Verdict, judge, verdict
from training.judging.metrics import Interval, Judged, paired_difference
from training.models import churn, response
from training.models.shares import DEFAULT_SHARE, ArmRow, incremental_shares
from training.outcomes import ChurnFigures, arm_outcomes

Progress = Callable[[str, float], None]
MODELS = (churn.NAME, response.NAME)
# a bank keeps these without their history, so that a past month would know of today's
_UNDATED = frozenset({"is_staff", "is_restricted", "has_marketing_optout"})
# what a tier is measured by and the points of a grade repeat other columns, and thresholds are the tier once more
_SAID_TWICE = frozenset(
    {"rated_mda", "net_mda", "tier_floor", "next_floor", "near_floor", "fall_floor", "is_next_highest"}
    | {*POINTS.values(), *SO_FAR}
) - {"aum_now"}
_PROFILE = tuple(column for column in PROFILE if column.name not in _UNDATED | _SAID_TWICE)
_TODAY = tuple(column for column in TODAY if column.name not in _SAID_TWICE)
FACTS = tuple(column for column in (*_PROFILE, *_TODAY, *STANDING, *RECENT) if column.kind in LEARNABLE)
PROFILE_FACTS = tuple(column for column in _PROFILE if column.kind in LEARNABLE)


@dataclass(frozen=True)
class Retrained:
    """What one training came to: the registered version, its alias (None if it earned none) and why."""

    model: str
    version: int
    alias: str | None
    verdict: Verdict
    judgement: Judgement
    sizes: Mapping[str, int]
    excluded: Mapping[str, int]
    run_id: str

    @property
    def is_champion(self) -> bool:
        return self.alias == registry.CHAMPION

    def sentence(self) -> str:
        """What happened, for the person who asked for it."""
        became = f"is {self.alias}" if self.alias else "was kept without an alias"
        return f"{self.model} version {self.version} {became}: {self.verdict.says}"

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model, "version": self.version, "alias": self.alias, "says": self.verdict.says,
            "run_id": self.run_id, "rows": dict(self.sizes), "excluded": dict(self.excluded),
            "figures": self.judgement.flat(),
        }  # fmt: skip


@dataclass(frozen=True)
class Ground:
    """What a training stands on: the newest build, the policy and clock of the home, and the last instant it sees."""

    home: Path
    build: Build
    policy: SegmentsPolicy
    horizon: datetime
    about: Mapping[str, Any]

    def when(self, name: str) -> datetime | None:
        """An instant that home.json states under `name`, such as where a data set's test begins."""
        return datetime.fromisoformat(str(self.about[name])) if name in self.about else None


def retrain(
    home: Path,
    model: str,
    as_of: date | None = None,
    seed: int = 0,
    progress: Progress = silent,
    *,
    default_share: float = DEFAULT_SHARE,
) -> Retrained:
    """Train `model` on what the bank knew at the end of `as_of`, log and register it, and promote it if it may be.

    Without `as_of` the home's own clock decides. The first model becomes champion unless it is significantly worse
    than the plain one; later ones unless they are significantly worse than the champion on the same test rows; none
    that is not better than a constant. Raises MissingModel if there is too little to learn from, MissingBuild without
    a build, UserMistake for an unknown model.
    """
    if model not in MODELS:
        raise UserMistake("no such model", value=model, allowed=MODELS)
    ground = _ground(home, as_of)
    progress("examples", 0.0)
    examples, trained, split = _train(ground, model, Parameters(seed=seed), progress, default_share=default_share)
    progress("judgement", 0.6)
    test = examples.frame[split.test]
    outcomes, customers = examples.outcomes[split.test], test["customer_id"].to_numpy()
    scores = {
        CONSTANT: constant(examples.outcomes, split),
        PLAIN: trained.plain.predict(test),
        OURS: trained.ours.predict(test),
    }
    judgement = judge(outcomes, scores, customers, seed=seed)
    decided = verdict(judgement, _less_champion(home, model, test, judgement, seed=seed))
    progress("MLflow", 0.8)
    facts = _facts(ground, examples, split, seed=seed)
    training = tracking.Training(trained.ours, judgement, Parameters(seed=seed).to_json(), facts, test)
    recorded = tracking.record(home, training)
    number = registry.register(home, model, recorded, facts | {"says": decided.says})
    alias = registry.admit(home, model, number, decided)
    progress("done", 1.0)
    return Retrained(model, number, alias, decided, judgement, split.sizes(), examples.excluded, recorded.run_id)


def _train(
    ground: Ground, model: str, parameters: Parameters, progress: Progress, *, default_share: float
) -> tuple[Examples, Trained, Split]:
    if model == churn.NAME:
        examples = _churn_examples(ground)
        split = _split(ground, examples)
        progress("trees", 0.3)
        return examples, churn.train(examples, split, profile=PROFILE_FACTS, parameters=parameters), split
    with open_bank(ground.home) as bank:
        _refuse_without(bank, response.NEEDS, model)
        examples = response_examples(bank, ground.build.lineage, ground.horizon, ground.policy)
        arms = _arms(bank, ground.horizon)
    split = _split(ground, examples)
    progress("trees", 0.3)
    trained = response.train(examples, split, facts=FACTS, profile=PROFILE_FACTS, parameters=parameters)
    categories = [*examples.frame["offer_category"].dropna().unique(), *(arm.category for arm in arms)]
    shares = incremental_shares(arms, categories, default_share)
    return examples, Trained(trained.ours.with_shares([share.to_json() for share in shares]), trained.plain), split


def _refuse_without(bank: Bank, needs: Sequence[str], model: str) -> None:
    lacking = [name for name in needs if not bank.has(name)]
    if lacking:
        raise MissingModel(
            f"{model} cannot be trained: the bank has no table {lacking[0]}", allowed=f"a bank with {', '.join(needs)}",
            todo="go on with rules, and import the table once there is one",
        )  # fmt: skip


def _churn_examples(ground: Ground) -> Examples:
    said, tiers = ground.policy.labels, ground.policy.tiers.thresholds
    figures = ChurnFigures(
        balance_tiers=tuple(name for name, floor in tiers.items() if floor >= said.churn_balance_amount),
        months_ahead=said.churn_months_ahead,
        kept_share=said.churn_kept_share, drop_amount=said.churn_drop_amount,
    )  # fmt: skip
    last = ground.horizon.astimezone(ZoneInfo(ground.policy.bank.zone)).date()
    return churn_examples(ground.home, ground.build.lineage, last, ground.policy, figures=figures)


def _split(ground: Ground, examples: Examples) -> Split:
    sent_at, closes_at = instants(examples.frame["sent_at"]), instants(examples.frame["closes_at"])
    return split_by_time(sent_at, closes_at, test_from=ground.when("test_from"), test_to=ground.when("test_to"))


def _arms(bank: Bank, horizon: datetime) -> list[ArmRow]:
    found = arm_outcomes(bank.known_by(horizon), horizon)
    return [] if found is None else [ArmRow(**row) for row in found.to_pandas().to_dict("records")]


def _less_champion(home: Path, model: str, test: Any, judgement: Judgement, *, seed: int) -> Interval | None:
    """ours − champion in AUC on the test rows; None without a champion."""
    standing = registry.with_alias(home, model, registry.CHAMPION)
    if standing is None:
        return None
    ours = judgement.judged[OURS]
    theirs = Judged(ours.outcomes, standing.read().predict(test))
    return paired_difference(ours, theirs, test["customer_id"].to_numpy(), seed=seed)


def _facts(ground: Ground, examples: Examples, split: Split, *, seed: int) -> dict[str, object]:
    sent = instants(examples.frame["sent_at"])
    rows = {f"rows.{name}": size for name, size in split.sizes().items()}
    rows |= {f"excluded.{name}": size for name, size in examples.excluded.items()}
    return {
        "lineage": ground.build.lineage,
        "segments_digest": ground.policy.digest,
        "segments_version": ground.policy.version,
        "horizon": ground.horizon.isoformat(),
        "data_span": f"{sent.min()}/{sent.max()}",
        "test_from": split.test_from,
        "code_version": code_version(),
        "seed": seed,
        **rows,
    }


def code_version() -> str:
    """The project's version and twelve digits of the SHA-256 over the sources that make features and models."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(path for room in ("features", "training") for path in (root / room).rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    try:
        number = version("tiercel")
    except PackageNotFoundError:
        number = "0"
    return f"{number}+{digest.hexdigest()[:12]}"


def _ground(home: Path, as_of: date | None) -> Ground:
    home = home.resolve()
    path = home / "home.json"
    about = json.loads(path.read_text("utf-8")) if path.exists() else {}
    build = latest(home)
    folder = home / "policy" / "segments"
    policy = segments(*([folder] if folder.is_dir() else [])).view(as_of or build.as_of)
    return Ground(home, build, policy, _horizon(about, as_of, build, policy), about)


def _horizon(about: Mapping[str, Any], as_of: date | None, build: Build, policy: SegmentsPolicy) -> datetime:
    """The end of `as_of` in the bank's zone; without it what the home states, or else the end of the last build."""
    stated = about.get("trains_as_of", about.get("instant"))
    if as_of is None and stated is not None:
        return datetime.fromisoformat(str(stated)).astimezone(UTC)
    day = (as_of or build.as_of) + timedelta(days=1)
    return datetime.combine(day, time(), ZoneInfo(policy.bank.zone)).astimezone(UTC)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training from the command line; 0 if a model was registered, 2 for a mistake told in one sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m training.retrain", description="Train one model and register it in the home's MLflow.",
        epilog="example: python -m training.retrain --home .tiercel --model response --as-of 2025-12-31",
    )  # fmt: skip
    parser.add_argument("--home", type=Path, default=Path(".tiercel"))
    parser.add_argument("--model", choices=MODELS, default=response.NAME)
    parser.add_argument("--as-of", default="", help="last day the training sees; the home's own clock if empty")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    console = Console()
    try:
        as_of = date.fromisoformat(asked.as_of) if asked.as_of else None
        done = retrain(asked.home, asked.model, as_of, asked.seed, lambda what, _share: console.print(f"… {what}"))
    except (TiercelError, ValueError) as error:
        Console(stderr=True).print(str(error), markup=False)
        return 2
    console.print(report.table(done.judgement, f"{asked.model}, version {done.version}"))
    console.print(done.sentence(), markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())

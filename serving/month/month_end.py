"""The month-end in one command, from build to report (STEPS). Killed anywhere, it goes on.

A step that is done is noted, with what it came to, in `reports/month-end/MONTH/progress.json`, which is replaced and
never rewritten; the next start takes up after it. A step that was killed half-way is done again, and each can be: a
build that stands is left, a training that was registered for this month is found again and one that was not is
dropped, an alias given twice is given once, a release with the same content is the same release. So nothing is done
twice and nothing stays half. One month-end runs at a time.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from features import profiles
from features.bank.whole_files import whole
from features.errors import BadRequest, NotFound, NotReady
from serving import jobs, releases
from serving.console.words import named, word
from serving.settings import Clock

Progress = Callable[[str, float], None]
Told = dict[str, Any]
PROGRESS, REPORT = "progress.json", "report.html"
_ALIAS_ZH = {"champion": "成为冠军", "challenger": "成为挑战者", None: "没有别名"}


@dataclass
class MonthEnd:
    """One month-end of a home: what is done already, by step."""

    home: Path
    clock: Clock
    month: date
    done: dict[str, Told] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return folder_of(self.home, self.month)

    @property
    def occasion(self) -> str:
        """What trainings of this month-end are known by."""
        return f"month-end {self.month:%Y-%m}"

    def note(self, step: str, told: Told) -> None:
        """Note that `step` is done and what it came to; one replace."""
        self.done[step] = told
        with whole(self.folder / PROGRESS) as half:
            half.write_text(json.dumps(self.done, indent=1, default=str), "utf-8")

    def lines(self) -> list[str]:
        """One line a step, for people."""
        return [f"{step:<8} {told['says']}" for step, told in self.done.items()]

    def to_json(self) -> Told:
        return {"month": str(self.month), "report": str(self.folder / REPORT), "steps": self.done}


def month_end(home: Path, clock: Clock, progress: Progress = profiles.silent) -> tuple[MonthEnd, list[str]]:
    """The newest closed month, brought to its end, and the steps that were done now; none where all were.

    Raises what a step raises, and BadRequest while another month-end runs in this home.
    """
    home = home.resolve()
    with _alone(home):
        progress("build", 0.0)
        standing = {build.path for build in jobs.standing_builds(home)}
        builds = jobs.build(home, clock, progress=profiles.silent)
        at = _opened(home, clock, builds[-1].as_of)
        now: list[str] = []
        fresh = sum(build.path not in standing for build in builds)
        if "build" not in at.done:
            at.note(
                "build",
                {"says": f"{fresh} months built, the newest {builds[-1].as_of}",
                 "says_zh": f"新建 {fresh} 个月，最新为 {builds[-1].as_of}", "digest": builds[-1].digest},
            )  # fmt: skip
            now.append("build")
        for place, (name, step) in enumerate(STEPS.items()):
            if name not in at.done:
                progress(name, (place + 1) / (len(STEPS) + 1))
                at.note(name, step(at))
                now.append(name)
        progress("done", 1.0)
    return at, now


def folder_of(home: Path, month: date) -> Path:
    """Where the month-end of `month` keeps its progress and its report."""
    return home / "reports" / "month-end" / f"{month:%Y-%m}"


def _opened(home: Path, clock: Clock, month: date) -> MonthEnd:
    path = folder_of(home, month) / PROGRESS
    return MonthEnd(home, clock, month, json.loads(path.read_text("utf-8")) if path.exists() else {})


def _publish(at: MonthEnd) -> Told:
    done = jobs.publish(at.home, at.clock)
    says, says_zh = f"{done.n_customers:,} customers online", f"{done.n_customers:,} 位客户已上线"
    return {"says": says, "says_zh": says_zh, "day": done.today.stem}


def _drift(at: MonthEnd) -> Told:
    from serving.month.month_drift import drift_of

    return drift_of(at.home, at.month)


def _growth(at: MonthEnd) -> Told:
    """Before the training, while the champions are those who could foretell it."""
    from serving.month.base_growth import growth_of

    return growth_of(at.home, at.month)


def _retrain(at: MonthEnd) -> Told:
    """A version for each model that can be trained, found again where this month-end made it already."""
    from training import registry
    from training.retrain import learn

    share, versions, untrained, untrained_zh = jobs.incremental_share(at.home), {}, {}, {}
    for model in jobs.CHAMPIONS:
        found = registry.of_occasion(at.home, model, at.occasion)
        if found is None:
            registry.clear(at.home, model, at.occasion)
            try:
                versions[model] = learn(at.home, model, default_share=share, occasion=at.occasion).version
            except NotReady as error:
                untrained[model], untrained_zh[model] = str(error), error.says_zh
        else:
            versions[model] = found.version
    told = [f"{model} version {version}" for model, version in versions.items()]
    told += [f"no {model}: {why}" for model, why in untrained.items()]
    told_zh = [f"{_zh(model)}第 {version} 版" for model, version in versions.items()]
    told_zh += [f"没有训练{_zh(model)}：{why}" for model, why in untrained_zh.items()]
    says, says_zh = "; ".join(told), "；".join(told_zh)
    return {"says": says, "says_zh": says_zh, "versions": versions, "untrained": untrained}


def _gates(at: MonthEnd) -> Told:
    """The alias that each version earned by what its gates said, and its figures."""
    from training import registry, tracking

    told: Told = {}
    for model, version in at.done["retrain"]["versions"].items():
        found = registry.version_of(at.home, model, version)
        alias = registry.admit(at.home, model, version, found.verdict)
        told[model] = {"version": version, "alias": alias, "passes": found.verdict.passes, "says": found.verdict.says,
                       "says_zh": found.verdict.says_zh,
                       "figures": tracking.figures_of(at.home, found.run_id)}  # fmt: skip
    says = [f"{model} {one['alias'] or 'without alias'}: {one['says']}" for model, one in told.items()]
    says_zh = [f"{_zh(model)}{_ALIAS_ZH[one['alias']]}：{one['says_zh']}" for model, one in told.items()]
    return {"says": "; ".join(says) or "nothing was trained", "says_zh": "；".join(says_zh) or "没有训练任何模型",
            "models": told}  # fmt: skip


def _recalibrate(at: MonthEnd) -> Told:
    """The champions that stand now shifted by recent labels, a version that was shifted before anew."""
    from training.recalibrating import MODELS, recalibrate

    told: Told = {}
    for model in MODELS:
        try:
            told[model] = recalibrate(at.home, model)
        except NotReady:  # no champion, or nothing to learn from: `retrain` said why
            continue
    says = "; ".join(one.sentence() for one in told.values()) or "no champion to recalibrate"
    says_zh = "；".join(f"{_zh(model)}{one.sentence_zh()}" for model, one in told.items()) or "没有可重新校准的冠军"
    return {"says": says, "says_zh": says_zh, "models": {model: one.to_json() for model, one in told.items()}}


def _release(at: MonthEnd) -> Told:
    release, _ = jobs.cut_release(at.home, at.clock)
    champions = release.manifest["champions"]
    says = f"{release.id} is current, champions {', '.join(champions) or 'none'}"
    says_zh = f"当前发布为 {release.id}，冠军：{'、'.join(map(_zh, champions)) or '无'}"
    if release.challengers:
        says += f", challenger {', '.join(release.challengers)} for {release.challenger_share:.1%} of customers"
        says_zh += f"；挑战者：{'、'.join(map(_zh, release.challengers))}，占客户 {release.challenger_share:.1%}"
    return {"says": says, "says_zh": says_zh, "release": release.id}


def _challenge(at: MonthEnd) -> Told:
    """The challenger of the release beside its champions, on the decisions of the last months."""
    from serving.models.shadow import compare

    if not releases.current(at.home).challengers:
        return {"says": "no challenger", "says_zh": "没有挑战者"}
    try:
        with jobs.desk(at.home, at.clock) as desk:
            found = compare(desk)
    except NotFound as error:
        return {"says": str(error), "says_zh": error.says_zh}
    return {"says": found.sentence(), "says_zh": found.sentence_zh(), "compared": found.to_json()}


def _use(at: MonthEnd) -> Told:
    """Whether the advice of the last days was followed; a model that is idle is named (X11)."""
    from serving.models.advice_use import use_of

    with jobs.desk(at.home, at.clock) as desk:
        rows = use_of(desk.ledger.advice, desk.ground().release.manifest["champions"], at.clock.now())
    says = [f"{row['model']} {row['use']}, {row['n_acted']:,} of {row['n_advised']:,} acted on" for row in rows]
    use = {row["model"]: word(f"use.{row['use']}", "zh") for row in rows}
    says_zh = [
        f"{_zh(row['model'])}{use[row['model']]}，建议 {row['n_advised']:,} 次，有人行动 {row['n_acted']:,} 次"
        for row in rows
    ]
    return {"says": "; ".join(says) or "no advice was given", "says_zh": "；".join(says_zh) or "没有给出过建议",
            "models": rows}  # fmt: skip


def _report(at: MonthEnd) -> Told:
    from serving.month.month_report import page

    with whole(at.folder / REPORT) as half:
        half.write_text(page(at.month, at.done), "utf-8")
    return {"says": f"{at.folder / REPORT}", "says_zh": f"{at.folder / REPORT}"}


def _zh(model: str) -> str:
    """A model's name in Chinese."""
    return f"“{named(f'model.{model}', 'zh', model)}”模型"


STEPS: Mapping[str, Callable[[MonthEnd], Told]] = {
    "publish": _publish, "drift": _drift, "growth": _growth, "retrain": _retrain, "gates": _gates,
    "recalibrate": _recalibrate, "release": _release, "challenger": _challenge, "use": _use, "report": _report,
}  # fmt: skip


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Nobody else at the month-end of this home; the lock goes with the process that holds it."""
    place = home / "reports" / "month-end"
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadRequest("a month-end runs in this home already", value=str(home), todo="wait for it") from error
        yield

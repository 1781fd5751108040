"""The month-end killed at every step and started again: nothing twice, nothing half, the same end as undisturbed."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from features import profiles
from features.errors import BadRequest
from serving import jobs, releases
from serving.month.month_end import PROGRESS, REPORT, STEPS, folder_of, month_end
from serving.settings import clock_of, read_settings
from tests.console.english import untranslated
from training import registry, tracking

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LAST = date(2025, 12, 31)
_LIFE = """
import importlib, os, signal, sys
from pathlib import Path
from serving.month.month_end import month_end
from serving.settings import clock_of, read_settings
home, place = Path(sys.argv[1]), sys.argv[2]
room, _, name = place.rpartition(".")
module = importlib.import_module(room)
original = getattr(module, name)
def last_deed(*given, **named):
    original(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(module, name, last_deed)
month_end(home, clock_of(read_settings(home=home)))
"""
# what is done and not yet noted when the process dies: half a run, a version without alias, a champion that the
# progress does not know, a release that nothing points to, a page that is not in its place
DEATHS = (
    "serving.jobs.publish", "training.tracking._log_report", "training.registry.register", "training.registry.crown",
    "serving.releases.cut", "serving.month.month_report.page",
)  # fmt: skip


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated bank of a year whose months are built, large enough for both models."""
    home = tmp_path_factory.mktemp("bank") / "home"
    jobs.simulate(home, customers=1_500, months=12, seed=5, last_on=LAST, progress=profiles.silent)
    jobs.build(home, clock(home))
    return home


def clock(home: Path) -> Any:
    return clock_of(read_settings(home=home))


def what_stands(home: Path) -> dict[str, Any]:
    """All that a month-end leaves, without its instants: versions, runs, aliases, champions' files, releases."""
    client = tracking.library(home).MlflowClient()
    models: dict[str, Any] = {}
    for model in jobs.CHAMPIONS:
        experiment = client.get_experiment_by_name(model)
        if experiment is None:  # a bank of this size has drawn too few for the model of effects
            continue
        runs = client.search_runs([experiment.experiment_id])
        versions = registry.versions(home, model)
        models[model] = [(v.version, v.aliases, v.run_id, dict(v.digests)) for v in versions], len(runs)
    manifests = [release.manifest["content"] for release in releases.releases(home)]
    return {"models": models, "releases": manifests, "current": releases.current(home).manifest["content"]}


def test_a_month_end_that_dies_at_every_step_does_nothing_twice_and_leaves_nothing_half(bank: Path) -> None:
    lives = [subprocess.run([sys.executable, "-c", _LIFE, str(bank), death], cwd=ROOT, check=False) for death in DEATHS]
    assert [life.returncode for life in lives] == [-signal.SIGKILL] * len(DEATHS)
    folder = folder_of(bank.resolve(), LAST)
    assert "report" not in json.loads((folder / PROGRESS).read_text("utf-8"))
    at, now = month_end(bank, clock(bank))
    assert now == ["report"]  # all before had been done by one life or another
    assert list(at.done) == ["build", *STEPS]
    stands = what_stands(bank)
    for versions, n_runs in stands["models"].values():
        assert [(version, aliases) for version, aliases, _, _ in versions] == [(1, ("champion",))]
        assert n_runs == 1  # that of the life that died while it logged is dropped
    assert stands["releases"] == [stands["current"]]
    champions = {name: digest for versions, _ in stands["models"].values() for name, digest in versions[0][3].items()}
    released = releases.current(bank).manifest["files"]
    assert set(champions.values()) <= set(released.values())
    page = (folder / REPORT).read_text("utf-8")
    assert all(at.done[step]["says"] in page for step in ("publish", "drift"))
    assert untranslated(page) == []
    assert month_end(bank, clock(bank))[1] == []
    assert what_stands(bank) == stands


def test_two_month_ends_of_one_home_do_not_run_at_once(bank: Path) -> None:
    folder = bank / "reports" / "month-end"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BadRequest, match="a month-end runs in this home already"):
            month_end(bank, clock(bank))

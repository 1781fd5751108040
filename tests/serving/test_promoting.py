"""A promotion that was asked for on a page: how it stands while it works, when it was broken off, and who may look."""

from __future__ import annotations

import fcntl
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.errors import NotFound
from serving.models import promoting
from serving.models.model_book import released
from serving.models.models_in_use import mark_of
from serving.releases import Release
from serving.settings import Clock

KINDS: tuple[promoting.What, ...] = ("promote", "back")


def asked(home: Path, name: str = "20260102T030000-aa") -> Path:
    folder = home / "reports" / "promotions" / name
    folder.mkdir(parents=True)
    told = {
        "what": "promote",
        "model": "response",
        "version": 2,
        "who": "Li Na",
        "asked_at": "2026-01-02T03:00:00+00:00",
    }
    (folder / promoting.ASKED).write_text(json.dumps(told))
    return folder


def test_one_that_works_is_running_and_one_whose_process_died_is_broken_off(tmp_path: Path) -> None:
    folder = asked(tmp_path)
    with (folder / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert promoting.standing(tmp_path, folder.name)["state"] == "RUNNING"
    told = promoting.standing(tmp_path, folder.name)
    assert (told["state"], told["who"], told["gates"]) == ("BROKEN_OFF", "Li Na", [])
    (folder / promoting.ENDED).write_text(json.dumps({"state": "DONE", "says": "", "gates": [], "release": "r1"}))
    assert promoting.standing(tmp_path, folder.name)["state"] == "DONE"


@pytest.mark.parametrize("name", ["none", "..", "../../keys", ""])
def test_an_id_that_nobody_asked_under_is_unknown(tmp_path: Path, name: str) -> None:
    asked(tmp_path)
    with pytest.raises(NotFound):
        promoting.standing(tmp_path, name)


def test_the_newest_come_first(tmp_path: Path) -> None:
    for name in ("20260102T030000-bb", "20260103T030000-aa", "20260101T030000-cc"):
        asked(tmp_path, name)
    assert [row["id"][:8] for row in promoting.latest(tmp_path, 2)] == ["20260103", "20260102"]


def test_two_asked_at_once_by_a_clock_that_stands_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever chance makes of their ids; nothing can be promoted here, so both processes end at once."""
    drawn = iter(["ff", "00"])
    monkeypatch.setattr("serving.models.promoting.secrets.token_hex", lambda _n: next(drawn))
    clock = Clock(datetime(2026, 1, 2, 3, tzinfo=UTC))
    names = [promoting.ask(tmp_path, clock, what, "response", 2, "Li Na") for what in KINDS]
    assert [row["id"] for row in promoting.latest(tmp_path, 2)] == names[::-1]
    while any(promoting.standing(tmp_path, name)["state"] == "RUNNING" for name in names):
        time.sleep(0.1)


def test_a_released_champion_is_known_by_its_files(tmp_path: Path) -> None:
    files = {"models/churn/model.txt": "a", "models/churn/recipe.json": "b", "models/response/model.txt": "c"}
    release = Release(tmp_path, {"champions": ["churn", "response"], "files": files})
    versions = [
        {"model": "churn", "version": 2, "digests": {"model.txt": "x", "recipe.json": "b"}},
        {"model": "churn", "version": 1, "digests": {"model.txt": "a", "recipe.json": "b"}},
        {"model": "response", "version": 1, "digests": {"model.txt": "x"}},
    ]
    assert released(release, versions) == {"churn": versions[1], "response": None}


def test_a_difference_is_marked_by_its_interval_alone() -> None:
    marks = [mark_of({"value": value, "low": low, "high": high}) for value, low, high in
             ((0.02, 0.01, 0.03), (0.02, -0.01, 0.05), (-0.02, -0.03, -0.01))]  # fmt: skip
    assert marks == ["BETTER", "EVEN", "WORSE"]

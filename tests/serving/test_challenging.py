"""Which challenger a release ships: what the registry holds, what was asked for, what closed gates forbid."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import BadRequest, NotFound
from serving.models.challenging import beside_of
from tests.training.test_tracking import log
from training import registry
from training.gates import Gate, Verdict

pytestmark = pytest.mark.slow


def verdict(*closed: str) -> Verdict:
    return Verdict(False, True, "closed", tuple(Gate(name, False, "", "", "") for name in closed))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose response has a champion and two later versions, of which one is challenger at a time."""
    home = tmp_path_factory.mktemp("registry")
    logged = log(home)
    for closed in (("score_stability",), ("score_stability", "no_leak")):
        number = registry.register(home, "response", logged.recorded, {"lineage": "l1"}, verdict(*closed))
        assert number > logged.version
    return home


def challenge(home: Path, version: int) -> None:
    registry.admit(home, "response", version, verdict())


def test_a_registered_challenger_is_shipped_in_shadow_unless_told_otherwise(home: Path) -> None:
    champions = {"response": registry.champion(home, "response")}
    assert beside_of(home, champions).facts() == {
        "versions": {"response": 1}, "recalibration": {}, "bands": {}, "challenger": None,
    }  # fmt: skip
    challenge(home, 2)
    told = beside_of(home, champions).facts()["challenger"]
    assert told == {"models": ["response"], "versions": {"response": 2}, "share": 0.0}
    assert beside_of(home, champions, ["response"], 0.02).share == 0.02
    assert beside_of(home, champions, ["none"]).challengers == {}


def test_a_challenger_that_may_know_the_answer_decides_for_nobody(home: Path) -> None:
    champions = {"response": registry.champion(home, "response")}
    challenge(home, 3)
    assert beside_of(home, champions).challenging == {"response": 3}
    with pytest.raises(BadRequest, match="decide for nobody while these gates are closed: 'response no_leak'"):
        beside_of(home, champions, share=0.01)


def test_a_challenger_that_is_not_there_is_named(home: Path) -> None:
    with pytest.raises(NotFound, match="no challenger is registered: 'churn'"):
        beside_of(home, {}, ["churn"])

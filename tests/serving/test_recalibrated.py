"""A release whose champion is recalibrated: its probabilities are shifted, and one roll-back takes the shift away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.policy import decisions
from features.policy import segments
from serving.releases import current, cut, rollback, switch
from serving.shipping import Beside
from tests.serving.conftest import open_bank
from tests.serving.homes import INSTANT, build
from training.calibration import Calibration
from training.fitted import FittedModel
from training.recalibration import moved

SHIFT = 0.8
NOTED = {"shift": SHIFT, "n_rows": 900, "until": "2026-01-01"}


def cut_shifted(home: Path) -> None:
    champions = {name: home / "champions" / name for name in ("response", "churn")}
    switch(home, cut(home, segments=segments(), decisions=decisions(), champions=champions, now=INSTANT,
                     build=build(home), beside=Beside(recalibration={"response": NOTED})))  # fmt: skip


def p_of(home: Path) -> dict[str, float]:
    """p of what one customer is offered, by a server of this home."""
    found = {}
    for bank in open_bank(home):
        answer = bank.decide("C-WEALTHY", limit=20)
        found = {slot["offer_id"]: slot["components"]["p"] for slot in answer["offers"]}
        again = bank.ask("POST", f"/v1/decisions/{answer['decision_id']}/replay", role="auditor").json()
        assert again["identical"], again["differences"]
    return found


def test_what_is_noted_moves_p_stands_in_the_manifest_and_is_gone_after_one_roll_back(home: Path) -> None:
    before = p_of(home)
    cut_shifted(home)
    assert current(home).manifest["recalibration"] == {"response": NOTED}
    assert (current(home).shift("response"), current(home).shift("churn")) == (SHIFT, 0.0)
    after = p_of(home)
    sold = [name for name in before.keys() & after.keys() if before[name] < 1]
    assert sold
    for name in sold:
        assert after[name] > before[name]
        assert after[name] == pytest.approx(moved(np.array([before[name]]), SHIFT)[0], abs=0.02)
    rollback(home)
    assert p_of(home) == before


def test_the_files_of_a_recalibrated_champion_are_those_that_were_registered(home: Path) -> None:
    """So that the trial's golden rows and the registry's hashes still speak of it."""
    cut_shifted(home)
    folder = current(home).model_folder("response")
    assert folder is not None
    model = FittedModel.read(folder)
    assert model.largest_golden_difference(folder) == 0
    assert model.shifted(0.0) is model


@given(st.floats(-3, 3), st.lists(st.floats(0.001, 0.999), min_size=2, max_size=6, unique=True))
def test_a_shifted_map_rises_as_it_did_and_is_exact_at_its_knots(shift: float, levels: list[float]) -> None:
    x = tuple(np.linspace(0, 1, len(levels)).tolist())
    calibration = Calibration(x, tuple(sorted(levels)))
    found = calibration.shifted(shift)
    np.testing.assert_allclose(found.apply(np.array(x)), moved(np.array(calibration.y), shift), rtol=1e-12)
    assert (np.diff(found.y) >= 0).all()
    assert found.shifted(-shift).y == pytest.approx(calibration.y, abs=1e-9)

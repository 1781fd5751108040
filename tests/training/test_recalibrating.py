"""A champion shifted by the labels that came after what it learnt from: followed where the rate moved, else let be."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features.errors import BadRequest
from tests.training.habits import AS_OF, FIRST, bank
from training import registry
from training.gathering import gather
from training.ground import ground_of
from training.recalibrating import recalibrate
from training.retrain import retrain

pytestmark = pytest.mark.slow
N_LATE = 2  # waves in which hardly anybody converts any more


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bank of the retraining tests, and its model crowned; the answers of the last waves can be taken away."""
    home = bank(tmp_path_factory.mktemp("drifting") / "home")
    done = retrain(home, "response", AS_OF, 1)
    registry.crown(home, "response", done.version)
    return home


def test_a_rate_that_stayed_moves_the_champion_little_and_is_noted(home: Path) -> None:
    done = recalibrate(home, "response", AS_OF)
    champion = registry.champion(home, "response")
    assert abs(done.shift) < 0.2
    assert done.n_rows > 800
    assert json.loads(champion.facts[registry.RECALIBRATION]) == done.to_json()
    assert done.sentence().startswith(f"response version {champion.version} is shifted by")


def test_only_rows_that_the_champion_did_not_learn_from_and_whose_window_closed_count(home: Path) -> None:
    facts = registry.champion(home, "response").facts
    frame = gather(ground_of(home, AS_OF), "response").examples.frame
    since = np.datetime64(facts["test_from"])
    later = frame["sent_at"].dt.tz_localize(None).to_numpy() >= since
    assert recalibrate(home, "response", AS_OF).n_rows == later.sum()
    early = recalibrate(home, "response", date.fromisoformat(str(since.astype("datetime64[D]"))))
    assert (early.shift, early.n_rows) == (0.0, 0)
    assert "stays as it is" in early.sentence()


def test_a_rate_that_fell_is_followed_and_the_days_before_would_have_told_it(home: Path) -> None:
    (path,) = (home / "bank" / "response").glob("*.parquet")
    rows = pq.read_table(path)
    late = pc.greater_equal(
        rows["occurred_at"], pa.scalar((FIRST + np.timedelta64(10 * (9 - N_LATE), "D")).to_pydatetime())
    )
    number = pc.utf8_slice_codeunits(rows["event_id"], 1)
    kept = pc.or_(pc.invert(late), pc.equal(pc.bit_wise_and(pc.cast(number, pa.int64()), 7), 0))  # one of eight stays
    pq.write_table(rows.filter(kept), path)
    done = recalibrate(home, "response", AS_OF)
    assert done.observed_share < done.said_share / 3
    assert done.shift < -1
    assert done.loss_after < done.loss_before
    model = registry.champion(home, "response").read()
    frame = gather(ground_of(home, AS_OF), "response").examples.frame
    last = frame[frame["sent_at"] >= FIRST + np.timedelta64(10 * (9 - N_LATE), "D")]
    said = model.shifted(done.shift).predict(last)
    assert abs(said.mean() - last["outcome"].mean()) < abs(model.predict(last).mean() - last["outcome"].mean()) / 3
    assert (np.argsort(said, kind="stable") == np.argsort(model.predict(last), kind="stable")).mean() > 0.99


def test_a_model_whose_word_is_not_multiplied_into_money_is_not_recalibrated(home: Path) -> None:
    with pytest.raises(BadRequest, match="not recalibrated: 'next_step'; allowed: response, churn"):
        recalibrate(home, "next_step", AS_OF)

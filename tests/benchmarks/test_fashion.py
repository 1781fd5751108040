"""A real log of fashion items shown by two policies, with the propensity of each choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality.fashion import BTS, RANDOM, Campaign
from training.judging.off_policy import DR, DR_SHRUNK, NO_SUPPORT, evaluate


@pytest.mark.slow
def test_open_bandit_men_are_told_within_their_lines(shared_data: Path) -> None:
    """Means over three seeds of the folds; the truth hangs on 46 and 69 clicks itself, so about .18 is its floor."""
    men = Campaign.read(shared_data / "open_bandit", "men")
    for by, judged, name, line in ((BTS, RANDOM, DR_SHRUNK, 0.30), (RANDOM, BTS, DR, 0.22)):
        found = [evaluate(men.logged(by, judged, seed=seed)) for seed in range(3)]
        truth = men.value(judged)
        assert np.mean([abs(one.estimates[name].value - truth) / truth for one in found]) <= line
        assert all(one.estimates[DR].low <= truth <= one.estimates[DR].high for one in found)


@pytest.mark.slow
def test_open_bandit_women_from_bts_to_random_are_refused(shared_data: Path) -> None:
    women = Campaign.read(shared_data / "open_bandit", "women")
    found = evaluate(women.logged(BTS, RANDOM, seed=0))
    assert (found.verdict, dict(found.estimates), found.gain) == (NO_SUPPORT, {}, None)
    assert found.support.effective_rows < 3
    assert found.support.largest_weight == pytest.approx(21_739, abs=1)
    assert found.n_needed > 100_000

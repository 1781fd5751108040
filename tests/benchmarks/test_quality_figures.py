"""When a figure of a contest is met: its line, how it stands against its peer, or both."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality.contests import BETTER, NOT_WORSE, Against, Figure, mean_beside
from training.judging.metrics import Interval


@pytest.mark.parametrize(
    ("low", "high", "is_more_better", "against", "is_met"),
    [
        (0.1, 0.3, True, BETTER, True), (-0.1, 0.3, True, BETTER, False), (-0.1, 0.3, True, NOT_WORSE, True),
        (-0.3, -0.1, True, NOT_WORSE, False), (-0.3, -0.1, False, BETTER, True), (-0.3, 0.1, False, BETTER, False),
        (-0.3, 0.1, False, NOT_WORSE, True), (0.1, 0.3, False, NOT_WORSE, False),
    ],
)  # fmt: skip
def test_a_figure_stands_against_its_peer_as_the_whole_interval_says(
    low: float, high: float, is_more_better: bool, against: Against, is_met: bool
) -> None:
    one = Figure("x", [1.0], 0.9, Interval(0.0, low, high), is_more_better=is_more_better, against=against)
    assert one.is_met is is_met
    assert one.bound == f"{against} {'met' if is_met else 'MISSED'}"


def test_a_line_and_a_peer_are_both_to_be_met() -> None:
    apart = Interval(0.2, 0.1, 0.3)
    assert Figure("x", [1.0, 0.8], 0.7, apart, line=0.9, against=BETTER).is_met
    assert not Figure("x", [1.0, 0.7], 0.7, apart, line=0.9, against=BETTER).is_met
    assert not Figure("x", [1.0], against=BETTER).is_met
    assert Figure("x", [1.0]).bound == ""


def test_beside_a_peer_that_earns_nothing_there_is_no_ratio() -> None:
    assert Figure("x", [3.0], 0.0).told().ratio is None
    assert Figure("x", [3.0], 1.5).told().ratio == 2.0


def test_mean_losses_are_compared_on_the_same_resampled_rows() -> None:
    """Both err by chance on the same rows, so that a constant gap has an interval without width."""
    noise = np.random.default_rng(0).random(500)
    found = mean_beside("loss", [noise, noise + 0.02], [noise + 0.1], against=BETTER)
    assert found.difference is not None
    assert (found.difference.low, found.difference.high) == pytest.approx((-0.09, -0.09))
    assert found.is_met
    root = mean_beside("root", [np.full(9, 4.0)], [np.full(9, 9.0)], is_root=True)
    assert (root.mean, root.peer) == (2.0, 3.0)

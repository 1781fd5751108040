"""The peers of the judges are what they say: a fit finds the figures that a simulated world was drawn from."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality.bg_nbd import BgNbd


def test_bg_nbd_finds_the_world_that_it_was_drawn_from_and_its_mean() -> None:
    chance = np.random.default_rng(1)
    n, weeks, ahead, truth = 20_000, 40.0, 30.0, BgNbd(0.6, 5.0, 0.9, 2.5)
    rate, dropping = chance.gamma(truth.r, 1 / truth.alpha, n), chance.beta(truth.a, truth.b, n)
    x, t, later = np.zeros(n), np.zeros(n), np.zeros(n)
    for who in range(n):
        at = 0.0
        while (at := at + chance.exponential(1 / max(rate[who], 1e-9))) <= weeks + ahead:
            if at <= weeks:
                x[who], t[who] = x[who] + 1, at
            else:
                later[who] += 1
            if chance.random() < dropping[who]:
                break
    found = BgNbd.fit(x, t, np.full(n, weeks))
    assert (found.r, found.alpha) == pytest.approx((truth.r, truth.alpha), rel=0.1)
    assert found.a / (found.a + found.b) == pytest.approx(truth.a / (truth.a + truth.b), rel=0.1)
    said = found.expect(ahead, x, t, np.full(n, weeks))
    assert said.mean() == pytest.approx(later.mean(), rel=0.05)
    often = x >= np.quantile(x, 0.9)
    assert said[often].mean() == pytest.approx(later[often].mean(), rel=0.1)

"""The stability index against its definition, its noise against many samples, and the bands of R48."""

from __future__ import annotations

import numpy as np
import pytest

from features.errors import UserMistake
from training.judging.drift import Band, Bins, Psi, by_month, psi

MARCH, APRIL = np.datetime64("2025-03", "M"), np.datetime64("2025-04", "M")


def by_definition(expected: list[int], actual: list[int]) -> float:
    """Σ (a − e) ln(a ÷ e) over the shares of bins, half a row added to each."""
    e = (np.array(expected) + 0.5) / (sum(expected) + 0.5 * len(expected))
    a = (np.array(actual) + 0.5) / (sum(actual) + 0.5 * len(actual))
    return float(sum((x - y) * np.log(x / y) for x, y in zip(a, e, strict=True)))


def coded(**counts: int) -> np.ndarray:
    return np.array([code for code, n in counts.items() for _ in range(n)], dtype=object)


def test_the_index_of_numbers_is_that_of_the_tenths_of_what_was_learnt_on() -> None:
    expected, actual = np.arange(1000.0), np.arange(1000.0) ** 2 / 1000
    counts = [int(((actual > 100 * k - 1) & (actual <= 100 * k + 99)).sum()) for k in range(10)]
    found = psi(expected, actual)
    assert found.value == pytest.approx(by_definition([100] * 10, counts), abs=1e-12)
    assert (found.n_expected, found.n_actual, found.n_bins) == (1000, 1000, 10)


def test_codes_have_a_bin_each_and_rare_and_unseen_ones_share_one() -> None:
    expected = coded(APP=500, SMS=494, FAX=6)
    actual = coded(APP=100, SMS=80, FAX=3, WECHAT=17)
    assert psi(expected, actual).value == pytest.approx(by_definition([500, 494, 6], [100, 80, 20]), abs=1e-12)


def test_missing_values_are_a_bin_of_their_own() -> None:
    expected = np.repeat([1.0, np.nan], [900, 100])
    actual = np.repeat([1.0, np.nan], [600, 400])
    assert psi(expected, actual).value == pytest.approx(by_definition([900, 100], [600, 400]), abs=1e-12)
    texts = [np.where(np.isnan(values), None, "x") for values in (expected, actual)]
    assert psi(*texts).value == pytest.approx(psi(expected, actual).value, abs=1e-12)


def test_a_value_that_half_of_the_rows_share_keeps_one_bin() -> None:
    expected = np.r_[np.zeros(600), np.arange(1.0, 401.0)]
    assert psi(expected, expected).n_bins == 5  # zero, and the tenths above it
    assert psi(expected, expected).value == 0


def test_what_did_not_move_passes_the_noise_once_in_a_hundred_samples() -> None:
    chance = np.random.default_rng(0)
    passed = [found.value > found.noise for found in (psi(*chance.normal(size=(2, 400))) for _ in range(2000))]
    assert np.mean(passed) == pytest.approx(0.01, abs=0.008)  # the edges are learnt on one of the samples


def test_the_level_of_chance_falls_with_the_rows() -> None:
    small, large = psi(np.arange(200.0), np.arange(200.0)), psi(np.arange(2000.0), np.arange(2000.0))
    assert small.noise == pytest.approx(10 * large.noise)
    assert small.noise == pytest.approx(21.666 * (1 / 200 + 1 / 200), rel=1e-4)  # χ² of 9 degrees of freedom at .99


@pytest.mark.parametrize(
    ("value", "noise", "band"),
    [
        (0.0999, 0.01, Band.STABLE), (0.10, 0.01, Band.WATCH), (0.25, 0.01, Band.WATCH), (0.2501, 0.01, Band.ACT),
        (0.30, 0.31, Band.TOO_FEW), (0.05, 0.31, Band.STABLE),
    ],
)  # fmt: skip
def test_bands_are_those_of_the_rule_unless_chance_reaches_as_far(value: float, noise: float, band: Band) -> None:
    assert Psi(value, 500, 500, 10, noise).band is band


def test_thirty_rows_that_look_moved_are_too_few_to_say_so() -> None:
    chance = np.random.default_rng(3)
    found = psi(chance.normal(size=5000), chance.normal(size=30))
    assert found.value > 0.10
    assert found.band is Band.TOO_FEW
    assert "30 rows" in str(found)


def test_each_column_and_score_is_followed_month_by_month() -> None:
    chance = np.random.default_rng(1)
    expected = {"mda": chance.normal(size=3000), "tier": coded(V1=2000, V2=1000), "p": chance.random(3000)}
    months = np.repeat([MARCH, APRIL], 1500)
    moved = chance.normal(size=3000) + (months == APRIL)
    actual = {"mda": moved, "tier": coded(V1=2000, V2=1000)[chance.permutation(3000)], "p": chance.random(3000)}
    found = {(one.column, one.month): one.psi for one in by_month(expected, actual, months)}
    assert [key for key, one in found.items() if one.band is not Band.STABLE] == [("mda", APRIL)]
    assert found["mda", APRIL].band is Band.ACT
    assert found["mda", MARCH] == psi(expected["mda"], actual["mda"][:1500])
    assert found["tier", APRIL].n_actual == 1500


def test_nothing_is_said_of_no_rows_or_of_columns_that_are_absent() -> None:
    with pytest.raises(UserMistake, match="rows on both sides"):
        Bins(np.arange(5.0)).psi(np.empty(0))
    with pytest.raises(UserMistake, match="on both sides: 'mda'"):
        by_month({"mda": np.arange(5.0)}, {}, np.repeat(MARCH, 5))

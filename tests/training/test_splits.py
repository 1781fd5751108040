"""No training window reaches into the test, whatever the windows are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import MissingModel
from training.examples import customer_folds, months_after, split_by_time

START = np.datetime64("2025-01-01", "us")
HOUR = np.timedelta64(1, "h")
ROWS = st.lists(st.tuples(st.integers(0, 700), st.integers(1, 300)), min_size=1, max_size=60)


def spans(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of (hour sent, hours open) as instants of sending and closing."""
    sent = START + np.array([hour for hour, _ in rows]) * HOUR
    return sent, sent + np.array([length for _, length in rows]) * HOUR


@given(ROWS, st.floats(0.05, 0.9))
def test_no_training_window_overlaps_the_test_and_every_row_is_counted_once(
    rows: list[tuple[int, int]], share: float
) -> None:
    sent, closes = spans(rows)
    try:
        split = split_by_time(sent, closes, test_share=share)
    except MissingModel:
        first_test = np.sort(sent)[min(int(np.ceil((1 - share) * len(rows))), len(rows) - 1)]
        assert not (closes <= first_test).any()
        return
    assert closes[split.train].max() <= sent[split.test].min()
    assert not (split.train & split.test).any()
    assert sum(split.sizes().values()) == len(rows)
    assert split.sizes()["purged"] == sum(s < split.test_from < c for s, c in zip(sent, closes, strict=True))


@given(ROWS, st.floats(0.05, 0.9))
def test_rows_sent_at_one_instant_stay_together(rows: list[tuple[int, int]], share: float) -> None:
    sent, closes = spans([*rows, (-400, 1)])
    split = split_by_time(sent, closes, test_share=share)
    assert not set(sent[split.test]) & set(sent[~split.test])


def test_waves_are_split_as_stated() -> None:
    """Waves at 0, 168, 336, 504 hours with windows of 120 and 240: those of 336 that last 240 reach past 504."""
    sent, closes = spans([(wave, length) for wave in (0, 168, 336, 504, 576) for length in (120, 240)])
    first = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=504)
    split = split_by_time(sent, closes, test_from=first, test_to=first + timedelta(hours=1))
    assert split.train.tolist() == [True, True, True, True, True, False, False, False, False, False]
    assert split.test.tolist() == [False, False, False, False, False, False, True, True, False, False]
    assert split.sizes() == {"train": 5, "test": 2, "purged": 3}


def test_a_window_that_closes_as_the_test_begins_may_teach_and_one_a_microsecond_later_may_not() -> None:
    sent, closes = spans([(0, 100), (0, 100), (100, 10)])
    closes[1] += np.timedelta64(1, "us")
    assert split_by_time(sent, closes, test_share=0.3).train.tolist() == [True, False, False]


def test_windows_that_are_all_open_are_refused() -> None:
    sent, closes = spans([(0, 300), (10, 300)])
    with pytest.raises(MissingModel, match="no outcome window closed before"):
        split_by_time(sent, closes)


def test_folds_keep_a_customer_whole_and_are_about_equal() -> None:
    customers = np.array([f"c{place % 2000}" for place in range(8000)])
    folds = customer_folds(customers, 4, seed=1)
    assert all(len(set(folds[place::2000])) == 1 for place in range(2000))
    assert np.abs(np.bincount(folds) / 8000 - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 2000)
    assert (folds == customer_folds(customers, 4, seed=1)).all()


@pytest.mark.parametrize(
    ("day", "n_months", "expected"), [("2025-01-31", 1, "2025-02-28"), ("2024-11-30", 3, "2025-02-28"),
                                      ("2025-12-31", 0, "2025-12-31"), ("2023-11-30", 3, "2024-02-29")],
)  # fmt: skip
def test_months_are_counted_to_their_last_day(day: str, n_months: int, expected: str) -> None:
    assert str(months_after(datetime.fromisoformat(day).date(), n_months)) == expected

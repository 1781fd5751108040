"""Rows to learn from: labels joined with what was known of the customer at that instant, and split by time.

A split never shuffles. A training row's outcome window has closed before the first test row is sent (purged), because
a window that reaches into the test would carry its events into the fit. Sizes of what each rule took away are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.bank.engines import Bank, connect, month_end
from features.errors import MissingBuild, MissingModel
from features.nearness import OF_PROFILE, SO_FAR
from features.own import OwnView, own_views
from features.plans import PROFILE
from features.policy import SegmentsPolicy
from features.standing import STANDING, standing
from features.today import TODAY
from features.views import write_spine
from features.vocabulary import Column, Kind
from training.encoding import LEARNABLE, arrays_of
from training.outcomes import ChurnFigures, churn_labels, response_labels

Mask = NDArray[np.bool_]
Instants = NDArray[np.datetime64]

TEST_SHARE = 0.2
Label = Callable[[ir.Table, ir.Table], ir.Table]
_SERVICE, _MONTH_SERVICE = "response_v1", "churn_v1"


@dataclass(frozen=True)
class Examples:
    """Rows of one model: `frame` with features, `customer_id`, `sent_at`, `closes_at` and `outcome` (0 or 1).

    `excluded` counts the rows that a rule took away before; `own` are the bank's own features in the frame.
    """

    frame: pd.DataFrame
    excluded: Mapping[str, int]
    own: tuple[Column, ...] = ()

    @property
    def outcomes(self) -> NDArray[np.float64]:
        return np.asarray(self.frame["outcome"], dtype=np.float64)

    @property
    def n_positive(self) -> int:
        return int(self.outcomes.sum())


@dataclass(frozen=True, slots=True)
class Split:
    """Which rows are learnt from and which judge; masks of shape (n,).

    `train` is all whose window closed by `test_from`, `test` what was sent from then on; what is neither was purged.
    """

    train: Mask
    test: Mask
    test_from: np.datetime64

    def sizes(self) -> dict[str, int]:
        """Rows of each part; `purged` are those neither trained on nor tested on."""
        return {
            "train": int(self.train.sum()),
            "test": int(self.test.sum()),
            "purged": int((~self.train & ~self.test).sum()),
        }


def split_by_time(
    sent_at: Instants,
    closes_at: Instants,
    *,
    test_from: datetime | None = None,
    test_to: datetime | None = None,
    test_share: float = TEST_SHARE,
) -> Split:
    """The purged split of rows sent at `sent_at` (n,) whose windows close at `closes_at` (n,), datetime64 in UTC.

    The test holds the rows sent from `test_from` until `test_to`, not included. Without `test_from` it begins where the
    last `test_share` of the rows does; rows sent at one instant stay together. Raises MissingModel if nothing closed
    before the test.

    >>> sent = np.array(["2025-01-01", "2025-01-05", "2025-01-09"], dtype="datetime64[us]")
    >>> split = split_by_time(sent, sent + np.timedelta64(5, "D"))
    >>> split.train.tolist(), split.test.tolist(), split.sizes()["purged"]
    ([True, False, False], [False, False, True], 1)
    """
    start = _start_of_last(sent_at, test_share) if test_from is None else _instant(test_from)
    train, test = closes_at <= start, sent_at >= start
    if test_to is not None:
        test &= sent_at < _instant(test_to)
    if not train.any() or not test.any():
        raise MissingModel(
            "no outcome window closed before the test rows begin", value=f"{len(sent_at)} rows, test from {start}",
            todo="go on with rules until more windows have closed", zh="检验期开始之前还没有一个结果窗口关闭",
        )  # fmt: skip
    return Split(train, test, start)


def customer_folds(customers: NDArray[Any], n_folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row (n,), all rows of a customer in one fold."""
    _, codes = np.unique(customers, return_inverse=True)
    drawn = np.random.default_rng(seed).integers(0, n_folds, int(codes.max()) + 1)
    return np.asarray(drawn[codes], dtype=np.int64)


def response_examples(bank: Bank, lineage: str, horizon: datetime, policy: SegmentsPolicy) -> Examples:
    """One row a contact whose window has closed by `horizon`, with the facts known the moment it was sent.

    Raises MissingModel if no window has closed.
    """
    labels = response_labels(bank.known_by(horizon), horizon).to_pandas()
    kept = labels[labels["excluded"].isna()].drop(columns=["excluded"])
    excluded = labels["excluded"].dropna().value_counts().to_dict()
    if kept.empty:
        raise MissingModel(
            "no contact has a closed outcome window", value=excluded, todo="go on with rules for now",
            zh="还没有一次触达的结果窗口已经关闭",
        )  # fmt: skip
    spine = kept.rename(columns={"is_converted": "outcome"}).assign(event_timestamp=kept["sent_at"])
    spine = spine.sort_values("contact_id", ignore_index=True)
    frame, own = known_at(bank, lineage, spine, policy, name=_SERVICE)
    return Examples(frame, excluded, own)


def known_at(
    bank: Bank, lineage: str, spine: pd.DataFrame, policy: SegmentsPolicy, *, name: str
) -> tuple[pd.DataFrame, tuple[Column, ...]]:
    """`spine` (customer_id, event_timestamp, business_on) with every fact as it was known at each row's instant, and
    which of them are the bank's own features.

    Writes the day and moment views of these instants, in files of this `name`, and asks Feast for the point-in-time
    join.
    """
    from features import feast_views  # Feast takes seconds to import, and only those who join need it

    write_spine(bank, lineage, spine, policy, name=name)
    own = own_views(bank.home)
    feast_views.apply(bank.home, lineage, feast_views.view_specs(lineage, policy.lifetimes, own))
    return with_standing(feast_views.historical(bank.home, lineage, spine, _SERVICE)), _learnable(own)


def with_standing(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with the STANDING columns: what follows from its rows on the contact's business day."""
    names = [column.name for column in TODAY if column.kind is Kind.DATE]
    dates = {name: pd.to_datetime(frame[name]).to_numpy().astype("datetime64[D]") for name in names}
    figures = arrays_of(frame, [column for column in (*PROFILE, *TODAY) if column.name in (*SO_FAR, *OF_PROFILE)])
    on = pd.to_datetime(frame["business_on"]).to_numpy().astype("datetime64[D]")
    answer = standing(dates | figures, on)
    return frame.assign(**{column.name: answer[column.name] for column in STANDING})


def churn_examples(home: Path, lineage: str, as_of: date, policy: SegmentsPolicy, *, figures: ChurnFigures) -> Examples:
    """One row a customer and month t, labelled by the builds of t and t + months_ahead; see `month_examples`."""
    return month_examples(
        home, lineage, as_of, policy, {figures.months_ahead: lambda now, later: churn_labels(now, later, figures)}
    )


def month_examples(
    home: Path, lineage: str, as_of: date, policy: SegmentsPolicy, labels: Mapping[int, Label]
) -> Examples:
    """One row a customer, month t and number of months ahead: its profile as Feast joins it when it was published, and
    what came of it by the build so many months later.

    `labels` gives for each number of months the labels (customer_id, outcome, excluded) of two profiles; only builds up
    to `as_of` are asked. `months_ahead` stands in the frame. Raises MissingBuild without a pair of months, MissingModel
    where every row is excluded.
    """
    from features import feast_views  # Feast takes seconds to import, and only this needs it

    months = {date.fromisoformat(path.stem): path for path in (home / "profiles" / lineage).glob("*.parquet")}
    pairs = [(day, ahead, months_after(day, ahead)) for day in sorted(months) for ahead in labels]
    pairs = [(day, ahead, later) for day, ahead, later in pairs if later in months and later <= as_of]
    if not pairs:
        raise MissingBuild(
            f"labels need two built months, {min(labels)} apart", value=f"{len(months)} built",
            todo="run `tiercel build` for more months",
            zh=f"标签要求两个相隔 {min(labels)} 个月的画像，现有 {len(months)} 个月",
        )  # fmt: skip
    con = connect()
    try:
        parts = [_labelled(con, months[day], months[later], labels[ahead]).assign(months_ahead=float(ahead))
                 for day, ahead, later in pairs]  # fmt: skip
    finally:
        con.disconnect()
    rows = pd.concat(parts, ignore_index=True)
    spine = rows[rows["excluded"].isna()].drop(columns=["excluded"]).reset_index(drop=True)
    excluded = rows["excluded"].dropna().value_counts().to_dict()
    if spine.empty:
        raise MissingModel(
            "no profile can be judged", value=excluded, todo="wait for months with balances or activity",
            zh="没有一份画像的结果可以判断",
        )  # fmt: skip
    own = own_views(home)
    feast_views.apply(home, lineage, feast_views.view_specs(lineage, policy.lifetimes, own))
    return Examples(feast_views.historical(home, lineage, spine, _MONTH_SERVICE), excluded, _learnable(own))


def _learnable(own: Iterable[OwnView]) -> tuple[Column, ...]:
    return tuple(column for view in own for column in view.columns if column.kind in LEARNABLE)


def months_after(day: date, n_months: int) -> date:
    """The last day of the month `n_months` after that of `day`.

    >>> months_after(date(2025, 11, 30), 3)
    datetime.date(2026, 2, 28)
    """
    number = day.year * 12 + day.month - 1 + n_months
    return month_end(date(number // 12, number % 12 + 1, 1))


def _labelled(con: Any, now: Path, later: Path, label: Label) -> pd.DataFrame:
    """The labels of one month as a spine: asked of Feast at the instant at which the profile was published."""
    profile, after = con.read_parquet(now), con.read_parquet(later)
    told = profile.select("customer_id", event_timestamp=profile.available_at, sent_at=profile.as_of_at)
    rows = label(profile, after).join(told, "customer_id").order_by(ibis.asc("customer_id")).to_pandas()
    rows["outcome"] = rows["outcome"].astype("float64")
    rows["closes_at"] = after.as_of_at.max().execute()
    return rows


def _start_of_last(sent_at: Instants, share: float) -> np.datetime64:
    place = min(int(np.ceil((1 - share) * len(sent_at))), len(sent_at) - 1)
    return np.datetime64(np.sort(sent_at)[place], "us")


def _instant(at: datetime) -> np.datetime64:
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")


def instants(values: pd.Series) -> Instants:
    """A column of UTC instants as datetime64[us] without a zone, shape (n,)."""
    return np.asarray(pd.to_datetime(values, utc=True).dt.tz_localize(None), dtype="datetime64[us]")

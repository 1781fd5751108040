"""Whether people act on what a model advises: from advised to opened, acted on and converted, over thirty days.

A model that nobody follows is idle, however well it ranks. Row X11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from features.errors import UserMistake
from features.vocabulary import LEFT_LYING, Outcome
from training.examples import instants

Instants = NDArray[np.datetime64]

DAYS = 30
LEAST_SHARE = 0.05
STEPS = ("opened", "acted", "converted")


class Use(StrEnum):
    """IDLE is the alert; UNASKED gave no advice in the days, TOO_YOUNG not yet for so many days."""

    IN_USE = "IN_USE"
    IDLE = "IDLE"
    UNASKED = "UNASKED"
    TOO_YOUNG = "TOO_YOUNG"


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of a model's advice: counts of each step, and the share acted on with its 95 % interval (Wilson).

    The share is NaN without advice.
    """

    use: Use
    n_advised: int
    n_opened: int
    n_acted: int
    n_converted: int
    share: float
    low: float
    high: float

    @property
    def is_idle(self) -> bool:
        return self.use is Use.IDLE

    def __str__(self) -> str:
        steps = f"{self.n_advised:,} advised, {self.n_opened:,} opened, {self.n_acted:,} acted on"
        said = f"{self.use}: {steps}, {self.n_converted:,} converted"
        return said if np.isnan(self.share) else f"{said}; {self.share:.1%} [{self.low:.1%}, {self.high:.1%}] acted on"


def idle(advised_at: Instants, reached_at: Mapping[str, Instants], as_of: datetime, *, days: int = DAYS) -> Followed:
    """What became of a model's advice in the `days` × 24 hours before `as_of`: IDLE below LEAST_SHARE acted on.

    `advised_at` (n,) is when each advice was given; `reached_at` holds, for each of STEPS, when it was reached (n,),
    NaT for never: opened, acted on (whatever a person did about it) and converted. All are datetime64 in UTC, and what
    lies at or after `as_of` is not known yet. A later step counts whether or not an earlier one was recorded. A model
    whose first advice of all lies more than a day inside the window is TOO_YOUNG, so `advised_at` should hold all
    advice; one acted on in exactly LEAST_SHARE is IN_USE. Raises UserMistake for a step that is missing or of another
    length.

    >>> day = np.datetime64("2025-03-01", "us") + np.arange(60) * np.timedelta64(1, "D")
    >>> acted = np.where(np.arange(60) == 40, day, np.datetime64("NaT"))
    >>> never = np.full(60, np.datetime64("NaT"))
    >>> found = idle(day, {"opened": day, "acted": acted, "converted": never}, datetime(2025, 4, 30, tzinfo=UTC))
    >>> found.use, found.n_advised, found.n_acted
    (<Use.IDLE: 'IDLE'>, 30, 1)
    """
    for step in STEPS:
        if step not in reached_at or len(reached_at[step]) != len(advised_at):
            raise UserMistake("idleness needs an instant or NaT a step and advice", value=step, allowed=STEPS)
    until = np.datetime64(as_of.astimezone(UTC).replace(tzinfo=None), "us")
    given = (advised_at >= until - np.timedelta64(days, "D")) & (advised_at < until)
    counts = [int((reached_at[step][given] < until).sum()) for step in STEPS]
    known = advised_at[advised_at < until]
    first = known.min().item().replace(tzinfo=UTC) if len(known) else None
    return followed(int(given.sum()), *counts, first_at=first, as_of=as_of, days=days)


def followed(
    n_advised: int, n_opened: int, n_acted: int, n_converted: int, *, first_at: datetime | None, as_of: datetime,
    days: int = DAYS,
) -> Followed:  # fmt: skip
    """The same from counts of the `days` before `as_of`; `first_at` is when advice was first given at all."""
    share, low, high = float("nan"), float("nan"), float("nan")
    if n_advised:
        interval = binomtest(n_acted, n_advised).proportion_ci(method="wilson")
        share, low, high = n_acted / n_advised, float(interval.low), float(interval.high)
    use = Use.UNASKED
    if n_advised and first_at is not None:
        is_young = first_at >= as_of - timedelta(days=days - 1)
        use = Use.TOO_YOUNG if is_young else Use.IDLE if share < LEAST_SHARE else Use.IN_USE
    return Followed(use, n_advised, n_opened, n_acted, n_converted, share, low, high)


def advice(contacts: pd.DataFrame, responses: pd.DataFrame) -> tuple[Instants, dict[str, Instants]]:
    """When each piece of a model's advice was given, and when it reached each of STEPS: what `idle` asks for.

    `contacts` are rows of bank table `contact` that carried a placement of the model, `responses` those of `response`.
    An answer belongs to the contact it cites or, where it cites none, to the contact of its placement; the first
    counts. Opened is `opened_at`. Acted on is any answer but those LEFT_LYING: a refusal and a call that nobody took
    were tried. Converted is the answer of that name.
    """
    rows = contacts[contacts["placement_id"].notna()]
    answers = responses.assign(at=instants(responses["occurred_at"]))
    by_placement = rows.set_index("placement_id")["contact_id"]
    answers = answers.assign(cited=answers["contact_id"].fillna(answers["placement_id"].map(by_placement)))
    acted = answers[~answers["outcome"].isin(LEFT_LYING)]
    firsts = {"acted": acted, "converted": answers[answers["outcome"] == Outcome.CONVERTED]}
    reached = {
        step: instants(rows["contact_id"].map(found.groupby("cited")["at"].min())) for step, found in firsts.items()
    }
    return instants(rows["sent_at"]), {"opened": instants(rows["opened_at"]), **reached}

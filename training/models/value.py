"""What a customer will earn the bank in twelve months: his margin of the last twelve, as far as his money stays (A07).

The model says s(h), the share of today's balance that stays after h months, for 3 and 6 months (90 and 180 days); it
never rises with h. Twelve months of labels would need four years of history to be judged by, so the rest of the year
goes on as the second quarter did:

    value_exp = value_12m × mean of s over the twelve months to come;  s(0) = 1, geometric between 0, 3, 6 and after

New money is not foretold: who brings more is worth more than is said here. It fails for those whose margin does not
come from balances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from features.vocabulary import Column
from training.boosting import Parameters
from training.examples import Examples, Split
from training.fitting import CrossFitted, refuse_too_little, train_beside
from training.models.churn import PLAIN
from training.models.expected import AHEAD, MONTHS_AHEAD, Expected, expected

__all__ = ["AHEAD", "LEAST_POSITIVES", "MONTHS_AHEAD", "NAME", "NEEDS", "Expected", "expected", "train"]
NAME = "value"
LEAST_POSITIVES = 50
NEEDS = ("balance",)


def train(examples: Examples, split: Split, *, profile: Sequence[Column], parameters: Parameters) -> CrossFitted:
    """The model of what stays on `profile`; beside it the plain one on person, tier and balance alone."""
    refuse_too_little(NAME, examples, split, least_positives=LEAST_POSITIVES, event="balances kept")
    falling = replace(parameters, monotone={**parameters.monotone, AHEAD.name: -1})
    plain = [column for column in profile if column.name in PLAIN]
    return train_beside(NAME, examples, split, [*profile, AHEAD], [*plain, AHEAD], parameters=falling)

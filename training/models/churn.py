"""Who leaves: money gone from a balance tier, or silence in the others, in the months after a profile."""

from __future__ import annotations

from collections.abc import Sequence

from features.vocabulary import Column
from training.boosting import Parameters
from training.examples import Examples, Split
from training.fitting import CrossFitted, refuse_too_little, train_beside

NAME = "churn"
LEAST_POSITIVES = 50
NEEDS = ("balance", "txn")  # bank tables without which nobody is seen to leave
PLAIN = frozenset({"age", "gender", "mda", "region", "tenure_days", "tier"})  # who the customer is and what he has


def train(examples: Examples, split: Split, *, profile: Sequence[Column], parameters: Parameters) -> CrossFitted:
    """The churn model on `profile`; beside it the plain one on person, tier and balance alone.

    Raises MissingModel if fewer than LEAST_POSITIVES customers left in the training rows.
    """
    refuse_too_little(NAME, examples, split, least_positives=LEAST_POSITIVES, event="departures")
    few = [column for column in profile if column.name in PLAIN]
    return train_beside(NAME, examples, split, profile, few, parameters=parameters)

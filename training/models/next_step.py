"""What a customer does next: p_next, whether he looks at a product in the month after, from his behaviour (B03).

Features are the profile's columns of behaviour and activity alone (what he looked at, began and used until the month
ended) and the bank's own. Beside it stands the plain model of person, tier and balance, which knows nothing of what he
did.
"""

from __future__ import annotations

from collections.abc import Sequence

from features.segments import activity, behaviour
from features.vocabulary import Column
from training.boosting import Parameters
from training.examples import Examples, Split
from training.fitting import CrossFitted, refuse_too_little, train_beside
from training.models.churn import PLAIN

NAME = "next_step"
LEAST_POSITIVES = 50
MONTHS_AHEAD = 1
NEEDS = ("channel_event",)  # without it nobody is seen to do anything
_DONE = frozenset(column.name for module in (activity, behaviour) for column in module.COLUMNS)


def train(
    examples: Examples,
    split: Split,
    *,
    profile: Sequence[Column],
    own: Sequence[Column] = (),
    parameters: Parameters,
) -> CrossFitted:
    """The next-step model on what is behaviour in `profile`, and on `own`; raises MissingModel if too few came."""
    refuse_too_little(NAME, examples, split, least_positives=LEAST_POSITIVES, event="next steps")
    behaved = [*(column for column in profile if column.name in _DONE), *own]
    plain = [column for column in profile if column.name in PLAIN]
    return train_beside(NAME, examples, split, behaved, plain, parameters=parameters)

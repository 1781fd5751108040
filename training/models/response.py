"""Who converts on an offer: one model, pooled over customers, offers and channels.

Offers enter by their attributes and their id: one without history is scored by what it is, one with history by its own
record too. p is the probability of a conversion within the offer's outcome window after a contact; it is not uplift.
"""

from __future__ import annotations

from collections.abc import Sequence

from features.vocabulary import Column
from training.boosting import Parameters
from training.examples import Examples, Split
from training.fitting import CrossFitted, refuse_too_little, train_beside
from training.outcomes import OFFER_FEATURES

NAME = "response"
LEAST_POSITIVES = 200
NEEDS = ("contact", "offer")  # bank tables without which there is nothing to learn from


def train(
    examples: Examples,
    split: Split,
    *,
    facts: Sequence[Column],
    profile: Sequence[Column],
    offers: Sequence[Column] = OFFER_FEATURES,
    parameters: Parameters,
) -> CrossFitted:
    """The response model on `facts` and `offers`; beside it the plain one on `profile` and `offers`.

    Raises MissingModel if fewer than LEAST_POSITIVES conversions lie in the training rows.
    """
    refuse_too_little(NAME, examples, split, least_positives=LEAST_POSITIVES, event="conversions")
    return train_beside(NAME, examples, split, facts, profile, offer_columns=offers, parameters=parameters)

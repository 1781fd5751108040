"""Who converts on an offer: one model, pooled over customers, offers and channels.

Offers enter by their attributes and their id: one without history is scored by what it is, one with history by its own
record too. p is the probability of a conversion within the offer's outcome window after a contact; it is not uplift.
"""

from __future__ import annotations

from collections.abc import Sequence

from features.vocabulary import Column
from training.boosting import Parameters
from training.examples import Examples, Split
from training.fitting import Trained, fit, refuse_too_little
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
) -> Trained:
    """The response model on `facts` and `offers`; beside it the plain one on `profile` and `offers`.

    Raises MissingModel if fewer than LEAST_POSITIVES conversions lie in the training rows.
    """
    refuse_too_little(NAME, examples, split, least_positives=LEAST_POSITIVES, event="conversions")
    return Trained(
        fit(NAME, examples, split, facts, offer_columns=offers, parameters=parameters),
        fit(NAME, examples, split, profile, offer_columns=offers, parameters=parameters),
    )

"""Who converts on an offer: one model, pooled over customers, offers and channels.

Offers enter by their attributes and their id: one without history is scored by what it is, one with history by its own
record too. Left alone, trees put the ids of good offers together, and an id that they never saw falls among the rest,
whatever its attributes; so some of the rows teach without their offer's id.

p is the probability of a conversion within the offer's outcome window after a contact; it is not uplift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from features.vocabulary import Column
from training.boosting import Parameters
from training.examples import Examples, Split
from training.fitting import CrossFitted, refuse_too_little, train_beside
from training.outcomes import OFFER_FEATURES

NAME = "response"
LEAST_POSITIVES = 200
UNNAMED_SHARE = 0.3  # an offer left out of forty was said too low by .15 in log-odds, with .1 by .25, with 0 by .6
_ID = "offer_id"
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

    The seed draws the rows that teach without an id. Raises MissingModel if fewer than LEAST_POSITIVES conversions lie
    in the training rows.
    """
    refuse_too_little(NAME, examples, split, least_positives=LEAST_POSITIVES, event="conversions")
    learnt = _some_unnamed(examples, split, parameters.seed)
    return train_beside(
        NAME, examples, split, facts, profile, offer_columns=offers, parameters=parameters, learnt=learnt
    )


def _some_unnamed(examples: Examples, split: Split, seed: int) -> Examples:
    """The same rows, UNNAMED_SHARE of those that teach without the id of their offer."""
    if _ID not in examples.frame:
        return examples
    is_unnamed = split.train & (np.random.default_rng(seed).random(len(examples.frame)) < UNNAMED_SHARE)
    ids = examples.frame[_ID].astype(object).where(~is_unnamed, None)
    return replace(examples, frame=examples.frame.assign(**{_ID: ids}))

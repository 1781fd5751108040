"""The chance of each first choice that a policy would make, before chance has drawn: what off-policy work asks for."""

from __future__ import annotations

import numpy as np

from decisioning.catalogue.catalogue import Bools, Catalogue, Floats
from decisioning.policy import Arbitration


def first_chances(score: Floats, permitted: Bools, catalogue: Catalogue, figures: Arbitration) -> Floats:
    """The chance of NO_ACTION (column 0) and of every offer to be the first choice, (n, m + 1); rows add up to 1.

    It is the softmax of score ÷ exploration amount over NO_ACTION at the relevance floor and what is permitted, tools
    left out, since none comes first. With an exploration amount of 0 the best is certain, and NO_ACTION wins ties.
    """
    every = np.empty((len(score), catalogue.m + 1))
    every[:, 0] = figures.relevance_floor_amount
    every[:, 1:] = np.where(permitted & ~catalogue.is_tool, score, -np.inf)
    if figures.exploration_amount == 0:
        return np.asarray(np.eye(catalogue.m + 1)[every.argmax(axis=1)])
    weight = np.exp((every - every.max(axis=1, keepdims=True)) / figures.exploration_amount)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))

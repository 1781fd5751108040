"""Scores of a night partition by partition: the request's scorer as Spark's `mapInPandas` calls it on every executor.

    facts.mapInPandas(PartitionScorer(home, release_id, day, channel), SCHEMA)      (serving.night.night_scores)

It carries names alone. Each Python process of an executor opens the release's models once, from a folder that all
machines see, and compiles nothing that a process before it has compiled there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from features.vocabulary import CUSTOMER_ID
from serving.desk.ground import catalogue_of
from serving.releases import release_of, verify
from serving.scorer import Champions, Scorer
from training.encoding import Feature, arrays_of

SCHEMA = "customer_id string, offer_id string, p double, p_channel double, uplift double, p_churn double"


@dataclass(frozen=True, slots=True)
class PartitionScorer:
    """Scores of one release, under the policy of one day, for one channel."""

    home: Path
    release_id: str
    day: date
    channel: str

    def __call__(self, frames: Iterator[Any]) -> Iterator[Any]:
        """One row a customer and offer, as SCHEMA says, for each frame of facts: a row a customer, missing is null.

        `p` is the response probability at the reference channel, `p_channel` at the channel, both null without a
        response model; `uplift` is what arms measured of the pair, null where none did; `p_churn` is null without a
        churn model. A column that the facts lack is missing.
        """
        scorer = _scorer(self.home, self.release_id, self.day)
        for frame in frames:
            yield self._scored(frame, scorer)

    def _scored(self, frame: Any, scorer: Scorer) -> Any:
        import pandas as pd

        n, m = len(frame), scorer.catalogue.m
        facts = arrays_of(frame, [feature for feature in asked_of(scorer.champions) if feature.name in frame])
        scores, effects = scorer.score(facts, n, self.channel), scorer.effects(facts, n)
        nothing = np.full(n * m, np.nan)
        return pd.DataFrame(
            {
                CUSTOMER_ID: np.repeat(frame[CUSTOMER_ID].to_numpy(dtype=object), m),
                "offer_id": np.tile(np.array(scorer.catalogue.offer_ids, dtype=object), n),
                "p": nothing if scores is None else scores.p.reshape(-1),
                "p_channel": nothing if scores is None else scores.p_channel.reshape(-1),
                "uplift": nothing if effects is None else effects.reshape(-1),
                "p_churn": np.repeat(scorer.churn(facts, n), m),
            }
        )


def asked_of(champions: Champions) -> list[Feature]:
    """What the champions ask of a customer."""
    every = {
        feature.name: feature
        for model in champions.models()
        for feature in model.recipe.features
        if not feature.of_offer
    }
    return list(every.values())


@lru_cache(maxsize=2)
def _scorer(home: Path, release_id: str, day: date) -> Scorer:
    release = release_of(home, release_id)
    verify(release)
    policy = release.decisions().view(day)
    catalogue = catalogue_of(policy, release.segments().view(release.as_of))
    return Scorer.of(Champions.read(release), catalogue, policy)

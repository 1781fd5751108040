"""The one scoring function, in currency per contact, for request, night and allocation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Bools, Catalogue, Floats
from decisioning.inputs import Inputs
from decisioning.matrix import Context
from decisioning.policy import DecisionsPolicy
from decisioning.situation import Situation

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Components:
    """What a score is made of, each (n, m): probabilities, and amounts in reporting currency.

    `p` is the response probability, `uplift` the part of it that the offer causes (τ), `value` the margin over 180
    days of the journey (V). `is_prior` marks pairs whose p is the policy's figure, for want of a model's.
    """

    p: Floats
    uplift: Floats
    uplift_is_assumed: Bools
    is_prior: Bools
    value: Floats
    reward: Floats
    cost: Floats
    context: Floats
    lever: Floats
    shadow_price: Floats

    @property
    def score(self) -> Floats:
        """Currency per contact, (n, m).

        score = lever · context · max(gross, 0) + min(gross, 0) − p · reward − contact cost − Σλ·use, gross = τ · V.
        Context and lever weigh gains alone: a loss is not made smaller by a cell that does not list the offer.
        """
        gross = self.uplift * self.value
        gain = self.lever * self.context * np.maximum(gross, 0.0)
        return gain + np.minimum(gross, 0.0) - self.p * self.reward - self.cost - self.shadow_price


def components(
    situation: Situation, catalogue: Catalogue, policy: DecisionsPolicy, context: Context, *, cost: Floats
) -> Components:
    """The components of every customer and offer; `cost` is that of the cheapest permitted treatment, (n, m).

    Without a model, or where it has no score for a pair, p is the policy's prior; so it is for customers without
    personal recommendation. τ is what arms measured of the pair, and p × the incremental share of the offer where none
    did; a measured one may be below 0. A service action is not sold, so nothing about it is a matter of response: with
    p = τ = 1 its value is the whole of what it is worth, value_amount + retention_amount × p_churn (no churn score
    counts 0), and context and cost apply as to any offer.
    """
    inputs, shape = situation.inputs, (situation.n, catalogue.m)
    p, is_prior = _p(situation, policy, shape)
    uplift, is_assumed = _uplift(situation, p)
    p_churn = _p_churn(situation)
    ones = catalogue.is_service
    return Components(
        p=np.where(ones, 1.0, p),
        uplift=np.where(ones, 1.0, uplift),
        uplift_is_assumed=is_assumed | ones,
        is_prior=is_prior & ~ones,
        value=catalogue.value + p_churn[:, None] * catalogue.retention,
        reward=_wide(catalogue.reward, shape),
        cost=cost,
        context=context.total,
        lever=_wide(catalogue.lever, shape),
        shadow_price=_prices(inputs, shape),
    )


def _p_churn(situation: Situation) -> Floats:
    p_churn = situation.inputs.numbers("p_churn")
    return np.where(situation.is_generic | (p_churn != p_churn), 0.0, p_churn)


def _p(situation: Situation, policy: DecisionsPolicy, shape: tuple[int, int]) -> tuple[Floats, Bools]:
    given = situation.inputs.p
    if given is None:
        return np.full(shape, policy.arbitration.prior_p), np.ones(shape, dtype=bool)
    is_prior = np.isnan(given) | situation.is_generic[:, None]
    return np.where(is_prior, policy.arbitration.prior_p, given), is_prior


def _uplift(situation: Situation, p: Floats) -> tuple[Floats, Bools]:
    inputs = situation.inputs
    uplift, is_assumed = p * inputs.uplift_share, _wide(inputs.uplift_is_assumed, p.shape)
    if inputs.uplift is None:
        return uplift, is_assumed
    is_measured = (inputs.uplift == inputs.uplift) & ~situation.is_generic[:, None]
    return np.where(is_measured, inputs.uplift, uplift), is_assumed & ~is_measured


def _prices(inputs: Inputs, shape: tuple[int, int]) -> Floats:
    return np.zeros(shape) if inputs.shadow_price is None else _wide(inputs.shadow_price, shape)


def _wide(row: NDArray[T], shape: tuple[int, int]) -> NDArray[T]:
    """A row for every customer (np.broadcast_to takes ten times as long for one)."""
    wide = np.empty(shape, dtype=row.dtype)
    wide[:] = row
    return wide

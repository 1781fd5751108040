"""What the bank's word brings about: the effect τ of an offer on one customer, learnt from randomised arms.

τ is P(conversion | told) − P(conversion | untold). It may be below 0: such customers are left alone, so nothing here
cuts an effect off at 0. Symbols are those of `training.trials`.

Five learners take part:

    dr        trees on the pseudo-outcomes ψ, whose mean given x is τ(x)
    t         trees on μ₁ − μ₀ of two models
    s         trees on μ(x, told) − μ(x, untold) of one model
    mean      trees on the mean of these three targets: a third of the noise of ψ, most of what it alone knows
    response  μ₁ alone: who answers, which ranks well where those who answer are those who are moved

The mean of their effects is taken unless inner cross-validation proves one of them better (`training.panel`). The
nuisances μ are cross-fitted over folds of customers, drawn anew as often as `n_repeats` says: how customers fall into
folds is chance too, and what is said of a learner is the mean over the draws. What a learner says is trees and a line
which pulls a score towards the average effect as far as it failed to hold on customers it had not seen. So the mean of
all is one set of trees on the same recipe too, every leaf times the slope of its learner, and one line.

Kennedy (2023), Electronic Journal of Statistics 17 (dr); Künzel et al. (2019), PNAS 116 (s, t); Chernozhukov et al.
(2018), NBER 24678 (the slope of effects on scores). What it takes for granted and when it lies: docs/uplift.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from features.vocabulary import Column
from training.boosting import Parameters, Trees, grow, joined, sums_of
from training.examples import Examples, Split, customer_folds
from training.fitted import FittedModel
from training.fitting import CrossFitted, refuse_too_little
from training.judging.effects import HeldArms, effect
from training.outcomes import ARM_FEATURES
from training.panel import TOGETHER, Lead, Part, Shrinkage, Unseen, chosen
from training.trials import LEAST_ARM, Arms, Expected, Nuisances, arms_of, expect

NAME = "uplift"
NEEDS = ("assignment", "offer")  # bank tables without which there is nothing to learn from
LEAST_POSITIVES = 200
DR, T, S, MEAN, RESPONSE = "dr", "t", "s", "mean", "response"
LEARNERS = (DR, T, S, MEAN, RESPONSE)
_N_FOLDS, _NEXT_DRAW = 3, 10_000
N_REPEATS = 3  # draws of inner folds
# An effect is flatter than a response and ψ noisier than an outcome: few leaves, large ones, pulled hard to the mean.
# Four leaves gained more than six or eight in inner cross-validation on the training halves of an e-mail test.
FINAL = Parameters(n_rounds=60, learning_rate=0.05, n_leaves=4, min_leaf_rows=200, l2=200.0)


@dataclass(frozen=True, slots=True)
class TrainedUplift(CrossFitted):
    """The model taken (`ours`), ranking by response (`plain`), and every member of the panel beside them.

    `gains` holds what inner cross-validation said of each: by how much more than chance its ranking puts large effects
    first, in conversions a row; `leads` that of each learner beyond all together.
    """

    chosen: str
    panel: Mapping[str, FittedModel]
    gains: Mapping[str, float]
    leads: Mapping[str, Lead]
    shrinkage: Mapping[str, Shrinkage]

    def figures(self) -> dict[str, float]:
        """What a run logs of the choice: gains, leads, the average effect, and how far the score taken was trusted."""
        kept = self.shrinkage[self.chosen]
        told = {f"inner_gain_{learner}": gain for learner, gain in self.gains.items()}
        for learner, lead in self.leads.items():
            told |= {f"inner_lead_{learner}": lead.value, f"inner_lead_error_{learner}": lead.error}
        return told | {
            "average_effect": kept.average, "average_effect_error": kept.average_error,
            "slope_measured": kept.measured, "slope_error": kept.error, "slope_kept": kept.slope,
        }  # fmt: skip

    @property
    def rivals(self) -> Mapping[str, FittedModel]:
        """The members that were not taken; ranking by response stands beside every model of effects already."""
        return {name: model for name, model in self.panel.items() if name not in (self.chosen, RESPONSE)}


@dataclass(frozen=True, slots=True)
class MeasuredOffer:
    """An offer that chance has tested: customers in each arm, and the effect on them with its 95 % interval.

    `is_measured`: its smaller arm is large enough for a model to speak of its effect.
    """

    offer_id: str
    n_treat: int
    n_control: int
    effect: float
    low: float
    high: float
    is_measured: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measured_offers(frame: Any) -> tuple[MeasuredOffer, ...]:
    """The offers of the arms in `frame` (columns of `training.arms`), in order of their id.

    An offer with an empty arm has no effect to tell, and is left out.
    """
    found = []
    for offer_id, rows in frame.groupby("offer_id", sort=True):
        held = HeldArms.of(rows)
        n_treat, n_control = int(held.told.sum()), int((~held.told).sum())
        if min(n_treat, n_control):
            one = effect(held).interval(held.customers)
            found.append(MeasuredOffer(str(offer_id), n_treat, n_control, one.value, one.low, one.high,
                                       is_measured=min(n_treat, n_control) >= LEAST_ARM))  # fmt: skip
    return tuple(found)


def train(
    examples: Examples,
    split: Split,
    *,
    facts: Sequence[Column],
    offers: Sequence[Column] = ARM_FEATURES,
    parameters: Parameters,
    learners: Sequence[str] = LEARNERS,
    n_repeats: int = N_REPEATS,
) -> TrainedUplift:
    """The uplift model of the training rows, from `facts` and `offers`, with `parameters` for the nuisances.

    `examples` come from `training.arms`, or hold is_treated (0 or 1) and propensity (of being told) beside customer_id
    and outcome. Raises MissingModel if there are too few conversions or too few rows in an arm, UserMistake for a
    propensity that is not between 0 and 1.
    """
    refuse_too_little(NAME, examples, split, least_positives=LEAST_POSITIVES, event="conversions")
    arms = arms_of(examples, split, [*facts], [*offers])
    unseen = Unseen(tuple(_parts(arms, parameters, learners, n_repeats))).together()
    gains = {name: unseen.gain(name) for name in unseen.learners}
    leads = unseen.leads()
    kept = {name: unseen.shrinkage(name) for name in unseen.learners}
    expected = expect(arms, parameters)
    texts = {name: _text(name, arms, expected, parameters) for name in learners}
    if TOGETHER in kept:
        slopes = [kept[name].slope / len(learners) for name in learners]
        texts[TOGETHER] = joined([texts[name] for name in learners], slopes)
    panel = {name: _model(text, arms, kept[name]) for name, text in texts.items()}
    taken = chosen(gains, leads)
    plain, said = panel.get(RESPONSE, panel[taken]), unseen.effects(taken, kept[taken])
    return TrainedUplift(panel[taken], plain, said, taken, panel, gains, leads, kept)


def _parts(arms: Arms, parameters: Parameters, learners: Sequence[str], n_repeats: int) -> Iterator[Part]:
    """The rows of each fold of each draw, by models that never saw their customers."""
    for draw, fold in itertools.product(range(n_repeats), range(_N_FOLDS)):
        folds = customer_folds(arms.customers, _N_FOLDS, parameters.seed + 1 + _NEXT_DRAW * draw)
        train, held = arms.at(folds != fold), arms.at(folds == fold)
        expected, psi = expect(train, parameters), Nuisances.grown(train, parameters).expect(held).pseudo_outcomes(held)
        texts = {name: _text(name, train, expected, parameters) for name in learners}
        scores = {name: Trees(text, parameters.n_threads).score(held.matrix) for name, text in texts.items()}
        yield Part(draw, psi, held.weights, held.customers, scores)


def _model(text: str, arms: Arms, kept: Shrinkage) -> FittedModel:
    """The trees, grown on all rows, with their line."""
    scores = Trees(text).score(arms.matrix)
    return FittedModel(NAME, text, arms.recipe, kept.about(scores, arms.weights).line(scores))


def _text(name: str, arms: Arms, expected: Expected, parameters: Parameters) -> str:
    """The trees of a learner; ranking by response is the model of the told alone, as log-odds, which add up."""
    if name == RESPONSE:
        return sums_of(grow(arms.matrix[arms.told], arms.outcomes[arms.told], arms.recipe, parameters))
    final = replace(FINAL, seed=parameters.seed, n_threads=parameters.n_threads)
    targets = {DR: expected.pseudo_outcomes(arms), T: expected.told - expected.untold, S: expected.together}
    targets[MEAN] = np.mean(list(targets.values()), axis=0)
    return grow(arms.matrix, targets[name], arms.recipe, final, objective="regression", weights=arms.weights)

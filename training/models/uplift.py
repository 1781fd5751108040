"""What the bank's word brings about: the effect τ of an offer on one customer, learnt from randomised arms.

τ is P(conversion | told) − P(conversion | untold). It may be below 0: such customers are left alone, so nothing here
cuts an effect off at 0. Symbols are those of `training.trials`.

Five learners take part, and inner cross-validation alone chooses among them:

    dr        trees on the pseudo-outcomes ψ, whose mean given x is τ(x)
    t         trees on μ₁ − μ₀ of two models
    s         trees on μ(x, told) − μ(x, untold) of one model
    mean      trees on the mean of these three targets: a third of the noise of ψ, most of what it alone knows
    response  μ₁ alone: who answers, which ranks well where those who answer are those who are moved

The nuisances μ are cross-fitted over folds of customers, drawn anew as often as `n_repeats` says: how customers fall
into folds is chance too, and what is said of a learner is the mean over the draws. Whatever is chosen is one set of
trees on the same recipe, and its score is pulled towards the average effect as far as it failed to hold on customers it
had not seen.

Kennedy (2023), Electronic Journal of Statistics 17 (dr); Künzel et al. (2019), PNAS 116 (s, t); Chernozhukov et al.
(2018), NBER 24678 (the slope of effects on scores). What it takes for granted and when it lies: docs/uplift.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.vocabulary import Column
from training.boosting import Parameters, Trees, grow
from training.calibration import Calibration
from training.examples import Examples, Split, customer_folds
from training.fitted import FittedModel
from training.fitting import CrossFitted, refuse_too_little
from training.judging.effects import HeldArms, effect
from training.outcomes import ARM_FEATURES
from training.trials import LEAST_ARM, Arms, Expected, Nuisances, Vector, arms_of, expect

NAME = "uplift"
NEEDS = ("assignment", "offer")  # bank tables without which there is nothing to learn from
LEAST_POSITIVES = 200
DR, T, S, MEAN, RESPONSE = "dr", "t", "s", "mean", "response"
LEARNERS = (DR, T, S, MEAN, RESPONSE)  # the first wins ties
_N_FOLDS, _NEXT_DRAW = 3, 10_000
# An effect is flatter than a response and ψ noisier than an outcome: few leaves, large ones, pulled hard to the mean.
# Four leaves gained more than six or eight in inner cross-validation on the training halves of an e-mail test.
FINAL = Parameters(n_rounds=60, learning_rate=0.05, n_leaves=4, min_leaf_rows=200, l2=200.0)

_ORDER_SHARE = 0.02  # of the error of the average: what one standard deviation of a score may move an effect at least


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """The line from a raw score s to an effect: average + slope · (s − centre).

    `measured` is the slope of ψ on s among customers that s had not seen, `error` its standard error over customers.
    The slope kept is measured · max(0, 1 − (error ÷ measured)²): a score that noise could have made says the average of
    everybody. `order` is the least slope, which moves no effect by as much as the average is uncertain, and keeps the
    order of a score that ranked better than chance; 0 for one that did not.
    """

    average: float
    average_error: float
    centre: float
    measured: float
    error: float
    order: float = 0.0

    @property
    def slope(self) -> float:
        if self.measured <= 0:
            return self.order
        return max(self.order, self.measured * max(0.0, 1 - (self.error / self.measured) ** 2))

    def line(self, scores: Vector) -> Calibration:
        """The line as plain data, over the range of `scores` and as much again on both sides, within ±1."""
        reach = float(np.ptp(scores)) + 1e-9
        x = (float(scores.min()) - reach, float(scores.max()) + reach)
        y = tuple(float(np.clip(self.average + self.slope * (end - self.centre), -1, 1)) for end in x)
        return Calibration(x, y)


@dataclass(frozen=True, slots=True)
class TrainedUplift(CrossFitted):
    """The chosen model (`ours`), ranking by response (`plain`), and every learner of the panel beside them.

    `gains` holds what inner cross-validation said of each learner: by how much more than chance its ranking puts large
    effects first, as the area between the two curves, in conversions a row. `psi` (k,) are the pseudo-outcomes of the
    training rows, each as often as the draws were repeated, and `panel_unseen` the raw scores (k,) that each learner
    gave them without having seen them, for who has to fix a threshold before he looks at the test; `folds` (k,) says
    which were given by the same trees, `customers` (k,) whose they are.
    """

    chosen: str
    panel: Mapping[str, FittedModel]
    gains: Mapping[str, float]
    shrinkage: Mapping[str, Shrinkage]
    psi: Vector
    panel_unseen: Mapping[str, Vector]
    folds: NDArray[np.int64]
    customers: NDArray[np.int64]

    def figures(self) -> dict[str, float]:
        """What a run logs of the choice: gains, the average effect, and how far the chosen score was trusted."""
        kept = self.shrinkage[self.chosen]
        told = {f"inner_gain_{learner}": gain for learner, gain in self.gains.items()}
        return told | {
            "average_effect": kept.average, "average_effect_error": kept.average_error,
            "slope_measured": kept.measured, "slope_error": kept.error, "slope_kept": kept.slope,
        }  # fmt: skip

    @property
    def rivals(self) -> Mapping[str, FittedModel]:
        """The learners that were not chosen; ranking by response stands beside every model of effects already."""
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
    n_repeats: int = 1,
) -> TrainedUplift:
    """The uplift model of the training rows, from `facts` and `offers`, with `parameters` for the nuisances.

    `examples` come from `training.arms`, or hold is_treated (0 or 1) and propensity (of being told) beside customer_id
    and outcome. Raises MissingModel if there are too few conversions or too few rows in an arm, UserMistake for a
    propensity that is not between 0 and 1.
    """
    refuse_too_little(NAME, examples, split, least_positives=LEAST_POSITIVES, event="conversions")
    arms = arms_of(examples, split, [*facts], [*offers])
    parts = _unseen(arms, parameters, learners, n_repeats)
    psi = np.concatenate([part.psi for part in parts])
    held = [part.arms for part in parts]
    weights, who = np.concatenate([a.weights for a in held]), np.concatenate([a.customers for a in held])
    scores = {name: np.concatenate([part.scores[name] for part in parts]) for name in learners}
    places = {name: np.concatenate([_places(part.scores[name]) for part in parts]) for name in learners}
    gains = {name: float(np.average(psi * (places[name] - 0.5), weights=weights)) for name in learners}
    kept = {name: shrinkage(scores[name], psi, weights, who, is_ranking=gains[name] > 0) for name in learners}
    expected = expect(arms, parameters)
    panel = {name: _fit(name, arms, expected, kept[name], parameters) for name in learners}
    chosen = max(learners, key=lambda name: gains[name])
    plain = panel.get(RESPONSE, panel[chosen])
    unseen = panel[chosen].score(arms.matrix)  # four leaves pulled hard say the same of rows they have seen
    if chosen == RESPONSE:
        unseen = np.concatenate([_said(part, chosen, kept[chosen]) for part in parts])
    folds = np.repeat(np.arange(len(parts)), [len(part.psi) for part in parts])
    return TrainedUplift(panel[chosen], plain, unseen, chosen, panel, gains, kept, psi, scores, folds, who)


def shrinkage(
    scores: Vector, psi: Vector, weights: Vector, customers: NDArray[np.int64], *, is_ranking: bool
) -> Shrinkage:
    """How far `scores` (k,) hold on rows they had not seen, whose pseudo-outcomes are `psi` (k,).

    Weighted least squares of ψ on s with errors robust to rows of one customer going together. A score that does not
    vary has slope 0; one that `is_ranking` better than chance keeps its order at least.
    """
    total = weights.sum()
    average, centre = float(np.average(psi, weights=weights)), float(np.average(scores, weights=weights))
    off, spread = psi - average, scores - centre
    average_error = _clustered(weights * off, customers) / total
    mass = float((weights * spread**2).sum())
    if mass <= 1e-12 * total:
        return Shrinkage(average, average_error, centre, 0.0, 0.0)
    measured = float((weights * spread * off).sum() / mass)
    error = _clustered(weights * spread * (off - measured * spread), customers) / mass
    order = _ORDER_SHARE * average_error / float(np.sqrt(mass / total)) if is_ranking else 0.0
    return Shrinkage(average, average_error, centre, measured, error, order)


@dataclass(frozen=True, slots=True)
class _Unseen:
    """Rows of one fold with ψ and the score of each learner, by models that never saw their customers."""

    arms: Arms
    psi: Vector
    scores: Mapping[str, Vector]


def _unseen(arms: Arms, parameters: Parameters, learners: Sequence[str], n_repeats: int) -> list[_Unseen]:
    found = []
    for repeat, fold in itertools.product(range(n_repeats), range(_N_FOLDS)):
        folds = customer_folds(arms.customers, _N_FOLDS, parameters.seed + 1 + _NEXT_DRAW * repeat)
        train, held = arms.at(folds != fold), arms.at(folds == fold)
        expected = expect(train, parameters)
        said = Nuisances.grown(train, parameters).expect(held)
        scores = {
            name: Trees(_text(name, train, expected, parameters), parameters.n_threads).score(held.matrix)
            for name in learners
        }
        found.append(_Unseen(held, said.pseudo_outcomes(held), scores))
    return found


def _said(part: _Unseen, name: str, kept: Shrinkage) -> Vector:
    """The effects that a learner says of the rows of one fold, round the average effect."""
    scores = part.scores[name]
    return replace(kept, centre=float(np.average(scores, weights=part.arms.weights))).line(scores).apply(scores)


def _fit(name: str, arms: Arms, expected: Expected, kept: Shrinkage, parameters: Parameters) -> FittedModel:
    """The learner on all rows. Its scores lie round another mean than those of its parts, and the average effect is
    what is known best, so that the line goes through its own mean."""
    text = _text(name, arms, expected, parameters)
    scores = Trees(text, parameters.n_threads).score(arms.matrix)
    centre = float(np.average(scores, weights=arms.weights))
    return FittedModel(NAME, text, arms.recipe, replace(kept, centre=centre).line(scores))


def _text(name: str, arms: Arms, expected: Expected, parameters: Parameters) -> str:
    """The trees of a learner; ranking by response is the model of the told alone."""
    if name == RESPONSE:
        return grow(arms.matrix[arms.told], arms.outcomes[arms.told], arms.recipe, parameters)
    final = replace(FINAL, seed=parameters.seed, n_threads=parameters.n_threads)
    targets = {DR: expected.pseudo_outcomes(arms), T: expected.told - expected.untold, S: expected.together}
    targets[MEAN] = np.mean(list(targets.values()), axis=0)
    return grow(arms.matrix, targets[name], arms.recipe, final, objective="regression", weights=arms.weights)


def _places(scores: Vector) -> Vector:
    """The place of each score from 0 (lowest) to 1, equal scores sharing theirs."""
    _, level, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2 - 0.5
    return np.asarray(middle[level] / len(scores))


def _clustered(parts: Vector, customers: NDArray[np.int64]) -> float:
    """Standard error of Σ parts when the rows of a customer go together."""
    sums = np.bincount(customers, weights=parts)
    return float(np.sqrt((sums**2).sum()))

"""A model on its window, asked all that the gates want to know: at the training, and again at a promotion."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import registry
from training.encoding import arrays_of
from training.examples import Examples, Split, instants
from training.fitted import FittedModel
from training.fitting import CrossFitted, constant
from training.gates import AnyJudgement, Evidence
from training.ground import Ground
from training.judging.drift import Psi, psi
from training.judging.effect_judgement import judge_effects
from training.judging.effects import HeldArms, Vector, row_effects
from training.judging.judgement import CONSTANT, OURS, PLAIN, Judgement, judge
from training.judging.leakage import Suspicion, guard
from training.judging.metrics import Interval, Judged, paired_difference
from training.judging.slices import slices_of
from training.judging.uplift_curves import Ranking
from training.judging.uplift_curves import paired_difference as paired_qini
from training.models import uplift
from training.registry import ModelVersion

N_QUANTILES = 100
SCORE_STEP = 0.01  # what moves p by less than half of it moves no decision
TRAINING_SCORES = "training_scores"


def evidence_of(ground: Ground, examples: Examples, split: Split, trained: CrossFitted, *, seed: int) -> Evidence[Any]:
    """What the gates ask of `trained`: the guard of its training rows, and the test rows beside the champion of now."""
    test = examples.frame[split.test]
    champion = registry.with_alias(ground.home, trained.ours.name, registry.CHAMPION)
    before = None if champion is None else champion.facts.get(TRAINING_SCORES)
    expected = np.array(json.loads(before) if before else quantiles(trained.unseen))
    seen = _effects_seen if trained.ours.name == uplift.NAME else _outcomes_seen
    judgement, less, told, scores = seen(examples, split, trained, champion, seed=seed)
    return Evidence(
        judgement,
        less,
        score_psi(expected, scores),
        suspicions_of(examples, split, trained.ours.recipe.names, seed=seed),
        slices_of(test, told, scores, seed=seed),
        _drifts(examples, split, trained.ours),
        ground.models.inventory,
        ground.models.gates,
    )


_Seen = tuple[AnyJudgement, Interval | None, Vector, Vector]  # ours − champion, what came, what was said of it


def _outcomes_seen(
    examples: Examples, split: Split, trained: CrossFitted, champion: ModelVersion | None, *, seed: int
) -> _Seen:
    judgement = _judgement(examples, split, trained, seed=seed)
    ours = judgement.judged[OURS]
    less = None if champion is None else _less(champion.read(), examples, split, judgement, seed=seed)
    return judgement, less, ours.outcomes, ours.scores


def _effects_seen(
    examples: Examples, split: Split, trained: CrossFitted, champion: ModelVersion | None, *, seed: int
) -> _Seen:
    test = examples.frame[split.test]
    held = HeldArms.of(test)
    rivals = {PLAIN: trained.plain, **trained.rivals, OURS: trained.ours}
    judgement = judge_effects(held, {name: model.predict(test) for name, model in rivals.items()}, seed=seed)
    less = None
    if champion is not None:
        theirs = Ranking(held.outcomes, held.told, champion.read().predict(test), held.propensity)
        less = paired_qini(judgement.rankings[OURS], theirs, held.customers, seed=seed)
    return judgement, less, row_effects(held), judgement.effects


def _drifts(examples: Examples, split: Split, model: FittedModel) -> dict[str, Psi]:
    """How far each feature has moved from the training rows to the test rows, furthest first."""
    features = [feature for feature in model.recipe.features if examples.frame[feature.name].notna().any()]
    before, after = (arrays_of(examples.frame[part], features) for part in (split.train, split.test))
    found = {feature.name: psi(before[feature.name], after[feature.name]) for feature in features}
    return dict(sorted(found.items(), key=lambda item: -item[1].value))


def score_psi(expected: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    """PSI of the scores `actual` (n,) against `expected`, in tenths of `expected` that are at least SCORE_STEP apart.

    Isotonic maps say the same p of thousands, and the next map says it a little differently: with an edge on that very
    value all of them would count as moved, and an index of 3.6 came of p .0012 that had become .0013.
    """
    edges = [-np.inf]
    for edge in np.quantile(expected, np.arange(1, 10) / 10) + SCORE_STEP / 2:
        if edge >= edges[-1] + SCORE_STEP:
            edges.append(float(edge))
    places = [np.searchsorted(edges, scores).astype(np.float64) for scores in (expected, actual)]
    return psi(*places).value


def quantiles(scores: NDArray[np.float64]) -> list[float]:
    """The 0th to 100th percentile of `scores` (n,): a distribution small enough for a tag."""
    return [round(float(value), 6) for value in np.quantile(scores, np.arange(N_QUANTILES + 1) / N_QUANTILES)]


def suspicions_of(examples: Examples, split: Split, features: Sequence[str], *, seed: int) -> tuple[Suspicion, ...]:
    """Features of the training rows that may know the answer.

    Every feature comes out of a join by the instant at which it was known, so all are vouched for: what is asked is
    whether one ranks or picks the outcome as only the answer itself could. A share counts as 1 from a half on.
    """
    rows = examples.frame[split.train]
    names = [name for name in features if rows[name].notna().any()]
    return guard(
        rows[names].reset_index(drop=True), examples.outcomes[split.train].round(), instants(rows["sent_at"]),
        customers=rows["customer_id"].to_numpy(), vouched=names, seed=seed,
    )  # fmt: skip


def _judgement(examples: Examples, split: Split, trained: CrossFitted, *, seed: int) -> Judgement:
    test = examples.frame[split.test]
    scores = {
        CONSTANT: constant(examples.outcomes, split),
        PLAIN: trained.plain.predict(test),
        OURS: trained.ours.predict(test),
    }
    return judge(as_events(examples.outcomes[split.test], seed), scores, test["customer_id"].to_numpy(), seed=seed)


def as_events(outcomes: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """0 or 1 for each of `outcomes` (n,): itself, and of a share an event that has it as its chance, by `seed`.

    A share that stays is judged like this by the same figures as a probability; its mean and calibration are kept.
    """
    drawn = np.random.default_rng(seed).random(len(outcomes))
    return np.asarray(drawn < outcomes, dtype=np.float64)


def _less(champion: FittedModel, examples: Examples, split: Split, judgement: Judgement, *, seed: int) -> Interval:
    """ours − champion in AUC on the test rows."""
    test, ours = examples.frame[split.test], judgement.judged[OURS]
    theirs = Judged(ours.outcomes, champion.predict(test))
    return paired_difference(ours, theirs, test["customer_id"].to_numpy(), seed=seed)

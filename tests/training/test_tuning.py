"""Tuning: within its bounds, the same by its seed, and blind to the test rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.training.made_up import FACTS, OFFERS, PROFILE, QUICK, examples_of
from training.encoding import Recipe
from training.examples import Examples, Split, instants, split_by_time
from training.models import response
from training.tuning import BOUNDS, best_of, tune


def ground() -> tuple[Examples, Split, Recipe]:
    examples = examples_of(n=2000)
    split = split_by_time(instants(examples.frame["sent_at"]), instants(examples.frame["closes_at"]))
    trained = response.train(examples, split, facts=FACTS, profile=PROFILE, offers=OFFERS, parameters=QUICK)
    return examples, split, trained.ours.recipe


def test_the_first_trial_is_what_stands_and_nothing_worse_is_chosen() -> None:
    examples, split, recipe = ground()
    trials = tune(examples, split, recipe, QUICK, n_trials=6, seed=3)
    assert len(trials) == 6
    assert trials[0].parameters == QUICK
    chosen = best_of(trials)
    assert min(trials, key=lambda trial: trial.log_loss).parameters == chosen
    for trial in trials:
        for name, (least, most) in BOUNDS.items():
            assert least <= getattr(trial.parameters, name) <= most
        assert replace(trial.parameters, **{name: getattr(QUICK, name) for name in BOUNDS}) == QUICK
    assert len({trial.log_loss for trial in trials}) > 1


def test_the_same_seed_gives_the_same_trials_whatever_the_test_rows_say() -> None:
    examples, split, recipe = ground()
    frame = examples.frame.copy()
    frame.loc[split.test, "outcome"] = 1 - frame.loc[split.test, "outcome"]
    frame.loc[split.test, "n_opened_90d"] = np.nan
    told = tune(examples, split, recipe, QUICK, n_trials=4, seed=3)
    assert told == tune(Examples(frame, {}), split, recipe, QUICK, n_trials=4, seed=3)
    assert told != tune(examples, split, recipe, QUICK, n_trials=4, seed=4)

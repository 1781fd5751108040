"""A fit comes out the same each time, learns from training rows alone, and is refused on too little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import MissingModel
from tests.training.made_up import FACTS, OFFERS, PROFILE, QUICK, chances, examples_of
from training.boosting import Trees, grow
from training.encoding import Recipe, arrays_of
from training.examples import Examples, Split, instants, split_by_time
from training.fitted import FILES, DamagedModel, FittedModel, digests_of
from training.fitting import fit
from training.judging.metrics import Judged
from training.models import response


def split_of(examples: Examples) -> Split:
    return split_by_time(instants(examples.frame["sent_at"]), instants(examples.frame["closes_at"]))


def model_of(examples: Examples, **parameters: object) -> FittedModel:
    return fit("response", examples, split_of(examples), FACTS, offer_columns=OFFERS,
               parameters=replace(QUICK, **parameters))  # fmt: skip


def test_the_same_rows_and_seed_give_the_same_text_and_another_seed_another() -> None:
    examples = examples_of()
    first, again, other = model_of(examples), model_of(examples), model_of(examples, seed=8)
    assert (first.text, first.calibration) == (again.text, again.calibration)
    assert first.text != other.text


def test_two_threads_grow_the_trees_of_one() -> None:
    examples = examples_of(n=800)
    one, two = (model_of(examples, n_threads=n, n_rounds=8).text.partition("parameters:")[0] for n in (1, 2))
    assert one == two


def test_rows_of_the_test_and_purged_rows_teach_nothing() -> None:
    """Outcomes outside the training rows are turned round, and their codes replaced: the model stays the same."""
    examples = examples_of()
    split = split_of(examples)
    frame = examples.frame.copy()
    frame.loc[~split.train, "outcome"] = 1 - frame.loc[~split.train, "outcome"]
    frame.loc[~split.train, "tier"] = "V9"
    assert model_of(Examples(frame, {})) == model_of(examples)


def test_a_monotone_feature_never_lowers_p() -> None:
    examples = examples_of(is_noise=True)
    arrays = arrays_of(examples.frame, [*FACTS, *OFFERS])
    recipe = Recipe.learn(FACTS, OFFERS, arrays)
    matrix = recipe.encode(arrays)
    parameters = replace(QUICK, monotone={"age": 1, "a_column_this_bank_lacks": -1})
    bound, free = (Trees(grow(matrix, examples.outcomes, recipe, p)) for p in (parameters, QUICK))
    ages = np.repeat(matrix[:50], 73, axis=0)
    ages[:, 0] = np.tile(np.arange(18.0, 91.0), 50)
    steps, free_steps = (np.diff(trees.score(ages).reshape(50, 73), axis=1) for trees in (bound, free))
    assert steps.min() >= 0
    assert free_steps.min() < -0.01


def test_a_model_of_true_rows_ranks_and_calibrates_close_to_the_truth() -> None:
    examples = examples_of(n=12_000)
    test = examples.frame[split_of(examples).test]
    y = test["outcome"].to_numpy()
    ours, truth = Judged(y, model_of(examples).predict(test)), Judged(y, chances(test))
    assert truth.auc() - ours.auc() < 0.02
    assert ours.ece() < 0.04


def test_a_model_reads_back_from_its_files_and_predicts_the_same(tmp_path: Path) -> None:
    examples = examples_of()
    model = model_of(examples).with_shares([{"category": "fund", "share": 0.3}])
    model.write(tmp_path, examples.frame)
    back = FittedModel.read(tmp_path, digests_of(tmp_path))
    assert back == model
    assert (back.predict(examples.frame) == model.predict(examples.frame)).all()
    assert back.largest_golden_difference(tmp_path) == 0


@pytest.mark.parametrize("name", FILES)
def test_a_changed_or_missing_file_is_refused_before_it_is_read(name: str, tmp_path: Path) -> None:
    examples = examples_of(n=800)
    model_of(examples).write(tmp_path, examples.frame)
    digests = digests_of(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1] + b"?")
    with pytest.raises(DamagedModel, match=name):
        FittedModel.read(tmp_path, digests)
    (tmp_path / name).unlink()
    with pytest.raises(DamagedModel, match=name):
        FittedModel.read(tmp_path, digests)


def test_pairs_score_like_flat_rows() -> None:
    examples = examples_of()
    model = model_of(examples)
    people = arrays_of(examples.frame.head(5), FACTS)
    offers = {
        "offer_id": np.array(["A", "C"], dtype=object), "reward_amount": np.array([0.0, 10.0]),
        "channel": np.array(["APP", "SMS"], dtype=object),
    }  # fmt: skip
    left = examples.frame.head(5)[[column.name for column in FACTS]]
    right = pd.DataFrame(offers).rename(columns={"reward_amount": "offer_reward_amount"})
    assert (model.score_pairs(people, offers).ravel() == model.predict(left.merge(right, how="cross"))).all()


def test_an_offer_that_nobody_was_told_of_yet_is_scored_by_what_it_is() -> None:
    """Its id says nothing; of two new offers the one with the reward that moves customers has the higher p, and which
    customer is the keener stands as for offers with a record. How much keener is told less: ids took their part."""
    examples = examples_of(n=12_000)
    model, test = model_of(examples), examples.frame[split_of(examples).test]
    new = {reward: model.predict(test.assign(offer_id="N", offer_reward_amount=reward)) for reward in (0.0, 10.0)}
    truth = {reward: chances(test.assign(offer_reward_amount=reward)) for reward in new}
    assert all(np.isfinite(p).all() for p in new.values())
    assert 0 < (new[10.0] - new[0.0]).mean() < (truth[10.0] - truth[0.0]).mean()
    for reward, p in new.items():
        assert np.corrcoef(p, truth[reward])[0, 1] > 0.85


def test_too_few_conversions_are_refused_with_their_count() -> None:
    examples = examples_of(n=600)
    split = split_of(examples)
    n_positive = int(examples.outcomes[split.train].sum())
    assert 0 < n_positive < response.LEAST_POSITIVES
    with pytest.raises(MissingModel, match=f"too few conversions .*: {n_positive}; allowed: 200 or more"):
        response.train(examples, split, facts=FACTS, profile=PROFILE, offers=OFFERS, parameters=QUICK)


def test_calibration_has_not_seen_the_rows_that_it_learnt_on() -> None:
    """On noise, trees that may learn each row by heart say nothing of rows they have not seen, and p is flat."""
    examples = examples_of(is_noise=True)
    told = model_of(examples, n_leaves=255, min_leaf_rows=2, n_rounds=60).predict(examples.frame)
    rate = examples.outcomes.mean()
    assert np.abs(told - rate).mean() < 0.25 * rate

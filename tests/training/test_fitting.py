"""A fit comes out the same each time, learns from training rows alone, and is refused on too little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import MissingModel
from tests.training.made_up import FACTS, OFFERS, PROFILE, QUICK, chances, examples_of
from training.boosting import Parameters, Trees, grow
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


@pytest.mark.parametrize("new", ["B", "D", "F"])
def test_an_offer_that_nobody_was_told_of_yet_has_a_score_nearly_as_good_as_any(new: str) -> None:
    """Six offers whose reward moves customers, of which the model never saw one, inside or at the end of the range.

    p ranks the offer's first customers as the truth does, and errs by less than six tenths of what the average of all
    other offers errs by. What a reward does is told without a record too.
    """
    examples = with_six_offers(examples_of(n=12_000))
    split, is_new = split_of(examples), (examples.frame["offer_id"] == new).to_numpy()
    others = replace(split, train=split.train & ~is_new)
    model = response.train(examples, others, facts=FACTS, profile=PROFILE, offers=OFFERS, parameters=QUICK).ours
    assert new not in next(one.codes for one in model.recipe.features if one.name == "offer_id")
    rows = examples.frame[split.test & is_new]
    y, p, truth = rows["outcome"].to_numpy(), model.predict(rows), chances(rows)
    average = examples.outcomes[others.train].mean()
    assert ((p > 0) & (p < 1)).all()
    assert Judged(y, truth).auc() - Judged(y, p).auc() < 0.02
    assert np.mean((p - truth) ** 2) < 0.6**2 * np.mean((average - truth) ** 2)
    by_reward = [rows.assign(offer_reward_amount=reward) for reward in (0.0, 10.0)]
    told, true = (np.diff([score(one).mean() for one in by_reward])[0] for score in (model.predict, chances))
    assert true > told > 0.4 * true, "ids take their part of what the reward does, and less than the reward keeps"


def test_the_ids_of_good_offers_do_not_keep_a_new_one_from_what_its_reward_says() -> None:
    """Forty offers, every fourth with a reward that moves customers: trees would rather put the ids of these together,
    and say of an eleventh what they say of the thirty without one, half too little in log-odds and more."""
    for new in ("O00", "O16", "O36"):
        frame, chance = examples_of(n=8_000).frame, np.random.default_rng(1)
        place = chance.integers(0, 40, len(frame))
        frame["offer_id"] = np.array([f"O{one:02d}" for one in place], dtype=object)
        frame["offer_reward_amount"] = np.where(place % 4 == 0, 10.0, 0.0)
        frame["outcome"] = (chance.random(len(frame)) < chances(frame)).astype(float)
        examples = Examples(frame[frame["offer_id"] != new].reset_index(drop=True), {})
        ours = response.train(examples, split_of(examples), facts=FACTS, profile=PROFILE, offers=OFFERS,
                              parameters=Parameters(seed=1)).ours  # fmt: skip
        asked = frame.assign(offer_id=new, offer_reward_amount=10.0)
        p, truth = ours.predict(asked), chances(asked)
        missed = (np.log(p / (1 - p)) - np.log(truth / (1 - truth))).mean()
        assert abs(missed) < 0.35, (new, missed)


def with_six_offers(examples: Examples) -> Examples:
    """The same customers told of offers A to F, whose rewards go from 0 to 10."""
    chance, frame = np.random.default_rng(1), examples.frame.copy()
    place = chance.integers(0, 6, len(frame))
    frame["offer_id"], frame["offer_reward_amount"] = np.array(list("ABCDEF"), dtype=object)[place], 2.0 * place
    frame["outcome"] = (chance.random(len(frame)) < chances(frame)).astype(float)
    return Examples(frame, {})


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

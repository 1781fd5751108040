"""A forest asked by the compiled kernel gives what LightGBM gives of the same text, to the bit, or is not used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from math import exp
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from features.compiling import compiled
from features.vocabulary import Kind
from serving.forests.forest import Forest, pairs
from serving.forests.layout import Columns, Layout, Layouts
from serving.forests.leaves import mapped
from serving.forests.tree_text import MOST_LEAVES, MOST_TREES, Unlike, is_of_probabilities, trees_of
from training.boosting import Trees
from training.calibration import Calibration
from training.encoding import Feature, Recipe
from training.fitted import FittedModel

N_CUSTOMERS, N_OFFERS = 40, 9
CODED, OF_OFFER = (2, 5), (3, 4, 5)
OF_CUSTOMER = (0, 1, 2)
ROOT = Path(__file__).parents[2]


def grown(**settings: Any) -> str:
    """A model text over three columns of a customer and three of an offer; the third of each holds codes."""
    chance = np.random.default_rng(3)
    rows = np.column_stack([customers(3_000, seed=4), chance.permutation(np.resize(offers(), (3_000, 3)))])
    tilt = np.nan_to_num(rows[:, 0]) - 2 * np.isnan(rows[:, 1]) + (rows[:, 2] % 3 == 1) * rows[:, 3] + rows[:, 5]
    outcomes = (chance.random(len(rows)) < 1 / (1 + np.exp(-tilt))).astype(float)
    shared = {"objective": "binary", "num_leaves": 31, "min_data_in_leaf": 5, "num_threads": 1, "verbosity": -1,
              "deterministic": True, "max_cat_to_onehot": 1, "cat_smooth": 1.0}  # fmt: skip
    data = lightgbm.Dataset(rows, outcomes, categorical_feature=list(CODED), params=shared | settings)
    return str(lightgbm.train(shared | settings, data, num_boost_round=25).model_to_string())


def customers(n: int = N_CUSTOMERS, *, seed: int = 5) -> NDArray[np.float64]:
    """Two numbers around zero, whole ones often, and a code of twelve; a fifth of each is missing."""
    chance = np.random.default_rng(seed)
    rows = np.column_stack([np.round(chance.normal(0, 2, n), 1), chance.integers(-2, 3, n), chance.integers(0, 12, n)])
    rows = rows.astype(float)
    rows[chance.random(rows.shape) < 0.2] = np.nan
    return rows


def offers() -> NDArray[np.float64]:
    chance = np.random.default_rng(6)
    return np.column_stack([chance.integers(0, 4, N_OFFERS), chance.normal(0, 1, N_OFFERS), np.arange(N_OFFERS) % 4])


def laid_out(text: str) -> Forest:
    return Forest(trees_of(text), dict(zip(OF_CUSTOMER, range(3), strict=True)),
                  dict(zip(OF_OFFER, range(3), strict=True)), lists(),
                  is_log_odds=is_of_probabilities(text))  # fmt: skip


def lists() -> list[NDArray[np.float64]]:
    """The offers as they are, from the last to the first, and all with the code of the first."""
    alike = offers()
    alike[:, 2] = alike[0, 2]
    return [offers(), offers()[::-1], alike]


def told(forest: Forest, rows: NDArray[np.float64], which: int = 0) -> NDArray[np.float64]:
    return forest.score(rows, np.full(len(rows), which, dtype=np.int32), N_OFFERS)


def by_library(text: str, rows: NDArray[np.float64], which: int = 0) -> NDArray[np.float64]:
    spread = [[*row, *offer] for row in rows.tolist() for offer in lists()[which].tolist()]
    return Trees(text).score(np.array(spread)).reshape(len(rows), -1)


@pytest.mark.parametrize(
    "settings",
    [{}, {"num_leaves": 64}, {"num_leaves": 33}, {"num_leaves": 2}, {"use_missing": False}, {"max_bin": 5},
     {"monotone_constraints": [1, 0, 0, -1, 0, 0]}, {"min_data_in_leaf": 2_000}, {"feature_fraction": 0.3},
     {"objective": "regression"}, {"objective": "regression", "min_data_in_leaf": 2_000}],
    ids=str,
)  # fmt: skip
def test_every_customer_with_every_offer_is_scored_as_lightgbm_scores_the_pair(settings: dict[str, Any]) -> None:
    text = grown(**settings)
    forest = laid_out(text)
    trees = trees_of(text)
    cuts = sorted({split.threshold for tree in trees for split in tree.splits if split.feature == 0})
    edges = [[at, np.nan, 3.0] for cut in cuts for at in (cut, np.nextafter(cut, np.inf), np.nextafter(cut, -np.inf))]
    strange = [
        [-1e-35, 1e-36, 2.0],
        [0.0, -0.0, 99.0],
        [np.inf, -np.inf, -1.0],
        [np.nan, np.nan, np.nan],
        [1e-300, -1e300, 11.0],
    ]
    rows = np.concatenate([customers(), np.array([*edges, *strange])])
    found = told(forest, rows)
    np.testing.assert_array_equal(found, by_library(text, rows))
    np.testing.assert_array_equal(told(forest, rows, 2), by_library(text, rows, 2))
    assert len(cuts) > 1 or len(trees[0].leaves) < 3
    assert (np.ptp(found) > 0.1) == (len(trees[0].leaves) > 1)


def test_a_customer_alone_is_scored_as_among_others() -> None:
    forest, rows = laid_out(grown()), customers()
    alone = np.concatenate([told(forest, rows[[place]]) for place in range(len(rows))])
    np.testing.assert_array_equal(alone, told(forest, rows))


@pytest.mark.parametrize("settings", [{}, {"num_leaves": 64}, {"zero_as_missing": True}], ids=str)
@pytest.mark.parametrize("n_told", [1, N_OFFERS])
def test_customers_of_one_call_may_ask_for_lists_of_their_own(settings: dict[str, Any], n_told: int) -> None:
    """By the compiled trees, and where the library is asked."""
    text, asked = grown(**settings), np.resize([2, 0, 0, 1], N_CUSTOMERS).astype(np.int32)
    model = fitted(text)
    found = Layout(model, Columns([model]), lists()).score(customers(), asked, n_told)
    for which in range(3):
        expected = model.calibration.apply(by_library(text, customers(), which))
        np.testing.assert_array_equal(found[asked == which], expected[asked == which, :n_told])


@pytest.mark.parametrize("settings", [{}, {"num_leaves": 64}, {"zero_as_missing": True}], ids=str)
def test_models_asked_together_say_what_each_says_alone(settings: dict[str, Any]) -> None:
    """One with sets of leaves of another width or none at all; the second has one list, whichever is asked for."""
    one, other = fitted(grown(**settings)), fitted(grown(objective="regression"))
    columns, asked = Columns([one]), np.resize([2, 0, 0, 1], N_CUSTOMERS).astype(np.int32)
    layouts = Layout(one, columns, lists()), Layout(other, columns, lists()[:1])
    found = Layouts(layouts).score(np.column_stack([customers(), asked]))
    np.testing.assert_array_equal(found[:, :N_OFFERS], layouts[0].score(customers(), asked))
    np.testing.assert_array_equal(found[:, N_OFFERS:], layouts[1].score(customers()))


def test_no_model_says_nothing_of_anybody() -> None:
    assert Layouts([]).score(customers(3)).shape == (3, 0)


@pytest.mark.parametrize("knots", [(), (0.0, 1.0), (0.0, 0.1, 0.30000000000000004, 0.7)])
def test_what_trees_say_is_mapped_as_numpy_maps_it(knots: tuple[float, ...]) -> None:
    chance = np.random.default_rng(8)
    at, heights = np.array(knots), np.sort(chance.random(len(knots)))
    near = [*knots, *np.nextafter(knots, 9.0), *np.nextafter(knots, -9.0), np.nan, np.inf, -np.inf, -0.0]
    values = np.array([[*near, *chance.normal(0.5, 0.5, 50)]])
    np.testing.assert_array_equal(mapped(values, at, heights), np.interp(values, at, heights) if knots else values)


def test_offers_that_look_alike_to_every_tree_are_summed_once() -> None:
    text = grown()
    twice = np.concatenate([offers(), offers()[::-1]])
    forest = Forest(trees_of(text), {0: 0, 1: 1, 2: 2}, {3: 0, 4: 1, 5: 2}, [twice])
    found = forest.score(customers(), np.zeros(N_CUSTOMERS, dtype=np.int32), 2 * N_OFFERS)
    np.testing.assert_array_equal(found[:, :N_OFFERS], found[:, : -N_OFFERS - 1 : -1])
    assert forest.laid.look_at.tolist() == [0, len(np.unique(forest.laid.look_of))]
    assert len(np.unique(forest.laid.look_of)) <= N_OFFERS


@pytest.mark.parametrize(
    "settings", [{"zero_as_missing": True}, {"num_leaves": MOST_LEAVES + 1}, {"objective": "poisson"},
                 {"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1}, {"linear_tree": True}], ids=str,
)  # fmt: skip
def test_a_text_that_says_more_than_is_read_here_is_not_laid_out(settings: dict[str, Any]) -> None:
    with pytest.raises(Unlike):
        trees_of(grown(**settings))


def test_trees_without_number_are_not_laid_out() -> None:
    head, *blocks = grown(num_leaves=2).split("\nTree=")
    trees_of("\nTree=".join([head, *blocks]))
    for wrong in ([], blocks * (MOST_TREES // len(blocks) + 1)):
        with pytest.raises(Unlike):
            trees_of("\nTree=".join([head, *wrong]))


def fitted(text: str, *, n_columns: int = 6) -> FittedModel:
    kinds = [Kind.CODE if place in CODED else Kind.NUMBER for place in range(n_columns)]
    features = [Feature(f"c{place}", kind, place in OF_OFFER, tuple(map(str, range(12))) if kind is Kind.CODE else ())
                for place, kind in enumerate(kinds)]  # fmt: skip
    return FittedModel("response", text, Recipe(tuple(features)), Calibration((0.0, 0.4, 1.0), (0.1, 0.2, 0.9)))


@pytest.mark.parametrize(("settings", "is_laid_out"), [({}, True), ({"zero_as_missing": True}, False)])
def test_a_model_that_cannot_be_laid_out_is_scored_by_the_library(settings: dict[str, Any], is_laid_out: bool) -> None:
    text = grown(**settings)
    model = fitted(text)
    layout = Layout(model, Columns([model]), lists())
    assert (layout.forest is not None) == is_laid_out
    expected = model.calibration.apply(by_library(text, customers()))
    in_order = Columns([model]).place  # numbers stand before codes
    assert [in_order[model.recipe.features[place]] for place in OF_CUSTOMER] == [0, 1, 2]
    np.testing.assert_array_equal(layout.score(customers()), expected)


def test_a_text_that_the_library_reads_otherwise_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a coming LightGBM made something else of it, if only by little."""
    model = fitted(grown())
    monkeypatch.setitem(vars(model), "trees", _Shifted(model.text))
    assert Layout(model, Columns([model]), lists()).forest is None


class _Shifted(Trees):
    def score(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        return super().score(matrix) + 1e-12


def test_a_model_without_columns_of_offers_says_the_same_of_each() -> None:
    chance = np.random.default_rng(1)
    rows = customers(500)
    settings = {"objective": "binary", "num_threads": 1, "verbosity": -1, "min_data_in_leaf": 5}
    data = lightgbm.Dataset(rows, (chance.random(500) < 0.3).astype(float), categorical_feature=[2])
    text = str(lightgbm.train(settings, data, num_boost_round=5).model_to_string())
    model = fitted(text, n_columns=3)
    found = Layout(model, Columns([model]), [np.empty((4, 0))]).score(customers())
    np.testing.assert_array_equal(found, np.repeat(model.score(customers())[:, None], 4, axis=1))


def test_one_customers_plain_facts_make_the_row_that_arrays_make() -> None:
    columns = Columns([fitted(grown())])
    facts = {"c0": 1.5, "c1": float("nan"), "c2": "7", "not asked": "|A|"}
    arrays = {
        name: np.array([value], dtype=object if isinstance(value, str) else float) for name, value in facts.items()
    }
    np.testing.assert_array_equal(columns.each([facts], [0])[:, :-1], columns.rows(arrays, 1))
    few = columns.each([facts, {"c0": 1.5, "c2": "13"}], [4, 0])
    np.testing.assert_array_equal(few, [[1.5, np.nan, 7.0, 4.0], [1.5, np.nan, np.nan, 0.0]])
    np.testing.assert_array_equal(columns.rows({"c0": np.array([1.5])}, 1), [[1.5, np.nan, np.nan]])


def test_pairs_stand_customer_by_customer() -> None:
    rows, others = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[7.0], [8.0], [9.0]])
    found = pairs(rows, {0: 1, 2: 0}, others, {1: 0})
    assert found.tolist() == [[2, 7, 1], [2, 8, 1], [2, 9, 1], [4, 7, 3], [4, 8, 3], [4, 9, 3]]


def test_a_kernel_is_compiled_where_nothing_can_be_kept() -> None:
    """A function without a file stands for an installation that nobody may write to: Numba keeps neither."""
    room: dict[str, Any] = {"exp": exp}
    exec("def doubled(x):\n    return 2 * exp(x)", room)
    assert compiled(room["doubled"])(1.0) == 2 * exp(1.0)


def test_kernels_of_one_process_serve_the_next(tmp_path: Path) -> None:
    """What the first process compiled lies in a folder from which the second takes it."""
    script = (
        "import json, numpy as np; from serving.forests import leaves; from tests.serving.test_forest import *;"
        "told(laid_out(grown()), customers());"
        "print(json.dumps([sum(leaves.scores.stats.cache_hits.values()),"
        "sum(leaves.scores.stats.cache_misses.values())]))"
    )
    settings = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-c", script]
    first, second = (json.loads(subprocess.run(run, env=settings, capture_output=True, check=True).stdout)
                     for _ in range(2))  # fmt: skip
    assert (first, second) == ([0, 1], [1, 0])


def test_the_command_line_answers_without_the_compiler() -> None:
    script = (
        "import sys; from serving.cli import app; print(*{'numba', 'llvmlite', 'lightgbm', 'numpy'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told.strip() == ""

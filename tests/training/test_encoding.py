"""The one recipe: unseen codes, the marks of a missing value, pairs, and what is written down."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from features.vocabulary import Column, Kind
from training.encoding import Feature, Recipe, arrays_of, offer_features

AGE, TIER, RISK = (
    Column("age", Kind.INTEGER, ""), Column("tier", Kind.CODE, ""), Column("risk_level", Kind.INTEGER, ""),
)  # fmt: skip
OFFER_ID, OFFER_RISK, CHANNEL = (
    Column("offer_id", Kind.CODE, ""), Column("risk_level", Kind.INTEGER, ""), Column("channel", Kind.CODE, ""),
)  # fmt: skip


def codes(*values: str | None) -> np.ndarray:
    return np.array(values, dtype=object)


def recipe() -> Recipe:
    """Learnt from tiers V0 and V1, offers A and B and channel APP."""
    seen = {
        "age": np.array([30.0, 40.0]), "tier": codes("V1", "V0"), "risk_level": np.array([1.0, 2.0]),
        "offer_id": codes("B", "A"), "offer_risk_level": np.array([0.0, 5.0]), "channel": codes("APP", "APP"),
    }  # fmt: skip
    return Recipe.learn([AGE, TIER, RISK], [*offer_features([OFFER_ID, OFFER_RISK]), CHANNEL], seen)


def test_codes_are_places_in_the_alphabet_of_training_and_an_unseen_one_is_missing() -> None:
    flat = {
        "age": np.array([50.0, np.nan, 51.0]), "tier": codes("V1", None, "V9"), "risk_level": np.array([3.0, 3.0, 3.0]),
        "offer_id": codes("A", "B", "Z"), "offer_risk_level": np.array([4.0, 4.0, 4.0]),
        "channel": codes("APP", "SMS", "APP"),
    }  # fmt: skip
    nan = np.nan
    expected = [[50, 1, 3, 0, 4, 0], [nan, nan, 3, 1, 4, nan], [51, nan, 3, nan, 4, 0]]
    np.testing.assert_array_equal(recipe().encode(flat), np.array(expected, dtype=float))


def test_sets_and_dates_are_not_learnt_from() -> None:
    columns = [AGE, Column("tags", Kind.SET, ""), Column("last_txn_on", Kind.DATE, "")]
    assert Recipe.learn(columns, [], {"age": np.array([1.0])}).names == ("age",)


def test_customer_and_offer_keep_apart_though_both_have_a_risk_level() -> None:
    facts = {"age": np.array([30.0]), "tier": codes("V0"), "risk_level": np.array([2.0])}
    offers = {"offer_id": codes("A", "B"), "risk_level": np.array([0.0, 5.0]), "channel": codes("APP", "APP")}
    assert recipe().encode_pairs(facts, offers).tolist() == [[30, 0, 2, 0, 0, 0], [30, 0, 2, 1, 5, 0]]


@given(
    st.lists(st.tuples(st.integers(18, 99), st.sampled_from(["V0", "V1", "V2", None])), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from(["A", "B", "C"]), st.integers(0, 5)), min_size=1, max_size=6),
)
def test_pairs_are_the_rows_of_the_cross_join(
    people: list[tuple[int, str | None]], shelf: list[tuple[str, int]]
) -> None:
    n, m = len(people), len(shelf)
    facts = {
        "age": np.array([float(age) for age, _ in people]), "tier": codes(*[tier for _, tier in people]),
        "risk_level": np.full(n, 3.0),
    }  # fmt: skip
    offers = {
        "offer_id": codes(*[name for name, _ in shelf]), "risk_level": np.array([float(risk) for _, risk in shelf]),
        "channel": codes(*["APP"] * m),
    }  # fmt: skip
    flat = {name: np.repeat(values, m) for name, values in facts.items()}
    flat |= {"offer_id": np.tile(offers["offer_id"], n), "offer_risk_level": np.tile(offers["risk_level"], n),
             "channel": np.tile(offers["channel"], n)}  # fmt: skip
    np.testing.assert_array_equal(recipe().encode_pairs(facts, offers), recipe().encode(flat))


def test_a_recipe_survives_json() -> None:
    assert Recipe.from_json(json.loads(json.dumps(recipe().to_json()))) == recipe()


def test_every_mark_of_a_missing_value_in_pandas_comes_out_alike() -> None:
    frame = pd.DataFrame(
        {
            "flag": pd.array([True, None], dtype="boolean"),
            "count": pd.array([3, None], dtype="Int64"),
            "amount": [Decimal("1.50"), None],
            "number": [2.5, np.nan],
            "code": pd.Series(["x", pd.NA], dtype="string"),
            "text": ["y", float("nan")],
        }
    )
    kinds = [Kind.FLAG, Kind.INTEGER, Kind.AMOUNT, Kind.NUMBER, Kind.CODE, Kind.CODE]
    arrays = arrays_of(frame, [Feature(name, kind) for name, kind in zip(frame, kinds, strict=True)])
    firsts = [arrays[name][0] for name in frame]
    assert firsts == [1.0, 3.0, 1.5, 2.5, "x", "y"]
    assert all(arrays[name][1] is None if kind is Kind.CODE else np.isnan(arrays[name][1])
               for name, kind in zip(frame, kinds, strict=True))  # fmt: skip


def test_the_request_path_encodes_without_pandas_lightgbm_or_ibis() -> None:
    program = (
        "import sys, training.encoding; print(*{'pandas', 'lightgbm', 'ibis', 'mlflow', 'scipy'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.strip() == ""

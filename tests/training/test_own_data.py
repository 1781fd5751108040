"""A table that is not ours, with names of its own, comes to the same report without a line of the package changed."""

from __future__ import annotations

import html
import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.errors import UserMistake
from training.judging.own_data import Told, features_of, judge_arms, judge_outcomes


def shop(n: int = 8_000, seed: int = 2) -> pd.DataFrame:
    """Shoppers sent a coupon by lot, two in three; it moves those of town A by .25, and puts off those of C by .2."""
    chance = np.random.default_rng(seed)
    town = chance.choice(["A", "B", "C"], n)
    sent = chance.choice(["coupon", "nothing"], n, p=[2 / 3, 1 / 3])
    visits = chance.poisson(2, n)
    p = 0.2 + 0.08 * visits.clip(0, 4) / 2 + (sent == "coupon") * pd.Series(town).map({"A": 0.25, "B": 0.0, "C": -0.2})
    return pd.DataFrame({
        "Shopper No.": [f"s{place:05d}" for place in range(n)], "sent": sent,
        "odds": np.where(sent == "coupon", 2, 1) / 3, "town": town, "visits so far": visits,
        "is member": chance.random(n) < 0.4,
        "joined": pd.Timestamp("2024-01-01") + pd.to_timedelta(chance.integers(0, 99, n), "D"),
        "when": pd.Timestamp("2025-03-01") + pd.to_timedelta(chance.integers(0, 60, n), "D"),
        "bought": (chance.random(n) < p).astype(int),
    })  # fmt: skip


@pytest.fixture(scope="module")
def told() -> Told:
    frame = shop()
    before = frame.copy()
    found = judge_arms(frame, customer="Shopper No.", treatment="sent", told="coupon", untold="nothing",
                       outcome="bought", propensity="odds", at="when")  # fmt: skip
    pd.testing.assert_frame_equal(frame, before)
    return found


def test_a_randomised_table_says_whom_telling_moves_and_whom_it_puts_off(told: Told) -> None:
    assert told.title == "coupon against nothing: effect on bought"
    assert told.figures["ours"]["qini"].low > 0
    assert told.figures["ours"]["uplift_at_30"].low > 0.1
    assert any(sentence.startswith("better than telling everybody") for sentence in told.sentences)
    assert any(sentence.startswith("left alone: last") for sentence in told.sentences)
    assert set(told.figures) == {"ours", "random", "dr", "t", "s", "mean", "response", "together"} - {
        told.facts["chosen on training rows"]
    }
    towns = pd.DataFrame({"town": ["A", "B", "C"], "visits so far": 2.0, "is member": False})
    effects = dict(zip(towns["town"], told.model.predict(towns), strict=True))
    assert effects["A"] > effects["B"] > effects["C"]
    assert effects["C"] < 0


def test_rows_with_an_instant_are_split_by_it_and_judged_on_the_later_ones(told: Told) -> None:
    assert str(told.facts["split"]).startswith("by time, test from 2025-04-1")
    assert told.facts["left out, other arms"] == 0


def test_the_report_is_one_file_that_needs_nothing_beside_it(told: Told, tmp_path: Path) -> None:
    told.write(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert all(mark not in page for mark in ("http://", "https://", "<script", "<link", "src="))
    for metric in told.figures["ours"]:
        assert metric in page
        assert metric in str(told)
    assert str(told.figures["ours"]["qini"]) in page
    assert json.loads(json.dumps(told.to_json()))["sentences"] == list(told.sentences)


def test_a_plain_table_without_arms_says_who_answers_beside_simpler_models() -> None:
    frame = shop().drop(columns=["sent", "odds"])
    found = judge_outcomes(frame, customer="Shopper No.", outcome="bought", seed=1)
    assert set(found.figures) == {"random", "constant", "plain", "ours"}
    assert found.figures["ours"]["auc"].low > 0.52
    assert "by customers" in str(found.facts["split"])
    assert found.facts["train"] + found.facts["test"] == len(frame)  # type: ignore[operator]  # counts among texts
    assert "alone" in found.sentences[0]


@pytest.mark.parametrize("name", ["visits, so far [in 2025]", "到店 次数", "a:b{c}"])
def test_a_column_may_have_any_name_even_the_one_that_tells_most(name: str) -> None:
    frame = shop(2_000)[["Shopper No.", "visits so far", "bought"]].rename(columns={"visits so far": name})
    found = judge_outcomes(frame, customer="Shopper No.", outcome="bought")
    assert f"model of {name} alone" in found.sentences[0]
    assert found.figures["plain"] == found.figures["ours"]


def test_columns_that_are_names_or_dates_are_no_features() -> None:
    columns = {column.name: str(column.kind) for column in features_of(shop(), {"bought"})}
    assert columns == {"sent": "code", "odds": "number", "town": "code", "visits so far": "number", "is member": "flag"}


def test_columns_that_were_known_only_afterwards_are_suspect_and_named(told: Told) -> None:
    assert not [sentence for sentence in told.sentences if "suspect" in sentence or "who was told shows" in sentence]
    frame = shop(3_000)
    frame = frame.assign(opened=(frame["sent"] == "coupon") * 1.0, paid=frame["bought"] * 9.5)
    asked = {"customer": "Shopper No.", "treatment": "sent", "told": "coupon", "untold": "nothing", "outcome": "bought"}
    found = judge_arms(frame, propensity={"coupon": 2 / 3, "nothing": 1 / 3}, leave_out=["odds"], **asked)
    assert any(sentence.startswith("suspect: ") and "paid" in sentence for sentence in found.sentences)
    assert any("who was told shows in a column" in sentence and "opened" in sentence for sentence in found.sentences)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"outcome": "town"}, "holds something else: 'A'|holds something else"),
        ({"customer": "id"}, "no such column"),
        ({"propensity": {"coupon": 0.5}}, "an arm has no propensity"),
        ({"propensity": "chances"}, "no such column"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_what_is_wrong(changes: dict[str, object], says: str) -> None:
    asked = {"customer": "Shopper No.", "treatment": "sent", "told": "coupon", "untold": "nothing",
             "outcome": "bought", "propensity": "odds"} | changes  # fmt: skip
    with pytest.raises(UserMistake, match=says):
        judge_arms(shop(500), **asked)  # type: ignore[arg-type]  # what a user may write


@pytest.mark.slow
def test_the_ten_lines_of_the_page_judge_an_email_test_with_three_arms_as_it_lies(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/uplift.md, word by word, where mails.csv is a table that is not ours."""
    mails = pd.read_csv(shared_data / "hillstrom" / "hillstrom.csv.gz")
    mails.to_csv(tmp_path / "mails.csv", index_label="id")
    page = (Path(__file__).parents[2] / "docs" / "uplift.md").read_text("utf-8")
    lines = textwrap.dedent(page.partition("ten lines\n\n")[2].partition("\n\nEvery column")[0])
    assert len([line for line in lines.splitlines() if line]) <= 10
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(lines, "docs/uplift.md", "exec"), names)  # the page is ours
    found = names["told"]
    assert "Womens E-Mail against No E-Mail: effect on visit" in capsys.readouterr().out
    assert found.sentences[0] in html.unescape((tmp_path / "report.html").read_text("utf-8"))
    assert found.facts["left out, other arms"] == (mails["segment"] == "Mens E-Mail").sum()
    assert found.facts["train"] + found.facts["test"] == len(mails) - found.facts["left out, other arms"]  # type: ignore[operator]  # counts
    assert found.figures["ours"]["qini"].low > 0
    raw = mails.groupby("segment")["visit"].mean()
    average = found.facts["average_effect"]
    assert float(str(average)) == pytest.approx(raw["Womens E-Mail"] - raw["No E-Mail"], abs=0.006)


@pytest.mark.slow
def test_a_promotion_is_judged_straight_from_its_file_and_its_answer_by_itself_too(shared_data: Path) -> None:
    drawn = pd.read_csv(shared_data / "starbucks_promo_rct" / "training.csv")
    asked = {"customer": "ID", "outcome": "purchase", "leave_out": ["Promotion"]}
    found = judge_arms(drawn, treatment="Promotion", told="Yes", untold="No", propensity={"Yes": 0.5, "No": 0.5},
                       **(asked | {"leave_out": []}))  # fmt: skip
    assert [column.name for column in features_of(drawn, {"ID", "Promotion", "purchase"})] == [
        f"V{place}" for place in range(1, 8)
    ]
    assert found.facts["train"] + found.facts["test"] == len(drawn)  # type: ignore[operator]  # counts
    assert found.figures["ours"]["qini"].low > 0
    bought = drawn.groupby("Promotion")["purchase"].mean()
    assert float(str(found.facts["average_effect"])) == pytest.approx(bought["Yes"] - bought["No"], abs=0.002)
    answered = judge_outcomes(drawn, **asked)
    assert answered.figures["ours"]["auc"].low > 0.5

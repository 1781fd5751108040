"""A bank whose older months were built before a column came in: who compares goes on, who needs it refuses."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features import profiles
from features.errors import MissingBuild
from features.gaps import gap_of
from serving import jobs
from serving.cli import app
from serving.month.month_drift import drift_of
from tests.console.english import english_in
from training.ground import ground_of

LATE = {"region": date(2025, 11, 30), "mda_peak_12m": date(2025, 12, 31)}  # the first month that holds each
LAST = date(2025, 12, 31)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four months of a small bank, all built by one version."""
    home = tmp_path_factory.mktemp("whole") / "home"
    jobs.simulate(home, customers=150, months=4, seed=7, last_on=jobs.LAST_SIMULATED, progress=lambda *_: None)
    assert CliRunner().invoke(app, ["build", "--home", str(home)]).exit_code == 0
    return home


@pytest.fixture
def home(whole: Path, tmp_path: Path) -> Path:
    """The same, its older files as a version without the columns LATE has written them."""
    place = Path(shutil.copytree(whole, tmp_path / "home"))
    for build in profiles.builds(place):
        rows = pq.read_table(build.path)
        pq.write_table(rows.drop_columns([name for name, day in LATE.items() if build.as_of < day]), build.path)
    return place


def test_drift_names_the_columns_and_their_first_build_and_goes_on_with_the_others(home: Path, whole: Path) -> None:
    told, undisturbed = drift_of(home, LAST), drift_of(whole, LAST)
    assert set(undisturbed["month_before"]) - set(told["month_before"]) == {"mda_peak_12m"}, "November holds the region"
    for name, one in told["month_before"].items():
        assert one == undisturbed["month_before"][name], name
    said = (
        "months from 2025-09 on were built before a column came in: mda_peak_12m (there since 2025-12), region (there"
    )
    assert told["says"].endswith(f"{said} since 2025-11); `tiercel build --restate 2025-09` builds them anew")
    assert "mda_peak_12m（始于 2025-12）、region（始于 2025-11）" in told["says_zh"]
    assert english_in(told["says_zh"].partition("`")[0]) == []
    assert "restate" not in undisturbed["says"] + undisturbed["says_zh"]


def test_a_column_that_no_month_holds_is_told_as_such(home: Path) -> None:
    found = gap_of(list(profiles.builds(home)), ["mda", "brand_new"])
    assert found is not None
    assert (found.since, found.first_on) == ({"brand_new": None}, date(2025, 9, 30))
    assert "brand_new (in no month)" in found.sentence()
    assert gap_of(list(profiles.builds(home)), ["mda", "tier"]) is None


def test_training_refuses_in_one_sentence_that_says_what_to_do(home: Path) -> None:
    with pytest.raises(MissingBuild, match="`tiercel build --restate 2025-09` builds them anew"):
        ground_of(home)
    answer = CliRunner().invoke(app, ["train", "churn", "--home", str(home)])
    assert (answer.exit_code, "region (there since 2025-11)" in answer.stderr) == (2, True)


def test_a_day_is_published_as_soon_as_the_newest_month_is_whole(home: Path) -> None:
    """The older months do not matter to it; a newest month without the column does, and the sentence says so."""
    newest = list(profiles.builds(home))[-1]
    pq.write_table(pq.read_table(newest.path).drop_columns(["region"]), newest.path)
    answer = CliRunner().invoke(app, ["day", "--home", str(home)])
    assert (answer.exit_code, "`tiercel build --restate 2025-12`" in answer.stderr) == (2, True)


def test_what_the_sentence_says_mends_it(home: Path) -> None:
    answer = CliRunner().invoke(app, ["build", "--restate", "2025-09", "--home", str(home)])
    assert answer.exit_code == 0, answer.output
    assert "restate" not in drift_of(home, LAST)["says"]
    assert ground_of(home).build.as_of == LAST

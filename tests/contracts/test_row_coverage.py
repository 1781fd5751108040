"""docs/coverage.md says which promise is tested; it must be true, and a promise once kept stays kept."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

HERE = Path(__file__).parent
coverage = SimpleNamespace(**runpy.run_path(str(HERE / "row_coverage.py")))
ROOMS = {"features", "training", "decisioning", "insight", "serving", "simulation"}


def folder_with(tmp_path: Path, source: str) -> Path:
    (tmp_path / "test_rows.py").write_text(source, "utf-8")
    return tmp_path


def test_the_list_of_promises_is_complete_and_each_says_one_sentence() -> None:
    promises = coverage.rows()
    expected = {"A": 11, "B": 8, "C": 12, "D": 13, "E": 11, "F": 6, "G": 6, "X": 22, "I": 6, "K": 15}
    assert [row.id for row in promises] == [f"{a}{n:02}" for a, count in expected.items() for n in range(1, count + 1)]
    for row in promises:
        assert row.room in ROOMS, row
        assert re.fullmatch(r"[A-Z].{30,}\.", row.says), f"{row.id}: one sentence with a full stop"
        assert "|" not in row.says, f"{row.id}: a bar would break the table of docs/coverage.md"


def test_every_acceptance_test_named_by_an_id_belongs_to_a_promise() -> None:
    unknown = set(coverage.found_in()) - {row.id for row in coverage.rows()}
    assert not unknown, f"tests name rows that rows.yaml does not have: {sorted(unknown)}"


def test_no_promise_lost_its_test() -> None:
    assert not coverage.lost(coverage.PAGE.read_text("utf-8"), coverage.found_in())


def test_the_page_is_up_to_date() -> None:
    page = coverage.render(coverage.rows(), coverage.found_in())
    assert coverage.PAGE.read_text("utf-8") == page, "docs/coverage.md is stale: run `make coverage`"


def test_a_page_remembers_the_tests_it_was_written_with(tmp_path: Path) -> None:
    found = coverage.found_in(folder_with(tmp_path, "def test_A01_one(): ...\ndef test_A01_two(): ...\n"))
    page = coverage.render(coverage.rows(), found)
    assert coverage.remembered(page) == {"A01": ["test_A01_one", "test_A01_two"]}
    assert "**1 of 110 promises have a test.**" in page
    assert not coverage.lost(page, found)
    assert coverage.lost(page, {"A02": ["test_A02_other"]})[0].startswith("row A01 lost its test")


@pytest.mark.parametrize("mark", ["@pytest.mark.skip", "@pytest.mark.xfail(reason='later')"])
def test_a_test_that_does_not_run_keeps_no_promise(tmp_path: Path, mark: str) -> None:
    source = f"import pytest\n{mark}\ndef test_A01_one(): ...\ndef test_A02_two(): ...\n"
    assert coverage.found_in(folder_with(tmp_path, source)) == {"A02": ["test_A02_two"]}

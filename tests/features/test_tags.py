"""Tags: each has a definition, an owner and an end; what has ended is not shown, and C3 never enters."""

from __future__ import annotations

import copy
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from features.bank.tables import TABLES
from features.errors import BadPolicy
from features.facts import FACTS
from features.policy import SHIPPED, PolicyBook, SegmentsPolicy, segments
from features.policy_book import load_yaml
from features.segments.tags import living, registry
from features.vocabulary import Sensitivity
from serving.cli import app
from serving.policy_files import dump_sections, load_sections
from tests.decisioning.builders import column

TODAY = date(2025, 12, 31)
DEFINED = segments().view(TODAY).tags


def objects(*values: str | None) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def test_every_tag_of_the_registry_says_what_it_means_whose_it_is_and_when_it_ends() -> None:
    rows = registry(DEFINED)
    assert [row["tag"] for row in rows] == sorted(DEFINED)
    for row in rows:
        assert all(row.values()), row
        assert row["expires_days"] > 31, "a tag must live until the next month is out"
        assert row["sensitivity"] in ("C1", "C2")
    assert not any(letter.isascii() and letter.isalpha() for row in rows for letter in row["owner_zh"])
    assert len({row["zh"] for row in rows}) == len({row["en"] for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("tag", "holds", "fails"),
    [
        ("effective", {"mda": 1_000.0, "n_txn_3m": 0}, {"mda": 999.99, "n_txn_3m": 0}),  # R23: money, or a movement
        ("effective", {"mda": 0.0, "n_txn_3m": 1}, {"mda": 0.0, "n_txn_3m": 0}),
        ("long_tail", {"tier": "V2"}, {"tier": "V3"}),  # R04
        ("rescue", {"tier": "V4", "grade": "D"}, {"tier": "V4", "grade": "C"}),
        ("rescue", {"tier": "V4", "grade": "E"}, {"tier": "V3", "grade": "E"}),
        ("rising", {"tier": "V2", "grade": "B"}, {"tier": "V3", "grade": "B"}),
        ("rising", {"tier": "V0", "grade": "A"}, {"tier": "V0", "grade": "C"}),
        ("life_young", {"age": 34}, {"age": 35}),
        ("life_middle", {"age": 35}, {"age": 60}),
        ("life_elder", {"age": 60}, {"age": 59}),
    ],
)
def test_a_shipped_tag_begins_and_ends_where_its_rule_says(
    tag: str, holds: dict[str, Any], fails: dict[str, Any]
) -> None:
    columns = {name: column(name, [holds[name], fails[name], None]) for name in holds}
    assert DEFINED[tag].rule.truth(columns).true.tolist() == [True, False, False], "and what is not known is no tag"


def test_the_registry_can_be_asked_for_by_command(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["policy", "tags", "--home", str(tmp_path), "--json"])
    assert answer.exit_code == 0
    assert json.loads(answer.output) == registry(DEFINED)
    told = CliRunner().invoke(app, ["policy", "tags", "--home", str(tmp_path)]).output.splitlines()
    assert [line.split()[0] for line in told] == sorted(DEFINED)
    assert "payroll 代发 (payroll desk, 92 days, C2): n_salary_3m >= 2" in told


def test_a_tag_lives_to_the_end_of_its_last_day_and_the_others_stay() -> None:
    ends = {name: tag.expires_days for name, tag in DEFINED.items()}
    for name, days in ends.items():
        for age, expected in ((0.0, f"|{name}|"), (float(days), f"|{name}|"), (days + 0.01, "|")):
            assert living(objects(f"|{name}|"), np.array([age]), DEFINED).tolist() == [expected], (name, age)
    everything = "|".join(["", *DEFINED, ""])
    for age in sorted({0, *ends.values(), *(days + 1 for days in ends.values())}):
        (left,) = living(objects(everything), np.array([float(age)]), DEFINED)
        assert {tag for tag in left.split("|") if tag} == {name for name, days in ends.items() if age <= days}


def test_what_nobody_defines_or_what_has_no_date_is_not_shown() -> None:
    tags = objects("|near_up|gone|", "|near_up|", None, "|")
    ages = np.array([1.0, np.nan, np.nan, 1.0])
    assert living(tags, ages, DEFINED).tolist() == ["|near_up|", "|", None, "|"]


def test_a_home_adds_to_the_shipped_tags_replaces_one_and_takes_one_out(tmp_path: Path) -> None:
    """The very lines of docs/families/tags.md."""
    page = (Path(__file__).parents[2] / "docs/families/tags.md").read_text("utf-8")
    said = page.split("```yaml\n")[1].split("```")[0]
    longer = load_yaml(SHIPPED / "tags.yaml", BadPolicy)["won_back"] | {"expires_days": 92}
    (tmp_path / "tags.yaml").write_text(said + yaml.safe_dump({"won_back": longer}, allow_unicode=True), "utf-8")
    book = segments(tmp_path)
    found = book.view(TODAY).tags
    assert set(found) == {*DEFINED, "key_client"} - {"looks_away"}
    assert (found["key_client"].zh, found["key_client"].rule.text) == (
        "重点客户", "tier in ('VIP', 'VVIP') and n_holdings >= 3",
    )  # fmt: skip
    assert (found["won_back"].expires_days, found["won_back"].zh) == (92, DEFINED["won_back"].zh)
    assert {name: tag for name, tag in found.items() if name not in ("key_client", "won_back")} == {
        name: tag for name, tag in DEFINED.items() if name not in ("looks_away", "won_back")
    }
    assert segments().view(TODAY).tags == DEFINED, "the shipped book stays as it is"
    assert book_from_text(dump_sections(book.sections)).view(TODAY).tags == found, "a release keeps what was added"


def test_the_check_names_a_rule_that_asks_for_a_tag_that_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "policy" / "segments"
    folder.mkdir(parents=True)
    (folder / "tags.yaml").write_text("digital_silver: null\n", "utf-8")
    answer = CliRunner().invoke(app, ["policy", "check", "--home", str(tmp_path)])
    assert answer.exit_code != 0
    assert "tags is never 'digital_silver'" in answer.output


def book_from_text(text: str) -> PolicyBook[SegmentsPolicy]:
    return PolicyBook(SegmentsPolicy, load_sections(text))


@pytest.mark.parametrize(
    ("change", "said"),
    [({"sensitivity": "C3"}, "sensitivity"), ({"owner": ""}, "owner"), ({"expires_days": 0}, "expires_days"),
     ({"rule": "face_print == 'x'", "sensitivity": "C3"}, "sensitivity")],
)  # fmt: skip
def test_a_tag_without_owner_or_end_or_of_C3_is_refused(change: dict[str, Any], said: str) -> None:
    sections = copy.deepcopy(dict(segments().sections))
    sections["tags"]["near_up"] |= change
    with pytest.raises(BadPolicy, match=rf"tags\.near_up\.{said}"):
        PolicyBook(SegmentsPolicy, sections).view(TODAY)


def test_no_table_and_no_fact_holds_anything_of_C3() -> None:
    columns = [column for table in TABLES.values() for column in table.columns] + list(FACTS.values())
    assert len(columns) > 200
    assert [column.name for column in columns if column.sensitivity is Sensitivity.C3] == []

"""Dated policy: what is in force on a day, who replaces whom, and which mistakes are told."""

from __future__ import annotations

import copy
import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from features.errors import BadPolicy
from features.policy import SHIPPED, PolicyBook, SegmentsPolicy, segments
from features.segments.classes import known_columns
from features.vocabulary import Stage

BEGAN = date(1990, 1, 1)
TODAY = date(2025, 12, 31)


def book(change: Callable[[dict[str, Any]], None] | None = None) -> PolicyBook[SegmentsPolicy]:
    """The shipped book, with `change` made to a copy of its sections."""
    sections = copy.deepcopy(dict(segments().sections))
    if change:
        change(sections)
    return PolicyBook(SegmentsPolicy, sections)


def dated(value: Any, *, later: Any = None, on: date = date(2024, 7, 1)) -> dict[str, Any]:
    return {"unit": "under test", "source": "R10", "since": {BEGAN: value} | ({on: later} if later is not None else {})}


def set_near_up(value: Any, **more: Any) -> Callable[[dict[str, Any]], None]:
    def change(sections: dict[str, Any]) -> None:
        sections["tiers"]["near_up_share"] = dated(value, **more)

    return change


def every_dated_value(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "since" in node:
            yield path, node
        for key, child in node.items():
            yield from every_dated_value(child, f"{path}.{key}")


def test_a_value_holds_from_its_day_on_and_a_later_one_takes_its_place() -> None:
    policy = book(set_near_up(0.8, later=0.9))
    figures = [policy.view(day).tiers.near_up_share for day in (BEGAN, date(2024, 6, 30), date(2024, 7, 1), TODAY)]
    assert figures == [0.8, 0.8, 0.9, 0.9]


def test_the_version_is_the_day_of_the_newest_value_in_force() -> None:
    policy = book(set_near_up(0.8, later=0.9))
    assert [policy.view(day).version for day in (date(2024, 6, 30), TODAY)] == [BEGAN, date(2024, 7, 1)]
    assert policy.dates() == [BEGAN, date(2024, 7, 1)]


def test_before_its_first_day_a_policy_is_an_error_that_names_value_and_day() -> None:
    with pytest.raises(BadPolicy, match=r"has not begun on 1989-12-31; allowed: from 1990-01-01 on"):
        segments().view(BEGAN - timedelta(days=1))


def test_one_value_that_begins_later_than_the_rest_is_named() -> None:
    def change(sections: dict[str, Any]) -> None:
        sections["tiers"]["near_up_share"]["since"] = {date(2020, 1, 1): 0.8}

    with pytest.raises(BadPolicy, match=r"tiers\.near_up_share has not begun on 2019-12-31"):
        book(change).view(date(2019, 12, 31))
    assert book(change).view(date(2020, 1, 1)).tiers.near_up_share == 0.8


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(BadPolicy, match=r"tiers\.near_down_share: unknown key \(allowed: .*near_up_share.*\)"):
        book(lambda s: s["tiers"].update(near_down_share=0.5)).view(TODAY)


def test_an_unknown_section_is_refused_by_name() -> None:
    with pytest.raises(BadPolicy, match=r"weather: unknown key \(allowed: activity, bank, .*tiers, value\)"):
        book(lambda s: s.update(weather={"rain": 1})).view(TODAY)


def test_an_unknown_key_beside_a_date_is_refused_by_name() -> None:
    with pytest.raises(BadPolicy, match=r"tiers\.near_up_share has unknown keys.*until"):
        book(lambda s: s["tiers"]["near_up_share"].update(until=TODAY)).view(TODAY)


def test_a_section_of_the_home_replaces_the_shipped_one_whole(tmp_path: Path) -> None:
    tiers = {
        "thresholds": dated({"BASIC": 0, "GOLD": 100}),
        "grace": {"default": dated({"watch_after_months": 1, "demote_after_months": 2})},
        "near_up_share": dated(0.5),
        "near_up_from": dated("BASIC"),
        "benefits": dated({"BASIC": [], "GOLD": ["LOUNGE"]}),
    }
    (tmp_path / "tiers.yaml").write_text(yaml.safe_dump(tiers), "utf-8")
    view = segments(tmp_path).view(TODAY)
    assert list(view.tiers.thresholds) == ["BASIC", "GOLD"]
    assert view.tiers.grace_of("GOLD").demote_after_months == 2
    assert view.grades == segments().view(TODAY).grades


def test_a_home_without_a_folder_has_the_shipped_policy(tmp_path: Path) -> None:
    assert segments(tmp_path / "policy").view(TODAY) == segments().view(TODAY)


def test_a_folder_without_policy_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(BadPolicy, match="no policy files found"):
        PolicyBook.read(SegmentsPolicy, tmp_path)


def test_the_digest_changes_when_a_value_in_force_changes_and_only_then() -> None:
    shipped = segments().view(TODAY).digest
    other_source = book(lambda s: s["tiers"]["near_up_share"].update(source="R11"))
    assert other_source.view(TODAY).digest == shipped
    same_again = book(set_near_up(0.8, later=0.8))
    assert same_again.view(TODAY).digest == shipped
    changed = book(set_near_up(0.8, later=0.9))
    assert changed.view(date(2024, 6, 30)).digest == shipped
    assert changed.view(TODAY).digest != shipped


def test_the_digest_does_not_depend_on_the_folder_the_files_lie_in(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "copy")
    assert PolicyBook.read(SegmentsPolicy, tmp_path / "copy").view(TODAY).digest == segments().view(TODAY).digest


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lifetimes.yaml").write_text("profile: 62\nprofile: 31\n", "utf-8")
    with pytest.raises(BadPolicy, match="key 'profile' stands twice"):
        segments(tmp_path)


def test_a_mapping_may_be_written_once_and_merged_into_others(tmp_path: Path) -> None:
    text = "profile: &since {unit: days, source: R51, since: {1990-01-01: 62}}\ntoday: {<<: *since}\n"
    (tmp_path / "lifetimes.yaml").write_text(text, "utf-8")
    assert segments(tmp_path).view(TODAY).lifetimes == {"profile": 62, "today": 62}


def test_words_that_other_readers_take_for_truth_values_stay_words(tmp_path: Path) -> None:
    (tmp_path / "lifetimes.yaml").write_text("profile: no\n", "utf-8")
    with pytest.raises(BadPolicy, match=r"lifetimes\.profile: .*got 'no'"):
        segments(tmp_path).view(TODAY)


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ("tiers", {"near_up_from": "V9"}, r"near_up_from names unknown tiers \['V9'\]"),
        ("tiers", {"near_up_from": "default"}, r"near_up_from names unknown tiers \['default'\]"),
        ("tiers", {"owners": {"V0": "AUTOMATED"}}, "a desk for every tier or for none"),
        ("tiers", {"thresholds": {"V0": 1, "V1": 2}}, "begin at 0"),
        ("tiers", {"thresholds": {"V0": 0, "V1": 5, "V2": 5}}, "ascend strictly"),
        ("grades", {"weights": {"aum": 0.5, "services": 0.4}}, "must sum to 1"),
        ("lifecycle", {"mature_spread_share": 1.5}, "less than or equal to 1"),
        ("bank", {"consent_basis": "maybe"}, "consent_basis"),
    ],
)
def test_figures_that_do_not_hold_together_are_refused(section: str, change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadPolicy, match=said):
        book(lambda s: s[section].update(change)).view(TODAY)


def test_the_long_tail_is_looked_after_by_machine_and_each_desk_above_it_by_people() -> None:
    owners = segments().view(TODAY).tiers.owners
    desks = [name for name, _ in itertools.groupby(owners.values())]
    assert desks == ["AUTOMATED", "RM_DESK", "WEALTH_DESK", "PRIVATE_BANK"], "R04, from V0 up"
    assert [tier for tier, desk in owners.items() if desk == "AUTOMATED"] == ["V0", "V1", "V2"]
    assert [tier for tier, desk in owners.items() if desk == "PRIVATE_BANK"] == ["VVIP"]


def test_a_rule_that_cannot_be_read_is_refused_where_it_stands() -> None:
    with pytest.raises(BadPolicy, match=r"classes\.SILVER\.rule.*age"):
        book(lambda s: s["classes"]["classes"]["SILVER"].update(rule="age >>> 60")).view(TODAY)


def test_classes_need_one_that_takes_everybody_who_is_left() -> None:
    with pytest.raises(BadPolicy, match="exactly the class of the last precedence has no rule"):
        book(lambda s: s["classes"]["classes"].pop("MASS")).view(TODAY)


def test_shipped_values_state_unit_and_source() -> None:
    for path, value in every_dated_value(dict(segments().sections)):
        assert value.get("unit"), path
        assert re.fullmatch(r"(R\d\d|practice|assumption)(, (R\d\d|practice))*", value["source"]), path
        assert min(value["since"]) == BEGAN, path


def test_shipped_figures_are_those_of_the_rules() -> None:
    view = segments().view(TODAY)
    assert list(view.tiers.thresholds.values()) == [
        0,
        10_000,
        50_000,
        200_000,
        500_000,
        1_000_000,
        3_000_000,
        6_000_000,
    ]
    default, private = view.tiers.grace_of("V4"), view.tiers.grace_of("VVIP")
    assert (default.watch_after_months, default.demote_after_months) == (3, 6)
    assert (private.watch_after_months, private.demote_after_months) == (6, 12)
    assert [name for name, _ in view.classes.ranked()] == [
        "SPECIAL_ID", "SILVER", "BIZ_OWNER", "WEALTH", "PAYROLL", "CREDIT", "YOUNG", "MASS",
    ]  # fmt: skip


def test_shipped_class_rules_ask_only_what_is_known_before_the_class_is() -> None:
    columns = known_columns()
    for _, card in segments().view(TODAY).classes.ranked():
        for rule in (card.rule, card.keep):
            if rule is not None:
                rule.check(columns)


def test_of_all_42_moves_between_stages_the_legal_ones_are_these() -> None:
    moves = segments().view(TODAY).lifecycle.legal_moves
    assert {str(origin): set(moves[origin]) for origin in Stage} == {
        "PROSPECT": {"NEW", "LOST"},
        "NEW": {"GROWTH", "MATURE", "DECLINE", "LOST"},
        "GROWTH": {"MATURE", "DECLINE", "DORMANT", "LOST"},
        "MATURE": {"GROWTH", "DECLINE", "DORMANT", "LOST"},
        "DECLINE": {"GROWTH", "MATURE", "DORMANT", "LOST"},
        "DORMANT": {"GROWTH", "LOST"},
        "LOST": {"NEW"},
    }

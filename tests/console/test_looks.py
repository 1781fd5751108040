"""Words in both languages, contrast that can be read, and charts whose geometry tells the figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.catalogue.hooks import Step
from decisioning.policy import decisions
from features.decline import SIGNS
from features.policy import segments
from features.vocabulary import Outcome, Purpose, Stage, TierState
from serving.console import drawing, formats
from serving.console.words import words
from serving.key_file import ROLES
from serving.matrix.rosters import ROSTERS
from tests.serving.homes import AS_OF

CONSOLE = Path(__file__).parents[2] / "serving" / "console"
CSS = (CONSOLE / "static" / "console.css").read_text("utf-8")
TEMPLATES = sorted((CONSOLE / "templates").glob("*.html"))


def asked_for(template: Path) -> Iterator[str]:
    """Keys that a template asks for by name."""
    yield from re.findall(r"\bt\('([a-z0-9_.]+)'[,)]", template.read_text("utf-8"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_every_word_that_a_template_asks_for_is_there(template: Path) -> None:
    assert [key for key in asked_for(template) if key not in words()] == []


def test_every_code_that_the_engine_names_has_a_word() -> None:
    who = segments().view(AS_OF)
    anchors = [
        f"{anchor}.{side}"
        for anchor in get_args(Step.model_fields["anchor"].annotation)
        for side in ("before", "on", "after")
    ]
    named = {
        "stage": Stage, "state": TierState, "outcome": Outcome, "purpose": Purpose, "role": ROLES, "anchor": anchors,
        "sign": SIGNS,
        "factor": who.grades.weights, "side": ("better", "worse", "even"), "list": ROSTERS,
        "benefit": {benefit for benefits in who.tiers.benefits.values() for benefit in benefits},
        "desk": set(who.tiers.owners.values()),
    }  # fmt: skip
    missing = [
        f"{group}.{code}" for group, codes in named.items() for code in codes if f"{group}.{code}" not in words()
    ]
    assert missing == []


def test_what_the_policy_names_on_a_page_has_words_in_both_languages() -> None:
    """Classes, channels, hooks with their measure, every step with what it asks for: nobody reads a code."""
    who, what = segments().view(AS_OF), decisions().view(AS_OF)
    said = [*who.classes.classes.items(), *what.channels.items(), *what.hooks.items(), *what.products.items()]
    assert [name for name, one in said if not (one.zh and one.en)] == []  # type: ignore[attr-defined]  # each has both
    assert [hook_id for hook_id, hook in what.hooks.items() if not hook.kpi_zh] == []
    for hook_id, hook in what.hooks.items():
        for step in hook.steps:
            where = f"{hook_id} step {step.no}"
            assert step.zh, where
            assert step.en, where
            assert (step.condition is None) == (step.only_zh == "") == (step.only_en == ""), where


def test_every_word_has_two_languages_with_the_same_places() -> None:
    for key, said in words().items():
        assert set(said) == {"zh", "en"}, key
        assert all(said.values()), key
        places = [sorted(re.findall(r"{(\w+)", text)) for text in said.values()]
        assert places[0] == places[1], key
        assert not re.search(r"[,;:()](?![^{]*})", re.sub(r"{[^}]*}", "", said["zh"])), key  # Chinese has its own marks


def colours() -> dict[str, str]:
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", CSS))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2: (lighter + .05) / (darker + .05)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_the_guideline_says() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("heat", range(drawing.HEATS))
def test_a_figure_on_every_step_of_the_heat_can_be_read(heat: int) -> None:
    found = colours()
    ink = re.search(rf"\.heat-{heat} \{{ background: var\(--heat-{heat}\); color: var\(--([a-z-]+)\)", CSS)
    assert ink is not None
    assert contrast(found[f"heat-{heat}"], found[ink[1]]) >= 4.5


def test_text_on_every_ground_can_be_read_and_the_scale_darkens() -> None:
    found = colours()
    pairs = [("ink", "paper"), ("ink", "sheet"), ("soft", "paper"), ("soft", "sheet"), ("accent", "paper"),
             ("accent", "sheet"), ("better", "paper"), ("worse", "paper"),
             ("on-accent", "accent"), ("warn", "warn-paper"), ("done", "done-paper")]  # fmt: skip
    assert [pair for pair in pairs if contrast(found[pair[0]], found[pair[1]]) < 4.5] == []
    scale = [luminance(found[f"heat-{i}"]) for i in range(drawing.HEATS)]
    assert scale == sorted(scale, reverse=True)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=60))
def test_more_is_never_paler(values: list[float]) -> None:
    most = max(values)
    heats = [drawing.heat(value, most) for value in sorted(values)]
    assert heats == sorted(heats)
    assert all((heat == 0) == (value == 0) for heat, value in zip(heats, sorted(values), strict=True))


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("ABCD"), st.sampled_from("ABCD")),
        st.tuples(st.integers(0, 10_000), st.sampled_from([True, False, None])),
        max_size=16,
    )
)
def test_moves_are_drawn_each_once_the_worse_below_and_inside_the_drawing(
    told: dict[tuple[str, str], tuple[int, bool | None]],
) -> None:
    drawn = drawing.moves("ABCD", {}, {}, [drawing.Going(*pair, *going) for pair, going in told.items()])
    expected = {pair: n for pair, (n, _) in told.items() if n and pair[0] != pair[1]}
    assert {(arc.source, arc.target): arc.n for arc in drawn.arcs} == expected
    for arc in drawn.arcs:
        assert arc.is_better == told[arc.source, arc.target][1]
        bow = float(arc.path.split("C")[1].split(" ")[1])
        edge = float(arc.path[1:].split("C")[0].split(" ")[1])
        assert (bow > edge) == (arc.is_better is False)
        reach = edge + (bow - edge) * 3 / 4
        assert 0 <= reach <= drawn.height
        assert 1 <= arc.width <= 7
    widths = [arc.width for arc in sorted(drawn.arcs, key=lambda arc: arc.n)]
    assert widths == sorted(widths)


@given(st.lists(st.floats(0, 1e12), min_size=2, max_size=36))
def test_a_line_goes_through_its_values_in_proportion(values: list[float]) -> None:
    drawn = drawing.line(values, width=100, height=108)
    assert drawn is not None
    points = [tuple(map(float, point.split(" "))) for point in drawn.path[1:].split("L")]
    assert len(points) == len(values)
    most = max(values) or 1
    for (_, y), value in zip(points, values, strict=True):
        assert y == pytest.approx(104 - 100 * value / most, abs=0.051)


def test_a_way_on_the_ladder_begins_and_ends_at_its_rungs() -> None:
    drawn = drawing.steps(
        [("2025-01", "V1"), ("2025-02", "V3"), ("2025-03", "V2")], ["V0", "V1", "V2", "V3", "V4", "V5"]
    )
    assert drawn is not None
    y = dict(drawn.rungs)
    assert list(y) == ["V0", "V1", "V2", "V3", "V4"]  # one rung around the way, no more
    assert y["V0"] > y["V1"] > y["V2"] > y["V3"] > y["V4"]
    heights = [float(part.split("H")[0]) for part in drawn.path.split("V")[1:]]
    assert heights == [y["V1"], y["V3"], y["V2"]]
    assert drawing.steps([("2025-01", None)], ["V0"]) is None


@given(st.floats(1, 1e11), st.sampled_from(["zh", "en"]))
def test_an_amount_says_its_first_three_figures(value: float, language: formats.Language) -> None:
    said = formats.amount(value, language).replace(",", "")
    units = {"亿": 1e8, "万": 1e4, "bn": 1e9, "m": 1e6, "k": 1e3}
    unit = next((unit for unit in units if said.endswith(unit)), "")
    told = float(said.removesuffix(unit)) * units.get(unit, 1)
    assert told == pytest.approx(value, rel=0.005, abs=0.5)

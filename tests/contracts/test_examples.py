"""Examples in docstrings are executed: one that went stale teaches the wrong thing with authority."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("features", "training", "decisioning", "insight", "serving", "simulation")


def with_examples() -> list[str]:
    """Modules that show an example; the others are not imported, so that this suite stays light."""
    paths = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    shown = [path for path in paths if doctest.DocTestParser().get_examples(path.read_text("utf-8"))]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in shown]


@pytest.mark.parametrize("module", with_examples())
def test_examples_say_what_happens(module: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(importlib.import_module(module), optionflags=flags)
    assert result.failed == 0
    assert result.attempted > 0, "the module shows an example that doctest does not see"

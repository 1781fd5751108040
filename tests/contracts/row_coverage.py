"""Write docs/coverage.md: which promise of tests/acceptance/rows.yaml is held by which test.

    python tests/contracts/row_coverage.py [--drop A04]

The page remembers: a row that had a test and lost it is refused, unless it is named after --drop.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
ROWS = ROOT / "tests/acceptance/rows.yaml"
PAGE = ROOT / "docs/coverage.md"
FAMILIES = {
    "A": "who the customer is",
    "B": "where the customer stands",
    "C": "one view, one plan, one allocation",
    "D": "what the bank offers",
    "E": "how the bank wins attention",
    "F": "funnels and what they cost",
    "G": "the long tail",
    "X": "experience",
    "I": "keeping customers",
    "K": "the manager and the branch",
}
NOT_YET = "*not yet*"
_TEST = re.compile(r"test_([A-Z]\d\d)_")
_OFF = {"skip", "xfail"}


class Row(NamedTuple):
    """One promise: its id, the room that carries it, one sentence."""

    id: str
    room: str
    says: str


def rows(path: Path = ROWS) -> list[Row]:
    """All promises in the order of the file."""
    return [Row(**row) for row in yaml.safe_load(path.read_text("utf-8"))]


def found_in(folder: Path = ROWS.parent) -> dict[str, list[str]]:
    """Names of the acceptance tests that run, by the row they hold; tests marked skip or xfail do not count."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (row := _row_held_by(node)) is not None:
                found.setdefault(row[0], []).append(row[1])
    return found


def remembered(page: str) -> dict[str, list[str]]:
    """Tests by row as an earlier page lists them."""
    lines = re.findall(r"^\| ([A-Z]\d\d) \|.*\| ([^|]*) \|$", page, re.MULTILINE)
    return {row: re.findall(r"`(test_\w+)`", cell) for row, cell in lines if cell != NOT_YET}


def lost(page: str, found: Mapping[str, Sequence[str]]) -> list[str]:
    """One sentence for each row that had a test on `page` and has none now."""
    return [
        f"row {row} lost its test: the page names {', '.join(names)}, which is not there or does not run"
        for row, names in remembered(page).items()
        if row not in found
    ]


def render(promises: Sequence[Row], found: Mapping[str, Sequence[str]]) -> str:
    """The page: counts, then one line a promise."""
    held = sum(row.id in found for row in promises)
    lines = [
        "# What is promised, and what holds it",
        "",
        "Written by `make coverage` from `tests/acceptance`. A promise is kept when an acceptance test named by its id",
        "holds it on real code; a skipped test does not count.",
        "",
        f"**{held} of {len(promises)} promises have a test.**",
        "",
        "| | promises about | with a test |",
        "|---|---|---|",
    ]
    for letter, title in FAMILIES.items():
        family = [row for row in promises if row.id.startswith(letter)]
        lines.append(f"| {letter} | {title} | {sum(row.id in found for row in family)} of {len(family)} |")
    lines += ["", "| id | room | what must hold | tests |", "|---|---|---|---|"]
    for row in promises:
        cell = "<br>".join(f"`{name}`" for name in found.get(row.id, ())) or NOT_YET
        lines.append(f"| {row.id} | {row.room} | {row.says} | {cell} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the page; 1 if a row lost its test and is not named after --drop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drop", nargs="*", default=[], help="rows that may lose their test")
    dropped = parser.parse_args(arguments).drop
    found = found_in()
    before = PAGE.read_text("utf-8") if PAGE.exists() else ""
    missing = [sentence for sentence in lost(before, found) if sentence.split()[1] not in dropped]
    if missing:
        sys.stderr.write("\n".join(missing) + "\n")
        return 1
    PAGE.write_text(render(rows(), found), "utf-8")
    return 0


def _row_held_by(node: ast.AST) -> tuple[str, str] | None:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or any(map(_is_off, node.decorator_list)):
        return None
    match = _TEST.match(node.name)
    return (match[1], node.name) if match else None


def _is_off(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(target, ast.Attribute) and target.attr in _OFF


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

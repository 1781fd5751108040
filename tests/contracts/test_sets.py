"""What a package offers is a list that stays sorted, so that two people adding a name do not meet on one line."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("features", "training", "decisioning", "insight", "serving", "simulation")
PACKAGES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("__init__.py"))


def name_of(path: Path) -> str:
    return path.parent.relative_to(ROOT).as_posix()


def public_and_present(source: str) -> tuple[list[str] | None, set[str]]:
    """`__all__` (None if there is none) and every name the module imports or sets."""
    names: set[str] = set()
    public = None
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
            if target == "__all__":
                public = ast.literal_eval(node.value or ast.Constant(None))
            else:
                names.add(target)
    return public, names - {"annotations"}


def rank(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions, each by name: ruff's order."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, name


@pytest.mark.parametrize("path", PACKAGES, ids=name_of)
def test_all_is_sorted_and_is_what_the_package_offers(path: Path) -> None:
    public, names = public_and_present(path.read_text("utf-8"))
    if public is None:
        assert all(name.isupper() for name in names), "a package that imports names lists them in __all__"
        return
    assert list(public) == sorted(public, key=rank)
    assert set(public) == names


def test_an_unlisted_or_unsorted_name_is_noticed() -> None:
    public, names = public_and_present("from a import b, C\nDD = 1\n__all__ = ['b', 'C']\n")
    assert names == {"b", "C", "DD"}
    assert public == ["b", "C"] != sorted(["b", "C"], key=rank)
    assert sorted(["open_bank", "Bank", "TABLES", "Amount"], key=rank) == ["TABLES", "Amount", "Bank", "open_bank"]

"""Policy sections as JSON and back, exactly: a release keeps the books it was cut with.

YAML has keys and values that JSON has not (dates, whole numbers as keys). Each is written as a one-key mapping, so
that the book read back gives the same values and the same digest on every day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from features.policy_book import PolicyBook, PolicyValues

_DATE, _PAIRS = "~date", "~pairs"
T = TypeVar("T", bound=PolicyValues)


def dump_sections(sections: Mapping[str, Any]) -> str:
    """The sections as JSON text.

    >>> print(dump_sections({"caps": {"since": {date(2015, 1, 1): {60: 3}}}}))
    {"caps":{"since":{"~pairs":[[{"~date":"2015-01-01"},{"~pairs":[[60,3]]}]]}}}
    """
    return json.dumps(_encoded(sections), ensure_ascii=False, separators=(",", ":"))


def load_sections(text: str) -> dict[str, Any]:
    """The sections that `dump_sections` wrote."""
    sections: dict[str, Any] = _decoded(json.loads(text))
    return sections


def book_from(schema: type[T], path: Path) -> PolicyBook[T]:
    """The policy book kept in `path`."""
    return PolicyBook(schema, load_sections(path.read_text("utf-8")))


def _encoded(node: Any) -> Any:
    if isinstance(node, Mapping):
        if all(isinstance(key, str) for key in node):
            return {key: _encoded(value) for key, value in node.items()}
        return {_PAIRS: [[_encoded(key), _encoded(value)] for key, value in node.items()]}
    if isinstance(node, list | tuple):
        return [_encoded(value) for value in node]
    return {_DATE: node.isoformat()} if isinstance(node, date) else node


def _decoded(node: Any) -> Any:
    if isinstance(node, list):
        return [_decoded(value) for value in node]
    if not isinstance(node, dict):
        return node
    if node.keys() == {_DATE}:
        return date.fromisoformat(node[_DATE])
    if node.keys() == {_PAIRS}:
        return {_decoded(key): _decoded(value) for key, value in node[_PAIRS]}
    return {key: _decoded(value) for key, value in node.items()}

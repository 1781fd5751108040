"""The console's own words, in Chinese and English; what the policy names (products, tags, hooks) is worded there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast, get_args

import yaml

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
_FILE = Path(__file__).parent / "words.yaml"


@lru_cache(maxsize=1)
def words() -> Mapping[str, Mapping[str, str]]:
    """Every word of the console: key -> {zh, en}."""
    return cast(Mapping[str, Mapping[str, str]], yaml.safe_load(_FILE.read_text("utf-8")))


def word(key: str, language: Language, **values: object) -> str:
    """A word in a language, its places filled with `values`; raises KeyError for one that nobody wrote.

    >>> word("stage.NEW", "zh"), word("people", "en", n="1,234")
    ('新客期', '1,234 customers')
    """
    return words()[key][language].format(**values)


def named(key: str, language: Language, fallback: str | None = None) -> str:
    """A word for a code, or the code itself where the bank brought one of its own."""
    found = words().get(key)
    return found[language] if found else (fallback if fallback is not None else key.partition(".")[2])


def preferred(asked: str | None, kept: str | None, header: str | None) -> Language:
    """The language of a page: the one asked for, else the one kept, else what the browser prefers, else Chinese.

    >>> preferred(None, None, "en-GB,en;q=0.9,zh;q=0.5"), preferred("zh", "en", None)
    ('en', 'zh')
    """
    for text in (asked, kept):
        if text in LANGUAGES:
            return text
    ranked = [part.partition(";")[0].strip().lower()[:2] for part in (header or "").split(",")]
    return next((code for code in ranked if code in LANGUAGES), "zh")

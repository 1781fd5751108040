"""What approved copy must not say and what it must say, as dated policy (R39, R42)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from features.policy import Frozen

Scope = Literal["risk", "loan", "sale"]


class RequiredPhrase(Frozen):
    """A phrase that copy must hold: of products with a risk rating, of loans, or of every sale."""

    scope: Scope
    zh: str
    en: str
    rule: str


class Wording(Frozen):
    """Words that no copy may hold, by language, and phrases that some copy must."""

    banned_zh: Annotated[tuple[str, ...], Field(min_length=1)]
    banned_en: Annotated[tuple[str, ...], Field(min_length=1)]
    banned_rule: str
    required: tuple[RequiredPhrase, ...]

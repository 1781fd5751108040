"""What a bank decides about its models: the gates before champion, who answers for them, where p may only fall.

Sections are the files of `training/policy/`; a home's own in `policy/models/` replace them. A change of it needs no
build: it holds from the next training or promotion on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from features.policy_book import Frozen, PolicyBook, PolicyValues

SHIPPED = Path(__file__).parent / "policy"


class GateLimits(Frozen):
    """What a model must hold before it may be champion."""

    least_slope: Annotated[float, Field(gt=0)]
    most_slope: Annotated[float, Field(gt=0)]
    most_score_psi: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least_slope >= self.most_slope:
            raise ValueError("least_slope must lie below most_slope")
        return self


class Use(Frozen):
    """What a model is for, and how much harm it could do."""

    purpose: Annotated[str, Field(min_length=1)]
    purpose_zh: str = ""
    risk_tier: Literal["LOW", "MEDIUM", "HIGH"]


class Inventory(Frozen):
    """台账. Who answers for the models of a bank; null where the bank has not said (R44, R54)."""

    owner: str | None
    author: str | None
    approver: str | None
    pipia_id: str | None
    review_months: Annotated[int, Field(ge=1)]


class ModelsPolicy(PolicyValues):
    """All of the models' policy in force on one day."""

    gates: GateLimits
    inventory: Inventory
    uses: dict[str, Use]
    monotone: dict[str, dict[str, Literal[-1, 1]]]  # model -> feature -> direction; what a bank lacks is ignored


def models(*folders: Path) -> PolicyBook[ModelsPolicy]:
    """The models book: the shipped one, with sections replaced by those in `folders`."""
    return PolicyBook.read(ModelsPolicy, SHIPPED, *folders)

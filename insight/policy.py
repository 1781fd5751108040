"""What readers are told of: dated bounds of alerts and evidence. A change of it needs neither a build nor a release."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from features.policy_book import Frozen, PolicyBook, PolicyValues

SHIPPED = Path(__file__).parent / "policy"


class Jumps(Frozen):
    """When a stage or tier has jumped: by its share in one month, or against its own history."""

    share_points: Annotated[float, Field(gt=0)]
    deviations: Annotated[float, Field(gt=0)]
    history_months: Annotated[int, Field(ge=2)]
    least_months: Annotated[int, Field(ge=2)]
    least_customers: Annotated[int, Field(ge=1)]


class Evidence(Frozen):
    """How much is needed before a share is shown as that of a group, and how wide its interval is."""

    least_answers: Annotated[int, Field(ge=1)]
    answer_months: Annotated[int, Field(ge=1)]
    level: Annotated[float, Field(gt=0.5, lt=1)]
    least_people: Annotated[int, Field(ge=1)]


class InsightPolicy(PolicyValues):
    """All of insight's policy in force on one day."""

    jumps: Jumps
    evidence: Evidence


@lru_cache(maxsize=8)
def insight(*folders: Path) -> PolicyBook[InsightPolicy]:
    """The insight book: the shipped one, with sections replaced by those in `folders`."""
    return PolicyBook.read(InsightPolicy, SHIPPED, *folders)

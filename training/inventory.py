"""The inventory's row of a model, as tags of its run and its version: who answers, for what, until when (R44, R54)."""

from __future__ import annotations

from datetime import date

from features.bank.engines import month_end
from training.policy import ModelsPolicy

FIELDS = ("purpose", "purpose_zh", "risk_tier", "owner", "author", "approver", "pipia_id", "next_review_on")
NOBODY, _NOTHING = "nobody named", "not stated"


def row_of(policy: ModelsPolicy, model: str, validated_on: date) -> dict[str, object]:
    """FIELDS of `model`, validated on a day; the next review is the end of the month in which that runs out.

    >>> from training.policy import models
    >>> row = row_of(models().view(date(2025, 1, 1)), "churn", date(2025, 1, 31))
    >>> row["next_review_on"], row["owner"]
    (datetime.date(2026, 1, 31), 'nobody named')
    """
    said, use = policy.inventory, policy.uses.get(model)
    months = validated_on.year * 12 + validated_on.month - 1 + said.review_months
    values = (
        use.purpose if use else _NOTHING, use.purpose_zh if use else "", use.risk_tier if use else _NOTHING,
        said.owner or NOBODY, said.author or NOBODY, said.approver or NOBODY, said.pipia_id or _NOTHING,
        month_end(date(months // 12, months % 12 + 1, 1)),
    )  # fmt: skip
    return dict(zip(FIELDS, values, strict=True))

"""What a decision says of who was held out and of what it assumed: for one customer as for many."""

from __future__ import annotations

from functools import lru_cache

from decisioning.arms import HOLDOUT, TREAT
from decisioning.decision import Arm
from decisioning.inputs import CHALLENGER, CHAMPION

ARMS = {True: Arm(HOLDOUT, holdout=True), False: Arm(TREAT, holdout=False)}
_OF_CONSENT = {"none": "CONSENT_NOT_KEPT", "bank_attests": "CONSENT_ATTESTED"}


@lru_cache
def marks(
    consent_basis: str,
    *,
    is_class_assumed: bool,
    is_stage_assumed: bool,
    generic: str | None,
    scored_by: str = CHAMPION,
) -> tuple[str, ...]:
    """Codes of what was assumed, and of who scored where it was not the champions."""
    assumed = [
        "CLASS_ASSUMED" if is_class_assumed else None,
        "STAGE_ASSUMED" if is_stage_assumed else None,
        generic,
        _OF_CONSENT.get(consent_basis),
        "CHALLENGER" if scored_by == CHALLENGER else None,
    ]
    return tuple(code for code in assumed if code is not None)

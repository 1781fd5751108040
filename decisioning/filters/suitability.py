"""Whether the risk fits the customer (R24-R28, R30); nothing overrides it, not even the customer's own request."""

from __future__ import annotations

from decisioning.catalogue.catalogue import Catalogue
from decisioning.policy import DecisionsPolicy
from decisioning.situation import Situation
from decisioning.verdicts import Bench, Verdicts

TABLE = (
    "PASSES", "DATA_MISSING", "ASSESSMENT_EXPIRED", "RISK_TOO_HIGH", "AGE_CAP", "NOT_QUALIFIED",
)  # fmt: skip
# facts read, beside those that the policy names
READS: tuple[str, ...] = ("risk_level", "is_risk_valid", "age", "investor_type")
_QUALIFIED = ("QUALIFIED", "PROFESSIONAL")


def suitability(situation: Situation, catalogue: Catalogue, policy: DecisionsPolicy) -> Verdicts:
    """Rejects products above the customer's tolerance: R ≤ C with a valid assessment, age caps, qualified investors.

    Without an assessment, or without an age where a cap may bind, a product of R ≥ 1 is DATA_MISSING. Private
    placements are for qualified investors alone.
    """
    inputs = situation.inputs
    risk = catalogue.risk_level
    level, is_valid, age = (inputs.numbers(name)[:, None] for name in ("risk_level", "is_risk_valid", "age"))
    bench = Bench(TABLE, (situation.n, catalogue.m))
    bench.reject(((level != level) | (is_valid != is_valid)) & (risk >= 1), "DATA_MISSING")
    bench.reject((is_valid == 0) & (risk >= 1), "ASSESSMENT_EXPIRED")
    bench.reject(level < risk, "RISK_TOO_HIGH")
    for from_age, cap in sorted(policy.suitability.age_caps.items()):
        bench.reject((age != age) & (risk > cap), "DATA_MISSING")
        bench.reject((age >= from_age) & (risk > cap), "AGE_CAP")
    types = inputs.codes("investor_type").tolist() if catalogue.is_private.any() else []
    for row, investor_type in enumerate(types):
        if investor_type not in _QUALIFIED:
            code = "DATA_MISSING" if investor_type is None else "NOT_QUALIFIED"
            free = catalogue.is_private & (bench.codes[row] == 0)
            bench.codes[row, free] = TABLE.index(code)
    return Verdicts(TABLE, bench.codes)

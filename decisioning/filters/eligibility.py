"""Who may be offered what: gate, cell, readiness, minimum amount."""

from __future__ import annotations

import numpy as np

from decisioning.catalogue.catalogue import Catalogue, Floats
from decisioning.policy import DecisionsPolicy
from decisioning.situation import Situation
from decisioning.verdicts import Bench, Verdicts

TABLE = ("PASSES", "DATA_MISSING", "GATE", "CELL_BARRED", "NOT_READY", "BELOW_MINIMUM")
# facts read, beside those that the policy names
READS: tuple[str, ...] = ("days_with_product", "aum_now", "n_services_3m", "active_days_3m", "n_conversions_12m")


def eligibility(situation: Situation, catalogue: Catalogue, policy: DecisionsPolicy) -> Verdicts:
    """Rejects what the offer's own gate refuses, what the cell bars, what comes too early and what costs too much.

    A gate that cannot be told is DATA_MISSING. Core products are barred in the policy's stages (CELL_BARRED); gated
    core products wait for readiness (D08, NOT_READY). What the customer asked for skips these two. The minimum of
    a core product that is not credit is compared with the customer's money at the bank, where that is known.
    """
    figures = policy.arbitration
    bench = Bench(TABLE, (situation.n, catalogue.m))
    bench.reject(situation.gates.unknown.T, "DATA_MISSING")
    bench.reject(situation.gates.false.T, "GATE")
    barred_stages = {str(stage) for stage in figures.core_barred_stages}
    is_barred = np.array([stage in barred_stages for stage in situation.stages], dtype=bool)
    unasked_core = catalogue.is_core & ~situation.is_asked
    bench.reject(is_barred[:, None] & unasked_core, "CELL_BARRED")
    gated = unasked_core & (catalogue.readiness_min > 0)
    is_stranger = ~(situation.inputs.numbers("days_with_product") >= policy.readiness.stranger_days)
    too_early = is_stranger[:, None] | (readiness(situation, policy)[:, None] < catalogue.readiness_min)
    bench.reject(too_early & gated, "NOT_READY")
    bench.reject(situation.inputs.numbers("aum_now")[:, None] < catalogue.own_minimum, "BELOW_MINIMUM")
    return Verdicts(TABLE, bench.codes)


def readiness(situation: Situation, policy: DecisionsPolicy) -> Floats:
    """How ready each customer is for a gated core product, 0 to 1, shape (n,).

    Σ weight × part over days with a product, services used, active days (each a share of its full count, at most
    1) and a hook done; what is not known counts 0 (D08).
    """
    figures, inputs = policy.readiness, situation.inputs
    parts = {
        "days": inputs.numbers("days_with_product") / figures.full_days,
        "services": inputs.numbers("n_services_3m") / figures.full_services,
        "active_days": inputs.numbers("active_days_3m") / figures.full_active_days,
        "hook_done": (inputs.numbers("n_conversions_12m") >= 1).astype(np.float64),
    }
    total = np.zeros(situation.n)
    for name, weight in figures.weights.items():
        part = parts[name]
        total += weight * np.where(part > 0, np.minimum(part, 1.0), 0.0)
    return total

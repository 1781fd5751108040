"""Who gets no offer at all, or no sales offer: the policy's exclusions, in its order."""

from __future__ import annotations

from decisioning.catalogue.catalogue import Catalogue
from decisioning.policy import DecisionsPolicy
from decisioning.situation import Situation
from decisioning.verdicts import Bench, Verdicts

READS: tuple[str, ...] = ()  # facts, beside those that the policy names


def exclusion(situation: Situation, catalogue: Catalogue, policy: DecisionsPolicy) -> Verdicts:
    """Rejects every offer of a customer of whom an exclusion is known to hold; `keeps_care` lets care through.

    The codes are the policy's own. What is unknown excludes nobody: a gate may still ask for it.
    """
    table = ("PASSES", *dict.fromkeys(rule.code for rule in policy.exclusions))
    bench = Bench(table, (situation.n, catalogue.m))
    for rule, holds in zip(policy.exclusions, situation.exclusions.true, strict=True):
        if holds.any():
            bench.reject(holds[:, None] & ~(catalogue.is_care & rule.keeps_care), rule.code)
    return Verdicts(table, bench.codes)

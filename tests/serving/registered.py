"""Versions in the real registry of a home, trained on made-up rows in a second; its bank is not asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.training.made_up import FACTS, OFFERS, PROFILE, QUICK, evidence_of, examples_of
from training import registry, tracking
from training.examination import TRAINING_SCORES, quantiles
from training.examples import instants, split_by_time
from training.fitting import constant
from training.gates import Verdict, examine
from training.judging.judgement import CONSTANT, OURS, PLAIN, judge
from training.models import response

CARD = {
    "horizon": "2025-12-31T16:00:00+00:00", "owner": "Head of retail", "author": "Data science",
    "approver": "Model risk", "pipia_id": "PIA-2025-7", "next_review_on": "2026-12-31", "risk_tier": "MEDIUM",
    "purpose": "who converts after a contact", "purpose_zh": "营销响应", "seed": 7, "test_from": "2025-03-20",
}  # fmt: skip


def version(home: Path, *, model: str = "response", seed: int = 1, facts: dict[str, Any] | None = None,
            **evidence: Any) -> tuple[int, Verdict]:  # fmt: skip
    """The number of a version of `model` and what its gates said; `evidence` is what a test changes of it."""
    examples = examples_of(seed=seed)
    split = split_by_time(instants(examples.frame["sent_at"]), instants(examples.frame["closes_at"]))
    trained = response.train(examples, split, facts=FACTS, profile=PROFILE, offers=OFFERS, parameters=QUICK)
    trained = replace(trained, ours=replace(trained.ours, name=model), plain=replace(trained.plain, name=model))
    test = examples.frame[split.test]
    scores = {OURS: trained.ours.predict(test), PLAIN: trained.plain.predict(test),
              CONSTANT: constant(examples.outcomes, split)}  # fmt: skip
    judged = judge(examples.outcomes[split.test], scores, test["customer_id"].to_numpy(), seed=1, n_resamples=50)
    told = evidence_of(**({"judgement": judged} | evidence))
    verdict, row = examine(told), CARD | (facts or {})
    recorded = tracking.record(home, tracking.Training(trained, QUICK.to_json(), row, test, told, verdict))
    kept = {TRAINING_SCORES: json.dumps(quantiles(scores[OURS]))}
    return registry.register(home, model, recorded, row | kept, verdict), verdict

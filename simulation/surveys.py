"""What customers say when they are asked: bank table `survey_response`, whose scores fall after an incident."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulation.bank_files import NEVER, at_times, codes, dates, hours, ids, instants, known_after
from simulation.behaviour import Life, Month, first_days, lives
from simulation.chance import Array, days_within, pick
from simulation.population import Population

TOUCHPOINTS = ("APP", "BRANCH", "CALL")
NPS_AFTER_INCIDENT = -2.6
CSAT_AFTER_INCIDENT = -1.1
_ASKED_SHARE = np.array([0.03, 0.3])  # of those awake in a month; of those with an incident in the last three
_REST_DAYS = 90
_SAYS = (0.6, 0.2, 0.2)  # both scores, the first alone, the second alone


class Surveys:
    """Asks nobody more than once in 90 days."""

    def __init__(self, n: int) -> None:
        self._last_on = np.full(n, NEVER, np.int32)

    def month(self, people: Population, life: Life, month: Month, rng: np.random.Generator) -> dict[str, pa.Array]:
        """The bank table `survey_response` of a month."""
        who = lives(life)
        first = first_days(people, who, month)
        on = month.first_on - 1 + days_within(rng, first, month.n_days, len(who))
        hurt = life.incident_until[who] >= month.number
        answers = rng.random(len(who)) < _ASKED_SHARE[hurt.astype(np.int8)]
        asked = np.flatnonzero(answers & (on >= self._last_on[who].astype(np.int64) + _REST_DAYS))
        who, on, hurt = who[asked], on[asked], hurt[asked]
        self._last_on[who] = on
        nps, csat = _scores(people, who, hurt, rng)
        said, digital = pick(rng, _SAYS, len(who)), people.latents.digital[who]
        touchpoint = np.where(
            rng.random(len(who)) < 1 / (1 + np.exp(-digital - 0.6)), 0, 1 + pick(rng, (2, 1), len(who))
        )
        at = at_times(on, hours(rng, len(who), 9, 20.9))
        return {
            "answer_id": ids("N", month.code * 10**8 + np.arange(len(who)), 12),
            "customer_id": ids("C", who),
            "touchpoint": codes(TOUCHPOINTS, touchpoint.astype(np.int8)),
            "nps": pa.array(nps, mask=said == 2),
            "csat": pa.array(csat, mask=said == 1),
            "occurred_at": instants(at),
            "business_on": dates(on),
            "known_at": instants(known_after(rng, at)),
        }


def _scores(people: Population, who: Array, hurt: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """NPS 0 to 10 and CSAT 1 to 5; int64."""
    mood = 0.7 * people.latents.loyalty[who] - 0.5 * people.latents.irritation[who]
    nps = 7.3 + mood + NPS_AFTER_INCIDENT * hurt + 1.6 * rng.standard_normal(len(who))
    csat = 4.1 + 0.3 * mood + CSAT_AFTER_INCIDENT * hurt + 0.8 * rng.standard_normal(len(who))
    return np.clip(np.rint(nps), 0, 10).astype(np.int64), np.clip(np.rint(csat), 1, 5).astype(np.int64)

"""The figures of docs/simulated-bank.md that tell how the bank serves, computed from its tables and the truth."""

from __future__ import annotations

import numpy as np

from tests.simulation.banks import Simulated, aum_on

RINGS = (
    "SELECT a.referral_id FROM {referral} a JOIN {referral} b ON b.referrer_id = a.referee_id "
    "JOIN {referral} c ON c.referrer_id = b.referee_id AND c.referee_id = a.referrer_id"
)


def service_figures(bank: Simulated) -> dict[str, float]:
    return (
        receipts(bank) | surveys(bank) | journeys(bank) | front_line(bank) | treatments(bank) | remedies(bank)
        | referrals(bank) | books(bank)
    )  # fmt: skip


def one(bank: Simulated, query: str) -> dict[str, float]:
    """The columns of a query that answers one row."""
    return {name: float(values[0]) for name, values in bank.sql(query).items()}


def receipts(bank: Simulated) -> dict[str, float]:
    return one(
        bank,
        "SELECT avg((failed_at IS NOT NULL)::INT) AS failed_share, "
        "avg((failed_at IS NULL AND delivered_at IS NULL)::INT) AS unconfirmed_share FROM {contact}",
    )


def surveys(bank: Simulated) -> dict[str, float]:
    """Scores of those without a complaint in the three months before the month of the answer, less those with one."""
    return one(
        bank,
        "WITH s AS (SELECT s.*, EXISTS (SELECT 1 FROM {complaint} c WHERE c.customer_id = s.customer_id "
        "AND c.business_on < date_trunc('month', s.business_on) AND c.business_on >= date_trunc('month', "
        "s.business_on) - INTERVAL 3 MONTH) AS hurt FROM {survey_response} s) SELECT avg(nps) FILTER (NOT hurt) - "
        "avg(nps) FILTER (hurt) AS incident_nps_gap, avg(csat) FILTER (NOT hurt) - avg(csat) FILTER (hurt) "
        "AS incident_csat_gap FROM s",
    )


def journeys(bank: Simulated) -> dict[str, float]:
    return one(
        bank,
        "SELECT avg((outcome <> 'DONE')::INT) FILTER (step = 'DOCUMENTS') AS bottleneck_lost_share, "
        "avg((outcome <> 'DONE')::INT) FILTER (step <> 'DOCUMENTS') AS other_steps_lost_share, "
        "median(epoch(ended_at - started_at)) FILTER (step = 'DOCUMENTS') / median(epoch(ended_at - started_at)) "
        "FILTER (step = 'CREDIT_CHECK') AS bottleneck_time_ratio FROM {journey_event}",
    )


def front_line(bank: Simulated) -> dict[str, float]:
    """Least squares of ln(mean acts a day) of each manager on the planted causes."""
    rows = bank.sql(
        "SELECT any_value(has_device)::INT AS device, any_value(leader_prefers_paper)::INT AS paper, "
        "any_value(list_position(['LOW', 'MID', 'HIGH'], digital_level)) - 2 AS digital, "
        "any_value(list_position(['LOW', 'MID', 'HIGH'], volume_level)) - 2 AS volume, ln(avg(n_acts)) AS acts "
        "FROM {rm_usage} u JOIN {rm} m USING (rm_id) JOIN {branch} b USING (branch_id) GROUP BY rm_id ORDER BY rm_id"
    )
    device, paper, digital, volume, acts = (
        rows[n].astype(float) for n in ("device", "paper", "digital", "volume", "acts")
    )
    x = np.stack([np.ones(len(acts)), device, paper, digital, volume, digital * volume], axis=1)
    found = np.linalg.lstsq(x, acts, rcond=None)[0]
    return {"device_effect": found[1], "paper_effect": found[2], "interaction_effect": found[5]}


def treatments(bank: Simulated) -> dict[str, float]:
    """AUM after 30 and 180 days by that of the first day, cut at 3: mean of the treated less mean of the others."""
    parts: dict[str, list[np.ndarray]] = {}
    for wave, later in (("2025-02", ("2025-03-03", "2025-07-31")), ("2025-05", ("2025-05-31", "2025-10-28"))):
        for days, day in zip((30, 180), later, strict=True):
            rows = bank.sql(
                "SELECT lower(split_part(experiment_id, '-', 1)) AS test, arm = 'TREAT' AS treated, "
                "least(coalesce(z.aum, 0)::DOUBLE / a.aum::DOUBLE, 3) AS ratio FROM {assignment} "
                f"JOIN ({aum_on(wave + '-01')}) a USING (customer_id) LEFT JOIN ({aum_on(day)}) z USING (customer_id) "
                f"WHERE experiment_id IN ('PRICE-{wave}', 'SERVICE-{wave}') AND a.aum > 0"
            )
            for test in ("price", "service"):
                mine = rows["test"] == test
                parts.setdefault(f"{test}_effect_{days}", []).append(
                    np.stack([rows["treated"][mine].astype(float), rows["ratio"][mine]])
                )
    found = {}
    for name, waves in parts.items():
        treated, ratio = np.concatenate(waves, axis=1)
        found[name] = float(ratio[treated == 1].mean() - ratio[treated == 0].mean())
    return found


def remedies(bank: Simulated) -> dict[str, float]:
    """True hazard of leaving in the three months after a complaint, by remedy, over that of doing nothing."""
    rows = bank.sql(
        "WITH s AS (SELECT customer_id, hazard, (right(filename, 15)[1:7] || '-01')::DATE AS on_ FROM {truth_states} "
        "WHERE hazard > 0), c AS (SELECT customer_id, coalesce(remedy, 'NOTHING') AS remedy, "
        "date_trunc('month', business_on) AS on_ FROM {case}) "
        "SELECT remedy, avg(hazard) AS hazard FROM s JOIN c ON c.customer_id = s.customer_id AND s.on_ > c.on_ "
        "AND s.on_ <= c.on_ + INTERVAL 3 MONTH GROUP BY 1"
    )
    hazard = dict(zip(rows["remedy"], rows["hazard"], strict=True))
    return {
        f"{name.lower()}_hazard_ratio": float(hazard[name] / hazard["NOTHING"])
        for name in ("APOLOGY", "REFUND", "REPAIR", "VISIT")
    }


def referrals(bank: Simulated) -> dict[str, float]:
    """Of invitations that somebody registered with: in a ring of three, otherwise on one device, and in a chain."""
    return one(
        bank,
        f"WITH ring AS ({RINGS}) SELECT avg((referrer_device_hash = referee_device_hash AND referral_id NOT IN "
        "(FROM ring))::INT) AS self_referral_share, avg((referral_id IN (FROM ring))::INT) AS ring_referral_share, "
        "avg((referrer_id IN (SELECT referee_id FROM {referral} WHERE referee_id IS NOT NULL) AND referral_id NOT IN "
        "(FROM ring))::INT) AS chained_referral_share FROM {referral} WHERE referee_id IS NOT NULL",
    )


def books(bank: Simulated) -> dict[str, float]:
    return one(
        bank,
        "SELECT (sum(income_amount) FILTER (product_id IS NULL) / sum(income_amount))::DOUBLE AS unallocated_share "
        "FROM {product_ledger}",
    )

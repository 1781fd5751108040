"""Promises about classes: precedence with a reason, services that count, flags equal to the books, age beside stage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from decisioning.catalogue.catalogue import Catalogue
from decisioning.decide import decide
from decisioning.filters.suitability import suitability
from decisioning.policy import decisions
from decisioning.situation import Situation
from features import profiles
from features.bank.engines import arrow_schema
from features.bank.tables import TABLES
from features.policy import SHIPPED, segments
from features.vocabulary import Stage
from serving import jobs
from serving.cli import app
from tests.acceptance.test_policy_rows import inputs
from tests.features.conftest import bank_of
from tests.simulation.banks import LAST_ON, Simulated, simulated

__all__ = ["bank_of"]
BOOK = segments()
POLICY, WHAT = BOOK.view(LAST_ON), decisions().view(LAST_ON)
CLASSES = [name for name, _ in POLICY.classes.ranked()]
AFTER = datetime(2026, 1, 20, tzinfo=UTC)
JANUARY, FEBRUARY = datetime(2024, 2, 2, tzinfo=UTC), datetime(2024, 3, 2, tzinfo=UTC)
DAY = date(2024, 1, 5)


def built(home: Path, instant: datetime, book: Any = BOOK) -> pd.DataFrame:
    """The newest month that has closed by the instant, by customer."""
    return pd.read_parquet(profiles.build(home, book, instant=instant)[-1].path).set_index("customer_id")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> tuple[Simulated, pd.DataFrame]:
    """A simulated bank of four months, and its last month."""
    found = simulated(tmp_path_factory.mktemp("bank"), customers=1_500, months=4, seed=5)
    return found, built(found.home, AFTER)


def test_A03_the_first_class_by_precedence_wins_and_the_others_are_tags(bank_of: Callable[..., Path]) -> None:
    """Customer k fits the k-th class and every one after it; what he fits beyond his class stays beside it."""
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("customer", "balance", "txn", "loan", "customer_fact")
    }
    for k, who in enumerate(CLASSES):
        born = date(1950, 1, 1) if k <= CLASSES.index("SILVER") else date(2000, 1, 1)
        document = "FOREIGN" if who == "SPECIAL_ID" else "MAINLAND"
        rows["customer"].append({"customer_id": who, "id_doc_type": document,
                                 "birth_on": born if who != "MASS" else date(1985, 1, 1)})  # fmt: skip
        if k <= CLASSES.index("BIZ_OWNER"):
            rows["customer_fact"].append({"customer_id": who, "fact": "LICENCE", "from_on": DAY})
        rows["balance"].append({"customer_id": who, "amount": 300_000 if k <= CLASSES.index("WEALTH") else 10})
        if k <= CLASSES.index("PAYROLL"):
            paid = {"customer_id": who, "txn_type": "SALARY", "by_customer": False}
            rows["txn"] += [paid | {"business_on": date(2024, 1, day)} for day in (5, 25)]
        if k <= CLASSES.index("CREDIT"):
            rows["loan"].append({"customer_id": who, "product_id": "P22", "opened_on": DAY, "amount": 5})
    frame = built(bank_of(**rows), JANUARY)
    old = {"SPECIAL_ID", "SILVER"}
    for k, who in enumerate(CLASSES):
        after = [name for name in CLASSES[k + 1 : -1] if not (who in old and name == "YOUNG")]
        row = frame.loc[who]
        assert (row.customer_class, row.class_reason) == (who, "default" if who == "MASS" else "rule")
        assert row.other_classes == "|".join(["", *after, ""]) if after else row.other_classes == "|"


def test_A03_prospects_have_the_class_their_lead_tells_and_sleepers_the_last_one(bank_of: Callable[..., Path]) -> None:
    facts = {"LICENCE": "BIZ_OWNER", "PAYROLL_EMPLOYER": "PAYROLL", "DECLARED_WEALTH": "WEALTH"}
    lead = {"registered_on": date(2024, 1, 2), "first_product_on": None}
    home = bank_of(
        customer=[lead | {"customer_id": fact} for fact in facts]
        + [{"customer_id": "closed", "closed_on": date(2024, 2, 10)}],
        customer_fact=[{"customer_id": fact, "fact": fact, "from_on": DAY} for fact in facts],
        balance=[{"customer_id": "closed", "amount": 900_000, "to_on": date(2024, 2, 10)}],
    )
    leads = built(home, JANUARY)
    assert leads.stage[list(facts)].tolist() == ["PROSPECT"] * 3
    assert leads.customer_class[list(facts)].to_dict() == facts
    row = built(home, FEBRUARY).loc["closed"]
    assert (row.stage, row.customer_class, row.class_reason) == ("LOST", "WEALTH", "asleep: last class kept")
    later = built(home, datetime(2024, 12, 2, tzinfo=UTC)).loc["closed"]
    assert (later.mda, later.wealth_months_below > 6) == (0, True), "by rule he would be nobody's but the default's"
    assert (later.stage, later.customer_class, later.class_reason) == ("LOST", "WEALTH", "asleep: last class kept")


def test_A03_each_class_has_a_card_of_its_own_in_the_catalogue() -> None:
    themes = {name: WHAT.variants.cards[name] for name in CLASSES}
    assert all(themes.values())
    for cards in themes.values():
        assert {WHAT.products[card.product].subcategory for card in cards} <= {"debit card", "credit card"}
    names = [card.zh for cards in themes.values() for card in cards]
    assert len(names) == len(set(names))


def test_A03_class_decides_cell_and_tone_and_never_what_is_suitable() -> None:
    catalogue = Catalogue.of(WHAT)
    asked = inputs(classes=tuple(CLASSES), stages=("GROWTH",) * len(CLASSES))
    same = {"age": np.full(len(CLASSES), 62.0), "risk_level": np.full(len(CLASSES), 2.0),
            "is_risk_valid": np.ones(len(CLASSES)), "tier": np.array(["V4"] * len(CLASSES), dtype=object)}  # fmt: skip
    asked = replace(asked, facts=asked.facts | same)
    verdicts = suitability(Situation.of(asked, catalogue), catalogue, WHAT)
    assert (verdicts.codes == verdicts.codes[0]).all()
    assert (verdicts.codes[0] > 0).any()
    assert [decision.customer_class for decision in decide(asked, catalogue, WHAT)] == CLASSES


def test_A03_a_bank_adds_a_class_in_its_policy_alone_and_is_told_which_cells_lack_offers(
    bank_of: Callable[..., Path],
) -> None:
    home = bank_of(customer=[{"customer_id": "student", "is_student": True}, {"customer_id": "other"}],
                   balance=[{"customer_id": "other", "amount": 10}])  # fmt: skip
    own = home / "policy" / "segments"
    own.mkdir(parents=True)
    section = yaml.safe_load((SHIPPED / "classes.yaml").read_text("utf-8"))
    section["classes"]["MASS"]["precedence"] = 9
    section["classes"]["STUDENT"] = {"zh": "在校学生", "precedence": 8, "rule": "is_student"}
    (own / "classes.yaml").write_text(yaml.safe_dump(section, allow_unicode=True), "utf-8")
    frame = built(home, JANUARY, jobs.segments_book(home))
    assert frame.customer_class.to_dict() == {"student": "STUDENT", "other": "MASS"}
    assert frame.loc["student"]["cell"] == f"STUDENT/{frame.loc['student'].stage}"
    answer = CliRunner().invoke(app, ["policy", "check", "--home", str(home)])
    assert answer.exit_code == 2
    lacking = [line for line in answer.output.splitlines() if "STUDENT" in line]
    for stage in Stage:
        assert any(f"cell STUDENT/{stage}" in line and "cell is missing" in line for line in lacking), stage
    assert sum("variant STUDENT/" in line for line in lacking) == len(WHAT.variants.bands)
    assert any("class has no card of its own" in line for line in lacking)
    answer = CliRunner().invoke(app, ["policy", "check", "--home", str(home / "as shipped")])
    assert (answer.exit_code, answer.output) == (0, "the policy holds together\n")


def test_A05_a_service_counts_while_it_is_used_and_not_after_ninety_days(bank_of: Callable[..., Path]) -> None:
    """The last of March 2024 is ninety days after the first of January; services count beside products for MATURE."""
    used_on = {"on the ninetieth day": date(2024, 1, 1), "a day more": date(2023, 12, 31)}
    home = bank_of(
        customer=[{"customer_id": who, "registered_on": date(2023, 1, 1)} for who in [*used_on, "never"]],
        service_activation=[
            {"customer_id": who, "service_id": "P24", "activated_on": date(2023, 2, 1)} for who in [*used_on, "never"]
        ],
        channel_event=[{"customer_id": who, "business_on": day, "service_id": "P24"} for who, day in used_on.items()],
    )
    frame = built(home, datetime(2024, 4, 2, tzinfo=UTC))
    assert frame.n_active_services.to_dict() == {"on the ninetieth day": 1, "a day more": 0, "never": 0}


def test_A06_the_four_relation_flags_equal_the_books_of_the_day(bank: tuple[Simulated, pd.DataFrame]) -> None:
    found, frame = bank
    known = f"known_at <= TIMESTAMPTZ '{frame.available_at.iloc[0]}'"
    held = f"{known} AND from_on <= DATE '{LAST_ON}' AND (to_on IS NULL OR to_on > DATE '{LAST_ON}')"
    own = "amount - in_transit_amount - loan_proceeds_amount"
    open_loan = f"{known} AND opened_on <= DATE '{LAST_ON}' AND (closed_on IS NULL OR closed_on > DATE '{LAST_ON}')"
    books = {
        "has_deposit": f"SELECT customer_id FROM {{balance}} WHERE {held} AND asset_class IN ('DEMAND', 'TIME', 'LCD') "
        f"GROUP BY 1 HAVING sum({own}) > 0",
        "has_wealth": f"SELECT customer_id FROM {{balance}} WHERE {held} AND asset_class IN "
        f"('WMP', 'FUND', 'INS', 'STRUCT', 'BOND', 'GOLD', 'TRUST') GROUP BY 1 HAVING sum({own}) > 0",
        "has_loan": f"SELECT DISTINCT customer_id FROM {{loan}} WHERE {open_loan} AND ends_on > DATE '{LAST_ON}'",
        "has_card": f"SELECT DISTINCT customer_id FROM {{loan}} WHERE {open_loan} AND ends_on IS NULL",
    }
    for flag, query in books.items():
        owners = set(found.sql(query)["customer_id"])
        assert owners, flag
        assert set(frame.index[frame[flag]]) == owners, flag
    assert frame[list(books)].sum(axis=1).max() >= 3, "the flags are not exclusive"


def test_A08_age_moves_class_and_tags_and_never_the_stage(bank: tuple[Simulated, pd.DataFrame], tmp_path: Path) -> None:
    """The same bank with every customer thirty years older: other classes, other tags, the same stages to the day."""
    found, young = bank
    shutil.copytree(found.home / "bank", tmp_path / "bank")
    (path,) = (tmp_path / "bank" / "customer").glob("*.parquet")
    rows = pq.read_table(path)
    older = pa.array([day and day - timedelta(days=10_957) for day in rows["birth_on"].to_pylist()], pa.date32())
    place = rows.column_names.index("birth_on")
    pq.write_table(rows.set_column(place, "birth_on", older).cast(arrow_schema(TABLES["customer"])), path)
    old = built(tmp_path, AFTER).loc[young.index]
    of_stage = ["stage", "stage_entered_on", "stage_reason", "previous_stage", "months_steady", "is_customer"]
    pd.testing.assert_frame_equal(young[of_stage], old[of_stage])
    assert (old.age - young.age).dropna().between(29, 31).all()
    assert (old.customer_class != young.customer_class).mean() > 0.2
    assert (old.tags != young.tags).mean() > 0.5
    assert young.stage.nunique() >= 5

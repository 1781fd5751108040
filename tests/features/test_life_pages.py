"""The worked customers of docs/families on activity, cells, classes, lifecycle, tags: each page is executed."""

from __future__ import annotations

import copy
import doctest
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from decisioning.catalogue.checks import check
from decisioning.catalogue.findings import Finding
from decisioning.catalogue.variants import variant
from decisioning.policy import decisions
from features import profiles
from features.bank.engines import month_end
from features.facts import FACTS
from features.policy import PolicyBook, SegmentsPolicy, segments
from features.segments.tags import living, registry

PAGES = Path(__file__).parents[2] / "docs/families"
BOOK = segments()
C = {"customer_id": "c"}
TODAY = date(2024, 1, 31)
PLAN = decisions().view(TODAY)


def day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def demand(amount: float, *, since: str = "2024-01-01", until: str | None = None) -> dict[str, Any]:
    return C | {"amount": amount, "from_on": day(since), "to_on": day(until)}


def on(service: str, since: str = "2023-06-01") -> dict[str, Any]:
    return C | {"service_id": service, "activated_on": day(since)}


def seen(when: str, event: str, **more: Any) -> dict[str, Any]:
    return C | {"business_on": day(when), "event": event} | more


def ran(when: str, *, crashes: int = 0, latency: int | None = None) -> dict[str, Any]:
    figures = {"n_crashes": crashes, "n_failures": 0, "latency_ms": latency}
    return C | {"business_on": day(when), "device": "IOS"} | figures


def salary(when: str, amount: float = 10) -> dict[str, Any]:
    return C | {"business_on": day(when), "txn_type": "SALARY", "by_customer": False, "amount": amount}


def out(when: str, amount: float) -> dict[str, Any]:
    return C | {"business_on": day(when), "txn_type": "OUT", "amount": amount, "counterparty": "OTHER_BANK"}


def given(tags: str) -> np.ndarray[Any, Any]:
    return np.array([tags], dtype=object)


def age(days: float) -> np.ndarray[Any, Any]:
    return np.array([float(days)])


def daily_life(months: int) -> list[dict[str, Any]]:
    """A purchase on the third of every month."""
    return [C | {"business_on": date(2024, month, 3)} for month in range(1, months + 1)]


def lacking(class_id: str) -> list[Finding]:
    """What the check of the policy names once a class is added, and nothing else."""
    sections = copy.deepcopy(dict(BOOK.sections))
    classes = sections["classes"]["classes"]
    classes["MASS"]["precedence"] += 1
    classes[class_id] = {"zh": "学生", "en": "Students", "precedence": classes["MASS"]["precedence"] - 1,
                         "rule": "is_student"}  # fmt: skip
    return check(PolicyBook(SegmentsPolicy, sections).view(TODAY), PLAN, FACTS)


@pytest.mark.parametrize("page", ["activity", "cells", "classes", "lifecycle", "tags"])
def test_the_worked_customer_of_a_page_is_what_a_build_says(
    page: str, bank_of: Callable[..., Path], tmp_path: Path
) -> None:
    homes = iter(range(100))

    def built(
        months: int, *, born: str | None = None, since: str = "2020-01-01", first: str | None = None, **tables: Any
    ) -> pd.DataFrame:
        """That many months of one customer, a row a month, from January 2024 on."""
        person = C | {"birth_on": day(born or "1985-01-01"), "registered_on": day(since)}
        person["first_product_on"] = day(first or since)
        anchor = {"customer_id": "anchor", "business_on": date(2024, 1, 1)}  # the bank's history begins in January
        tables["channel_event"] = [anchor, *tables.get("channel_event", [])]
        home = bank_of(home=tmp_path / f"home{next(homes)}", customer=[person, {"customer_id": "anchor"}], **tables)
        last = month_end(date(2024, months, 1))
        instant = datetime.combine(last + timedelta(days=2), time(), UTC)
        rows = pd.concat([pd.read_parquet(b.path) for b in profiles.build(home, BOOK, instant=instant, as_of=last)])
        rows = rows[(rows.customer_id == "c") & (rows.as_of >= date(2024, 1, 31))]
        return rows.reset_index(drop=True).astype(object)  # whole numbers and amounts as people write them

    words = {
        "built": built, "demand": demand, "on": on, "seen": seen, "ran": ran, "salary": salary, "out": out,
        "daily_life": daily_life, "registry": registry, "living": living, "given": given,
        "age": age, "POLICY": BOOK.view(TODAY), "PLAN": PLAN, "variant": variant, "lacking": lacking,
    }  # fmt: skip
    result = doctest.testfile(str(PAGES / f"{page}.md"), module_relative=False, globs=words)
    assert result.attempted >= 1
    assert result.failed == 0

"""The pages about models of a bank that decides by rules: drift of its real months, and what brings the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from features import profiles
from serving.models.drift_history import LAST_MONTH, history
from serving.month.month_drift import drift_of
from serving.month.month_end import PROGRESS, MonthEnd
from serving.settings import Settings, clock_of
from tests.console.conftest import Served, Visit
from tests.console.test_pages import asked

LANGUAGES = [("en-GB", "en"), ("zh-CN", "zh-Hans")]


@pytest.fixture(scope="module")
def measured(console: Served) -> Iterator[Path]:
    """The drift step of every month-end of the bank, as `tiercel month-end` notes it."""
    clock = clock_of(Settings(home=console.home))
    for build in profiles.builds(console.home):
        MonthEnd(console.home, clock, build.as_of).note("drift", drift_of(console.home, build.as_of))
    yield console.home
    for path in (console.home / "reports" / "month-end").glob("*/progress.json"):
        path.unlink()


@pytest.mark.parametrize(("locale", "language"), LANGUAGES)
def test_a_bank_without_models_meets_no_dead_end(visit: Visit, locale: str, language: str) -> None:
    page = visit("/console/models", role="scientist", locale=locale)
    assert page.locator("html").get_attribute("lang") == language
    assert [code.inner_text() for code in page.locator("main code").all()] == ["tiercel train", "tiercel release cut"]
    ways = [way.get_attribute("href") for way in page.locator("nav.switch a").all()]
    assert ways == ["/console/models", "/console/models/drift", "/console/models/idle"]
    said = {}
    for way in ways[1:]:
        page.click(f"nav.switch a[href='{way}']")
        assert page.locator("h1").count() == 1
        said[way] = [code.inner_text() for code in page.locator("main code").all()]
    assert said["/console/models/drift"] == ["tiercel month-end"]
    assert said["/console/models/idle"][:2] == ["POST /v1/decisions", "tiercel decide"]
    for path in ("/console/models/response", "/console/models/response/1", "/console/promotions/none"):
        page = visit(path, role="scientist", locale=locale, provoked="404")
        assert page.locator("p.warn").count() == 1


def test_every_feature_stands_with_its_rows_and_what_chance_reaches(
    visit: Visit, console: Served, measured: Path
) -> None:
    kept = history(measured)
    months = sorted(kept)
    last = kept[months[-1]][LAST_MONTH]
    told = asked(console, "/console/models/drift", role="scientist")
    assert (told["month"], told["against"], len(told["rows"])) == (months[-1], LAST_MONTH, len(last))
    assert [row["psi"] for row in told["rows"]] == sorted((one["psi"] for one in last.values()), reverse=True)
    assert sum(told["bands"].values()) == len(last)
    page = visit("/console/models/drift", role="scientist")
    rows = page.locator("table.drift tbody tr")
    assert rows.count() == len(last)
    page.locator("summary").click()
    assert rows.last.is_visible()
    first, cells = told["rows"][0], rows.first.locator("td.n").all_inner_texts()
    assert cells == [f"{first['psi']:.3f}", f"{first['noise']:.3f}", f"{first['n_before']:,}", f"{first['n_now']:,}"]
    assert rows.first.locator("circle.dot").count() == sum(first["name"] in kept[m][LAST_MONTH] for m in months)
    page.select_option("#month", months[0])
    page.wait_for_url(f"**month={months[0]}*")
    assert "A first month has nothing to be compared with." in page.locator("main").inner_text()


def test_the_score_of_a_champion_stands_first_even_where_it_has_not_moved(
    visit: Visit, console: Served, measured: Path
) -> None:
    month = max(history(measured))
    path = measured / "reports" / "month-end" / month / PROGRESS
    kept = path.read_text("utf-8")
    done = json.loads(kept)
    one = {"psi": 0.3, "noise": 0.05, "band": "ACT", "n_before": 390, "n_now": 400}
    still = one | {"psi": 0.02, "band": "STABLE"}
    done["drift"]["champions"] = {"churn": {"mda": one, "age": still, "score": still}}
    path.write_text(json.dumps(done), "utf-8")
    try:
        page = visit(f"/console/models/drift?month={month}", role="auditor")
        page.click("text=what the champion of Churn saw last")
        heads = page.locator("table.drift tbody th").all_inner_texts()
        assert heads[0] == "Score of the model"
        assert [row.is_visible() for row in page.locator("table.drift tbody tr").all()] == [True, True, False]
    finally:
        path.write_text(kept, "utf-8")
    for bad in ("against=loan", "month=1999-01"):
        page = visit(f"/console/models/drift?{bad}", role="auditor", provoked="422")
        assert page.locator("p.warn").count() == 1

"""The pages about models in a real browser: what decisions stand on, gates by how much, promotion, the way back."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from serving import jobs
from serving.key_file import add_key
from serving.models import promoting
from serving.releases import current
from serving.settings import Settings, clock_of
from tests.console.conftest import Served, Visit, served
from tests.console.test_pages import asked
from tests.training.habits import AS_OF, bank
from training import registry
from training.retrain import learn, retrain

pytestmark = pytest.mark.slow
AUTHOR, APPROVER = "Data science", "Li Na"  # as the inventory of the bank names the first
SECONDS = 240_000


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A bank whose response model was trained twice: version 1 is champion and released, version 2 has no alias.

    It is served where it was trained, since MLflow keeps the places of its files.
    """
    home = bank(tmp_path_factory.mktemp("learned") / "home", offers=("P24", "P25"))
    instant = datetime(2025, 4, 16, 2, tzinfo=UTC)
    (home / "home.json").write_text(json.dumps({"instant": instant.isoformat(), "currency": "CNY"}))
    jobs.write_catalogue(home)
    clock = clock_of(Settings(home=home))
    assert retrain(home, "response", AS_OF, 1).is_champion
    learn(home, "response", AS_OF, 2)
    jobs.publish(home, clock)
    jobs.cut_release(home, clock)
    with served(home) as console:
        yield console


@pytest.fixture(autouse=True)
def named(console: Served) -> None:
    """Keys that name their holders, beside those of the roles."""
    for name, role in ((APPROVER, "compliance"), (AUTHOR, "scientist")):
        if name not in console.keys:
            console.keys[name] = add_key(console.home, name, role)
    console.app.state.keys.refresh()


def in_use(console: Served) -> dict[str, Any]:
    (row,) = asked(console, "/console/models")["models"]
    assert row["model"] == "response"
    found: dict[str, Any] = row["version"]
    return found


def becomes(console: Served, version: int) -> bool:
    """Whether the server takes up a version; it looks for another release ten times a second, and opens it."""
    until = time.monotonic() + 20
    while in_use(console)["version"] != version and time.monotonic() < until:
        time.sleep(0.1)
    return bool(in_use(console)["version"] == version)


def ended(page: Page) -> str:
    """How the promotion of a page ended, which comes again by itself until then."""
    status = page.locator("p[role=status] strong")
    expect(status).not_to_have_text(re.compile("under way|进行中"), timeout=SECONDS)
    return status.inner_text()


def test_a_model_in_use_stands_beside_its_rivals_with_who_answers_for_it(visit: Visit, console: Served) -> None:
    told = in_use(console)
    assert (told["version"], told["owner"], told["trained_as_of"]) == (1, "Head of retail", AS_OF.isoformat())
    page = visit("/console/models", role="scientist")
    card = page.locator("section[aria-labelledby=m-response]")
    for said in ("Version 1", "Head of retail", "Model risk", told["next_review_on"], "9 of 9 passed", "better"):
        assert said in card.inner_text(), said
    drawn = card.locator("table.whiskers tr")
    assert drawn.count() == len(told["figures"]) == 4
    ours = drawn.filter(has_text="ours").locator("td.n").inner_text()
    assert ours.split()[0] == f"{told['figures']['ours']['value']:.4f}"


def test_every_gate_says_by_how_much_in_both_languages(visit: Visit, console: Served) -> None:
    version = asked(console, "/console/models/response/1")
    assert len(version["gates"]) == 9
    for locale, passed in (("en-GB", "✓ passed"), ("zh-CN", "✓ 通过")):
        page = visit("/console/models/response/1", role="auditor", locale=locale)
        rows = page.locator("table.gates tbody tr")
        assert rows.count() == 9
        assert rows.locator("span.open").all_inner_texts() == [passed] * 9
        margins = [text for text in rows.locator("td.n").all_inner_texts() if text != "–"]
        said = [f"{gate['margin']:+.4f}" for gate in version["gates"] if gate["margin"] is not None]
        assert margins == said


def test_the_report_of_a_training_is_shown_and_can_run_nothing(visit: Visit, console: Served) -> None:
    page = visit("/console/models/response/1", role="scientist")
    frame = page.frame_locator("iframe.report")
    assert frame.locator("h1").inner_text() == "response: how good it is 模型好坏"
    assert frame.locator("img").first.evaluate("picture => picture.naturalWidth") > 100
    assert page.locator("iframe.report").get_attribute("sandbox") == ""
    policy = page.request.get(f"{console.address}/console/models/response/1/report").headers
    assert policy["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert policy["cache-control"] == "no-store"


def test_a_second_person_promotes_from_the_page_and_goes_back_in_one_click(visit: Visit, console: Served) -> None:
    before = current(console.home).id
    page = visit("/console/models/response/2", role=APPROVER)
    page.click(f"text=Promote to champion as {APPROVER}")
    assert ended(page) == "done"
    assert page.locator("table.gates tbody tr").count() == 9
    champion = registry.champion(console.home, "response")
    assert (champion.version, champion.facts["approver"]) == (2, APPROVER)
    released = current(console.home)
    assert released.id != before
    assert becomes(console, 2)
    page.goto(f"{console.address}/console/models/response")
    page.click("text=Back to version 1")
    assert ended(page) == "done"
    assert becomes(console, 1)
    assert registry.champion(console.home, "response").version == 1
    asked_for = [(row["what"], row["who"], row["state"]) for row in promoting.latest(console.home, 2)]
    assert asked_for == [("back", APPROVER, "DONE"), ("promote", APPROVER, "DONE")]


def test_author_shared_key_and_other_roles_may_not_promote_and_are_told_who_may(visit: Visit, console: Served) -> None:
    for role, said in (
        (AUTHOR, "You made this model; a second person approves it."), ("compliance", "An approval bears a name"),
        ("marketing", "A compliance officer or a data scientist approves a promotion"),
    ):  # fmt: skip
        page = visit("/console/models/response/2", role=role)
        assert said in page.locator("section[aria-labelledby=gates]").inner_text()
        assert page.locator("form.ask").count() == 0
        word = page.locator("form[action='/console/logout'] input[name=word]").get_attribute("value")
        answer = page.request.post(
            f"{console.address}/console/models/response/2/promote", form={"word": str(word)},
            headers={"Sec-Fetch-Site": "same-origin"}, max_redirects=0,
        )  # fmt: skip
        assert answer.status == 403
    assert visit("/console/models", role="rm", provoked="403").locator("h1").inner_text() == "This cannot be shown"


def test_a_promotion_that_another_site_asks_for_is_refused(visit: Visit, console: Served) -> None:
    page = visit("/console/models/response/2", role=APPROVER)
    n = len(promoting.latest(console.home, 100))
    for headers, form in (({"Sec-Fetch-Site": "cross-site"}, {}), ({"Sec-Fetch-Site": "same-origin"}, {"word": "x"})):
        answer = page.request.post(
            f"{console.address}/console/models/response/2/promote", form=form, headers=headers, max_redirects=0
        )
        assert answer.status == 403
    assert len(promoting.latest(console.home, 100)) == n


def test_a_promotion_that_a_gate_refuses_says_which_and_by_how_much(visit: Visit, console: Served) -> None:
    gates = console.home / "policy" / "models" / "gates.yaml"
    kept = gates.read_text()
    gates.write_text("{least_slope: 0.9, most_slope: 1.1, most_score_psi: 0.001}")
    try:
        page = visit("/console/models/response/2", role=APPROVER, locale="zh-CN")
        page.click(f"text=以“{APPROVER}”的名义晋升为冠军")
        assert ended(page) == "被拒绝"
    finally:
        gates.write_text(kept)
    closed = page.locator("table.gates tr:has(span.closed)")
    assert closed.count() == 1
    assert "评分稳定" in closed.inner_text()
    assert float(closed.locator("td.n").inner_text()) < 0
    assert "低于 0.001" in closed.inner_text()
    assert re.search("评分相对冠军训练评分的 PSI 为 .*，比 0.001 高", closed.inner_text())
    assert "评分相对冠军" in page.locator("p.warn").inner_text()
    assert registry.champion(console.home, "response").version == 1

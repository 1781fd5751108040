"""The pages in a real browser: what they show, how one gets from one to the next, in both languages."""

from __future__ import annotations

import itertools
import re

import httpx
import pytest
from playwright.sync_api import Page

from features.vocabulary import Stage
from tests.console.conftest import Served, Visit


def asked(console: Served, path: str, role: str = "marketing") -> dict:
    """A page as data, asked for with a key."""
    headers = {"Authorization": f"Bearer {console.keys[role]}", "Accept": "application/json"}
    answer = httpx.get(console.address + path, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict = answer.json()
    return found


def numbers(page: Page, selector: str) -> list[int]:
    return [int(text.replace(",", "")) for text in page.locator(selector).all_inner_texts()]


def test_the_heat_map_shows_every_customer_once(visit: Visit, console: Served) -> None:
    page = visit()
    cells = numbers(page, "table.heat tbody td a")
    assert len(cells) == 8 * len(Stage)
    assert sum(cells) == asked(console, "/console/matrix")["all"]["n_customers"]
    assert numbers(page, "table.heat tfoot td")[-1] == sum(cells)
    assert sum(numbers(page, "table.heat tbody td.sum")) == sum(cells)


def test_the_switch_shows_money_and_answers_of_the_same_cells(visit: Visit, console: Served) -> None:
    page = visit()
    page.click("nav.switch >> text=AUM")
    assert page.locator("nav.switch a[aria-current=true]").inner_text() == "AUM"
    by_money = asked(console, "/console/matrix?measure=aum")
    warmest = max(by_money["cells"], key=lambda told: told["aum"] or 0)
    warm = page.locator("td.heat-8 a").get_attribute("href")
    assert f"/{warmest['customer_class']}/{warmest['stage']}?" in str(warm)
    page.click("nav.switch >> text=Response")
    assert re.fullmatch(r"\(?\d+\.\d%\)?", page.locator("table.heat tfoot td").last.inner_text())


def test_another_month_is_chosen_and_stays_chosen_on_the_way_down(visit: Visit, console: Served) -> None:
    months = asked(console, "/console/matrix")["months"]
    page = visit()
    page.select_option("#month", months[-2])
    page.wait_for_url(f"**month={months[-2]}*")
    page.click("table.heat tbody tr:last-child td:nth-child(4) a")
    assert page.locator("#month").input_value() == months[-2]


def test_drawn_moves_are_those_of_the_table_beside_them(visit: Visit, console: Served) -> None:
    moves = asked(console, "/console/matrix")["moves"]
    assert set(moves) == {"stage", "tier"}
    page = visit()
    for label, told in moves.items():
        moved = [move for move in told["moves"] if move["from"] != move["to"]]
        drawn = page.locator(f"section[aria-labelledby=moves-{label}]")
        assert drawn.locator("svg.moves path.arc").count() == len(moved) > 0
        drawn.locator("summary").click()
        assert sum(numbers(page, f"#moves-{label}-table td.n")) == told["n_moved"] == sum(move["n"] for move in moved)
        for side, is_better in (("better", True), ("worse", False)):
            n = sum(move["n"] for move in moved if move["is_better"] is is_better)
            assert n == told[f"n_{side}"]
            assert str(n) in drawn.locator("ul.key").inner_text()
            assert drawn.locator(f"svg.moves path.arc.{side}").count() == sum(
                move["is_better"] is is_better for move in moved
            )


def test_a_fall_into_decline_is_drawn_as_worse_and_a_return_as_better(visit: Visit, console: Served) -> None:
    page = visit()
    moves = asked(console, "/console/matrix")["moves"]["stage"]["moves"]
    ways = {(move["from"], move["to"]) for move in moves if "DECLINE" in (move["from"], move["to"])}
    assert ("GROWTH", "DECLINE") in ways
    for before, after in ways - {("DECLINE", "DECLINE")}:
        worse = after in ("DORMANT", "LOST") or (after == "DECLINE" and before not in ("DORMANT", "LOST"))
        arc = page.locator(f"svg.moves a[href*='/stage/{before}/{after}?'] path.arc")
        assert f"arc {'worse' if worse else 'better'}" == arc.get_attribute("class")


def test_an_arrow_leads_to_the_people_who_went_that_way(visit: Visit, console: Served) -> None:
    told = asked(console, "/console/matrix")
    largest = next(move for move in told["moves"]["stage"]["moves"] if move["from"] != move["to"])
    page = visit()
    page.click("#moves-stage-table summary")
    page.locator("#moves-stage-table td.n a").first.click()
    assert page.locator("table.people tbody tr").count() == min(largest["n"], 50)
    assert f"{largest['n']} customers" in page.inner_text("p.total")
    for person in asked(console, f"/console/moves/stage/{largest['from']}/{largest['to']}")["people"]:
        stage = asked(console, f"/v1/customers/{person['customer_id']}")["stage"]
        assert (stage["stage"], stage["history"][-1]["as_of"]) == (largest["to"], told["as_of"])


def test_from_a_cell_to_its_people_to_one_of_them(visit: Visit, console: Served) -> None:
    matrix = asked(console, "/console/matrix")
    fullest = max(matrix["cells"], key=lambda told: told["n_customers"])
    place = f"{fullest['customer_class']}/{fullest['stage']}"
    page = visit(f"/console/matrix/{place}")
    card = asked(console, f"/console/matrix/{place}")
    assert card["card"]["goal"] in page.inner_text("p.lead")
    assert sum(numbers(page, "section[aria-labelledby=tiers] td.n")) == fullest["n_customers"]
    assert page.locator("section[aria-labelledby=trend] svg.line").count() == 2
    page.click("a.main")
    people = page.locator("table.people tbody tr")
    assert people.count() == min(fullest["n_customers"], 50)
    first = people.first.locator("th a").inner_text()
    page.click(f"text={first}")
    assert first in page.inner_text("h1")
    assert page.locator("section[aria-labelledby=s-tier] svg.steps").count() == 1


def test_pages_of_people_end_to_end_are_the_whole_cell_once(visit: Visit, console: Served) -> None:
    fullest = max(asked(console, "/console/matrix")["cells"], key=lambda told: told["n_customers"])
    page = visit(f"/console/matrix/{fullest['customer_class']}/{fullest['stage']}/people?by=id")
    assert page.inner_text("p.total strong") == f"{fullest['n_customers']:,} customers"
    found: list[str] = []
    while True:
        found += page.locator("table.people tbody th").all_inner_texts()
        if not page.locator("a[rel=next]").count():
            break
        page.click("a[rel=next]")
    assert len(found) == len(set(found)) == fullest["n_customers"]
    assert found == sorted(found)


def test_a_tag_is_deleted_on_the_page_and_stays_deleted(visit: Visit, console: Served) -> None:
    fullest = max(asked(console, "/console/matrix")["cells"], key=lambda told: told["n_customers"])
    place = f"{fullest['customer_class']}/{fullest['stage']}"
    people = asked(console, f"/console/matrix/{place}/people")["people"]
    person = next(person for person in people if "effective" in person["tags"])
    page = visit(f"/console/customers/{person['customer_id']}")
    page.get_by_role("button", name="Delete the tag effective customer").click()
    assert "effective customer" in page.locator("p[role=status]").inner_text()
    assert page.locator("ul.tags >> text=effective customer").count() == 0
    assert page.locator("ol.timeline li.tag_deleted").count() == 1
    again = asked(console, f"/v1/customers/{person['customer_id']}")
    assert "effective" not in again["tags"]
    listed = asked(console, f"/console/matrix/{place}/people")["people"]
    assert "effective" not in next(p for p in listed if p["customer_id"] == person["customer_id"])["tags"]


def test_a_decision_stands_in_the_timeline(visit: Visit, console: Served) -> None:
    customer_id = asked(console, "/console/matrix/MASS/GROWTH/people")["people"][0]["customer_id"]
    httpx.post(
        f"{console.address}/v1/decisions", json={"customer_id": customer_id, "channel": "RM"},
        headers={"Authorization": f"Bearer {console.keys['service']}"},
    ).raise_for_status()  # fmt: skip
    page = visit(f"/console/customers/{customer_id}")
    assert page.locator("ol.timeline li.decision").count() == 1


@pytest.mark.parametrize(
    ("locale", "title", "other"),
    [("zh-CN", "客户行为矩阵", "English"), ("en-GB", "Class × lifecycle matrix", "中文")],
    ids=["zh", "en"],
)
def test_a_page_speaks_the_browsers_language_until_another_is_chosen(
    visit: Visit, locale: str, title: str, other: str
) -> None:
    page = visit(locale=locale)
    assert page.inner_text("h1") == title
    page.click(f"header >> text={other}")
    assert page.inner_text("h1") != title
    page.goto(page.url.partition("?")[0])
    assert page.inner_text("h1") != title  # kept for the next page
    assert page.locator("html").get_attribute("lang") == ("en" if other == "English" else "zh-Hans")


def test_every_page_fits_a_telephone(visit: Visit, console: Served) -> None:
    person = asked(console, "/console/matrix/MASS/GROWTH/people")["people"][0]["customer_id"]
    page = visit(viewport={"width": 360, "height": 740})
    for path in ("matrix", "matrix/MASS/GROWTH", "matrix/MASS/GROWTH/people", "lists/rescue", "lists/growth",
                 "moves/stage/GROWTH/DECLINE", f"customers/{person}"):  # fmt: skip
        page.goto(f"{console.address}/console/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") == 360, path


def test_the_keyboard_reaches_the_cells_and_walks_among_them(visit: Visit) -> None:
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("table.heat tbody a").first.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement === document.querySelector('table.heat tbody a')")
    page.keyboard.press("ArrowRight")
    assert "/NEW?" in page.evaluate("document.activeElement.getAttribute('href')")


def test_every_page_has_landmarks_labels_and_headings_in_order(visit: Visit, console: Served) -> None:
    person = asked(console, "/console/matrix/MASS/GROWTH/people")["people"][0]["customer_id"]
    page = visit()
    for path in (
        "matrix", "matrix/MASS/GROWTH", "matrix/MASS/GROWTH/people", "lists/rescue", "lists/growth",
        "moves/stage/GROWTH/DECLINE", f"customers/{person}",
    ):  # fmt: skip
        page.goto(f"{console.address}/console/{path}")
        assert [page.locator(name).count() for name in ("main", "header", "h1", "[role=search]")] == [1, 1, 1, 1], path
        levels = [int(name[1]) for name in page.eval_on_selector_all("h1, h2, h3", "all => all.map(h => h.tagName)")]
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels)), path
        unnamed = page.eval_on_selector_all(
            "a:not([tabindex='-1']), button, input:not([type=hidden]), select, svg[role=img], [role=region]",
            """all => all.filter(it => !(it.textContent.trim() || it.ariaLabel || it.labels?.length ||
                 it.getAttribute('aria-labelledby'))).map(it => it.outerHTML)""",
        )
        assert unnamed == [], path
        ids = page.eval_on_selector_all("[id]", "all => all.map(it => it.id)")
        assert len(ids) == len(set(ids)), path
        pointed = page.eval_on_selector_all(
            "[aria-labelledby], [aria-describedby]",
            "all => all.flatMap(it => `${it.getAttribute('aria-labelledby') || ''} "
            "${it.getAttribute('aria-describedby') || ''}`.trim().split(/\\s+/))",
        )
        assert set(pointed) <= set(ids), path


def test_a_printed_page_leaves_out_what_cannot_be_clicked_on_paper(visit: Visit) -> None:
    page = visit()
    page.emulate_media(media="print")
    hidden = ("nav.switch", "form.find", ".aside", "form.months")
    assert [page.locator(name).is_visible() for name in hidden] == [False] * len(hidden)
    assert page.locator("table.heat").is_visible()
    assert page.pdf()[:5] == b"%PDF-"

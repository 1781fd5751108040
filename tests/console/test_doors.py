"""Who gets in and what a page of another site may do: sessions, forms, the one-time link, headers, roles."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from serving.app import create_app
from serving.console.sessions import COOKIE, LASTS, Sessions
from serving.console.words import LANGUAGES
from serving.key_file import make_keys
from serving.settings import Clock, Settings
from tests.console.conftest import Served, Visit
from tests.console.english import english_in

OURS = {"Sec-Fetch-Site": "same-origin"}
WORD = re.compile(r'name="word" value="([0-9a-f]{64})"')


@pytest.fixture
def home(released_home: Path, tmp_path: Path) -> Path:
    own = tmp_path / "home"
    shutil.copytree(released_home, own)
    return own


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(home=home)), follow_redirects=False) as client:
        client.headers["Accept"] = "text/html"
        yield client


def sign_in(client: TestClient, home: Path, role: str = "marketing") -> httpx.Response:
    key = make_keys(home)[role]  # type: ignore[index]  # roles are plain text in tests
    return client.post("/console/login", data={"key": key, "next": "/console/matrix?measure=aum"}, headers=OURS)


def change_key(client: TestClient, home: Path, role: str, **changes: Any) -> None:
    path = home / "keys" / "keys.json"
    records = json.loads(path.read_text())["keys"]
    kept = [r | changes if r["role"] == role else r for r in records if changes or r["role"] != role]
    path.write_text(json.dumps({"keys": kept}))
    client.app.state.keys.refresh()  # type: ignore[attr-defined]  # the client types its app as plain ASGI


def person_of(client: TestClient, home: Path, place: str = "MASS/GROWTH") -> dict[str, Any]:
    key = make_keys(home)["marketing"]
    path = f"/console/matrix/{place}/people?format=json"
    people = client.get(path, headers={"Authorization": f"Bearer {key}"}).json()["people"]
    found: dict[str, Any] = next(person for person in people if "effective" in person["tags"])
    return found


def test_without_a_session_every_page_leads_to_the_door_and_back(client: TestClient) -> None:
    answer = client.get("/console/customers/C00000001?lang=en")
    assert (answer.status_code, answer.headers["location"]) == (
        303, "/console/login?next=%2Fconsole%2Fcustomers%2FC00000001%3Flang%3Den"
    )  # fmt: skip
    assert 'value="/console/customers/C00000001?lang=en"' in client.get(answer.headers["location"]).text
    assert client.get("/console/matrix", headers={"Accept": "application/json"}).status_code == 401


def test_a_session_cookie_cannot_be_read_by_scripts_nor_sent_by_other_sites(client: TestClient, home: Path) -> None:
    answer = sign_in(client, home)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/matrix?measure=aum")
    said = answer.headers["set-cookie"].lower()
    assert all(part in said for part in ("httponly", "samesite=strict", "path=/console", "max-age=28800"))
    assert client.get("/console/matrix").status_code == 200


def test_a_wrong_key_is_told_and_opens_nothing(client: TestClient) -> None:
    answer = client.post("/console/login", data={"key": "x" * 43}, headers=OURS)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("out", ["//evil.example/console/", "https://evil.example", "/v1/offers", "/console/..//x", ""])
def test_signing_in_leads_nowhere_outside_the_console(client: TestClient, home: Path, out: str) -> None:
    key = make_keys(home)["marketing"]
    answer = client.post("/console/login", data={"key": key, "next": out}, headers=OURS)
    assert answer.headers["location"] == "/console/matrix"


def test_a_cookie_that_was_edited_forged_or_outlived_is_no_session(home: Path) -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]

    class Moved(Clock):
        def now(self) -> datetime:
            return now[0]

    sessions = Sessions(home, Moved())
    cookie = sessions.begin("a" * 32)
    assert sessions.ticket(cookie) == "a" * 32
    ticket, ends, name, mac = cookie.split(".")
    edited = [f"{'b' * 32}.{ends}.{name}.{mac}", f"{ticket}.{int(ends) + 1}.{name}.{mac}",
              f"{ticket}.{ends}.{name}.{'0' * 64}", f"{ticket}.{ends}.{'0' * 16}.{mac}", f"{ticket}.{ends}.{mac}",
              f"{ticket}.{ends}.{name}.", f"{ticket}.٣.{name}.{mac}", "", "..", "...",
              f"{ticket}.{ends}.{name}.{mac}x"]  # fmt: skip
    assert [sessions.ticket(text) for text in edited] == [None] * len(edited)
    assert Sessions(home, Moved()).ticket(cookie) == ticket  # another worker of the same home knows it
    now[0] += LASTS - timedelta(seconds=1)
    assert sessions.ticket(cookie) == ticket
    now[0] += timedelta(seconds=1)
    assert sessions.ticket(cookie) is None


def test_taking_the_key_away_ends_its_sessions(client: TestClient, home: Path) -> None:
    sign_in(client, home)
    change_key(client, home, "marketing")
    assert client.get("/console/matrix").status_code == 303


def test_the_homes_secret_is_the_owners_alone(client: TestClient, home: Path) -> None:
    sign_in(client, home)
    assert (home / "keys" / "console.secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
    ],
)
def test_a_form_of_another_site_changes_nothing(client: TestClient, home: Path, headers: dict[str, str]) -> None:
    sign_in(client, home)
    person = person_of(client, home)
    address = f"/console/customers/{person['customer_id']}"
    word = WORD.search(client.get(address).text)
    assert word is not None
    answer = client.post(f"{address}/tags/effective/delete", data={"word": word[1]}, headers=headers)
    assert answer.status_code == 403
    assert "effective" in person_of(client, home)["tags"]
    assert client.post("/console/login", data={"key": "x"}, headers=headers).status_code == 403


def test_a_form_without_the_word_of_its_session_changes_nothing(client: TestClient, home: Path) -> None:
    sign_in(client, home)
    address = f"/console/customers/{person_of(client, home)['customer_id']}"
    ours = WORD.search(client.get(address).text)
    client.cookies.clear()
    sign_in(client, home, "leader")
    for word in ("", "0" * 64, ours[1] if ours else ""):
        answer = client.post(f"{address}/tags/effective/delete", data={"word": word}, headers=OURS)
        assert answer.status_code == 403


def test_an_older_browsers_form_is_known_by_its_origin(client: TestClient, home: Path) -> None:
    sign_in(client, home)
    address = f"/console/customers/{person_of(client, home)['customer_id']}"
    word = WORD.search(client.get(address).text)
    assert word is not None
    origin = {"Origin": "http://testserver"}
    answer = client.post(f"{address}/tags/effective/delete", data={"word": word[1]}, headers=origin)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{address}?deleted=effective")


def test_the_one_time_link_opens_one_session(client: TestClient) -> None:
    word = client.app.state.sessions.invite()  # type: ignore[attr-defined]  # the client types its app as plain ASGI
    address = f"/console/enter/{word}"
    assert [client.get(address).status_code for _ in range(2)] == [200, 200]  # looking spends nothing
    assert client.post(address).status_code == 403
    assert client.post(address, headers=OURS).headers["location"] == "/console/matrix"
    assert client.get("/console/matrix").status_code == 200
    client.cookies.clear()
    assert (client.post(address, headers=OURS).status_code, client.get(address).status_code) == (410, 410)


def test_every_page_carries_the_strict_headers_and_nothing_inline(client: TestClient, home: Path) -> None:
    sign_in(client, home)
    person = person_of(client, home)["customer_id"]
    paths = ["/console/login", "/console/enter/x", "/console/matrix", "/console/matrix?measure=response",
             "/console/matrix/MASS/GROWTH", "/console/matrix/MASS/GROWTH/people", f"/console/customers/{person}",
             "/console/lists/rescue", "/console/lists/growth", "/console/moves/tier/V0/V1", "/console/moves/tier/V0/V9",
             "/console/customers/C-NOBODY", "/console/matrix/NO/SUCH"]  # fmt: skip
    for path in paths:
        for language in LANGUAGES:
            answer = client.get(f"{path}{'&' if '?' in path else '?'}lang={language}")
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'self';"), path
            assert "unsafe" not in policy
            assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == (
                "nosniff",
                "no-store",
            )
            text = answer.text
            assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]+src=)", text), path
            assert not re.findall(r'(?:src|href|action)="(?!/|\?|#)[^"]*"', text), path


@pytest.mark.parametrize(
    ("role", "status", "paths"),
    [
        ("marketing", 404, ["customers/C-NOBODY", "matrix/NO/GROWTH", "matrix/MASS/SUCH", "lists/such",
                            "moves/tier/V0/V0", "no/such/page"]),
        ("marketing", 422, ["matrix?month=2001-01", "matrix?measure=such", "matrix/MASS/GROWTH/people?by=such",
                            "matrix/MASS/GROWTH/people?page=99", "matrix/MASS/GROWTH/people?page=none"]),
        ("auditor", 404, ["models/such", "promotions/such"]),
        ("auditor", 422, ["models/drift?against=such"]),
        ("rm", 403, ["models"]),
    ],
)  # fmt: skip
def test_what_is_refused_is_told_in_the_language_of_the_reader(
    client: TestClient, home: Path, role: str, status: int, paths: list[str]
) -> None:
    sign_in(client, home, role)
    alert = re.compile(r'<p class="warn" role="alert"(?: lang="(en)")?>([^<]+)</p>')
    for path in paths:
        told = {}
        for language in LANGUAGES:
            answer = client.get(f"/console/{path}{'&' if '?' in path else '?'}lang={language}")
            assert answer.status_code == status, path
            told[language] = answer.text
        chinese, english = (alert.search(told[language]) for language in ("zh", "en"))
        assert chinese is not None, path
        assert english is not None, path
        assert (chinese[1], english[1]) == (None, "en"), path
        assert re.search("[一-鿿]{3}", chinese[2]), path
        assert english_in(told["zh"]) == [], path
        assert not re.search("[一-鿿]", english[2]), path


def test_what_a_bank_wrote_is_text_and_never_markup(client: TestClient, home: Path) -> None:
    sign_in(client, home)
    answer = client.get("/console/customers/%3Cscript%3Ealert(1)%3Cscript%3E")
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text


def test_a_session_that_was_left_is_over_for_every_copy_of_its_cookie(client: TestClient, home: Path) -> None:
    sign_in(client, home)
    copy, other = client.cookies[COOKIE], Sessions(home).begin("0" * 32)
    word = Sessions(home).form_word(copy)
    assert Sessions(home).ticket(copy) is not None
    client.post("/console/logout", data={"word": word}, headers=OURS)
    assert Sessions(home).ticket(copy) is None, "another worker knows it too"
    assert Sessions(home).ticket(other) == "0" * 32, "nobody else's has ended"
    client.cookies.set(COOKIE, copy, path="/console")
    answer = client.get("/console/matrix", headers={"Accept": "text/html"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"][:14]) == (303, "/console/login")


def test_an_address_that_leads_nowhere_is_told_on_a_page_and_to_programs_as_a_problem(client: TestClient) -> None:
    page = client.get("/console/matrlx", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "/console/matrlx" in page.text
    assert 'href="/console/matrix"' in page.text
    told = client.get("/console/matrlx?format=json")
    assert (told.status_code, told.json()["type"]) == (404, "/problems/no-route")


def test_a_page_of_data_answers_problems_as_problems(client: TestClient, home: Path) -> None:
    sign_in(client, home)
    paths = {"matrix?measure=x": 422, "matrix?month=1999-01": 422, "customers/C-NOBODY?": 404}
    for path, status in paths.items():
        answer = client.get(f"/console/{path}&format=json")
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path


def test_a_manager_sees_the_customers_of_his_book_alone(client: TestClient, home: Path) -> None:
    mine = person_of(client, home)["customer_id"]
    other = person_of(client, home, "SILVER/GROWTH")["customer_id"]
    change_key(client, home, "rm", book=[mine])
    sign_in(client, home, "rm")
    matrix = client.get("/console/matrix?format=json").json()
    assert matrix["all"]["n_customers"] == 1
    assert all(sum(move["n"] for move in told["moves"]) <= 1 for told in matrix["moves"].values())
    people = client.get("/console/matrix/MASS/GROWTH/people?format=json").json()["people"]
    assert [person["customer_id"] for person in people] == [mine]
    assert client.get(f"/console/customers/{mine}").status_code == 200
    assert client.get(f"/console/customers/{other}").status_code == 403
    assert client.get("/console/customers/C-NOBODY").status_code == 403  # whether he exists is not told either
    word = WORD.search(client.get(f"/console/customers/{mine}").text)
    assert word is not None
    answer = client.post(f"/console/customers/{other}/tags/effective/delete", data={"word": word[1]}, headers=OURS)
    assert answer.status_code == 403


def test_amounts_and_names_are_for_cleared_eyes_inside(client: TestClient, home: Path) -> None:
    person = person_of(client, home)
    address = f"/console/customers/{person['customer_id']}"
    name = person["name"]

    def seen(role: str) -> tuple[bool, bool, bool]:
        client.cookies.clear()
        sign_in(client, home, role)
        text = client.get(address).text
        cells = client.get("/console/matrix?measure=aum&format=json").json()["cells"]
        return name in text, f"{name[0]}**" in text, any(told["aum"] for told in cells if told["n_customers"] < 5)

    assert seen("rm") == (True, False, True)
    assert seen("scientist") == (False, False, False)
    change_key(client, home, "rm", network="external")
    assert seen("rm") == (False, True, False)
    people = client.get("/console/matrix/MASS/GROWTH/people?format=json").json()["people"]
    assert all("mda" not in p and p["name"].endswith("**") for p in people)


def test_roles_that_may_not_delete_have_no_button_and_no_way(client: TestClient, home: Path) -> None:
    address = f"/console/customers/{person_of(client, home)['customer_id']}"
    sign_in(client, home, "auditor")
    text = client.get(address).text
    assert "/delete" not in text
    word = WORD.search(text)
    assert word is not None
    assert client.post(f"{address}/tags/effective/delete", data={"word": word[1]}, headers=OURS).status_code == 403


def test_signing_out_forgets_the_session(visit: Visit, console: Served) -> None:
    page = visit()
    assert any(cookie["name"] == COOKIE for cookie in page.context.cookies())
    page.click("text=Sign out")
    page.wait_for_url("**/console/login")
    assert not any(cookie["name"] == COOKIE for cookie in page.context.cookies())


def test_a_script_that_got_into_a_page_does_not_run(visit: Visit) -> None:
    page = visit(provoked="Content Security Policy")
    ran = page.evaluate(
        """() => { const it = document.createElement('script'); it.textContent = 'window.ran = true';
           let refused = false; document.addEventListener('securitypolicyviolation', () => { refused = true; });
           document.head.append(it);
           return new Promise(done => setTimeout(() => done([window.ran === true, refused]), 50)); }"""
    )
    assert ran == [False, True]


def test_the_one_time_link_in_a_browser(visit: Visit, console: Served) -> None:
    word = console.app.state.sessions.invite()
    page = visit(f"/console/enter/{word}", role=None)
    page.click("button.main")
    page.wait_for_url("**/console/matrix")
    assert page.locator("table.heat").count() == 1

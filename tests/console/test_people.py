"""Lists of people: their order, length and pages, whose they are, which tags count; and a class without a plan."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from rich.console import Console, RenderableType

from features.policy import SHIPPED
from serving import jobs
from serving.app import create_app
from serving.commands import insight_tables
from serving.key_file import make_keys
from serving.matrix import insights
from serving.settings import Settings, clock_of

TIERS = ["V0", "V1", "V2", "V3", "V4", "V5", "VIP", "VVIP"]
GROWING = "/console/matrix/MASS/GROWTH/people"


@pytest.fixture
def home(released_home: Path, tmp_path: Path) -> Path:
    own = tmp_path / "home"
    shutil.copytree(released_home, own)
    return own


@contextmanager
def opened(home: Path, **settings: Any) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(home=home, **settings))) as client:
        yield client


def asked(client: TestClient, home: Path, path: str, role: str = "marketing", status: int = 200) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {make_keys(home)[role]}", "Accept": "application/json"}  # type: ignore[index]
    answer = client.get(path, headers=headers)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def change_key(home: Path, role: str, **changes: Any) -> None:
    path = home / "keys" / "keys.json"
    records = json.loads(path.read_text())["keys"]
    path.write_text(json.dumps({"keys": [r | changes if r["role"] == role else r for r in records]}))


def profile(home: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(jobs.standing_builds(home)[-1].path).to_pylist()
    return rows


def test_a_list_is_put_in_the_order_that_is_asked_for(home: Path) -> None:
    ranks = {
        "aum": lambda row: -row["mda"], "tier": lambda row: -TIERS.index(row["tier"]),
        "grade": lambda row: row["grade"],
        "since": lambda row: -row["stage_entered_on"].toordinal(), "id": lambda row: 0,
    }  # fmt: skip
    inside = [row for row in profile(home) if row["cell"] == "MASS/GROWTH"]
    with opened(home) as client:
        for by, rank in ranks.items():
            told = asked(client, home, f"{GROWING}?by={by}")
            expected = sorted(inside, key=lambda row: (rank(row), row["customer_id"]))
            assert told["n"] == len(inside)
            assert [p["customer_id"] for p in told["people"]] == [row["customer_id"] for row in expected][:50], by
        names = [p["name"] for p in asked(client, home, f"{GROWING}?by=name")["people"]]
        assert names == sorted(names)
        assert len(names) > 1


def test_the_last_page_is_the_rest_and_there_is_none_after_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.console.people.A_PAGE", 7)
    with opened(home) as client:
        first = asked(client, home, f"{GROWING}?by=id")
        last = asked(client, home, f"{GROWING}?by=id&page={first['n_pages']}")
        assert len(last["people"]) == first["n"] - 7 * (first["n_pages"] - 1)
        asked(client, home, f"{GROWING}?page={first['n_pages'] + 1}", status=422)
        for page in ("0", "-1", "x", "٣", ""):
            asked(client, home, f"{GROWING}?page={page}", status=422)


def test_an_order_by_what_one_may_not_see_is_refused(home: Path) -> None:
    with opened(home) as client:
        told = asked(client, home, GROWING, "scientist")
        assert (told["orders"], told["sees_names"], told["sees_money"]) == (
            ["tier", "grade", "since", "id"],
            False,
            False,
        )
        assert all(p["name"] is None and "mda" not in p and "value_12m" not in p for p in told["people"])
        for by in ("aum", "name", "tags"):
            asked(client, home, f"{GROWING}?by={by}", "scientist", status=422)
        headers = {"Authorization": f"Bearer {make_keys(home)['scientist']}", "Accept": "text/html"}
        page = client.get(f"{GROWING}?lang=en", headers=headers).text
        assert '<th scope="col">Name' not in page
        assert "by=aum" not in page


def test_a_tag_that_outlived_its_days_stands_on_no_list(home: Path) -> None:
    later = clock_of(Settings(home=home)).now() + timedelta(days=60)
    with opened(home) as client:
        now = {tag for p in asked(client, home, GROWING)["people"] for tag in p["tags"]}
        assert {"effective", "long_tail"} <= now
        assert asked(client, home, "/console/lists/rescue")["n"] > 0
    with opened(home, as_of=later) as client:
        still = {tag for p in asked(client, home, GROWING)["people"] for tag in p["tags"]}
        assert "life_middle" in still
        assert not still & {"effective", "long_tail", "near_up"}
        rescue = asked(client, home, "/console/lists/rescue")
        assert (rescue["n"], rescue["people"], rescue["is_expired"]) == (0, [], True)


@pytest.mark.parametrize(("language", "said"), [("zh", "由 财富管理 负责"), ("en", "kept by wealth management")])
def test_a_list_says_in_the_readers_language_who_answers_for_its_rule(home: Path, language: str, said: str) -> None:
    headers = {"Authorization": f"Bearer {make_keys(home)['marketing']}", "Accept": "text/html"}
    with opened(home) as client:
        page = client.get(f"/console/lists/rescue?lang={language}", headers=headers).text
        way = client.get(f"/console/lists?lang={language}", headers=headers)
    assert way.url.path == "/console/lists/rescue"
    assert said in page
    assert said in way.text, "the language that was asked for is kept on the way"
    assert ("wealth management" in page) == (language == "en")


@pytest.mark.parametrize(("name", "tag"), [("rescue", "rescue"), ("growth", "rising")])
def test_a_list_names_those_whose_tag_stands_and_forgets_who_had_it_deleted(home: Path, name: str, tag: str) -> None:
    with_one_riser(home)
    tagged = {row["customer_id"] for row in profile(home) if f"|{tag}|" in row["tags"]}
    assert tagged
    with opened(home) as client:
        told = asked(client, home, f"/console/lists/{name}")
        assert {p["customer_id"] for p in told["people"]} == tagged
        gone = told["people"][0]["customer_id"]
        client.app.state.desk.ledger.delete_tag(gone, tag, "marketing")  # type: ignore[attr-defined]  # plain ASGI
        after = asked(client, home, f"/console/lists/{name}")
        assert {p["customer_id"] for p in after["people"]} == tagged - {gone}
        assert after["n"] == told["n"] - 1
        change_key(home, "rm", book=sorted(tagged)[:1])
        client.app.state.keys.refresh()  # type: ignore[attr-defined]
        assert {p["customer_id"] for p in asked(client, home, f"/console/lists/{name}", "rm")["people"]} <= {
            sorted(tagged)[0]
        }
    clock = clock_of(Settings(home=home))
    found = insights.everything(home, tuple(jobs.standing_builds(home)), clock.now()).lists[name]  # type: ignore[index]
    assert {row["customer_id"] for row in found.rows} == tagged - {gone}
    assert found.n == len(tagged) - 1
    said = shown(insight_tables.people("High tier, low grade", found))
    assert gone not in said
    if not found.n:
        assert said == "High tier, low grade: nobody\n"
        return
    first = found.rows[0]
    assert all(word in said for word in (f"{found.n} customers", first["customer_id"], f"{first['mda']:,.0f}"))


def shown(table: RenderableType) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def with_one_riser(home: Path) -> None:
    """One small and busy customer in the profile, so that the list of growth has somebody in so small a bank."""
    path = jobs.standing_builds(home)[-1].path
    table = pq.read_table(path)
    rows = table.to_pylist()
    place = next(i for i, row in enumerate(rows) if row["tier"] == "V1")
    rows[place] |= {"grade": "B", "tags": f"{rows[place]['tags']}rising|"}
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def test_a_list_is_not_for_whom_may_not_see_its_tag(home: Path) -> None:
    change_key(home, "leader", network="external")
    with opened(home) as client:
        for role in ("scientist", "leader"):
            told = asked(client, home, "/console/lists/rescue", role)
            assert (told["is_masked"], told["n"], told["people"]) == (True, 0, [])


STUDENT = """  STUDENT:
    zh: 学生
    en: Students
    precedence: 7
    rule: {unit: predicate, source: assumption, since: {1990-01-01: is_student}}
"""


@pytest.fixture(scope="module")
def with_students(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank that added a class in `policy/segments/classes.yaml` and wrote nothing else."""
    home = tmp_path_factory.mktemp("students") / "home"
    text = (SHIPPED / "classes.yaml").read_text("utf-8")
    text = text.replace("precedence: 8", "precedence: 9").replace("precedence: 7", "precedence: 8")
    folder = home / "policy" / "segments"
    folder.mkdir(parents=True)
    (folder / "classes.yaml").write_text(text.replace("  YOUNG:\n", f"{STUDENT}  YOUNG:\n"), "utf-8")
    jobs.simulate(home, customers=400, months=2, seed=7, last_on=jobs.LAST_SIMULATED, progress=lambda *_: None)
    clock = clock_of(Settings(home=home))
    jobs.build(home, clock)
    jobs.publish(home, clock)
    jobs.cut_release(home, clock)
    make_keys(home)
    return home


def test_a_class_without_a_plan_has_its_figures_its_people_and_its_customers(with_students: Path) -> None:
    home = with_students
    rows = profile(home)
    students = [row for row in rows if row["customer_class"] == "STUDENT"]
    assert len(students) > 3
    with opened(home) as client:
        cells = asked(client, home, "/v1/cells")["cells"]
        assert sum(cell["figures"]["n_customers"] for cell in cells) == len(rows)
        matrix = asked(client, home, "/console/matrix")
        assert matrix["n_unplanned"] == 7
        names = [one["id"] for one in matrix["classes"]]
        assert names.index("CREDIT") < names.index("STUDENT") < names.index("YOUNG")
        assert [one["name"] for one in matrix["classes"] if one["id"] == "STUDENT"] == [
            {"zh": "学生", "en": "Students"}
        ]
        for cell in cells:
            if cell["customer_class"] != "STUDENT":
                assert cell["is_planned"]
                continue
            said = (cell["is_planned"], cell["goal"], cell["products"], cell["hook"], cell["class_name"]["en"])
            assert said == (False, None, [], None, "Students")
            place = f"STUDENT/{cell['stage']}"
            here = [row["customer_id"] for row in students if row["stage"] == cell["stage"]]
            card = asked(client, home, f"/v1/cells/{place}")
            assert (card["offers"], card["variants"], card["figures"]["n_customers"]) == ([], [], len(here))
            assert asked(client, home, f"/v1/cells/{place}/customers")["customers"] == sorted(here)
            assert asked(client, home, f"/console/matrix/{place}/people")["n"] == len(here)


@pytest.mark.parametrize(("language", "mark", "name"), [("zh", "缺方案", "学生"), ("en", "no plan yet", "Students")])
def test_the_pages_mark_what_has_no_plan(with_students: Path, language: str, mark: str, name: str) -> None:
    home = with_students
    one = next(row for row in profile(home) if row["customer_class"] == "STUDENT")
    with opened(home) as client:
        headers = {"Authorization": f"Bearer {make_keys(home)['marketing']}", "Accept": "text/html"}

        def page(path: str) -> str:
            answer = client.get(f"{path}?lang={language}", headers=headers)
            assert answer.status_code == 200
            return answer.text

        heat = page("/console/matrix")
        assert heat.count(f"<small>{mark}</small>") == heat.count(" unplanned") == 7
        assert f"<strong>{mark}</strong>" in page(f"/console/matrix/STUDENT/{one['stage']}")
        portrait = page(f"/console/customers/{one['customer_id']}")
        assert f'href="/console/matrix/STUDENT/{one["stage"]}">{name} × ' in portrait

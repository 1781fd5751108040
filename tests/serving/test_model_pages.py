"""Champion and challenger beside each other, from a real registry: paired difference, shadow, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from serving.models.shadow import Arm, Compared
from serving.month.month_end import PROGRESS, folder_of
from tests.console.english import english_in, untranslated, walk
from tests.serving.conftest import Bank, open_bank
from tests.serving.homes import AS_OF, write_home
from tests.serving.registered import version
from tests.training.made_up import suspicion
from training import registry
from training.judging.metrics import Interval

pytestmark = pytest.mark.slow
HTML = {"Accept": "text/html"}
PAGE, UNDER = "/console/models/response", ("/console/models", "/console/promotions")


@pytest.fixture(scope="module")
def challenged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """A bank whose registry holds a champion, and a challenger that one gate keeps from its place."""
    home = tmp_path_factory.mktemp("challenged") / "home"
    write_home(home)
    number, verdict = version(home)
    assert registry.admit(home, "response", number, verdict) == registry.CHAMPION
    apart = Interval(0.004, -0.011, 0.019)
    number, verdict = version(home, seed=2, score_psi=0.41, less_champion=apart, facts={registry.BESIDE: 1})
    assert registry.admit(home, "response", number, verdict) == registry.CHALLENGER
    yield from open_bank(home)


def page(bank: Bank, path: str = PAGE, language: str = "en") -> str:
    answer = bank.ask("GET", f"{path}?lang={language}", role="scientist", headers=HTML)
    assert answer.status_code == 200
    return answer.text


def test_the_paired_difference_on_the_same_rows_is_marked_by_its_interval(challenged: Bank) -> None:
    told = challenged.ask("GET", f"{PAGE}?format=json", role="scientist").json()
    assert told["difference"] == pytest.approx(asdict(Interval(0.004, -0.011, 0.019)))
    assert (told["mark"], told["challenger"]["judged_beside"]) == ("EVEN", 1)
    assert (told["champion"]["version"], told["challenger"]["version"]) == (1, 2)
    for language, said in (("en", "not distinguishable"), ("zh", "不可区分")):
        assert said in page(challenged, language=language)


def test_a_closed_gate_of_the_challenger_says_by_how_much(challenged: Bank) -> None:
    told = challenged.ask("GET", f"{PAGE}/2?format=json", role="scientist").json()
    (closed,) = [gate for gate in told["gates"] if not gate["passes"]]
    assert (closed["name"], closed["margin"]) == ("score_stability", pytest.approx(0.25 - 0.41))
    assert "is above 0.25 by 0.160" in page(challenged, f"{PAGE}/2")


def test_the_shadow_says_what_carries_it_and_what_was_compared(challenged: Bank) -> None:
    assert "The current release does not carry the challenger" in page(challenged)
    found = Compared("r1", ("response",), 0.0, 800, 0.12, 0.004, 0.03, 640, 41, Interval(0.01, 0.002, 0.02),
                     Interval(-0.001, -0.002, 0.0), (Arm("champion", 640, 41),))  # fmt: skip
    path = folder_of(challenged.home, AS_OF) / PROGRESS
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"challenger": {"says": found.sentence(), "compared": found.to_json()}}))
    told = challenged.ask("GET", f"{PAGE}?format=json", role="scientist").json()["shadow"]
    assert (told["share"], told["compared"]["month"], told["compared"]["n_decisions"]) == (None, "2025-12", 800)
    text = page(challenged)
    for said in ("on 800 decisions: another first choice in 12.0%", "+0.0100", "on 640 first choices"):
        assert said in text, said


def test_a_release_of_files_that_nobody_registered_says_so_and_leads_nowhere_else(challenged: Bank) -> None:
    """The home's own release was cut from files beside the registry."""
    told = challenged.ask("GET", "/console/models?format=json", role="scientist").json()
    assert [(row["model"], row["version"]) for row in told["models"]] == [("churn", None), ("response", None)]
    assert [(row["model"], row["why"]) for row in told["waiting"]] == [("response", "NOT_RELEASED")]
    text = page(challenged, "/console/models")
    assert "The registry does not know the version that was released" in text
    assert 'href="/console/models/churn"' not in text


def test_no_page_about_models_says_anything_in_english_to_who_reads_chinese(challenged: Bank) -> None:
    """A leak that the guard found, a promotion that it stopped, a challenger behind its gate, and all reports."""
    number, verdict = version(challenged.home, seed=3, suspicions=[suspicion("duration ranks as the answer does")])
    gates = [gate.to_json() for gate in verdict.gates]
    ended = {"state": "REFUSED", "says": verdict.says, "says_zh": verdict.says_zh, "gates": gates}
    folder = challenged.home / "reports" / "promotions" / "one"
    folder.mkdir(parents=True)
    asked = {"what": "promote", "model": "response", "version": number, "who": "Li Na", "asked_at": "2026-01-02T03:00"}
    (folder / "asked.json").write_text(json.dumps(asked), "utf-8")
    (folder / "ended.json").write_text(json.dumps(ended | {"release": None}), "utf-8")
    pages = dict(walk(lambda path: page(challenged, path, "zh"), "/console/models", UNDER))
    assert "/console/promotions/one" in pages
    assert {f"{PAGE}/{number}", f"{PAGE}/{number}/report", "/console/models/drift", "/console/models/idle"} <= set(
        pages
    )
    reports = {path: pages.pop(path) for path in list(pages) if path.endswith("/report")}
    assert "排出了结果" in pages[f"{PAGE}/{number}"]
    assert {path: said for path, text in pages.items() if (said := english_in(text))} == {}
    assert {path: said for path, text in reports.items() if (said := untranslated(text))} == {}


def test_what_is_not_there_is_a_page_of_its_own(challenged: Bank) -> None:
    for path, status in (
        ("/console/models/loan", 404),
        (f"{PAGE}/9", 404),
        (f"{PAGE}/x", 404),
        (f"{PAGE}/1/none", 404),
    ):
        answer = challenged.ask("GET", path, role="scientist")
        assert answer.status_code == status, path
    kept = Path(challenged.home / "mlflow" / "versions.json")
    assert {1, 2} <= {row["version"] for row in json.loads(kept.read_text())["versions"]}
    assert challenged.ask("GET", PAGE, role="rm").status_code == 403

"""Every code that can be given has its sentences, in both languages, and no sentence carries an amount."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from decisioning import reasons
from decisioning.candidates import FILTERS, candidates
from decisioning.catalogue.catalogue import Catalogue
from decisioning.filters import ORDER
from decisioning.reasons import REMEDIES, SENTENCES, Reason, what_would_allow
from decisioning.situation import Situation
from tests.decisioning.builders import decided, inputs, shipped_policy, small_policy

ROOM = Path(reasons.__file__).parent
CODE = re.compile(r"^[A-Z][A-Z]+(_[A-Z]+)*$")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def codes_of_the_filters() -> set[str]:
    """Every code with which the shipped policy's filters, the channel and the holdout can turn an offer away."""
    policy = shipped_policy()
    catalogue = Catalogue.of(policy)
    situation = Situation.of(inputs({}, catalogue=catalogue), catalogue)
    return {code for _, code in candidates(situation, catalogue, policy).reasons[1:]}


def codes_written_in(*files: str) -> Iterator[str]:
    """Texts in these files' code that look like a reason code."""
    for name in files:
        for node in ast.walk(ast.parse((ROOM / name).read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.match(node.value):
                yield node.value


def test_every_rejection_has_a_sentence_and_what_would_allow_it() -> None:
    given = codes_of_the_filters()
    assert {"HOLDOUT", "TOOL_ALONE", "NOT_IN_CHANNEL", "UNDER_AGE", "RISK_TOO_HIGH", "QUIET_HOURS"} <= given
    assert given - set(SENTENCES) == given - set(REMEDIES) == set()


def test_every_code_that_is_written_down_has_a_sentence() -> None:
    known_others = {"TREAT", "GLOBAL", "MATURITY", "LOAN_END", "PAYDAY"}
    written = (
        set(codes_written_in("grounds.py", "decide.py", "playbooks.py", "marks.py", "few/telling.py")) - known_others
    )
    assert {"HIGH_P", "NO_CANDIDATE", "OBJECTION_RISK", "CONSENT_ATTESTED"} <= written
    assert written - set(SENTENCES) == set()


def test_every_shipped_overlay_has_a_sentence_of_its_own() -> None:
    for overlay in shipped_policy().overlays:
        assert f"OVERLAY_{overlay.id}" in SENTENCES


@pytest.mark.parametrize("words", [*SENTENCES.values(), *REMEDIES.values()], ids=lambda words: words.en[:30])
def test_both_languages_say_something_with_the_same_placeholders(words: reasons.Words) -> None:
    assert CHINESE.search(words.zh)
    assert words.en
    assert not CHINESE.search(words.en)
    names = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (words.zh, words.en)]
    assert names[0] == names[1] <= {"days", "goal"}, "amounts of a customer do not belong in a sentence"


def test_no_two_codes_share_a_sentence() -> None:
    for language in ("zh", "en"):
        said = [getattr(words, language) for words in SENTENCES.values()]
        assert len(said) == len(set(said))


def test_a_banks_own_codes_have_a_sentence_too() -> None:
    assert "OURS" in Reason("OVERLAY_OURS").words().en
    assert "MINE" in Reason("MINE").words().zh
    assert what_would_allow("MINE").en


def test_a_missing_fact_leaves_a_dash() -> None:
    assert Reason("OVERLAY_MATURITY").words().en == "Days until a holding matures: —."


def test_a_chosen_offer_has_at_least_two_reasons() -> None:
    for slot in decided({}, limit=11).offers:
        assert len(slot.reasons) >= 2
        assert len({reason.code for reason in slot.reasons}) == len(slot.reasons)


def test_reasons_say_why_this_offer() -> None:
    maturing = decided({"days_to_maturity": 7, "other_classes": "|ELDER|"}, limit=11)
    given = {slot.offer_id: [reason.code for reason in slot.reasons] for slot in maturing.offers}
    assert given["FUND"][0] == "OVERLAY_MATURITY"
    assert given["FUND"][1] == "CELL_SECONDARY"
    assert "RISK_FITS" in given["FUND"]
    assert "CELL_LISTED" in given["SCENE"]
    texts = {reason.code: reason.words() for slot in maturing.offers for reason in slot.reasons}
    assert texts["OVERLAY_MATURITY"].zh == "有产品7天后到期。"
    assert texts["CELL_LISTED"].en == "The customer's cell lists it; its goal: keep."
    asked = decided({}, asked=("LOAN",), moment=("LOAN",), limit=11)
    loan = next(slot for slot in asked.offers if slot.offer_id == "LOAN")
    assert [reason.code for reason in loan.reasons][:2] == ["ASKED", "MOMENT"]


def test_the_likeliest_are_the_likeliest_of_the_customers_own_candidates() -> None:
    found = decided({}, p={"DEP": 0.4, "SCENE": 0.5, "LOAN": 0.3, "FUND": 0.2, "PRIVATE": 0.9}, limit=11)
    high = {slot.offer_id for slot in found.offers if "HIGH_P" in [reason.code for reason in slot.reasons]}
    assert high == {"SCENE", "DEP", "LOAN"}  # a private placement may not be offered to this customer


def test_the_playbook_fits_product_and_channel() -> None:
    policy = small_policy()
    in_branch = decided({}, policy=policy, channel="RM").offers[0].playbook
    in_app = decided({}, policy=policy, channel="APP").offers[0].playbook
    assert (in_branch.next_step, in_app.next_step) == ("NEXT_FACE_TO_FACE", "NEXT_IN_SESSION")
    assert "OBJECTION_COST" in in_app.objections
    fund = {"customer_class": "MASS", "risk_level": 3}
    recorded = decided(fund, policy=shipped_policy(), channel="BRANCH", asked=("P10",), p={"P10": 0.9}).offers[0]
    assert (recorded.offer_id, recorded.playbook.next_step) == ("P10", "NEXT_RECORD")


def test_filters_are_one_file_each_and_the_order_is_the_only_list() -> None:
    files = {path.stem for path in (ROOM / "filters").glob("*.py")} - {"__init__"}
    assert set(ORDER) == files
    assert len(ORDER) == len(files)
    assert [name for name, _ in FILTERS] == list(ORDER)
    others = [path for path in ROOM.rglob("*.py") if path.parent.name != "filters"]
    for name in ORDER:
        imports = [path.name for path in others if f"filters.{name} " in path.read_text("utf-8")]
        assert imports == [], f"{name} is named outside the order"


def test_the_first_filter_that_rejects_names_the_reason() -> None:
    policy = small_policy()
    catalogue = Catalogue.of(policy)
    customer = {"is_staff": 1, "held_products": "|LOAN|", "age": 70}
    out = {out.offer_id: (out.filter, out.code) for out in decided(customer, policy=policy).suppressed}
    assert out["LOAN"] == ("exclusion", "STAFF")
    assert set(out) == set(catalogue.offer_ids)

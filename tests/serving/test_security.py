"""Keys are kept as hashes, and the table of rights is what an independent reading of the roles expects."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest

from features.errors import NotAllowed, UserMistake
from features.vocabulary import Sensitivity
from serving.errors import NoKey
from serving.key_file import ROLES, UnknownKey, add_key, book_in, listed, make_keys, revoke_key
from serving.security import RIGHTS, Actor, KeyRing, can, require

# Said once more, role by role, from what each person does in the bank; not derived from the table under test.
OF_CUSTOMERS = {"decide", "read_decision", "respond", "read_customer", "delete_tag", "read_catalogue"}
OF_MODELS = {"read_health", "read_models"}
EXPECTED = {
    "marketing": OF_CUSTOMERS | OF_MODELS,
    "compliance": {
        "read_decision",
        "replay",
        "read_customer",
        "delete_tag",
        "change_consent",
        "read_catalogue",
        "promote",
    }
    | OF_MODELS,
    "rm": OF_CUSTOMERS | {"change_consent"},
    "leader": OF_CUSTOMERS | {"change_consent", "read_models"},
    "scientist": {"read_decision", "replay", "read_customer", "read_catalogue", "promote"} | OF_MODELS,
    "auditor": {"read_decision", "replay", "read_customer", "read_catalogue"} | OF_MODELS,
    "service": OF_CUSTOMERS | {"change_consent"} | OF_MODELS,
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", RIGHTS)
def test_each_role_may_do_what_its_work_needs_and_nothing_else(role: str, action: str) -> None:
    assert can(Actor(role), action) is (action in EXPECTED[role])


def test_a_book_bounds_the_customers_of_a_manager() -> None:
    manager = Actor("rm", book=frozenset({"C1"}))
    assert [can(manager, "decide", customer) for customer in ("C1", "C2", None)] == [True, False, True]
    with pytest.raises(NotAllowed, match="book"):
        require(manager, "decide", "C2")


def test_c2_is_seen_with_clearance_and_from_inside_alone() -> None:
    cleared = Actor("rm", clearance=Sensitivity.C2)
    outside = Actor("rm", clearance=Sensitivity.C2, network="external")
    assert [actor.may_see(Sensitivity.C2) for actor in (cleared, outside, Actor("rm"))] == [True, False, False]
    assert outside.may_see(Sensitivity.C1)


def test_keys_are_kept_as_hashes_only_and_the_users_copy_is_private(tmp_path: Path) -> None:
    tokens = make_keys(tmp_path)
    kept = (tmp_path / "keys" / "keys.json").read_text()
    assert set(tokens) == set(ROLES)
    assert not any(token in kept for token in tokens.values())
    hashes = {record["role"]: record["sha256"] for record in json.loads(kept)["keys"]}
    assert hashes == {role: hashlib.sha256(token.encode()).hexdigest() for role, token in tokens.items()}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_making_keys_twice_changes_nothing(tmp_path: Path) -> None:
    first = make_keys(tmp_path)
    kept = (tmp_path / "keys" / "keys.json").read_bytes()
    assert (make_keys(tmp_path), (tmp_path / "keys" / "keys.json").read_bytes()) == (first, kept)


def test_the_holder_of_a_key_is_its_role_and_a_key_of_nobody_is_refused(tmp_path: Path) -> None:
    tokens = make_keys(tmp_path)
    ring = KeyRing(tmp_path)
    assert {role: ring.actor(f"Bearer {token}").role for role, token in tokens.items()} == {r: r for r in ROLES}
    for header in (None, "", "Bearer", "Bearer ", f"Basic {tokens['rm']}", f"Bearer {tokens['rm']}x", "Bearer 中"):
        with pytest.raises(NoKey):
            ring.actor(header)


def test_a_withdrawn_key_stops_at_the_next_refresh(tmp_path: Path) -> None:
    tokens = make_keys(tmp_path)
    ring = KeyRing(tmp_path)
    path = tmp_path / "keys" / "keys.json"
    records = [record for record in json.loads(path.read_text())["keys"] if record["role"] != "rm"]
    path.write_text(json.dumps({"keys": records}))
    ring.refresh()
    assert ring.actor(f"Bearer {tokens['service']}").role == "service"
    with pytest.raises(NoKey):
        ring.actor(f"Bearer {tokens['rm']}")


def test_a_home_without_keys_admits_nobody(tmp_path: Path) -> None:
    with pytest.raises(NoKey):
        KeyRing(tmp_path).actor("Bearer anything")


def test_a_role_whose_hash_was_taken_out_stays_without_a_key(tmp_path: Path) -> None:
    first = make_keys(tmp_path)
    path = tmp_path / "keys" / "keys.json"
    kept = [record for record in json.loads(path.read_text())["keys"] if record["role"] != "rm"]
    path.write_text(json.dumps({"keys": kept}))
    again = make_keys(tmp_path)
    assert set(first) - set(again) == {"rm"}
    with pytest.raises(NoKey):
        KeyRing(tmp_path).actor(f"Bearer {first['rm']}")
    assert KeyRing(tmp_path).actor(f"Bearer {first['leader']}").role == "leader"


def test_a_key_of_a_person_opens_what_was_said_of_him_and_nothing_once_it_is_revoked(tmp_path: Path) -> None:
    make_keys(tmp_path)
    token = add_key(tmp_path, "chen.yu", "rm", book=["C2", "C1", "C2"], is_external=True)
    ring = KeyRing(tmp_path)
    actor = ring.actor(f"Bearer {token}")
    assert (actor.role, actor.name, actor.book) == ("rm", "chen.yu", frozenset({"C1", "C2"}))
    assert not actor.may_see(Sensitivity.C2)
    assert token not in (tmp_path / "keys" / "keys.json").read_text()
    assert not (tmp_path / "keys" / "chen.yu.key").exists()
    row = next(row for row in listed(tmp_path) if row["name"] == "chen.yu")
    assert row == {"name": "chen.yu", "role": "rm", "clearance": "C2", "network": "external", "customers": 2}
    revoke_key(tmp_path, "chen.yu")
    ring.refresh()
    with pytest.raises(NoKey):
        ring.actor(f"Bearer {token}")
    assert {row["name"] for row in listed(tmp_path)} == set(ROLES), "the others stand"
    with pytest.raises(UnknownKey, match=r"chen\.yu"):
        revoke_key(tmp_path, "chen.yu")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "rm", "role": "rm"}, "a name of its own"),
        ({"name": " ", "role": "rm"}, "a name of its own"),
        ({"name": "x", "role": "boss"}, "no such role"),
        ({"name": "x", "role": "rm", "clearance": "C3"}, "no such clearance"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused_and_none_is_made(
    tmp_path: Path, given: dict[str, str], said: str
) -> None:
    make_keys(tmp_path)
    before = (tmp_path / "keys" / "keys.json").read_bytes()
    with pytest.raises(UserMistake, match=said):
        add_key(tmp_path, **given)  # type: ignore[arg-type]  # keywords from a table
    assert (tmp_path / "keys" / "keys.json").read_bytes() == before


@pytest.mark.parametrize("text", [None, "", "\n \n"])
def test_a_book_that_names_nobody_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "book.txt").write_text(text)
    with pytest.raises(UserMistake, match="book"):
        book_in(tmp_path / "book.txt")
    (tmp_path / "book.txt").write_text("\ufeffC1\r\n\nC2 \n", "utf-8")
    assert book_in(tmp_path / "book.txt") == ["C1", "C2"]

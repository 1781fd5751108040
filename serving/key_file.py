"""The keys of a home, as they are handed out and taken back: keys.json holds hashes, and who holds each key.

A key made for a role as a whole keeps a copy for the local user in `keys/<role>.key`, mode 0600; a key made for a
person is shown once and kept nowhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from features.errors import NotFound, UserMistake
from features.vocabulary import Sensitivity

Role = Literal["marketing", "compliance", "rm", "leader", "scientist", "auditor", "service"]
Network = Literal["internal", "external"]
ROLES: tuple[Role, ...] = get_args(Role)
_CLEARANCES = (Sensitivity.C1, Sensitivity.C2)  # what is C3 is not here to be seen


class UnknownKey(NotFound):
    """No key of this name stands in the home."""

    slug = "unknown-key"


def digest_of(token: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(token.encode()).digest()


def records_of(home: Path) -> list[dict[str, Any]]:
    """Every key of the home as it is kept, in the order in which they were made."""
    path = home / "keys" / "keys.json"
    return list(json.loads(path.read_text("utf-8"))["keys"]) if path.exists() else []


def make_keys(home: Path) -> dict[Role, str]:
    """One key for each role, made where the home has none; the tokens by role, for the caller to show once.

    Idempotent: a role that has its key keeps it, and one whose hash was taken out of keys.json stays without.
    """
    kept = {record["sha256"] for record in records_of(home)}
    tokens: dict[Role, str] = {}
    for role in ROLES:
        path = home / "keys" / f"{role}.key"
        if path.exists():
            token = path.read_text("ascii").strip()
            if digest_of(token).hex() in kept:
                tokens[role] = token
            continue
        tokens[role] = token = _added(home, _record(role, role))
        write_private(path, token + "\n")
    return tokens


def add_key(
    home: Path, name: str, role: str, *, book: Collection[str] | None = None, clearance: str | None = None,
    is_external: bool = False,
) -> str:  # fmt: skip
    """The token of a new key for a person or a program; `name` is what the ledger writes beside what he does.

    `book` are the customers he may reach, None for all; `clearance` is the role's own if None. An external key is used
    outside the bank's network, where amounts are masked. Raises UserMistake for a name that is taken or empty, an
    unknown role, and a clearance that nobody has.
    """
    if role not in ROLES:
        raise UserMistake("no such role", value=role, allowed=ROLES)
    if clearance not in (None, *_CLEARANCES):
        raise UserMistake("no such clearance", value=clearance, allowed=_CLEARANCES)
    if not name.strip() or any(_name(record) == name for record in records_of(home)):
        raise UserMistake("a key needs a name of its own", value=name, todo="revoke the other, or take another name")
    return _added(home, _record(name, role, book=book, clearance=clearance, is_external=is_external))


def book_in(path: Path) -> list[str]:
    """The customer ids of a file, one a line; raises UserMistake where there is none."""
    try:
        ids = [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserMistake("the book cannot be read", value=str(path), todo="UTF-8 text, one id a line") from error
    if not ids:
        raise UserMistake("the book names nobody", value=str(path), todo="one customer id a line")
    return ids


def listed(home: Path) -> list[dict[str, Any]]:
    """Every key that stands, without what would open anything; `customers` is the size of its book, or "all"."""
    return [
        {"name": _name(record), "role": record["role"], "clearance": record["clearance"], "network": record["network"],
         "customers": "all" if record.get("book") is None else len(record["book"])}
        for record in records_of(home)
    ]  # fmt: skip


def revoke_key(home: Path, name: str) -> None:
    """Take a key back; its sessions end with it. Raises UnknownKey."""
    records = records_of(home)
    kept = [record for record in records if _name(record) != name]
    if len(kept) == len(records):
        raise UnknownKey("no key of this name", value=name, allowed=sorted(_name(record) for record in records))
    _write(home, kept)


def roles_with_keys(home: Path) -> set[str]:
    """Roles that had a key made for them, whether it still opens or not."""
    return {path.stem for path in (home / "keys").glob("*.key")} & set(ROLES)


def _record(
    name: str, role: str, *, book: Collection[str] | None = None, clearance: str | None = None,
    is_external: bool = False,
) -> dict[str, Any]:  # fmt: skip
    usual = Sensitivity.C1 if role == "scientist" else Sensitivity.C2
    return {"name": name, "role": role, "book": None if book is None else sorted(set(book)),
            "clearance": clearance or usual, "network": "external" if is_external else "internal"}  # fmt: skip


def _name(record: Mapping[str, Any]) -> str:
    return str(record.get("name", record["role"]))


def _added(home: Path, record: dict[str, Any]) -> str:
    token = secrets.token_urlsafe(32)
    _write(home, [*records_of(home), record | {"sha256": digest_of(token).hex()}])
    return token


def _write(home: Path, records: list[dict[str, Any]]) -> None:
    folder = home / "keys"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    write_private(folder / "keys.json", json.dumps({"keys": records}, indent=2, ensure_ascii=False) + "\n")


def write_private(path: Path, text: str) -> None:
    """Put `text` in the place of a file that only its owner may read; a reader sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

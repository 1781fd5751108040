"""Who asks, and what he may do: hashed API keys, the Actor, and one table of rights.

A key is 32 random bytes, shown once; the home keeps its SHA-256. A slow hash such as scrypt protects passwords that
people choose and others guess; 256 random bits cannot be guessed however fast one hashes, and a slow hash would cost
every request. `key_file` hands keys out and takes them back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from fastapi import Request

from features.errors import NotAllowed
from features.vocabulary import Sensitivity
from serving.errors import NoKey
from serving.key_file import ROLES, Network, Role, digest_of, records_of

Action = Literal["decide", "read_decision", "replay", "respond", "read_customer", "delete_tag", "change_consent",
                 "read_catalogue", "read_health", "read_models", "promote"]  # fmt: skip

_EVERYBODY = frozenset(ROLES)
_TICKET_DIGITS = 32  # of a key's hash: enough to name it, too few to compare a guess with
RIGHTS: Mapping[Action, frozenset[Role]] = MappingProxyType(
    {
        "decide": frozenset({"marketing", "rm", "leader", "service"}),
        "read_decision": _EVERYBODY,
        "replay": frozenset({"compliance", "scientist", "auditor"}),
        "respond": frozenset({"marketing", "rm", "leader", "service"}),
        "read_customer": _EVERYBODY,
        "delete_tag": frozenset({"marketing", "compliance", "rm", "leader", "service"}),
        "change_consent": frozenset({"compliance", "rm", "leader", "service"}),
        "read_catalogue": _EVERYBODY,
        "read_health": frozenset({"marketing", "compliance", "scientist", "auditor", "service"}),
        "read_models": frozenset({"marketing", "compliance", "leader", "scientist", "auditor", "service"}),
        "promote": frozenset({"compliance", "scientist"}),
    }
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: his role, the customers in his book (None: all), what he is cleared for, from which network.

    `holder` is whose key it is, empty for one that a whole role shares.
    """

    role: Role
    book: frozenset[str] | None = None
    clearance: Sensitivity = Sensitivity.C1
    network: Network = "internal"
    holder: str = ""

    @property
    def name(self) -> str:
        """What the ledger writes beside what he does."""
        return self.holder or self.role

    def may_see(self, sensitivity: Sensitivity) -> bool:
        """Whether data of this sensitivity may be shown to him; from outside the bank's network C1 alone (R33)."""
        return sensitivity <= (self.clearance if self.network == "internal" else Sensitivity.C1)


def can(actor: Actor, action: Action, customer_id: str | None = None) -> bool:
    """Whether `actor` may do `action`, to `customer_id` where the action has a customer.

    >>> can(Actor("auditor"), "replay"), can(Actor("rm", book=frozenset({"C1"})), "decide", "C2")
    (True, False)
    """
    in_book = customer_id is None or actor.book is None or customer_id in actor.book
    return actor.role in RIGHTS[action] and in_book


def require(actor: Actor, action: Action, customer_id: str | None = None) -> None:
    """Raise NotAllowed unless `can`; an unknown customer outside the book is refused in the same words."""
    if not can(actor, action, customer_id):
        roles = sorted(RIGHTS[action])
        if actor.role in RIGHTS[action]:
            raise NotAllowed("the customer is not in the caller's book", zh="该客户不在你名下")
        raise NotAllowed(f"role {actor.role} may not {action.replace('_', ' ')}", allowed=roles,
                         zh=f"角色 {actor.role} 无权进行此操作，可以的角色：{'、'.join(roles)}")  # fmt: skip


class KeyRing:
    """The keys of a home, by hash; a changed file is read anew by `refresh`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path = home / "keys" / "keys.json"
        self._changed: int | None = None
        self._actors: dict[bytes, Actor] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the file if it changed; a home without keys admits nobody."""
        changed = self._path.stat().st_mtime_ns if self._path.exists() else None
        if changed == self._changed:
            return
        self._actors = {bytes.fromhex(record["sha256"]): _actor(record) for record in records_of(self._home)}
        self._changed = changed

    def actor(self, authorization: str | None) -> Actor:
        """The holder of the bearer key in an Authorization header; raises NoKey.

        He is looked up by the hash of what was presented: how long that takes tells of hashes that nobody can choose.
        """
        return self._holder(authorization)[1]

    def ticket(self, authorization: str | None) -> str:
        """What a session names the bearer key by; raises NoKey. It opens nothing by itself."""
        return self._holder(authorization)[0].hex()[:_TICKET_DIGITS]

    def ticket_of(self, role: Role) -> str | None:
        """The ticket of the first key of a role; None for a role without one."""
        return next((kept.hex()[:_TICKET_DIGITS] for kept, actor in self._actors.items() if actor.role == role), None)

    def by_ticket(self, ticket: str) -> Actor | None:
        """The holder of the key of this ticket; None once the key is gone from the home."""
        return next((actor for kept, actor in self._actors.items() if kept.hex()[:_TICKET_DIGITS] == ticket), None)

    def _holder(self, authorization: str | None) -> tuple[bytes, Actor]:
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NoKey("the request carries no API key", todo="send Authorization: Bearer <key>")
        digest = digest_of(token.strip())
        actor = self._actors.get(digest)
        if actor is None:
            raise NoKey("nobody holds this API key", todo="`tiercel doctor` names the key files of a home")
        return digest, actor


def asking(action: Action) -> Callable[[Request], Awaitable[Actor]]:
    """A route's dependency: the Actor who asks, once it is sure that his role may do `action`."""

    async def actor(request: Request) -> Actor:
        return asker(request, action)

    return actor


def asker(request: Request, action: Action) -> Actor:
    """The Actor who asks; raises NoKey, or NotAllowed for a role that may not do `action`."""
    ring: KeyRing = request.app.state.keys
    found = ring.actor(header_of(request, b"authorization"))
    require(found, action)
    return found


def header_of(request: Request, name: bytes) -> str | None:
    """The first header of this name, in small letters; Starlette's own look-up takes four times as long."""
    return next((value.decode("latin-1") for one, value in request.scope["headers"] if one == name), None)


def _actor(record: Mapping[str, Any]) -> Actor:
    book = record.get("book")
    return Actor(
        role=record["role"],
        book=None if book is None else frozenset(book),
        clearance=Sensitivity(record["clearance"]),
        network=record["network"],
        holder=record.get("name", ""),
    )

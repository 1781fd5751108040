"""What is refused before any route sees it: bodies too large, too slow or not JSON, and more requests than fit.

One plain ASGI layer. The body is counted as it arrives, so that neither a missing nor a lying Content-Length lets
more than the limit into memory, and has a few seconds to arrive, so that nobody holds a place by sending slowly.
Health checks pass a full house: an orchestrator that kills a busy server makes it worse for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator, Mapping
from types import coroutine
from typing import Any, TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.errors import TiercelError
from serving.errors import BodyTooLarge, BodyTooSlow, Overload, UnsupportedMedia, problem_response

Read = TypeVar("Read")
BODY_SECONDS = 10.0  # for which a body may be on its way
_WITH_BODY = {"POST", "PUT", "PATCH"}
_FORMS = "/console/"  # pages of ours send forms; everything else speaks JSON
_FORM = "application/x-www-form-urlencoded"
_ALWAYS_ANSWERED = {"/healthz", "/readyz"}
_DATA = "/v1/"
_NO_STORE = (b"cache-control", b"no-store")  # answers name customers: no proxy or browser keeps them


class Doorway:
    """ASGI layer around the routes: at most `max_in_flight` requests, each body at most `body_limit_bytes` of JSON."""

    def __init__(self, app: ASGIApp, *, body_limit_bytes: int, max_in_flight: int) -> None:
        self._app = app
        self._body_limit_bytes = body_limit_bytes
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _ALWAYS_ANSWERED:
            await self._app(scope, receive, send)
            return
        if self._in_flight >= self._max_in_flight:
            await _refuse(Overload("more requests at once than are worked on", todo="try again"), scope, receive, send)
            return
        self._in_flight += 1
        try:
            await self._admit(scope, receive, _unstored(send) if scope["path"].startswith(_DATA) else send)
        finally:
            self._in_flight -= 1

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        try:
            body = await _in_time(self._read(scope, receive, takes_forms=scope["path"].startswith(_FORMS)))
        except TimeoutError:
            body = BodyTooSlow("the body did not arrive", allowed=f"within {BODY_SECONDS:g} seconds", todo="send again")
        if isinstance(body, TiercelError):
            await _refuse(body, scope, receive, send)
            return
        await self._app(scope, _given(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive, *, takes_forms: bool) -> bytes | TiercelError:
        """The whole body, or why it is refused."""
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._body_limit_bytes:
            return self._too_large()
        parts: list[bytes] = []
        n_bytes, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            parts.append(message.get("body", b""))
            n_bytes += len(parts[-1])
            if n_bytes > self._body_limit_bytes:
                return self._too_large()
            more = message.get("more_body", False)
        if not n_bytes or (takes_forms and _media(headers) == _FORM):
            return b"".join(parts)
        return _as_json(b"".join(parts), headers)

    def _too_large(self) -> TiercelError:
        return BodyTooLarge("the body is too large", allowed=f"up to {self._body_limit_bytes} bytes",
                            todo="send fewer rows at a time")  # fmt: skip


async def _in_time(reading: Coroutine[Any, Any, Read]) -> Read:
    """What `reading` gives; raises TimeoutError where that takes longer than `BODY_SECONDS`.

    Nearly every body has come with its head. To set a timer for it would take longer than to read it.
    """
    try:
        waited_for = reading.send(None)
    except StopIteration as done:
        read: Read = done.value
        return read
    async with asyncio.timeout(BODY_SECONDS):
        return await _begun(reading, waited_for)


@coroutine
def _begun(reading: Coroutine[Any, Any, Read], waited_for: Any) -> Generator[Any, None, Read]:
    """The rest of a coroutine that was begun by hand and waits."""
    try:
        yield waited_for
    except BaseException as error:
        reading.throw(error)  # it is told that nobody waits for it any more
        raise
    return (yield from reading.__await__())


def _as_json(body: bytes, headers: Mapping[bytes, bytes]) -> bytes | TiercelError:
    media = _media(headers)
    if media == "application/json" or (media.startswith("application/") and media.endswith("+json")):
        return body
    return UnsupportedMedia("the body is not declared as JSON", value=media[:80], allowed=["application/json"])


def _media(headers: Mapping[bytes, bytes]) -> str:
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


def _given(body: bytes, receive: Receive) -> Receive:
    """A receive channel that gives `body` once, and then whatever comes (a disconnect)."""
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


def _unstored(send: Send) -> Send:
    """Sends on, with the word that nobody keeps the answer."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], _NO_STORE]
        await send(message)

    return marked


async def _refuse(error: TiercelError, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem_response(error)
    response.headers["connection"] = "close"  # the rest of a refused body is not read
    await response(scope, receive, send)

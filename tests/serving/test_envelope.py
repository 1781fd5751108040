"""An answer's head and body leave together, and nothing is held that would have to go alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from serving.envelope import Enveloping


class Wire:
    """A transport that notes what leaves in one piece, and that it was closed."""

    def __init__(self) -> None:
        self.left: list[bytes] = []

    def writelines(self, parts: Any) -> None:
        self.left.append(b"".join(parts))

    def close(self) -> None:
        self.left.append(b"closed")

    def is_closing(self) -> bool:
        return b"closed" in self.left

    def get_extra_info(self, _: str) -> None:
        return None

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def left(request: bytes, *parts: bytes, status: int = 200, length: bool = True) -> list[bytes]:
    """What leaves for a request that is answered with these parts of a body."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"%d" % len(b"".join(parts)))] if length else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for place, part in enumerate(parts, 1):
            await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": part, "more_body": place < len(parts)})

    async def run() -> list[bytes]:
        config = uvicorn.Config(answer, http=Enveloping, lifespan="off", log_config=None)
        config.load()
        wire, state = Wire(), ServerState()
        protocol: Any = config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]
        protocol.connection_made(wire)
        protocol.data_received(request)
        while state.tasks:
            await asyncio.sleep(0)
        protocol.timeout_keep_alive_task and protocol.timeout_keep_alive_task.cancel()
        return wire.left

    return asyncio.run(run())


GET = b"GET / HTTP/1.1\r\nHost: bank\r\n\r\n"


def test_head_and_body_leave_in_one_piece() -> None:
    (answer,) = left(GET, b"{}")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"content-length: 2\r\n\r\n{}")


def test_an_empty_body_and_none_leave_the_head_alone() -> None:
    (empty,) = left(GET, b"")
    (none,) = left(GET.replace(b"GET", b"HEAD"), b"{}")
    assert empty.endswith(b"content-length: 0\r\n\r\n")
    assert none.endswith(b"content-length: 2\r\n\r\n")


@pytest.mark.parametrize("length", [True, False])
def test_a_body_in_parts_is_whole_also_where_a_part_looks_like_a_head(length: bool) -> None:
    parts = b"a", b"HTTP/1.1 200 a", b"HTTP/1.1 200 b"
    first, *others = left(GET, *parts, length=length)
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert all(part in b"".join([first, *others]) for part in parts)


def test_a_connection_that_ends_after_its_answer_has_sent_it() -> None:
    closing = GET.replace(b"Host", b"Connection: close\r\nHost")
    for method in (b"GET", b"HEAD"):
        answer, end = left(closing.replace(b"GET", method), b"whole")
        assert (answer.startswith(b"HTTP/1.1 200 "), answer.endswith(b"whole"), end) == (
            True,
            method == b"GET",
            b"closed",
        )


def test_another_status_goes_as_uvicorn_sends_it() -> None:
    head, body = left(GET, b"{}", status=404)
    assert (head[:12], body) == (b"HTTP/1.1 404", b"{}")

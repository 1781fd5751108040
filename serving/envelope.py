"""Answers that leave in one piece.

uvicorn writes an answer's head and then its body, and uvloop hands each to the system at once: two calls and two
packets, for each of which whoever waits is woken. One connection alone loses a twentieth of a millisecond at it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_HEAD = b"HTTP/1.1 200 "


class Enveloping(AutoHTTPProtocol):  # type: ignore[valid-type, misc]  # whichever of uvicorn's own is installed
    """uvicorn's protocol, whose good answers go out head and body together; `uvicorn --http` takes its name."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(_Envelope(transport))

    def on_response_complete(self) -> None:
        self.transport.send()  # an answer to HEAD has no body for which its head could wait
        super().on_response_complete()


class _Envelope:
    """A transport that holds the head of an answer until its body begins."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, part: bytes) -> None:
        """Hold a head; send anything else, behind the head that is held."""
        if not self._head and part.startswith(_HEAD):
            self._head = part
        else:
            head, self._head = self._head, b""
            self._transport.writelines((head, part))

    def send(self) -> None:
        """Let go of a head that is still held."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Close once everything is sent."""
        self.send()
        self._transport.close()

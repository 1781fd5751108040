"""A load generator in a process of its own: so many connections, each of which asks again once it is answered.

    python -m benchmarks.load PORT CONNECTIONS SECONDS < requests

Each line of the requests is JSON: method, path, headers, body. It writes one JSON line: answers a second, and the
median, 90th and 99th percentile of their latency in milliseconds. It speaks HTTP/1.1 over plain sockets, since a client
library would take longer for a request than the server it measures.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

WARM_SHARE = 0.2  # of the seconds, before answers are counted
_END_OF_HEAD = b"\r\n\r\n"


def raw(method: str, path: str, *, headers: Mapping[str, str] | None = None, body: str = "") -> bytes:
    """One HTTP/1.1 request as bytes."""
    given = {"Host": "127.0.0.1", "Content-Length": str(len(body.encode())), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n{body}".encode()


class _Connection(asyncio.Protocol):
    """Sends the next request of `requests` as soon as the last is answered, and notes when each answer was whole."""

    def __init__(self, requests: Iterator[bytes], answered: list[tuple[float, float]]) -> None:
        self._requests, self._answered = requests, answered
        self._buffer = b""
        self._wanted = 0
        self._began = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._wanted:
            end = self._buffer.find(_END_OF_HEAD)
            if end < 0:
                return
            self._wanted = end + len(_END_OF_HEAD) + _length(self._buffer[:end])
        if len(self._buffer) >= self._wanted:
            now = time.perf_counter()
            self._answered.append((now, now - self._began))
            self._buffer, self._wanted = b"", 0
            self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))


def _length(head: bytes) -> int:
    status, *lines = head.split(b"\r\n")
    if status.split(b" ")[1] != b"200":
        raise SystemExit(f"the server answered {status.decode()}")
    lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
    return int(lengths[0].split(b":")[1])


async def load(port: int, connections: int, seconds: float, requests: Sequence[bytes]) -> dict[str, float]:
    """What `connections` get from the server at `port` in so many seconds; connections begin at different requests."""
    answered: list[tuple[float, float]] = []
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    opened = []
    for place in range(connections):
        mine = itertools.cycle([*requests[place::connections]] or requests)
        opened.append(
            (await loop.create_connection(lambda mine=mine: _Connection(mine, answered), "127.0.0.1", port))[0]
        )
    await asyncio.sleep(seconds)
    for transport in opened:
        transport.abort()
    start = began + WARM_SHARE * seconds
    counted = [(at, took) for at, took in answered if at >= start]
    if not counted:
        raise SystemExit("the server answered nothing")
    took_ms = np.array([took for _, took in counted]) * 1e3
    return {
        "per_second": len(counted) / (began + seconds - start),
        **{f"p{q}_ms": float(np.percentile(took_ms, q)) for q in (50, 90, 99)},
    }


def main() -> None:
    port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    requests = [raw(**json.loads(line)) for line in sys.stdin]
    try:
        import uvloop

        run = uvloop.run
    except ImportError:
        run = asyncio.run
    sys.stdout.write(json.dumps(run(load(port, connections, seconds, requests))) + "\n")


if __name__ == "__main__":
    main()

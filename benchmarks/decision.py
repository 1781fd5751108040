"""Decisions over HTTP: rows read, offers filtered and scored, reasons given, and all of it durable before the answer.

    python -m benchmarks.decision --size 100000

A real server (one worker of uvicorn, set up as `tiercel serve` does) on a home of so many customers and thirty offers
(`homes.py` says which), beside an empty FastAPI route in uvicorn as it comes, asked by the same load generator in a
process of its own; and beside Feast's feature server chained with `mlflow models serve`. Every customer is a random
one. Runs of all of them take turns, and medians count: a machine that does something else meanwhile slows all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from fastapi import FastAPI

from benchmarks import homes
from benchmarks.chain import chained, free_port, running
from benchmarks.table import Line, show
from serving.key_file import make_keys

CONNECTIONS = (1, 8)
CHANNELS = ("APP", "RM", "SMS", "BRANCH")
N_REQUESTS = 20_000  # distinct ones; more would take the load generator longer to read than to send
ROUNDS = 3


def empty_app() -> FastAPI:
    """An application with one route that does nothing; like ours without FastAPI's look-ups for telemetry."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.get("/")
    async def nothing() -> dict[str, str]:
        return {}

    return app


def requests_of(home: Path, size: int) -> str:
    """Requests for one decision each, of random customers, channel by channel, as the load generator reads them."""
    key = (home / "keys" / "service.key").read_text("ascii").strip()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    lines = []
    for place, customer in enumerate(np.random.default_rng(9).integers(0, size, N_REQUESTS).tolist()):
        body = {"customer_id": homes.customer(customer), "channel": CHANNELS[place % len(CHANNELS)], "limit": 3}
        asked = {"method": "POST", "path": "/v1/decisions", "headers": headers, "body": json.dumps(body)}
        lines.append(json.dumps(asked))
    return "\n".join(lines)


def asked(port: int, connections: int, seconds: float, requests: str) -> dict[str, float]:
    """What the load generator tells."""
    command = [sys.executable, "-m", "benchmarks.load", str(port), str(connections), str(seconds)]
    told = subprocess.run(command, input=requests.encode(), capture_output=True, check=True).stdout
    found: dict[str, float] = json.loads(told)
    return found


def measure(size: int, seconds: float, folder: Path) -> list[Line]:
    home = folder / "home"
    homes.write(home, size)
    make_keys(home)
    os.sync()  # or the disk would still be writing the home while it is asked to sync decisions
    requests, nothing = requests_of(home, size), json.dumps({"method": "GET", "path": "/"})
    ours: dict[int, list[dict[str, float]]] = {n: [] for n in CONNECTIONS}
    empty: dict[int, list[dict[str, float]]] = {n: [] for n in CONNECTIONS}
    with ExitStack() as servers:
        ports = free_port(), free_port()
        root = str(Path(__file__).parents[1])
        ours_runs = ("--http", "serving.envelope:Enveloping", "serving.app:app_from_environment")  # as `tiercel serve`
        for port, app in zip(ports, (ours_runs, ("benchmarks.decision:empty_app",)), strict=True):
            command = [sys.executable, "-m", "uvicorn", "--factory", *app, "--port", str(port), "--app-dir", root]
            command += ["--log-level", "warning", "--no-access-log"]
            servers.enter_context(running(command, folder, port, TIERCEL_HOME=str(home)))
        chain, chain_ms = servers.enter_context(chained(folder / "chain")), list[float]()
        asked(ports[0], 8, seconds, requests)  # every channel is laid out and every cache is warm
        for _ in range(ROUNDS):
            for n in CONNECTIONS:
                empty[n].append(asked(ports[1], n, seconds / 2, nothing))
                ours[n].append(asked(ports[0], n, seconds, requests))
            chain_ms += chain()
    return [
        *(_share(n, ours[n], empty[n]) for n in reversed(CONNECTIONS)),
        Line.beside(
            "p50 at 1 connection; Feast, then MLflow",
            _median(ours[1], "p50_ms"),
            statistics.median(chain_ms),
            "ms",
            floor=8,
        ),
    ]


def _share(n: int, ours: list[dict[str, float]], empty: list[dict[str, float]]) -> Line:
    what = f"answers at {n} connection{'s' if n > 1 else ''}; empty route"
    mine, theirs = _median(ours, "per_second"), _median(empty, "per_second")
    return Line.share_of(what, mine, theirs, "1/s", floor=0.20, goal=0.30)


def _median(runs: list[dict[str, float]], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=1_000_000, help="customers")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each run")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = measure(given.size, given.seconds, Path(folder).resolve())
    title = f"decisions of {given.size:,} customers, {os.cpu_count()} processors {platform.processor()}".strip()
    show("decision", given.size, lines, title=title, peer="peer named")


if __name__ == "__main__":
    main()

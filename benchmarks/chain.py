"""The peer of a decision: Feast's feature server, then `mlflow models serve`, as a bank would chain them.

Feast answers one customer's 60 features from its own SQLite store; the model server scores them with 30 offers in one
request. Neither filters, gives reasons or keeps anything. What lies between the two (building the second request) is
not counted.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

N_CUSTOMERS, N_FEATURES, N_OFFERS = 2_000, 60, 30
ASKED, WARM = 200, 20  # of each call
START_SECONDS = 120.0
_FEATURES = [f"f{place}" for place in range(N_FEATURES)]
_OFFER = ["offer_value", "offer_reward", "offer_risk"]
_FEAST_YAML = """project: chain
provider: local
registry: registry.db
entity_key_serialization_version: 3
online_store: {type: sqlite, path: online.db}
"""


@contextmanager
def chained(folder: Path) -> Iterator[Callable[[], list[float]]]:
    """The two servers; each call asks them for some customers, and tells the milliseconds that both took for each."""
    folder.mkdir()
    _fill_feast(folder)
    _save_model(folder / "model")
    with ExitStack() as servers:
        feast, model = free_port(), free_port()
        binaries = Path(sys.executable).parent
        servers.enter_context(running([str(binaries / "feast"), "serve", "--port", str(feast), "--no-access-log"],
                                      folder, feast))  # fmt: skip
        serve = ["models", "serve", "--model-uri", "model", "--port", str(model), "--env-manager", "local"]
        path = os.pathsep.join([str(binaries), os.environ.get("PATH", "")])  # MLflow looks for uvicorn there
        servers.enter_context(running([str(binaries / "mlflow"), *serve], folder, model, PATH=path))
        yield lambda: _asked(feast, model)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@contextmanager
def running(command: Sequence[str], folder: Path, port: int, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that listens on `port`, ended with all it has started; raises where it does not come up."""
    with (folder / f"{port}.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=os.environ | settings, stdout=log, stderr=log,
                                  start_new_session=True)  # fmt: skip
        try:
            _wait_for(port, server, Path(log.name))
            yield server
        finally:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"a server did not start; its last words:\n{log.read_text('utf-8', 'replace')[-2_000:]}")


def _fill_feast(folder: Path) -> None:
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64

    chance, now = np.random.default_rng(3), datetime.now(UTC)
    frame = pd.DataFrame(chance.lognormal(3, 2, (N_CUSTOMERS, N_FEATURES)), columns=_FEATURES)
    frame.insert(0, "customer_id", [f"C{place:08d}" for place in range(N_CUSTOMERS)])
    frame["event_timestamp"] = now - timedelta(hours=1)
    frame.to_parquet(folder / "rows.parquet")
    (folder / "feature_store.yaml").write_text(_FEAST_YAML)
    store = FeatureStore(str(folder))
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
    source = FileSource(path=str(folder / "rows.parquet"), timestamp_field="event_timestamp")
    fields = [Field(name=name, dtype=Float64) for name in _FEATURES]
    view = FeatureView(name="rows", entities=[customer], ttl=timedelta(days=62), schema=fields, source=source)
    store.apply([customer, view])
    store.write_to_online_store("rows", frame)


def _save_model(folder: Path) -> None:
    import mlflow.lightgbm

    chance = np.random.default_rng(4)
    names = [*_FEATURES, *_OFFER]
    rows = pd.DataFrame(chance.lognormal(3, 2, (20_000, len(names))), columns=names)
    tilt = np.log(rows).sub(3).to_numpy() @ chance.normal(0, 0.1, len(names))
    outcomes = (chance.random(len(rows)) < 1 / (1 + np.exp(2 - tilt))).astype(float)
    settings = {"objective": "binary", "num_leaves": 31, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, outcomes), num_boost_round=150)
    mlflow.lightgbm.save_model(booster, str(folder))


def _asked(feast: int, model: int) -> list[float]:
    chance = np.random.default_rng(5)
    offers = chance.lognormal(3, 2, (N_OFFERS, len(_OFFER))).tolist()
    rows, scores = (http.client.HTTPConnection("127.0.0.1", port, timeout=30) for port in (feast, model))
    names = [f"rows:{name}" for name in _FEATURES]
    took = []
    for place in chance.integers(0, N_CUSTOMERS, WARM + ASKED).tolist():
        asked = {"features": names, "entities": {"customer_id": [f"C{place:08d}"]}}
        first_ms, answer = _timed(rows, "/get-online-features", asked)
        values = dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))
        mine = [values[name]["values"][0] for name in _FEATURES]
        data = [[*mine, *offer] for offer in offers]
        frame = {"dataframe_split": {"columns": [*_FEATURES, *_OFFER], "data": data}}
        second_ms, told = _timed(scores, "/invocations", frame)
        if len(told["predictions"]) != N_OFFERS:
            raise SystemExit(f"the model server answered {str(told)[:200]}")
        took.append(first_ms + second_ms)
    return took[WARM:]


def _timed(server: http.client.HTTPConnection, path: str, body: Mapping[str, Any]) -> tuple[float, Any]:
    text = json.dumps(body)
    began = time.perf_counter()
    server.request("POST", path, text, {"Content-Type": "application/json"})
    response = server.getresponse()
    answer = response.read()
    took_ms = (time.perf_counter() - began) * 1e3
    if response.status != 200:
        raise SystemExit(f"{path} answered {response.status}: {answer[:500]!r}")
    return took_ms, json.loads(answer)

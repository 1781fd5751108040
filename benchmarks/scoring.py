"""Scoring a night's customers with every offer, beside LightGBM's own `predict` on the same rows.

    python -m benchmarks.scoring --size 20000

The response model of the benchmark home (150 trees of 31 leaves over every fact that a model can learn from) with
thirty offers. Ours begins with the customers' facts and ends with calibrated probabilities, on one thread. The peer
gets the rows ready made, every customer with every offer as one contiguous matrix, on all threads, unchecked, in calls
of the size that it likes best of three; what it takes to make the rows is not counted.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from benchmarks import homes
from benchmarks.table import Line, show
from features.facts import PROFILE, RECENT, STANDING, TODAY
from serving.scorer import Champions, Scorer
from training.encoding import LEARNABLE, arrays_of
from training.fitted import FittedModel

CUSTOMERS = 1_000  # at a time: their rows take as much memory as a peer with more of them would not finish in
ROWS_A_CALL = (1_000, 6_000, 30_000)
TOLERANCE = 1e-9
CHANNEL = "APP"

Arrays = dict[str, NDArray[Any]]


def facts(n: int, chance: np.random.Generator) -> Arrays:
    """The facts of n random customers that a model may ask for."""
    columns = [column for column in (*PROFILE, *TODAY, *STANDING, *RECENT) if column.kind in LEARNABLE]
    return arrays_of(homes.rows(tuple(columns), n, chance).to_pandas(), columns)


def measure(size: int, folder: Path) -> list[Line]:
    chance = np.random.default_rng(17)
    model = FittedModel.read(homes.models(folder, chance)["response"])
    scorer = Scorer.of(Champions(model, None), homes.shelf(), homes.thirty().view(homes.AS_OF))
    scorer.open()
    peer = lightgbm.Booster(model_str=model.text)
    ours, theirs, apart = 0.0, dict.fromkeys(ROWS_A_CALL, 0.0), 0.0
    for start in range(0, size, CUSTOMERS):
        n = min(CUSTOMERS, size - start)
        people = facts(n, chance)
        took, p = timed(lambda people=people, n=n: scored(scorer, people, n))
        ours += took
        rows = pairs(model, scorer, people)
        for most in ROWS_A_CALL:
            took, told = timed(lambda most=most, rows=rows: predicted(peer, rows, most))
            theirs[most] += took
        apart = max(apart, float(np.abs(model.calibration.apply(told) - p.ravel()).max()))
    what = f"{size:,} customers × {scorer.catalogue.m} offers; LightGBM predict, {os.cpu_count()} threads"
    return [
        Line.beside(what, ours, min(theirs.values()), "s", floor=3),
        Line.at_most("largest difference of a probability", apart, "", floor=TOLERANCE),
    ]


def scored(scorer: Scorer, people: Arrays, n: int) -> NDArray[np.float64]:
    """Probabilities (n, m) at the channel, by which a night is scored."""
    found = scorer.score(people, n, CHANNEL)
    if found is None:
        raise SystemExit("the scorer has no response model")
    return found.p_channel


def predicted(peer: lightgbm.Booster, rows: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """The peer's uncalibrated probabilities of all rows, so many a call."""
    found = [peer.predict(part, num_threads=os.cpu_count(), predict_disable_shape_check=True)
             for part in parts(rows, most)]  # fmt: skip
    return np.concatenate(found)


def parts(rows: NDArray[np.float64], most: int) -> Iterator[NDArray[np.float64]]:
    for start in range(0, len(rows), most):
        yield rows[start : start + most]


def pairs(model: FittedModel, scorer: Scorer, people: Arrays) -> NDArray[np.float64]:
    """Every customer with every offer as the model's own rows, by the way of training."""
    cards = [card.row() for card in scorer.catalogue.cards]
    offers = {name: np.array([row[name] for row in cards]) for name in cards[0]}
    asked = {"channel": np.full(len(cards), CHANNEL, dtype=object)}
    return model.recipe.encode_pairs(people, offers | asked)


def timed(work: Callable[[], NDArray[np.float64]]) -> tuple[float, NDArray[np.float64]]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=20_000, help="customers")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = measure(given.size, Path(folder))
    show("scoring", given.size, lines, title=f"scoring, {os.cpu_count()} processors {platform.processor()}".strip())


if __name__ == "__main__":
    main()

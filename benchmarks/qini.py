"""Bootstrap intervals of a Qini coefficient: one sort and a thousand walks, beside scikit-uplift's function in a loop.

    python -m benchmarks.qini --size 1000000

The values are held equal first: the coefficient itself, and that of one resample as weights here and as repeated rows
there. Ours makes all replicates. The peer makes a few, each a draw of rows and one call, and its figure is the median
of their times × the replicates. Needs the extra `benchmark`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings

import numpy as np
from numpy.typing import NDArray

from benchmarks.table import Line, note, show
from training.judging.metrics import Interval
from training.judging.resampling import resamples
from training.judging.uplift_curves import Ranking, with_intervals

REPLICATES = 1000
PEER_REPLICATES = 5
FLOOR = 40.0
CLOSE = 1e-9

Vector = NDArray[np.float64]
Codes = NDArray[np.int64]


def experiment(size: int) -> tuple[Vector, Codes, Vector]:
    """Outcomes, treatment and score of `size` customers, half of them treated; the score knows a bit of the effect."""
    chance = np.random.default_rng(7)
    score, treated = chance.normal(size=size), chance.integers(0, 2, size)
    p = 0.08 + 0.02 * treated * (score > 0)
    return (chance.random(size) < p).astype(float), treated, score


def theirs(outcomes: Vector, treated: Codes, score: Vector) -> float:
    """The coefficient by scikit-uplift."""
    from sklift.metrics import qini_auc_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return float(qini_auc_score(outcomes, score, treated))


def hold_equal(outcomes: Vector, treated: Codes, score: Vector) -> None:
    """Stops with a sentence if the two differ on the rows or on one resample of them."""
    weights = next(resamples(np.arange(len(score)), 1, seed=3)).astype(int)
    for rows in (np.arange(len(score)), np.repeat(np.arange(len(score)), weights)):
        ours = Ranking(outcomes[rows], treated[rows], score[rows]).qini()
        peers = theirs(outcomes[rows], treated[rows], score[rows])
        if not abs(ours - peers) <= CLOSE:
            raise SystemExit(f"ours is {ours}, scikit-uplift's {peers}: there is nothing to time")


def our_seconds(outcomes: Vector, treated: Codes, score: Vector) -> tuple[float, Interval]:
    """Seconds of all replicates, the sort and a first compilation included, and the interval."""
    began = time.perf_counter()
    ranking = Ranking(outcomes, treated, score)
    found = with_intervals({"score": ranking}, seed=1, n_resamples=REPLICATES, n_threads=0)["score"]["qini"]
    return time.perf_counter() - began, found


def peer_seconds(outcomes: Vector, treated: Codes, score: Vector) -> float:
    """Median seconds of one replicate of the peer, its draw of rows included."""
    chance, taken = np.random.default_rng(1), []
    for _ in range(PEER_REPLICATES):
        began = time.perf_counter()
        rows = chance.integers(0, len(score), len(score))
        theirs(outcomes[rows], treated[rows], score[rows])
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=1_000_000, help="rows")
    size = parser.parse_args().size
    rows = experiment(size)
    hold_equal(*rows)
    note(f"equal to {CLOSE:g}; one replicate of the peer, {PEER_REPLICATES} times")
    one = peer_seconds(*rows)
    note(f"{one:.3f} s each; {REPLICATES} of ours")
    ours, found = our_seconds(*rows)
    what = f"{REPLICATES:,} replicates; scikit-uplift's, {PEER_REPLICATES} timed and multiplied"
    lines = [Line.beside(what, ours, one * REPLICATES, "s", floor=FLOOR)]
    show(
        "qini", size, lines, title=f"Qini of {size:,} rows: {found}, {os.cpu_count()} processors", peer="scikit-uplift"
    )


if __name__ == "__main__":
    main()

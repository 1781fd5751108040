"""The product's training on public sets, beside plain LightGBM; nothing is chosen on the rows that judge.

    python -m benchmarks.quality --set bank_marketing --seeds 3

Figures are means over seeds, with their standard deviation over seeds; differences are paired, on the same rows, with
95 % intervals over rows, and one that holds 0 is not distinguishable. The sets lie in TIERCEL_SHARED_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.quality.bank_marketing import bank_marketing, bank_marketing_earlier
from benchmarks.quality.churners import av_bank_churn, bankchurners, bankchurners_fresh
from benchmarks.quality.contests import Contest
from benchmarks.quality.fashion import open_bandit
from benchmarks.quality.known_bank import simulated_bank
from benchmarks.quality.logs import off_policy_logs
from benchmarks.quality.mailings import hillstrom_men, hillstrom_women
from benchmarks.quality.offers import starbucks
from benchmarks.quality.promotion import promotion, promotion_fresh, promotion_training
from benchmarks.quality.purchases import cdnow
from serving.settings import read_settings

SETS: Mapping[str, Callable[[Path, int], Contest]] = {
    "bank_marketing": bank_marketing,
    "bank_marketing_earlier": bank_marketing_earlier,
    "bankchurners": bankchurners,
    "bankchurners_fresh": bankchurners_fresh,
    "av_bank_churn": av_bank_churn,
    "hillstrom_women": hillstrom_women,
    "hillstrom_men": hillstrom_men,
    "promotion": promotion,
    "promotion_training": promotion_training,
    "promotion_fresh": promotion_fresh,
    "starbucks": starbucks,
    "cdnow": cdnow,
    "open_bandit": open_bandit,
    "off_policy": off_policy_logs,
    "simulated_bank": simulated_bank,
}


def table(contest: Contest, n_seeds: int) -> Table:
    """The figures of one set for people."""
    blind = f"not blind: {contest.seen}" if contest.seen else "blind: nothing of the judging rows was seen before"
    shown = Table("what", "ours", "± seeds", "peer", "difference [95 %]", "to reach",
                  title=f"{contest.name}, mean of {n_seeds} seed(s)", caption=f"{contest.says}; {blind}")  # fmt: skip
    for one in contest.figures:
        peer = "" if one.peer is None else f"{one.peer:.4f}"
        shown.add_row(one.what, f"{one.mean:.4f}", f"{one.spread:.4f}", peer, one.verdict, one.bound)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", choices=SETS, action="append", help="one set; all without it")
    parser.add_argument("--seeds", type=int, default=3, help="seeds to average over")
    given = parser.parse_args()
    data = read_settings().shared_data
    if data is None:
        raise SystemExit("no public data sets here: set TIERCEL_SHARED_DATA to their folder")
    console, lines = Console(), []
    for name in given.set or SETS:
        contest = SETS[name](data, given.seeds)
        console.print(table(contest, given.seeds))
        lines += [asdict(one.told()) | {"what": f"{name}: {one.what}"} for one in contest.figures]
    console.print(f"{os.cpu_count()} processors, {platform.machine()}")
    console.file.write(json.dumps({"name": "quality", "size": given.seeds, "lines": lines}) + "\n")


if __name__ == "__main__":
    main()

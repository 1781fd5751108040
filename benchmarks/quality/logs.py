"""Off-policy estimates on logs of a simulated bank, where what a policy would have earned is known.

One policy pushed offers, another would be led by a noisy model; a log holds N_CHOICES choices of the first. DR with the
plainest q stands beside IPS, and its intervals are asked how often they hold the truth.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.contests import N_DRAWS, Contest, Figure
from benchmarks.table import note
from serving import jobs
from simulation.truth import Moment, State, Truth
from training.judging import off_policy
from training.judging.metrics import Interval
from training.judging.off_policy import Logged, mean_rewards

Vector = NDArray[np.float64]

N_OFFERS, N_CHOICES, N_CUSTOMERS = 14, 2_500, 6_000
N_LOGS, N_HELD = 200, 2_000
LINES = {"error": 0.8, "least": 0.935, "most": 0.965}
_LAST_ON = date(2025, 12, 31)


@dataclass(frozen=True)
class Known:
    """Customers with the true p1 of each offer, a policy that pushed, and one that a model would lead; all (n, m)."""

    p: Vector
    logged: Vector
    judged: Vector

    @classmethod
    def of(cls, truth: Truth, n_customers: int) -> Known:
        """What `truth` says of a contact by app with N_OFFERS offers."""
        n, same = n_customers, np.zeros(n_customers, np.int8)
        p = np.column_stack([
            truth.probabilities(Moment(np.arange(n), np.full(n, offer), same, same + State.ACTIVE, same))[1]
            for offer in range(N_OFFERS)
        ])  # fmt: skip
        chance = np.random.default_rng(5)
        pushed = _softmax(0.8 * chance.normal(size=(1, N_OFFERS)) + 0.5 * chance.normal(size=p.shape))
        led = _softmax(1.5 * (np.log(p / (1 - p)) + 0.7 * chance.normal(size=p.shape)))
        return cls(p, 0.2 / N_OFFERS + 0.8 * pushed, led)

    @property
    def value(self) -> float:
        """V of the judged policy."""
        return float((self.judged * self.p).sum(axis=1).mean())

    def log(self, seed: int, n: int = N_CHOICES) -> Logged:
        """n choices of the pushing policy with what came of them, and q by the plainest model there is."""
        chance = np.random.default_rng(seed)
        who = chance.integers(0, len(self.p), n)
        choice = (chance.random(n)[:, None] > np.cumsum(self.logged[who], axis=1)).sum(axis=1).clip(0, N_OFFERS - 1)
        rewards = (chance.random(n) < self.p[who, choice]).astype(float)
        q = mean_rewards(choice, rewards, np.arange(n) % 2, n_choices=N_OFFERS)
        rows = np.arange(n)
        return Logged(rewards, self.logged[who, choice], self.judged[who, choice], q[rows, choice],
                      (self.judged[who] * q).sum(axis=1), rows)  # fmt: skip

    def errors(self, estimate: Callable[[Logged], Interval], seeds: range) -> Vector:
        """Estimate less truth of each log (seeds,)."""
        return np.array([estimate(self.log(seed)).value for seed in seeds]) - self.value


def off_policy_logs(_: Path, n_seeds: int) -> Contest:
    """N_LOGS logs a seed for the errors, N_HELD for the intervals; every seed simulates a bank of its own."""
    errors: dict[str, list[Vector]] = {name: [] for name in (off_policy.IPS, off_policy.DR, off_policy.DR_SHRUNK)}
    held = []
    for seed in range(n_seeds):
        note(f"off_policy: seed {seed}")
        known = _known(seed)
        start = seed * (N_LOGS + N_HELD)
        for name, found in errors.items():
            found.append(known.errors(getattr(off_policy, name), range(start, start + N_LOGS)))
        told = [off_policy.dr(known.log(at)) for at in range(start + N_LOGS, start + N_LOGS + N_HELD)]
        held.append(float(np.mean([one.low <= known.value <= one.high for one in told])))
    ips = errors.pop(off_policy.IPS)
    says = (f"a bank a seed, {N_LOGS} logs of {N_CHOICES:,} choices, {N_OFFERS} offers, {N_HELD:,} for the intervals; "
            f"RMSE of IPS {np.mean([_root(one) for one in ips]):.4f}; shares are resampled by logs")  # fmt: skip
    return Contest("off_policy", says, [
        *(_share(name, found, ips) for name, found in errors.items()),
        Figure("share of DR's intervals that hold the truth, at least", held, 0.95, None, LINES["least"]),
        Figure("share of DR's intervals that hold the truth, at most", held, 0.95, None, LINES["most"],
               is_more_better=False),
    ])  # fmt: skip


def _share(name: str, ours: list[Vector], ips: list[Vector]) -> Figure:
    """RMSE ÷ that of IPS on the same logs, by seed; logs are resampled together."""
    shares = [_root(mine) / _root(theirs) for mine, theirs in zip(ours, ips, strict=True)]
    chance, draws = np.random.default_rng(0), np.empty(N_DRAWS)
    for draw in range(N_DRAWS):
        drawn = chance.integers(0, N_LOGS, N_LOGS)
        draws[draw] = np.mean(
            [_root(mine[drawn]) / _root(theirs[drawn]) for mine, theirs in zip(ours, ips, strict=True)]
        )
    less = Interval.of(float(np.mean(shares)) - 1, draws - 1)
    return Figure(f"RMSE of {name} as a share of that of IPS", shares, 1.0, less, LINES["error"], is_more_better=False)


def _known(seed: int) -> Known:
    with tempfile.TemporaryDirectory(prefix="tiercel-logs-") as folder:
        home = Path(folder) / "home"
        jobs.simulate(home, customers=N_CUSTOMERS, months=1, seed=seed + 1, last_on=_LAST_ON, progress=_silent)
        truth, customers, _ = Truth.read(home / "truth")
    return Known.of(truth, len(customers))


def _root(errors: Vector) -> float:
    return float(np.sqrt((errors**2).mean()))


def _softmax(score: Vector) -> Vector:
    weight = np.exp(score - score.max(axis=1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def _silent(_what: str, _share: float) -> None:
    """Progress that nobody watches."""

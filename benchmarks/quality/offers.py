"""Offers of a coffee shop's app, sent in six waves: who views one and then completes it in time.

From file to examples as any bank: import, build, point-in-time join. A wave is judged by what was learnt from offers
whose window had closed when it was sent. What is told of a wave is chosen on the wave before: one model, p(viewed) ×
p(completed | viewed), or the mean of both.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.quality.contests import BETTER, Contest, beside
from benchmarks.quality.learners import Flat, Mask, Vector
from benchmarks.quality.offer_habits import Events, habits, hours
from benchmarks.table import note
from features.bank.sources import starbucks as source
from features.vocabulary import Column
from serving import jobs
from serving.settings import clock_of, read_settings
from training.boosting import Parameters
from training.encoding import LEARNABLE, arrays_of
from training.gathering import gather
from training.ground import FACTS, PROFILE_FACTS, ground_of
from training.judging.metrics import Judged
from training.outcomes import OFFER_FEATURES

WAVES = {504: 336, 576: 408}  # hour of a wave that judges -> of the wave on which it is chosen what is told
PANEL = ("one model", "two stages", "mean of both")
PEERS = ("profile and offer", "all facts", "all facts and habits")
PLAIN_RATE = 0.05


def starbucks(data: Path, n_seeds: int) -> Contest:
    """The fifth and the sixth wave, pooled; beside LightGBM as it comes on fewer and on the same columns."""
    with tempfile.TemporaryDirectory(prefix="tiercel-offers-") as folder:
        waves = Waves.read(data / "starbucks_offers", Path(folder) / "home")
    chosen = {wave: waves.choice(wave) for wave in WAVES}
    ours: list[Judged] = []
    theirs: dict[str, list[Judged]] = {name: [] for name in PEERS}
    for seed in range(n_seeds):
        note(f"starbucks: seed {seed}")
        said = [waves.told(*waves.at(wave), seed)[chosen[wave]] for wave in WAVES]
        ours.append(Judged(waves.outcomes, np.concatenate(said)))
        for name, peer in theirs.items():
            flat = waves.flats[name]
            plain = [flat.plain(*waves.at(wave), seed=seed, learning_rate=PLAIN_RATE) for wave in WAVES]
            peer.append(Judged(waves.outcomes, np.concatenate(plain)))
    choices = ", ".join(f"hour {wave}: {name}" for wave, name in chosen.items())
    says = (f"{len(waves.outcomes):,} offers of two waves, windows purged; chosen on "
            f"the wave before: {choices}; peer: LightGBM, 200 trees")  # fmt: skip
    figures = [beside(f"AUC, peer on {name}", "auc", ours, theirs[name], None, BETTER, clusters=waves.who)
               for name in PEERS]  # fmt: skip
    figures += [beside(f"{metric}, peer on {PEERS[-1]}", metric, ours, theirs[PEERS[-1]], None, clusters=waves.who)
                for metric in ("log_loss", "ece")]  # fmt: skip
    seen = (
        "which kinds of habits help, and two stages, was told by others who had judged by these waves; of ours nothing"
    )
    return Contest("starbucks", says, figures, seen)


@dataclass(frozen=True)
class Waves:
    """All offers with a closed window: the tables of each learner, hours of sending and closing, and views."""

    flats: dict[str, Flat]
    sent: Vector
    closes: Vector
    viewed: Vector

    @classmethod
    def read(cls, folder: Path, home: Path) -> Waves:
        """The data set brought into `home`, built, and joined as of each contact."""
        note("starbucks: import, build, point-in-time join")
        source.bring_in(folder, home)
        jobs.write_catalogue(home)
        jobs.build(home, clock_of(read_settings(home=home)))
        rows = gather(ground_of(home), "response").examples.frame.reset_index(drop=True)
        events = Events.read(home)
        outcomes, who = rows["outcome"].to_numpy(np.float64), rows["customer_id"].to_numpy()
        known = {name: _table(rows, columns) for name, columns in
                 zip(PEERS, (PROFILE_FACTS, FACTS, FACTS), strict=True)}  # fmt: skip
        known[PEERS[-1]] = known[PEERS[-1]].join(habits(rows, events))
        closes = hours(rows["closes_at"])
        flats = {name: Flat(table, outcomes, who) for name, table in known.items()}
        return cls(flats, hours(rows["sent_at"]), closes, events.seen_by(rows["contact_id"], closes))

    @property
    def judging(self) -> list[Mask]:
        return [self.at(wave)[1] for wave in WAVES]

    @property
    def outcomes(self) -> Vector:
        """What came of the waves that judge, one after the other."""
        return np.concatenate([self.flats[PEERS[0]].outcomes[asked] for asked in self.judging])

    @property
    def who(self) -> NDArray[np.object_]:
        """Their members."""
        return np.concatenate([self.flats[PEERS[0]].owners[asked] for asked in self.judging])

    def at(self, wave: int, known_by: int | None = None) -> tuple[Mask, Mask]:
        """Rows whose window had closed at the hour `wave`, and the rows sent then, closed by `known_by` if given."""
        asked = self.sent == wave
        return self.closes <= wave, asked if known_by is None else asked & (self.closes <= known_by)

    def choice(self, wave: int) -> str:
        """The name in PANEL that ranks best on the wave before, of which only what had closed is known."""
        note(f"starbucks: what to choose for hour {wave}")
        learnt, asked = self.at(WAVES[wave], known_by=wave)
        outcomes = self.flats[PEERS[-1]].outcomes[asked]
        told = self.told(learnt, asked, seed=0)
        return max(PANEL, key=lambda name: Judged(outcomes, told[name]).auc())

    def told(self, learnt: Mask, asked: Mask, seed: int) -> dict[str, Vector]:
        """What each of PANEL says of the asked rows."""
        flat, figures = self.flats[PEERS[-1]], Parameters(seed=seed)
        one = flat.own(learnt, asked, figures)
        views = replace(flat, outcomes=self.viewed).own(learnt, asked, figures)
        both = views * flat.own(learnt & (self.viewed == 1), asked, figures)
        return dict(zip(PANEL, (one, both, (one + both) / 2), strict=True))


def _table(rows: pd.DataFrame, facts: tuple[Column, ...]) -> pd.DataFrame:
    """The learnable columns that vary in `rows`, texts as codes."""
    columns = [column for column in (*facts, *OFFER_FEATURES) if column.kind in LEARNABLE]
    table = pd.DataFrame(arrays_of(rows, columns))
    return table.loc[:, table.nunique() > 1]

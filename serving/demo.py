"""The whole way once, on a simulated bank, with what it came to: the first thing that a newcomer sees.

Each step leaves what stands as it is and says so, so that a second run takes seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from features.errors import NotReady
from insight.mix import mix
from serving import jobs
from serving.commands import summary
from serving.commands.summary import Tally
from serving.commands.telling import progress
from serving.key_file import make_keys
from serving.settings import clock_of, home_facts, read_settings

SEED = 7
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # the drawing would fetch its font from elsewhere


def show(home: Path, *, customers: int, months: int, picture: Path | None = None) -> None:
    """Make what is missing and print the summary; `picture` keeps it as an SVG too."""
    home = home.resolve()
    out = Console(width=132)
    with step("simulate") as moved:
        _bank(home, out, customers, months, moved)
    clock = clock_of(read_settings(home=home))
    standing = {build.path for build in jobs.standing_builds(home)}
    with step("build") as moved:
        builds = jobs.build(home, clock, progress=moved)
    fresh = [build for build in builds if build.path not in standing]
    out.print(f"{len(fresh)} months built, {len(builds) - len(fresh)} unchanged")
    with step("publish") as moved:
        published = jobs.publish(home, clock, progress=moved)
    out.print(f"{published.n_customers:,} customers online in {published.size_bytes / 1e6:.1f} MB")
    _models(home, out)
    release, is_new = jobs.cut_release(home, clock)
    out.print(f"release {release.id} is current{'' if is_new else ', unchanged'}")
    made = not (home / "keys" / "keys.json").exists()
    tokens = make_keys(home)
    tally = _decisions(home, clock, out, is_new=is_new)
    _tell(home, builds[-1], tally, picture)
    if made:
        out.print("API keys, shown once (a copy for you stands in the home's keys folder):")
        for role, token in tokens.items():
            out.print(f"  {role:<11} {token}", highlight=False)


@contextmanager
def step(title: str) -> Iterator[Callable[[str, float], None]]:
    """Progress of one step of the demo."""
    with progress(title) as moved:
        yield moved
        moved("done", 1.0)


def _bank(home: Path, out: Console, customers: int, months: int, moved: Callable[[str, float], None]) -> None:
    if home_facts(home).get("seed") == SEED and (home / "bank").exists():
        out.print("the simulated bank stands, unchanged")
        return
    made = jobs.simulate(
        home, customers=customers, months=months, seed=SEED, last_on=jobs.LAST_SIMULATED, progress=moved
    )
    out.print(summary.simulated(made))


def _models(home: Path, out: Console) -> None:
    from training import registry
    from training.judging import report
    from training.retrain import retrain

    for name in jobs.CHAMPIONS:
        standing = registry.with_alias(home, name, registry.CHAMPION)
        if standing is not None:
            out.print(f"{name} version {standing.version} is champion, unchanged")
            continue
        try:
            with step(f"train {name}") as moved:
                done = retrain(home, name, progress=moved, default_share=jobs.incremental_share(home))
        except NotReady as error:  # a bank too small to learn from goes on by its rules
            out.print(f"no {name} model: {error}")
            continue
        out.print(report.table(done.judgement, f"{name}, version {done.version}"))
        out.print(done.sentence())


def _decisions(home: Path, clock: Any, out: Console, *, is_new: bool) -> Tally:
    with step("decide") as moved, jobs.desk(home, clock) as desk:
        if not is_new:
            tally = Tally.of(jobs.decided_before(desk))
            if tally.n_decisions >= len(desk.ground().reader.customer_ids()):
                out.print("the decisions of this release stand, unchanged")
                return tally
        return Tally.of(jobs.decide_everybody(desk, channel="", limit=3, progress=moved))


def _tell(home: Path, build: Any, tally: Tally, picture: Path | None) -> None:
    out = Console(width=132, record=picture is not None)
    policy = jobs.segments_book(home).view(build.as_of)
    found = mix(build.path)
    out.print(summary.cells_table(found, [name for name, _ in policy.classes.ranked()]))
    out.print(summary.tiers_table(found, list(policy.tiers.thresholds)))
    out.print(summary.offers_table(tally))
    for decision in tally.examples.values():
        out.print(summary.example(decision))
    if picture is not None:
        drawn = out.export_svg(title="tiercel demo")
        picture.write_text(_FONT.sub("", drawn), "utf-8")

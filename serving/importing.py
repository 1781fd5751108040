"""The command `tiercel import`: which importer, what is told at the end, and the draft of a mapping."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from features.bank import importing, mapping
from features.bank.importing import Imported
from features.bank.proposing import Draft, draft
from features.bank.sources import berka, starbucks
from features.errors import UserMistake
from serving import jobs
from serving.abilities import Abilities, of_home
from serving.settings import Clock

Progress = Callable[[str, float], None]


def _starbucks(folder: Path, out: Path, progress: Progress) -> list[Imported]:
    return [starbucks.bring_in(folder, out, progress)]


def _berka(folder: Path, out: Path, progress: Progress) -> list[Imported]:
    return list(berka.bring_in(folder, out, progress).values())


NAMED: Mapping[str, Callable[[Path, Path, Progress], list[Imported]]] = {"berka": _berka, "starbucks": _starbucks}


@dataclass(frozen=True)
class Told:
    """One import or several, each with what works now."""

    parts: list[tuple[Imported, Abilities]]

    def lines(self) -> list[str]:
        lines = []
        for done, can in self.parts:
            lines += [*done.lines(), *can.lines(), f"next: tiercel build --home {done.home}"]
        return lines

    def to_json(self) -> list[dict[str, Any]]:
        return [done.to_json() | can.to_json() for done, can in self.parts]


def bring_in(
    source: str, folder: Path, out: Path, progress: Progress, *, as_of: date | None = None, adds: bool = False
) -> Told:
    """The files in `folder` in a home at `out` by the importer `source`, or by the mapping file of that name.

    A bank whose mapping names no day lives: business after today, by serving's clock, lies in the future.
    """
    if source in NAMED:
        made = NAMED[source](folder, out, progress)
    else:
        path = Path(source)
        if path.suffix not in (".yaml", ".yml"):
            raise UserMistake(
                "no importer of that name", value=source, allowed=[*sorted(NAMED), "a mapping file *.yaml"]
            )
        said = mapping.load(path)
        made = [
            importing.bring_in(
                said, folder, out, beside=path.parent, as_of=as_of, now=Clock().now(), adds=adds, progress=progress
            )
        ]
    for done in made:
        jobs.write_catalogue(done.home)  # what a model learns of an offer is what serving scores with
    return Told([(done, of_home(done.home)) for done in made])


@dataclass(frozen=True)
class Proposed:
    """A draft written, and what was guessed."""

    path: Path
    draft: Draft

    def lines(self) -> list[str]:
        return [*self.draft.lines(), f"{self.path} written; read its comments, mend what is wrong, then run "
                f"`tiercel import {self.path} FOLDER`"]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return json.loads(json.dumps({"mapping": str(self.path), "guesses": self.draft.lines()}))  # type: ignore[no-any-return]  # JSON is untyped


def propose(path: Path, folder: Path) -> Proposed:
    """A mapping drafted from the files in `folder`, written to `path`, which must not exist yet."""
    if path.exists():
        raise UserMistake("the mapping file is there already", value=str(path), todo="name another, or remove it first")
    made = draft(folder)
    path.write_text(made.text, "utf-8")
    return Proposed(path, made)

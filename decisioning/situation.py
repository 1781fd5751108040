"""The inputs as the filters read them: class and stage settled, every rule answered once, the bank's own time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Catalogue
from decisioning.inputs import SWITCHES, Inputs
from decisioning.rules import Answers, Bools
from features.vocabulary import Stage


@dataclass(frozen=True, slots=True)
class Situation:
    """n customers at one moment, read against one catalogue.

    `classes` and `stages` are settled: a class that is unknown or has no row in the matrix is the default class
    (`is_class_assumed`), an unknown stage is PROSPECT, or NEW where a first product is known (`is_stage_assumed`).
    `tiers` are those held, or of a new customer whom no month has measured yet (R10).
    `generic` says of customers who get no personal recommendation why: they switched it off (R31) or withdrew consent
    to profiling (R34). The answers are those of gates (m, n), channels (c, n), exclusions and overlays.
    """

    inputs: Inputs
    on: date
    hour: int
    now: np.datetime64
    classes: tuple[str, ...]
    stages: tuple[str, ...]
    tiers: tuple[str | None, ...]
    is_class_assumed: Bools
    is_stage_assumed: Bools
    generic: tuple[str | None, ...]
    is_generic: Bools
    is_asked: Bools  # (m,)
    gates: Answers
    channels: Answers
    exclusions: Answers
    overlays: Answers

    @property
    def n(self) -> int:
        return self.inputs.n

    @classmethod
    def of(cls, inputs: Inputs, catalogue: Catalogue) -> Situation:
        """The situation in which `inputs` are decided."""
        local = inputs.now.astimezone(ZoneInfo(inputs.zone))
        classes, is_class_assumed = _classes(inputs, catalogue)
        stages, is_stage_assumed = _stages(inputs)
        tiers = _tiers(inputs, catalogue)
        generic = _generic(inputs)
        settled = {"customer_class": _objects(classes), "stage": _objects(stages), "tier": _objects(tiers)}
        answers = _answers({**inputs.facts, **settled}, inputs.n, catalogue)
        return cls(
            inputs=inputs,
            on=local.date(),
            hour=local.hour,
            now=np.datetime64(inputs.now.replace(tzinfo=None) - inputs.now.utcoffset(), "us"),  # type: ignore[operator]  # Inputs refuses a moment without zone
            classes=classes,
            stages=stages,
            tiers=tiers,
            is_class_assumed=is_class_assumed,
            is_stage_assumed=is_stage_assumed,
            generic=generic,
            is_generic=np.array([code is not None for code in generic], dtype=bool),
            is_asked=catalogue.mask(inputs.asked),
            **answers,
        )


def refusals_of(names: str) -> list[tuple[str, str]]:
    """The categories of a set of withheld ones, each with the channel for which it is closed, empty for every one.

    >>> refusals_of("|LOAN|FUND/SMS|")
    [('LOAN', ''), ('FUND', 'SMS')]
    """
    return [
        (category, channel) for category, _, channel in (code.partition("/") for code in names.strip("|").split("|"))
    ]


def _answers(facts: Mapping[str, NDArray[Any]], n: int, catalogue: Catalogue) -> dict[str, Answers]:
    """Answers of the catalogue's rules, cut into its four parts."""
    every = catalogue.rules.answers(facts, n)
    overlays = len(every.true) - len(catalogue.overlay_factor)
    cuts = {
        "gates": slice(0, catalogue.m),
        "channels": slice(catalogue.m, catalogue.m + len(catalogue.channels)),
        "exclusions": slice(catalogue.m + len(catalogue.channels), overlays),
        "overlays": slice(overlays, None),
    }
    return {name: Answers(every.true[cut], every.false[cut]) for name, cut in cuts.items()}


def _classes(inputs: Inputs, catalogue: Catalogue) -> tuple[tuple[str, ...], Bools]:
    given = inputs.codes("customer_class").tolist()
    is_assumed = [name not in catalogue.class_names for name in given]
    settled = [catalogue.default_class if bad else name for name, bad in zip(given, is_assumed, strict=True)]
    return tuple(settled), np.array(is_assumed, dtype=bool)


def _stages(inputs: Inputs) -> tuple[tuple[str, ...], Bools]:
    given = inputs.codes("stage").tolist()
    is_assumed = np.array([stage is None for stage in given], dtype=bool)
    if None not in given:
        return tuple(given), is_assumed
    first = inputs.facts.get("first_product_on")
    has_product = np.zeros(inputs.n, dtype=bool) if first is None else ~np.isnat(first)
    assumed = np.where(has_product, str(Stage.NEW), str(Stage.PROSPECT)).tolist()
    return tuple(new if old is None else old for old, new in zip(given, assumed, strict=True)), is_assumed


def _tiers(inputs: Inputs, catalogue: Catalogue) -> tuple[str | None, ...]:
    held, newcomers = inputs.codes("tier").tolist(), inputs.codes("newcomer_tier").tolist()
    return tuple(catalogue.bands.higher(*both) for both in zip(held, newcomers, strict=True))


def _generic(inputs: Inputs) -> tuple[str | None, ...]:
    found: list[str | None] = [None] * inputs.n
    for name, code in reversed(SWITCHES.items()):
        for i in np.flatnonzero(inputs.numbers(name) == 1).tolist():
            found[i] = code
    return tuple(found)


def _objects(values: tuple[str | None, ...]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array

"""The class × lifecycle matrix as weights: what a cell lists, what leads for a tier, and situations on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisioning.catalogue.catalogue import Bools, Catalogue, Floats
from decisioning.policy import DecisionsPolicy
from decisioning.situation import Situation

NO_OVERLAY = -1


@dataclass(frozen=True, slots=True)
class Context:
    """How much an offer's gain counts for n customers and m offers: `weight` × `factor`, all (n, m).

    `overlay` is the index of the overlay that let the offer in, NO_OVERLAY for none; `is_listed` and `is_secondary`
    say whose cell lists it, `is_leading` that it stands first there for the customer's tier.
    """

    weight: Floats
    factor: Floats
    overlay: NDArray[np.int64]
    is_listed: Bools
    is_secondary: Bools
    is_leading: Bools

    @property
    def total(self) -> Floats:
        return self.weight * self.factor


def context(situation: Situation, catalogue: Catalogue, policy: DecisionsPolicy) -> Context:
    """Weight of the cell (listed, listed for a secondary class, unlisted) and factor of overlay, moment or tier.

    An overlay lets its offers in at the listed weight; of the overlays' factors, the moment's and that of what stands
    first in the cell for the customer's tier (B08) the largest counts.
    Customers without personal recommendation have weight and factor 1 throughout: the order of any stranger (R31).
    """
    figures = policy.arbitration
    is_listed, is_secondary = _listed(situation, catalogue)
    shares = np.where(is_secondary, figures.weight_secondary, figures.weight_unlisted)
    weight = np.where(is_listed, figures.weight_listed, shares)
    factor, overlay = np.empty(weight.shape), np.empty(weight.shape, dtype=np.int64)
    factor.fill(1.0)
    overlay.fill(NO_OVERLAY)
    for k in np.flatnonzero(np.logical_or.reduce(situation.overlays.true, axis=1)).tolist():
        stronger = situation.overlays.true[k][:, None] & catalogue.overlay_offers[k]
        weight[stronger] = figures.weight_listed
        stronger &= (catalogue.overlay_factor[k] > factor) | (overlay == NO_OVERLAY)
        factor[stronger], overlay[stronger] = catalogue.overlay_factor[k], k
    if situation.inputs.moment:
        moment = np.where(catalogue.mask(situation.inputs.moment), figures.moment_factor, 1.0)
        np.maximum(factor, moment, out=factor)
    is_leading = _leading(situation, catalogue)
    np.maximum(factor, np.where(is_leading, figures.lead_factor, 1.0), out=factor)
    if np.count_nonzero(situation.is_generic):
        for array, plain in ((weight, 1.0), (factor, 1.0), (overlay, NO_OVERLAY), (is_leading, False)):
            array[situation.is_generic] = plain
    return Context(weight, factor, overlay, is_listed, is_secondary, is_leading)


def _listed(situation: Situation, catalogue: Catalogue) -> tuple[Bools, Bools]:
    """Which offers the customer's own cell lists, and which those of the secondary classes, both (n, m)."""
    others = situation.inputs.codes("other_classes").tolist()
    keys: dict[tuple[str, str, Any], int] = {}
    triples = zip(situation.classes, situation.stages, others, strict=True)
    ids = [keys.setdefault(key, len(keys)) for key in triples]
    own = np.array([_row(catalogue, [name], stage) for name, stage, _ in keys])
    secondary = np.array([_row(catalogue, _codes(codes), stage) for _, stage, codes in keys])
    return own[ids], secondary[ids]


def _leading(situation: Situation, catalogue: Catalogue) -> Bools:
    """Which offers stand first in the customer's cell for his tier, (n, m)."""
    keys: dict[tuple[str, str, str | None], int] = {}
    triples = zip(situation.classes, situation.stages, situation.tiers, strict=True)
    ids = [keys.setdefault(key, len(keys)) for key in triples]
    nobody = np.zeros(catalogue.m, dtype=bool)
    seen = [catalogue.bands.seen(*key) for key in keys]
    return np.array([nobody if row is None else row.leading for row in seen])[ids]


def _row(catalogue: Catalogue, classes: list[str], stage: str) -> Bools:
    rows = [catalogue.listed[cell] for name in classes if (cell := catalogue.cells.get((name, stage))) is not None]
    return np.logical_or.reduce(rows) if rows else np.zeros(catalogue.m, dtype=bool)


def _codes(codes: str | None) -> list[str]:
    return [] if codes is None else [code for code in codes.split("|") if code]

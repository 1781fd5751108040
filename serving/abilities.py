"""What works with the tables that a bank has: families, filters, models; and what each waits for.

Families and facts say which tables they need (`features.inputs`), filters which facts they read beside those that the
policy's own predicates name, models which tables they learn from. Nothing is listed here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from decisioning.catalogue.cards import OfferCard
from decisioning.filters import ORDER
from decisioning.policy import DecisionsPolicy
from features.bank.tables import TABLES
from features.inputs import State, absent, states
from features.policy import SegmentsPolicy
from serving import jobs
from training.models import churn, response

_MODELS = (churn, response)
_OURS = "offer"  # the catalogue, which every import writes beside the bank's own tables


@dataclass(frozen=True, slots=True)
class Abilities:
    """States of families, filters and models for one bank, and how offers are ranked."""

    tables: tuple[str, ...]
    families: tuple[State, ...]
    filters: tuple[State, ...]
    models: tuple[State, ...]
    consent_basis: str

    def lines(self) -> list[str]:
        """What works and what waits, for people."""
        groups = {"families": self.families, "filters": self.filters, "models": self.models}
        works = "; ".join(f"{name} {_list(s for s in group if s.works)}" for name, group in groups.items())
        waiting = {name: [s for s in group if not s.works] for name, group in groups.items()}
        waits = "; ".join(f"{name} {_list(group)}" for name, group in waiting.items() if group)
        lines = [f"with your {len(self.tables)} tables these families, filters and models work: {works}"]
        lines.append(f"these wait for: {waits or 'nothing'}")
        return [*lines, *self._ranked_by()]

    def to_json(self) -> dict[str, Any]:
        def told(group: Iterable[State]) -> list[dict[str, Any]]:
            return [{"name": s.name, "works": s.works, "waits_for": s.waits_for, "richer_with": s.richer_with}
                    for s in group]  # fmt: skip

        return {"tables": self.tables, "families": told(self.families), "filters": told(self.filters),
                "models": told(self.models), "consent_basis": self.consent_basis}  # fmt: skip

    def _ranked_by(self) -> list[str]:
        if any(model.works for model in self.models if model.name == response.NAME):
            return []
        told = ["offers are ranked by policy alone (rules only), marked fallback until there is a response model"]
        if "risk_assessment" not in self.tables:
            told.append("no product of risk R1 or more is offered before there are risk assessments (DATA_MISSING)")
        if "consent" not in self.tables and self.consent_basis == "none":
            told.append("without a consent table nobody is sent anything; in the app and the branch offers are shown")
        return told


def abilities(tables: Iterable[str], who: SegmentsPolicy, what: DecisionsPolicy) -> Abilities:
    """What works with `tables` under both policies."""
    has = tuple(name for name in TABLES if name in set(tables))
    return Abilities(
        tables=tuple(name for name in has if name != _OURS),
        families=tuple(states(has, who)),
        filters=tuple(_filter(name, has, what, who) for name in ORDER),
        models=tuple(State(m.NAME, tuple(t for t in m.NEEDS if t not in has)) for m in _MODELS),
        consent_basis=who.bank.consent_basis,
    )


def of_home(home: Path) -> Abilities:
    """What works with the tables in `home`, under its policy as of its own instant."""
    tables = [name for name in TABLES if any((home / "bank" / name).glob("*.parquet"))]
    who, what = jobs.segments_book(home), jobs.decisions_book(home)
    return abilities(tables, who.view(max(who.dates())), what.view(max(what.dates())))


def _filter(name: str, has: tuple[str, ...], what: DecisionsPolicy, who: SegmentsPolicy) -> State:
    """A filter always works, on what is known; facts that no table makes known make it bar more, or see less."""
    reads = set(import_module(f"decisioning.filters.{name}").READS)
    if name == "consent" and who.bank.consent_basis != "opt_in":
        reads.discard("consented_channels")
    named = {
        "exclusion": [rule.when for rule in what.exclusions],
        "eligibility": [gate for offer in what.offers if (gate := OfferCard.of(offer, what).gate) is not None],
        "contact_policy": [c.allowed_for for c in what.channels.values() if c.allowed_for is not None],
    }
    reads |= {column for rule in named.get(name, ()) for column in rule.columns()}
    return State(name, richer_with=absent(reads, has))


def _list(group: Iterable[State]) -> str:
    return ", ".join(map(str, group)) or "none"

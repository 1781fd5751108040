"""What a run came to, as tables for a terminal: the heat map of cells, tiers, offers, three decisions with reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from features.vocabulary import Stage
from insight.mix import Mix

if TYPE_CHECKING:
    from simulation.world import Summary as Simulated

STAGES: Mapping[str, str] = {
    Stage.PROSPECT: "接触 PROSPECT", Stage.NEW: "新客 NEW", Stage.GROWTH: "成长 GROWTH", Stage.MATURE: "成熟 MATURE",
    Stage.DECLINE: "衰退 DECLINE", Stage.DORMANT: "休眠 DORMANT", Stage.LOST: "消失 LOST",
}  # fmt: skip
_HEAT = ("grey93", "light_yellow3", "khaki1", "gold1", "orange1", "dark_orange", "orange_red1")


@dataclass
class Tally:
    """Decisions counted: how many, without an offer by reason, first offers by id with their score, and examples."""

    n_decisions: int = 0
    n_fallback: int = 0
    no_action: Counter[str] = field(default_factory=Counter)
    first: Counter[str] = field(default_factory=Counter)
    score: Counter[str] = field(default_factory=Counter)
    names: dict[str, Mapping[str, str]] = field(default_factory=dict)
    examples: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, decisions: Iterable[Mapping[str, Any]]) -> Tally:
        """The tally of `decisions` as told; an example is the best-scored one of a hook, a service, a plain product."""
        tally = cls()
        for decision in decisions:
            tally.add(decision)
        return tally

    def add(self, decision: Mapping[str, Any]) -> None:
        """Count one decision as it was told."""
        self.n_decisions += 1
        self.n_fallback += bool(decision["fallback"])
        if not decision["offers"]:
            self.no_action[_why_nothing(decision)] += 1
            return
        best = decision["offers"][0]
        self.first[best["offer_id"]] += 1
        self.score[best["offer_id"]] += best["score"]
        self.names.setdefault(best["offer_id"], best["name"])
        kind = "hook" if best["hook_id"] else "product" if best["product_id"] else "service"
        standing = self.examples.get(kind)
        if standing is None or best["score"] > standing["offers"][0]["score"]:
            self.examples[kind] = decision

    def to_json(self) -> dict[str, Any]:
        return {
            "n_decisions": self.n_decisions, "n_fallback": self.n_fallback, "no_action": dict(self.no_action),
            "first_offers": dict(self.first.most_common()),
        }  # fmt: skip


def simulated(made: Simulated) -> str:
    """What was simulated, as a sentence."""
    return (
        f"{made.customers:,} customers over {made.months} months, {sum(made.rows.values()):,} rows; the top 2.5 % "
        f"hold {made.top_aum_share:.0%} of AUM, {made.dormant_share:.0%} sleep, "
        f"{made.conversion_share:.1%} of the contacted convert"
    )


def cells_table(mix: Mix, classes: Sequence[str]) -> Table:
    """The heat map of class × lifecycle: customers in each cell, warmer the more there are."""
    counts = {share.name: share.n_customers for share in mix.cells}
    most = max(counts.values(), default=1)
    table = Table(
        title=f"Customers by class and lifecycle (客户行为矩阵), {mix.n_customers:,} in all", show_lines=False
    )
    table.add_column("分类 class")
    for stage in Stage:
        table.add_column(STAGES[stage], justify="right")
    for name in classes:
        table.add_row(name, *[_heated(counts.get(f"{name}/{stage}", 0), most) for stage in Stage])
    return table


def tiers_table(mix: Mix, tiers: Sequence[str]) -> Table:
    """Customers and AUM of each tier, with their shares."""
    table = Table(title="Tiers (分层)")
    for head in ("tier", "customers", "share", "AUM, 万元", "share of AUM"):
        table.add_column(head, justify="left" if head == "tier" else "right")
    found = {share.name: share for share in mix.tiers}
    total = sum(share.aum or 0.0 for share in mix.tiers) or 1.0
    for name in tiers:
        if name in found:
            share = found[name]
            aum = share.aum or 0.0
            table.add_row(name, f"{share.n_customers:,}", f"{share.n_customers / mix.n_customers:.1%}",
                          f"{aum / 1e4:,.0f}", f"{aum / total:.1%}")  # fmt: skip
    return table


def offers_table(tally: Tally, most: int = 12) -> Table:
    """What stands first in the lists: offers by how many customers get them, then why others get none."""
    table = Table(title=f"Best offer of {tally.n_decisions:,} customers (下一步最优)")
    for head in ("offer", "", "customers", "mean score"):
        table.add_column(head, justify="right" if head in ("customers", "mean score") else "left")
    for offer_id, n in tally.first.most_common(most):
        name = tally.names[offer_id]
        table.add_row(offer_id[:12], f"{name['zh']} {name['en']}", f"{n:,}", f"{tally.score[offer_id] / n:.2f}")
    others = tally.first.most_common()[most:]
    if others:
        table.add_row("…", f"{len(others)} further offers", f"{sum(n for _, n in others):,}", "")
    for reason, n in tally.no_action.most_common():
        table.add_row("none", f"NO_ACTION: {reason}", f"{n:,}", "")
    return table


def example(decision: Mapping[str, Any]) -> Text:
    """One decision told as a relationship manager would read it."""
    cell = decision["cell"]
    text = Text(f"{decision['customer_id']}", style="bold")
    text.append(
        f"  {cell['customer_class']} × {cell['stage']}, tier {decision['tier']}, grade {decision['grade']}\n", "dim"
    )
    for offer in decision["offers"]:
        parts = offer["components"]
        text.append(f"  {offer['rank']}. {offer['offer_id']} {offer['name']['zh']} {offer['name']['en']}", "green")
        text.append(f"  score {offer['score']:.2f}, p {parts['p']:.3f}, value {parts['value']:.0f}, ")
        text.append(f"propensity {offer['propensity']:.3f}\n")
        text.append(f"     {' '.join(reason['text']['en'] for reason in offer['reasons'])}\n", "dim")
    return text


def _heated(n: int, most: int) -> Text:
    if n == 0:
        return Text("·", style="dim")
    step = min(int(len(_HEAT) * (n / most) ** 0.4), len(_HEAT) - 1)
    return Text(f" {n:,} ", style=f"black on {_HEAT[step]}")


def _why_nothing(decision: Mapping[str, Any]) -> str:
    return str(decision["no_action_reason"]["text"]["en"])

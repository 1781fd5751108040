"""What the months say, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple

from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from insight.bridge import Bridge
from insight.flows import Flow
from insight.lives import Lives
from insight.mix import Mix
from insight.pareto import TOP, Pareto
from insight.people import Listing
from insight.preferences import Preference
from insight.survival import Curve
from serving.commands.summary import STAGES, cells_table
from serving.matrix.insights import MonthTold, Told

_TITLES = {"stage": "Stages (生命周期迁移)", "tier": "Tiers (分层迁移)"}
_CUSTOMERS = ("opening", "new", "won back", "lost", "closing")
_ONE_MONTH = "one month only: nobody can have gone anywhere yet"
_10K = 1e4  # 万元
_SHOWN_PEOPLE = 10  # of each list
_LISTS = {"rescue": "High tier, low grade (高层低级)", "growth": "Low tier, high grade (低层高级)"}
_FIGURES = {"grade_score": 1, "mda": 0, "value_12m": 0}  # digits of each


def month_end(told: MonthTold) -> list[RenderableType]:
    """What a build ends with: migration, bridge, concentration, alerts, the heat map, quarantine."""
    shown: list[RenderableType] = [migration(flow) for flow in told.flows.values()]
    if told.bridge is not None:
        shown.append(Text(bridge_line(told.bridge)))
    else:
        shown.append(Text(_ONE_MONTH))
    shown += [Text(active_line(told.mix)), Text(pareto_line(told.pareto))]
    shown += [Text(f"异动 {jump.rule} {jump}", style="bold red") for jump in told.jumps] or [Text("no jumps (异动)")]
    shown.append(cells_table(told.mix, told.classes))
    aside = ", ".join(f"{n:,} × {rule}" for rule, n in told.aside.items()) or "nothing"
    return [*shown, Text(f"quarantine (隔离): {sum(told.aside.values()):,} rows set aside at the last import: {aside}")]


def everything(told: Told) -> list[RenderableType]:
    """The whole history: bridges, stays, cohorts, preferences, the two lists, alerts."""
    if told.passages:
        stays = [
            curves(f"How long people stay (停留月数): {name}", "stays", found) for name, found in told.dwell.items()
        ]
        moved: list[RenderableType] = [bridges(told.bridges), *stays, *cohorts(told.lives)]
    else:
        moved = [Text(_ONE_MONTH)]
    return [
        *moved,
        Text(pareto_line(told.pareto)),
        *wants(told.preferences),
        *[people(_LISTS[name], found) for name, found in told.lists.items()],
        *[Text(f"{jump.as_of} 异动 {jump.rule} {jump}") for jump in told.jumps],
    ]


def migration(flow: Flow) -> Table:
    """From rows to columns: people, and their share of those who stood in the row."""
    table = _titled(f"{_TITLES[flow.label]}, from {flow.from_on} to {flow.to_on}")
    table.add_column("from \\ to")
    columns = [*flow.names, *([None] if flow.after(None) else [])]
    for name in columns:
        table.add_column(_word(name), justify="right")
    table.add_column("opening", justify="right")
    for before in [*flow.names, *([None] if flow.before(None) else [])]:
        cells = [_moved(flow, before, after) for after in columns]
        table.add_row(_word(before), *cells, f"{flow.before(before):,}" if before else "")
    table.add_section()
    table.add_row("closing", *[f"{flow.after(after):,}" if after else "" for after in columns], "")
    return table


def bridge_line(found: Bridge) -> str:
    """The bridge of customers and of AUM as a sentence."""
    people = (
        f"customers (净增): {found.opening:,} + {found.new:,} new + {found.won_back:,} won back - {found.lost:,} lost "
        f"= {found.closing:,}"
    )
    if (aum := found.aum) is None:
        return people
    named = {"new": aum.new, "won back": aum.won_back, "lost": -aum.lost, "grown": aum.grown, "shrunk": -aum.shrunk}
    steps = ", ".join(f"{amount / _10K:+,.0f} {name}" for name, amount in named.items())
    return f"{people}; AUM in 万元: {aum.opening / _10K:,.0f} {steps} = {aum.closing / _10K:,.0f}"


def active_line(found: Mix) -> str:
    """How many of the customers logged in within the month, and how many count as effective."""
    logged_in = "not known, the bank has no events" if found.n_logged_in is None else f"{found.n_logged_in:,}"
    return f"MAU (月活): {logged_in}; effective (有效户): {found.n_effective:,}; of {found.n_customers:,}"


def pareto_line(found: Iterable[Pareto]) -> str:
    """What the top 20 % hold, month by month, as a sentence for each figure."""
    told: dict[str, list[str]] = {}
    for curve in found:
        share = "none" if curve.top_share is None else f"{curve.top_share:.1%}"
        told.setdefault(curve.figure, []).append(f"{curve.as_of:%Y-%m} {share}")
    return "\n".join(
        f"the top {TOP:.0%} hold of {figure} (二八): {', '.join(months)}" for figure, months in told.items()
    )


def bridges(found: Sequence[Bridge]) -> Table:
    """One line a month: customers and AUM from opening to closing."""
    table = _titled("Net growth (净增), AUM in 万元")
    for head in ("month", *_CUSTOMERS, *[f"AUM {name}" for name in (*_CUSTOMERS[:-1], "grown", "shrunk", "closing")]):
        table.add_column(head, justify="left" if head == "month" else "right")
    for b in found:
        customers = (b.opening, b.new, b.won_back, b.lost, b.closing)
        money = () if b.aum is None else astuple(b.aum)
        table.add_row(f"{b.to_on:%Y-%m}", *[f"{n:,}" for n in customers], *[f"{a / _10K:,.0f}" for a in money])
    return table


def cohorts(lives: Lives) -> list[Table]:
    """Staying and waking by cohort, then the way to each tier."""
    return [
        curves("Staying a customer (留存), by quarter of becoming one", "stay", lives.retention),
        curves("Staying awake (活跃), by the same quarters", "stay", lives.activity),
        ways(lives),
    ]


def ways(lives: Lives) -> Table:
    """A line for each cohort: months until half of it is in the tier, else the share that has got there."""
    table = _titled("Months until half of a cohort reaches a tier (升层), else the share that did so far")
    table.add_column("")
    for tier in lives.time_to_tier:
        table.add_column(tier, justify="right")
    for found in zip(*lives.time_to_tier.values(), strict=True):
        table.add_row(found[0].name, *[_way(curve) for curve in found])
    return table


def curves(title: str, what: str, found: Sequence[Curve]) -> Table:
    """A line for each curve: people, events, the median with its interval, shares after 3, 6, 12 and 24 months."""
    table = _titled(title)
    at = (3, 6, 12, 24)
    for head in ("", "people", "events", "median months", *[f"{what} {month}" for month in at]):
        table.add_column(head, justify="right" if head else "left")
    for curve in found:
        shares = [curve.at(month) for month in at]
        table.add_row(curve.name, f"{curve.n:,}", f"{curve.n_events:,}", _median(curve),
                      *["" if share is None else f"{share:.1%}" for share in shares])  # fmt: skip
    return table


def wants(found: Sequence[Preference]) -> list[RenderableType]:
    """A line for each class, tier and need of which enough is known, and how many there are of which it is not."""
    table = _titled("What each class and tier takes when asked (偏好)")
    for head in ("class", "tier", "need", "answers", "take", "interval", "own answers", "level"):
        table.add_column(head, justify="right" if head in ("answers", "take", "own answers") else "left")
    for row in (row for row in found if not row.is_thin):
        taken = row.taken
        table.add_row(row.customer_class, row.tier, row.need, f"{taken.n:,}", f"{taken.share or 0:.1%}",
                      f"{taken.low or 0:.1%} to {taken.high or 0:.1%}", f"{row.n_own:,}",
                      row.level)  # fmt: skip
    n_thin = sum(row.is_thin for row in found)
    return [table, Text(f"{n_thin} further preferences rest on too few answers even in the whole class")]


def people(title: str, found: Listing) -> RenderableType:
    """A line for each of the first on a list: id, cell, tier, grade, score, AUM and value; and how many there are."""
    if not found.n:
        return Text(f"{title}: nobody")
    table = _titled(f"{title}: {found.n:,} customers{', the first' if found.n > _SHOWN_PEOPLE else ''}")
    for head in ("customer", "cell", "tier", "grade", "score", "AUM", "value of 12 months"):
        table.add_column(head, justify="left" if head in ("customer", "cell", "tier", "grade") else "right")
    for row in found.rows[:_SHOWN_PEOPLE]:
        table.add_row(row["customer_id"], f"{row['customer_class']}/{row['stage']}", row["tier"], row["grade"],
                      *[_figure(row[name], digits) for name, digits in _FIGURES.items()])  # fmt: skip
    return table


def _figure(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _titled(title: str) -> Table:
    """A table at least as wide as its title, which would break over several lines else."""
    return Table(title=title, min_width=cell_len(title))


def _median(curve: Curve) -> str:
    if curve.median is None:
        return "not reached"
    high = "…" if curve.median_high is None else f"{curve.median_high}"
    return f"{curve.median} ({curve.median_low} to {high})"


def _way(curve: Curve) -> str:
    return _median(curve) if curve.median is not None else f"{1 - curve.share[-1]:.0%}" if curve.share else ""


def _moved(flow: Flow, before: str | None, after: str | None) -> str:
    n, share = flow.count(before, after), flow.share(before, after)
    if not n:
        return "·"
    return f"{n:,}" if before is None or share is None else f"{n:,} ({share:.0%})"


def _word(name: str | None) -> str:
    return "not there" if name is None else STAGES.get(name, name)

"""`--propose`: a mapping drafted from a folder of files, every guess with its reason beside it in a comment.

Files of one header are one source. Each source is taken for the table that its headers fit best; what nothing fits is
named and left out. What a table must have and no file says is written as a constant and marked CHECK: a draft is for a
person to read, never to run unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import yaml

from features.bank.guessing import Guess, bare, guess, likeness, matched
from features.bank.headers import CURRENCY, FILES, HOME_CURRENCY, WORDS
from features.bank.mapping import DERIVED
from features.bank.reading import EXCEL, Layout, Unreadable, sample
from features.bank.tables import TABLES
from features.bank.wordings import assumed_of
from features.errors import BadBank
from features.vocabulary import CUSTOMER_ID, Kind

_SAMPLE = 2000
_SUFFIXES = (*EXCEL, ".csv", ".txt", ".dat", ".del", ".tsv", ".asc", ".parquet", ".pq", ".jsonl", ".ndjson")
_ROLE = ("角色", "持有人类型", "关系类型", "主从标志", "role", "type")
_PERSON = ("统一客户号", "主客户号", "合并后客户号", "合并客户号", "master_id", "person_id")
_PERSONS = {bare(word) for word in _PERSON}
_LEAST = 2  # headers of a table that must be found before a file is taken for it
_FEW = 4  # files whose names are told one by one
_TITLES = 6  # rows of a report's title above its header


@dataclass
class Found:
    """Files of one header: what they hold in a sample, and the table they are taken for."""

    paths: list[Path]
    headers: list[str]
    values: dict[str, list[str]]
    header_row: int = 1
    table: str | None = None
    columns: dict[str, str] = field(default_factory=dict)


@dataclass
class Draft:
    """A mapping as YAML text with its reasons, and what could not be read or placed."""

    text: str
    remarks: list[str]

    def lines(self) -> list[str]:
        """What was guessed, for people."""
        return self.remarks


def draft(folder: Path) -> Draft:
    """A mapping of the files in `folder`; raises BadBank where there is none that could be a bank's."""
    remarks: list[str] = []
    found = list(_found(folder, remarks))
    owners, crosswalk = _owners(found), _crosswalk(found)
    for group in found:
        _place(group, has_owners=owners is not None, is_crosswalk=group is crosswalk)
        remarks.append(f"{_told_of(group.paths)}: {_taken_for(group, owners, crosswalk)}")
    if not any(group.table == "customer" for group in found):
        raise BadBank("no file looks like the bank's customers", value="; ".join(remarks) or str(folder),
                      allowed="a file with a customer number (客户号) and a date or name of a customer",
                      todo="write the mapping by hand; docs/import.md shows how")  # fmt: skip
    text = (
        "\n".join([*_head(folder), *_sides(owners, crosswalk, folder), "tables:", *_tables(found, owners, folder)])
        + "\n"
    )
    return Draft(text, remarks)


def _found(folder: Path, remarks: list[str]) -> Iterator[Found]:
    if not folder.is_dir():
        raise BadBank("no such folder of files", value=str(folder), todo="name the folder of the bank's files")
    groups: dict[tuple[int, tuple[str, ...]], Found] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or not path.name.lower().removesuffix(".gz").endswith(_SUFFIXES):
            continue
        try:
            header_row, rows = _sampled(path)
        except Unreadable as unreadable:
            remarks.append(f"{path.name}: {unreadable.rule} ({unreadable.value})")
            continue
        headers = tuple(name for name in rows.column_names if name and rows.column_names.count(name) == 1)
        if twice := sorted({name for name in rows.column_names if name and name not in headers}):
            remarks.append(f"{path.name}: the header names {', '.join(twice)} twice; taken for nothing")
        if (header_row, headers) in groups:
            groups[header_row, headers].paths.append(path)
        else:
            values = {name: rows[name].to_pylist() for name in headers}
            groups[header_row, headers] = Found([path], list(headers), values, header_row)
    yield from groups.values()


def _sampled(path: Path) -> tuple[int, pa.Table]:
    """The row of the header and the first rows below it; the first row unless only a later one is made of headers."""
    amiss: Unreadable | None = None
    first: pa.Table | None = None
    for row in range(1, _TITLES + 1):
        try:
            rows = sample(path, Layout(header_row=row), _SAMPLE)
        except Unreadable as unreadable:
            amiss = amiss or unreadable
            continue
        names = rows.column_names
        if {bare(name) for name in names} & _PERSONS or any(len(matched(names, t)) >= _LEAST for t in WORDS):
            return row, rows
        first = rows if row == 1 else first
    if first is None:
        raise amiss or Unreadable("file holds no rows")
    return 1, first


def _place(group: Found, *, has_owners: bool, is_crosswalk: bool) -> None:
    """Take the files for the table that their headers and name fit best."""
    if is_crosswalk:
        return
    best = (0, "")
    for table in WORDS:
        columns = matched(group.headers, table)
        names_somebody = CUSTOMER_ID in columns or (has_owners and "account_id" in columns)
        named = any(word in group.paths[0].name.lower() for word in FILES[table])
        musts = [c.name for c in TABLES[table].columns if not c.is_nullable and c.name in WORDS[table]]
        musts_met = sum(name in columns for name in musts) / max(len(musts), 1)
        score = len(columns) + 4 * named + int(4 * musts_met)
        if names_somebody and len(columns) >= _LEAST and score > best[0] and not _lacks(table, columns):
            best = (score, table)
    group.table = best[1] or None
    group.columns = matched(group.headers, best[1]) if best[1] else {}


def _lacks(table: str, columns: dict[str, str]) -> bool:
    """Whether a table must have what no header gives and nobody may assume; who the customers are can be mended."""
    if table == "customer":
        return False
    group = Found([], [], {}, columns=columns)
    musts = [c.name for c in TABLES[table].columns if not c.is_nullable and c.name != CUSTOMER_ID]
    given = {*columns, *TABLES[table].key}
    return any(
        name not in given and assumed_of(table, name) is None and not _follows(name, table, group) for name in musts
    )


def _owners(found: Sequence[Found]) -> Found | None:
    """The files that say who owns an account: account and customer together, best with a role."""
    both = [g for g in found if {"account_id", CUSTOMER_ID} <= set(matched(g.headers, "account"))]
    with_role = [g for g in both if _header(g, _ROLE)]
    needs = any("account_id" in matched(g.headers, table) and CUSTOMER_ID not in matched(g.headers, table)
                for g in found for table in ("balance", "txn", "holding"))  # fmt: skip
    fewest = sorted(both, key=lambda group: len(group.headers))
    return next(iter(with_role), next(iter(fewest), None)) if with_role or needs else None


def _crosswalk(found: Sequence[Found]) -> Found | None:
    """The files that say which customer numbers are one person: two numbers and little else."""
    return next((g for g in found if _header(g, _PERSON) and len(g.headers) <= 4), None)  # two ids, a date, a remark


def _header(group: Found, words: Sequence[str]) -> str | None:
    names = {bare(header): header for header in group.headers}
    return next((names[bare(word)] for word in words if bare(word) in names), None)


def _told_of(paths: Sequence[Path]) -> str:
    """The names of files; of many the first, the last and how many."""
    names = [path.name for path in paths]
    return ", ".join(names) if len(names) <= _FEW else f"{names[0]} … {names[-1]} ({len(names)} files)"


def _taken_for(group: Found, owners: Found | None, crosswalk: Found | None) -> str:
    parts = [f"taken for {group.table} by {len(group.columns)} of {len(group.headers)} headers"] if group.table else []
    parts += ["says who owns an account"] if group is owners else []
    parts += ["says which customer numbers are one person"] if group is crosswalk else []
    if group.header_row > 1 and parts:
        parts.append(f"its header stands in row {group.header_row}")
    return "; ".join(parts) or f"fits no table: {', '.join(group.headers[:8])}"


def _head(folder: Path) -> list[str]:
    return [
        "# A draft: every guess is followed by its reason; search for CHECK before it is used.",
        f"source: {_scalar(folder.resolve().name)}",
        "known_at: {days: 1, hour: 6}  # assumed: a row is known at six on the day after its business",
        "",
    ]


def _sides(owners: Found | None, crosswalk: Found | None, folder: Path) -> list[str]:
    lines = []
    if owners is not None:
        columns = matched(owners.headers, "account")
        lines += ["owners:", f"  files: {_files(owners, folder)}", *_header_row(owners, "  "),
                  f"  account: {_scalar(columns['account_id'])}",
                  f"  customer: {_scalar(columns[CUSTOMER_ID])}"]  # fmt: skip
        role = _header(owners, _ROLE)
        if role is not None:
            seen = sorted({text for text in owners.values[role] if text}, key=lambda text: ("主" not in text, text))
            lines.append(f"  role: {_scalar(role)}")
            lines.append(f"  roles: {_flow(seen)}  # CHECK: the first owns the account; strike out who owns nothing")
        lines.append("")
    if crosswalk is not None:
        to = str(_header(crosswalk, _PERSON))
        others = [header for header in crosswalk.headers if header != to]
        own = max(others, key=lambda header: likeness(header, CUSTOMER_ID, WORDS["customer"][CUSTOMER_ID]))
        lines += ["crosswalk:  # several customer numbers, one person", f"  files: {_files(crosswalk, folder)}",
                  *_header_row(crosswalk, "  "), f"  from: {_scalar(own)}", f"  to: {_scalar(to)}", ""]  # fmt: skip
    return lines


def _header_row(group: Found, indent: str) -> list[str]:
    if group.header_row == 1:
        return []
    return [f"{indent}header_row: {group.header_row}  # what stands above it is a title: CHECK"]


def _tables(found: Sequence[Found], owners: Found | None, folder: Path) -> Iterator[str]:
    for table in TABLES:
        groups = [group for group in found if group.table == table]
        if groups:
            yield f"  {table}:"
        for group in groups:
            yield f"    - files: {_files(group, folder)}"
            yield from _header_row(group, "      ")
            if table == "balance" and "to_on" not in group.columns and "from_on" in group.columns:
                yield "      snapshots: ends  # one row a day and account; absent from a later day = ended there: CHECK"
            yield from _one_currency(group)
            yield "      columns:"
            yield from (f"        {line}" for line in _columns(table, group, owners))
            unused = [header for header in group.headers if header not in group.columns.values()]
            if unused:
                yield f"      # not used: {', '.join(unused)}"


def _one_currency(group: Found) -> Iterator[str]:
    """Only rows in the reporting currency, where a column says which: others would be added up as if they were."""
    header = _header(group, CURRENCY)
    if header is not None:
        seen = {text.strip() for text in group.values[header] if text and text.strip()}
        home = sorted(text for text in seen if text.upper() in HOME_CURRENCY)
        rest = sorted(seen - set(home))
        left_out = f"{', '.join(rest[:8])} left out" if rest else "no other in the sample"
        yield f"      keep: [{_flow({'column': header, 'one_of': home or list(HOME_CURRENCY)})}]  # {left_out}: CHECK"


def _columns(table: str, group: Found, owners: Found | None) -> Iterator[str]:
    """One line a column: how it is read, then why."""
    by_owner = CUSTOMER_ID not in group.columns or group is owners
    for column in TABLES[table].columns:
        if column.name == CUSTOMER_ID and owners is not None and by_owner and "account_id" in group.columns:
            header = _scalar(group.columns["account_id"])
            yield f"{CUSTOMER_ID}: {{owner_of: {header}}}  # the owner of the account"
        elif column.name in group.columns:
            header = group.columns[column.name]
            found = guess(table, column.name, header, group.values[header])
            yield f"{column.name}: {_value(found)}  # {'; '.join(found.why)}"
        elif column.name == "first_product_on" and "registered_on" in group.columns:
            header = group.columns["registered_on"]
            found = guess(table, "registered_on", header, group.values[header])
            yield f"{column.name}: {_value(found)}  # no header fits; taken as the day of registration: CHECK"
        elif not column.is_nullable and not _follows(column.name, table, group):
            assumed = assumed_of(table, column.name)
            value, why = assumed or ("CHECK", "no header fits")
            is_id = column.name in TABLES[table].key and assumed is None
            line = f"{{row: {table[0]}}}" if is_id else f"{{constant: {_scalar(value)}}}"
            yield f"{column.name}: {line}  # {why}: CHECK"


def _follows(name: str, table: str, group: Found) -> bool:
    """Whether a column follows from another date, so that the mapping need not name it."""
    if name == "known_at":
        return True
    days = {c.name for c in TABLES[table].columns if c.kind is Kind.INSTANT and c.name not in DERIVED}
    if name == "business_on":
        return any(day in group.columns for day in days)
    return name in days and "business_on" in group.columns


def _value(found: Guess) -> str:
    if not found.keys:
        return _scalar(found.header)
    return _flow({"from": found.header, **found.keys})


def _files(group: Found, folder: Path) -> str:
    """Their names below the folder, a date in a name as a pattern, so that the next month's files are found too."""
    names = [str(path.relative_to(folder)) for path in group.paths]
    patterns = sorted({re.sub(r"\d[\d_-]*\d{3}[\d_-]*", "*", name) for name in names})
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    return _flow(patterns if found == set(group.paths) else names)


def _scalar(text: object) -> str:
    return str(yaml.safe_dump(str(text), allow_unicode=True, width=10_000)).removesuffix("\n").removesuffix("\n...")


def _flow(data: object) -> str:
    dumped = yaml.safe_dump(data, allow_unicode=True, default_flow_style=True, width=10_000, sort_keys=False)
    return str(dumped).strip()

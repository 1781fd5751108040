"""A city bank's own files, written by hand: GB18030, Chinese headers, 万元, yyyymmdd, joint owners, daily balances."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import yaml

from features.bank.importing import Imported, bring_in
from features.bank.mapping import Mapping, parse

Rows = Sequence[Sequence[str]]
SMALLEST: dict[str, Any] = {
    "customer": {
        "files": ["customer.csv"],
        "columns": {
            "customer_id": "id",
            "birth_on": "born",
            "registered_on": "joined",
            "first_product_on": "joined",
            "is_staff": {"constant": False},
            "is_restricted": {"constant": False},
            "has_marketing_optout": {"constant": False},
        },
    },
    "balance": {
        "files": ["balance.csv"],
        "columns": {
            "customer_id": "id",
            "account_id": "account",
            "asset_class": "kind",
            "from_on": "day",
            "amount": "amount",
            "in_transit_amount": {"constant": 0},
            "loan_proceeds_amount": {"constant": 0},
        },
    },
}


def write(
    path: Path, rows: Rows, *, encoding: str = "utf-8", delimiter: str = ",", end: str = "\n", quote: str = ""
) -> Path:
    """Rows as delimited text, gzipped where the name ends so."""
    text = end.join(delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in rows) + end
    data = text.encode(encoding)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def workbook(path: Path, sheets: dict[str, Sequence[Sequence[str | float]]]) -> Path:
    """A workbook of text and numbers, written as the standard says, without a library."""
    names = list(sheets)
    listed = "".join(f'<sheet name="{escape(n)}" sheetId="{i}" r:id="r{i}"/>' for i, n in enumerate(names, 1))
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    related = "".join(
        f'<Relationship Id="r{i}" Type="{kind}/worksheet" Target="worksheets/sheet{i}.xml"/>'
        for i in range(1, len(names) + 1)
    )
    package = "http://schemas.openxmlformats.org/package/2006"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    parts = "".join(
        f'<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
        for i in range(1, len(names) + 1)
    )
    with zipfile.ZipFile(path, "w") as book:
        book.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Override PartName="/xl/workbook.xml" ContentType='
            f'"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>{parts}</Types>',
        )
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="b" Type="{kind}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        book.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{kind}"><sheets>{listed}</sheets></workbook>'
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{package}/relationships">{related}</Relationships>'
        )
        for i, rows in enumerate(sheets.values(), 1):
            body = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
            sheet = f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>'
            book.writestr(f"xl/worksheets/sheet{i}.xml", sheet)
    return path


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f"<c><v>{value}</v></c>"


def smallest(folder: Path, n: int = 100) -> Path:
    """The files of the smallest bank that the SMALLEST tables read: n customers, one balance each."""
    people = [(f"C{i:03d}", "1980-06-15", "2023-01-01") for i in range(n)]
    money = [(f"C{i:03d}", f"A{i:03d}", "DEMAND", "2024-01-01", f"{1000 * i}.00") for i in range(n)]
    write(folder / "customer.csv", [("id", "born", "joined"), *people])
    write(folder / "balance.csv", [("id", "account", "kind", "day", "amount"), *money])
    return folder


def mapping_of(tables: dict[str, Any], **rest: Any) -> Mapping:
    """A mapping as YAML would say it."""
    said = {"source": "test", "instant": "2024-03-05T10:00:00+08:00", "tables": tables, **rest}
    return parse(yaml.safe_load(yaml.safe_dump(said, allow_unicode=True)))


def imported(tables: dict[str, Any], folder: Path, home: Path, **rest: Any) -> Imported:
    return bring_in(mapping_of(tables, **rest), folder, home)


def days(first: date, n: int) -> list[date]:
    return [first + timedelta(days=i) for i in range(n)]

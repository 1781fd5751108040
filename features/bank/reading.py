"""A bank's own files as columns of text: CSV in any encoding and delimiter, Excel, Parquet, lines of JSON.

Nothing is interpreted here. A file becomes a Parquet file of text beside the others, each row with the line it came
from, block by block, so that a file larger than memory passes. What cannot be read is a `Fault` and
never an exception: a line with too many fields, or a file that is cut off, of another kind, or without the columns
asked for.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from features.bank import csv_lines
from features.bank.csv_lines import Lines
from features.errors import NotReady

LINE = "_line"
EXCEL = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
_JSON_BLOCK = 1 << 24


@dataclass(frozen=True, slots=True)
class Fault:
    """What could not be read: where (file, or file and line), the rule it breaks, what stood there.

    `n_bytes` is the size of a file that is lost as a whole, 0 for a line.
    """

    place: str
    rule: str
    value: str
    n_bytes: int = 0

    @property
    def is_file(self) -> bool:
        return self.n_bytes > 0


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file lies: what the mapping says of it, the rest is found out."""

    encoding: str | None = None
    delimiter: str | None = None
    quote: str = '"'
    sheet: str | None = None
    header_row: int = 1
    names: tuple[str, ...] = ()


@dataclass
class Staged:
    """One source read: where its text lies, rows, bytes and faults."""

    folder: Path
    files: dict[Path, str] = field(default_factory=dict)  # text in Parquet -> name of the file it came from
    faults: list[Fault] = field(default_factory=list)
    n_rows: int = 0
    n_bytes: int = 0


class MissingExcel(NotReady):
    """The library that reads workbooks is not installed."""

    slug = "missing-excel"


class Unreadable(Exception):
    """A file cannot be taken as it is; `rule` says why and `value` what was found. Never leaves this room."""

    def __init__(self, rule: str, value: object = "") -> None:
        self.rule, self.value = rule, str(value)[:500]
        super().__init__(rule)


def read(paths: Sequence[Path], layout: Layout, wanted: Sequence[str], folder: Path) -> Staged:
    """The `wanted` columns of all files as text in `folder`; a file that cannot be read whole is left out, a fault."""
    staged = Staged(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(paths):
        size = max(path.stat().st_size, 1)
        staged.n_bytes += size
        target = folder / f"{number:05d}.parquet"
        faults: list[Fault] = []
        try:
            n_rows = _write(target, _blocks(path, layout, wanted, faults), wanted)
            if not n_rows and not faults:
                raise Unreadable("file holds no rows")
        except Unreadable as unreadable:
            target.unlink(missing_ok=True)
            staged.faults.append(Fault(path.name, unreadable.rule, unreadable.value, size))
            continue
        staged.faults += faults
        staged.files[target] = path.name
        staged.n_rows += n_rows
    return staged


def sample(path: Path, layout: Layout, n: int) -> pa.Table:
    """The first `n` rows of a file with all its columns as text; raises Unreadable."""
    blocks = _blocks(path, layout, None, [])
    first = next(iter(blocks), None)
    if first is None:
        raise Unreadable("file holds no rows")
    return first.drop_columns([LINE]).slice(0, n)


def kind_of(path: Path) -> str:
    """excel, parquet, json or csv, by the name of the file."""
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(EXCEL):
        return "excel"
    if name.endswith((".parquet", ".pq")):
        return "parquet"
    return "json" if name.endswith((".json", ".jsonl", ".ndjson")) else "csv"


def _blocks(path: Path, layout: Layout, wanted: Sequence[str] | None, faults: list[Fault]) -> Iterator[pa.Table]:
    """Blocks of text columns with `_line`; what is wrong with single lines goes to `faults`; raises Unreadable."""
    try:
        yield from _READERS[kind_of(path)](path, layout, wanted, faults)
    except csv_lines.BadLayout as error:
        raise Unreadable(error.rule, error.value) from error
    except (OSError, EOFError, pa.ArrowException, zipfile.BadZipFile, ValueError, csv_lines.ZlibError) as error:
        raise Unreadable("file cannot be read to its end", " ".join(str(error).split())) from error


def _csv(path: Path, layout: Layout, wanted: Sequence[str] | None, faults: list[Fault]) -> Iterator[pa.Table]:
    lines = Lines.open(path, layout.encoding, layout.delimiter, layout.quote, layout.header_row, layout.names, wanted)
    _check_header(lines.names, wanted, layout.names)
    for block, rejects in lines.blocks(wanted):
        faults += [Fault(f"{path.name}:{line}", "line does not fit the header", text[:2000]) for line, text in rejects]
        yield block


def _parquet(path: Path, layout: Layout, wanted: Sequence[str] | None, faults: list[Fault]) -> Iterator[pa.Table]:
    file = pq.ParquetFile(path)
    _check_header(file.schema_arrow.names, wanted)
    start = 1
    for batch in file.iter_batches(columns=list(wanted) if wanted is not None else None):
        yield _as_text(pa.Table.from_batches([batch]), start)
        start += batch.num_rows


def _json(path: Path, layout: Layout, wanted: Sequence[str] | None, faults: list[Fault]) -> Iterator[pa.Table]:
    """Lines of JSON; what stands deeper is named with a dot, such as `value.amount`."""
    with pa.input_stream(str(path), compression="gzip" if path.suffix == ".gz" else None) as stream:
        table = pj.read_json(stream, pj.ReadOptions(block_size=_JSON_BLOCK))
    while any(pa.types.is_struct(kind) for kind in table.schema.types):
        table = table.flatten()
    _check_header(table.column_names, wanted)
    yield _as_text(table.select(list(wanted)) if wanted is not None else table, 1)


def _excel(path: Path, layout: Layout, wanted: Sequence[str] | None, faults: list[Fault]) -> Iterator[pa.Table]:
    rows = _sheet(path, layout.sheet)
    titles = rows[layout.header_row - 1] if len(rows) >= layout.header_row else []
    header = list(layout.names) or [str(cell).strip() for cell in titles]
    body = rows if layout.names else rows[layout.header_row :]
    _check_header(header, wanted, layout.names)
    first = 1 if layout.names else layout.header_row + 1
    filled = [i for i, row in enumerate(body) if any(cell != "" for cell in row)]
    columns = {
        name: pa.array([_cell(body[i][place]) for i in filled], pa.string())
        for place, name in enumerate(header)
        if name and (wanted is None or name in wanted)
    }
    if filled:
        yield pa.table(columns | {LINE: pa.array([first + i for i in filled], pa.int64())})


def _sheet(path: Path, name: str | None) -> list[list[Any]]:
    try:
        import python_calamine as calamine
    except ImportError as error:
        raise MissingExcel("Excel files need the extra `excel`", value=path.name,
                           todo="install tiercel[excel], or save the sheet as CSV UTF-8") from error  # fmt: skip
    try:
        book = calamine.load_workbook(str(path))
        names = book.sheet_names
        if name is not None and name not in names:
            raise Unreadable(f"workbook has no sheet {name}", ", ".join(names))
        return list(book.get_sheet_by_name(name or names[0]).to_python(skip_empty_area=False))
    except (calamine.CalamineError, IndexError) as error:
        raise Unreadable("workbook cannot be read", error) from error


def _cell(value: Any) -> str:
    """A cell as text: whole numbers without a point, dates as yyyy-mm-dd."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def _as_text(table: pa.Table, first_line: int) -> pa.Table:
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_nested(column.type):
            column = pa.nulls(len(column), pa.string())
        columns[name] = pc.cast(column, pa.string())
    return pa.table(columns | {LINE: pa.array(range(first_line, first_line + table.num_rows), pa.int64())})


def _check_header(names: Sequence[str], wanted: Sequence[str] | None, given: Sequence[str] = ()) -> None:
    missing = [name for name in wanted or () if name not in names]
    if missing and not given:
        raise Unreadable(f"file lacks the columns {', '.join(missing)}", "its header: " + " ¦ ".join(names))
    twice = sorted({name for name in wanted or () if list(names).count(name) > 1})
    if twice:
        raise Unreadable(f"header names {', '.join(twice)} twice", " ¦ ".join(names))


def _write(target: Path, blocks: Iterable[pa.Table], wanted: Sequence[str]) -> int:
    schema = pa.schema([*((name, pa.string()) for name in wanted), (LINE, pa.int64())])
    n_rows = 0
    with pq.ParquetWriter(target, schema, compression="snappy") as writer:
        for block in blocks:
            writer.write_table(block.select(schema.names).cast(schema))
            n_rows += block.num_rows
    return n_rows


_READERS: dict[str, Callable[..., Iterator[pa.Table]]] = {
    "csv": _csv, "parquet": _parquet, "json": _json, "excel": _excel,
}  # fmt: skip

"""Delimited text, line by line in blocks: encoding, delimiter and header found out, lines that do not fit told apart.

One line is one row; a field with a line break in it does not fit. Blocks are parsed as a whole; where the rows that
come out are not as many as the lines that went in (an open quote swallows what follows), the block is halved until
the line at fault stands alone, so that one bad line never costs a good one.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

ZlibError = zlib.error
LOST = "\N{REPLACEMENT CHARACTER}"  # stands where bytes are no text in the file's encoding
_DELIMITERS = (",", ";", "\t", "|", "~", "\x01", "^", "\x1f", "||", "|+|", "|@|", "@|@", "~|~")
_UNIT = "\x1f"  # stands for a delimiter of several characters, which the parser does not know
_HEAD = 1 << 22
_BLOCK = 1 << 22
_SAMPLE = 1 << 16
_FEW_LOST = 3  # bytes that are no UTF-8 in a file that is UTF-8 all the same
_MARK = "\ufeff"  # the mark that some programs write before the first character, in any encoding
_HOPELESS = 20_000  # lines in one block beyond which a layout is simply wrong

Rejects = list[tuple[int, str]]


class BadLayout(Exception):
    """The file cannot be delimited text in this layout. Never leaves this room."""

    def __init__(self, rule: str, value: str) -> None:
        self.rule, self.value = rule, value[:500]
        super().__init__(rule)


@dataclass(frozen=True)
class Lines:
    """A delimited file whose header is known."""

    path: Path
    encoding: str
    delimiter: str
    quote: str
    names: tuple[str, ...]
    n_before: int

    @classmethod
    def open(
        cls, path: Path, encoding: str | None, delimiter: str | None, quote: str,
        header_row: int, names: Sequence[str], wanted: Sequence[str] | None,
    ) -> Lines:  # fmt: skip
        """The file with what the layout leaves open found out from its first 4 MiB; raises BadLayout, OSError."""
        with _raw(path) as file:
            head = file.read(_HEAD)
        found = _codec(encoding or encoding_of(head))
        text = head.decode(found, errors="replace").removeprefix(_MARK)
        if "\x00" in text[:4096]:
            raise BadLayout("file is not text", repr(text[:40]))
        lines = text.splitlines()
        if names:
            first = lines[0] if lines else ""
            found_by = delimiter or _most(first, _DELIMITERS)
            return cls(path, found, found_by, quote, tuple(names), 0)
        if len(lines) < header_row:
            return cls(path, found, delimiter or ",", quote, (), header_row)
        header = lines[header_row - 1]
        chosen = delimiter or delimiter_of(header, quote, wanted or ())
        return cls(path, found, chosen, quote, tuple(fields(header, chosen, quote)), header_row)

    def blocks(self, wanted: Sequence[str] | None) -> Iterator[tuple[pa.Table, Rejects]]:
        """Tables of text with `_line`, each with the lines that do not fit: number and text."""
        line = 1
        for text in self._texts():
            n_lines = text.count("\n")
            skip = min(max(self.n_before - line + 1, 0), n_lines)
            rejects: Rejects = []
            tables = list(self._parsed(_after(text, skip), n_lines - skip, line + skip, wanted, rejects))
            if len(rejects) > _HOPELESS:
                raise BadLayout(f"{len(rejects)} lines of one block do not fit the header", rejects[0][1])
            if tables or rejects:
                yield (pa.concat_tables(tables) if tables else self._empty(wanted)), rejects
            line += n_lines

    def _texts(self) -> Iterator[str]:
        """The file as text in blocks of whole lines, every line ended by \\n."""
        decoder = codecs.getincrementaldecoder(self.encoding)(errors="replace")
        rest, mark = "", _MARK
        with _raw(self.path) as file:
            while raw := file.read(_BLOCK):
                text, mark = rest + decoder.decode(raw).removeprefix(mark), ""
                text = text.replace("\r\n", "\n") if "\r" in text else text
                cut = text.rfind("\n") + 1
                rest = text[cut:]
                if cut:
                    yield self._unified(text[:cut])
            rest += decoder.decode(b"", final=True)
        if rest:
            yield self._unified(rest.rstrip("\r") + "\n")

    def _unified(self, text: str) -> str:
        return text if len(self.delimiter) == 1 else text.replace(self.delimiter, _UNIT)

    def _parsed(
        self, text: str, n_lines: int, first: int, wanted: Sequence[str] | None, rejects: Rejects
    ) -> Iterator[Any]:
        """The lines of `text` as tables; halves what does not come out line for row."""
        if not n_lines or len(rejects) > _HOPELESS:
            return
        bad: list[tuple[int, str]] = []
        table = self._table(text, wanted, bad)
        whole = table is not None and table.num_rows + len(bad) == n_lines
        if whole and not (n_lines == 1 and table is not None and _holds_break(table)):
            rejects += [(first + number - 1, line) for number, line in bad if line.strip()]
            numbers = np.arange(first, first + n_lines, dtype=np.int64)
            yield table.append_column("_line", pa.array(_without(numbers, [n - 1 for n, _ in bad])))
        elif n_lines == 1:
            rejects.append((first, text.removesuffix("\n")))
        else:
            half = n_lines // 2
            second = _after(text, half)
            yield from self._parsed(text[: len(text) - len(second)], half, first, wanted, rejects)
            yield from self._parsed(second, n_lines - half, first + half, wanted, rejects)

    def _table(self, text: str, wanted: Sequence[str] | None, bad: list[tuple[int, str]]) -> Any:
        data = text.encode()
        places = [f"f{i}" for i in range(len(self.names))]
        chosen = [self.names.index(name) for name in wanted] if wanted is not None else list(range(len(self.names)))
        is_one = len(self.delimiter) == 1
        quote = (self.quote or False) if is_one else False

        def reject(row: Any) -> str:
            bad.append((row.number, row.text))
            return "skip"

        try:
            table = pa_csv.read_csv(
                pa.BufferReader(data),
                read_options=pa_csv.ReadOptions(column_names=places, use_threads=False, block_size=len(data) + 1),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self.delimiter if is_one else _UNIT, quote_char=quote,
                    ignore_empty_lines=False, invalid_row_handler=reject,
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(places, pa.string()), include_columns=[f"f{i}" for i in chosen],
                    strings_can_be_null=False, check_utf8=False,
                ),
            )  # fmt: skip
        except pa.ArrowInvalid:
            return None
        return table.rename_columns([self.names[i] for i in chosen])

    def _empty(self, wanted: Sequence[str] | None) -> pa.Table:
        names = self.names if wanted is None else wanted
        return pa.schema([*((name, pa.string()) for name in names), ("_line", pa.int64())]).empty_table()


def encoding_of(head: bytes) -> str:
    """utf-8-sig, utf-16 or gb18030, by the mark at the start or by what the bytes can be.

    >>> encoding_of("客户号".encode("gb18030")), encoding_of("客户号".encode())
    ('gb18030', 'utf-8-sig')
    """
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    text = codecs.getincrementaldecoder("utf-8")(errors="replace").decode(head)
    foreign = sum(character > "\x7f" for character in text[:_SAMPLE]) if LOST in text else 0
    header = [character for character in text.partition("\n")[0] if character > "\x7f"]
    is_lost = text.count(LOST) > max(_FEW_LOST, foreign // 10) or 2 * header.count(LOST) > len(header)
    return "gb18030" if is_lost else "utf-8-sig"


def delimiter_of(header: str, quote: str, wanted: Sequence[str]) -> str:
    """The delimiter under which the header holds most of the wanted names, then the one that stands there most often.

    One of several characters that stands there at all goes before those it is made of.

    >>> delimiter_of('"客户号";"姓名"', '"', ["客户号"])
    ';'
    """

    def score(delimiter: str) -> tuple[int, int, int]:
        names = fields(header, delimiter, quote)
        width = len(delimiter) if len(delimiter) > 1 and delimiter in header else 1
        return len(set(wanted) & set(names)), width, header.count(delimiter)

    return max(_DELIMITERS, key=score)


def fields(line: str, delimiter: str, quote: str) -> list[str]:
    """The fields of one line without the spaces around them."""
    if len(delimiter) > 1:
        return [part.strip() for part in line.split(delimiter)]
    reader = csv.reader([line], delimiter=delimiter, quotechar=quote or None,
                        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE)  # fmt: skip
    try:
        return [part.strip() for part in next(reader, [])]
    except csv.Error as error:
        raise BadLayout("header cannot be read", f"{line[:200]} ({error})") from error


def _codec(name: str) -> str:
    try:
        found = codecs.lookup(name).name
    except LookupError as error:
        raise BadLayout("encoding is not known", name) from error
    return {"utf-8": "utf-8-sig", "gbk": "gb18030", "gb2312": "gb18030"}.get(found, found)


def _raw(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _most(line: str, delimiters: Sequence[str]) -> str:
    return max(delimiters, key=lambda delimiter: (len(delimiter) if delimiter in line else 0, line.count(delimiter)))


def _after(text: str, n_lines: int) -> str:
    """`text` behind its first `n_lines` lines."""
    place = 0
    for _ in range(n_lines):
        place = text.index("\n", place) + 1
    return text[place:]


def _without(numbers: NDArray[np.int64], places: list[int]) -> NDArray[np.int64]:
    return np.delete(numbers, places) if places else numbers


def _holds_break(table: pa.Table) -> bool:
    return any("\n" in (text or "") for column in table.columns for text in column.to_pylist())

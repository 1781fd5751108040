"""A few customers' packed rows as plain values: all blocks by one compiled loop, then a dictionary a customer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import getitem
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.compiling import compiled
from features.packing import NO_DAY, NO_INTEGER, Plain, RowCodec
from features.vocabulary import Kind

_WORD = 8  # bytes: each record begins at a whole one, so that its blocks are aligned
_NAN = float("nan")
_FLAG, _INTEGER, _AMOUNT, _NUMBER, _DATE, _TEXT, _INSTANT = range(7)  # how a block is read
_NUMBERS = {Kind.NUMBER: _NUMBER, Kind.INTEGER: _INTEGER, Kind.AMOUNT: _AMOUNT, Kind.FLAG: _FLAG}
_DAYS = {Kind.INSTANT: _INSTANT, Kind.DATE: _DATE}
_TEXTS = {Kind.CODE: _TEXT, Kind.SET: _TEXT}


class _Block(NamedTuple):
    codec: RowCodec
    kind: Kind
    names: tuple[str, ...]
    first: int  # place of the first value in a customer's records, in values of its own width


class PlainCodec:
    """Reads customers' packed rows, one of each of several codecs, as one dictionary of plain values each.

    >>> from features.vocabulary import Column
    >>> codec = RowCodec((Column("age", Kind.INTEGER, "age"), Column("tier", Kind.CODE, "tier")), {"tier": ("VIP",)})
    >>> PlainCodec([codec], later=["days"]).each([[codec.missing_row]])
    [{'age': nan, 'tier': None, 'days': nan}]
    """

    def __init__(self, codecs: Sequence[RowCodec], later: Iterable[str] = ()) -> None:
        """`later` are numbers that the reader works out of the others; they stand behind them, missing."""
        self._codecs, self._sizes = tuple(codecs), [codec.dtype.itemsize for codec in codecs]
        self._gaps = [bytes(-size % _WORD) for size in self._sizes]
        blocks = [*self._blocks()]
        numbers, days, texts = ([block for kind in kinds for block in blocks if block.kind is kind]
                                for kinds in (_NUMBERS, _DAYS, _TEXTS))  # fmt: skip
        self._numbers, self._others = _told(numbers), _told([*days, *texts])
        self._n_whole = sum(size + len(gap) for size, gap in zip(self._sizes, self._gaps, strict=True)) // _WORD
        self._names = [name for block in (*numbers, *days, *texts) for name in block.names]
        self._words = [(*block.codec.dictionaries[name], None) for block in texts for name in block.names]
        self._n_days = sum(len(block.names) for block in days)
        self._empty: dict[str, Plain] = dict.fromkeys(name for block in blocks for name in block.names)
        self._empty |= dict.fromkeys(later, _NAN)
        self.each([[codec.missing_row for codec in codecs]])  # compiled before somebody waits for it

    def each(self, customers: Sequence[Sequence[bytes]]) -> list[dict[str, Plain]]:
        """What `RowCodec.arrays` gives of one row of each, without arrays: numbers, integers, amounts and flags floats
        with NaN, codes and sets text or None, dates and instants integers since 1970, the smallest for a missing one.
        """
        for rows in customers:
            if [*map(len, rows)] != self._sizes:
                for codec, row in zip(self._codecs, rows, strict=True):
                    codec.arrays([row])  # raises
        aligned = [part for rows in customers for pair in zip(rows, self._gaps, strict=True) for part in pair]
        records = np.frombuffer(bytearray().join(aligned), np.int64).reshape(len(customers), self._n_whole)
        numbers, others = _decoded(records, self._numbers, self._others)
        return [*map(self._named, numbers.tolist(), others.tolist())]

    def _named(self, numbers: list[Plain], others: list[int]) -> dict[str, Plain]:
        days, texts = others[: self._n_days], map(getitem, self._words, others[self._n_days :])
        found = self._empty.copy()  # with its order, and with room for all names
        found.update(zip(self._names, [*numbers, *days, *texts], strict=True))
        return found

    def _blocks(self) -> Iterator[_Block]:
        at = 0
        for codec, gap in zip(self._codecs, self._gaps, strict=True):
            for kind, names in codec.blocks.items():
                block = codec.dtype[str(kind)]
                yield _Block(codec, kind, names, at // block.base.itemsize)
                at += block.itemsize
            at += len(gap)


def _told(blocks: Iterable[_Block]) -> NDArray[np.int64]:
    """Each block for the loop: how it is read, its first value, and how many it has."""
    how = _NUMBERS | _DAYS | _TEXTS
    return np.array([(how[kind], first, len(names)) for _, kind, names, first in blocks], dtype=np.int64).reshape(-1, 3)


@compiled
def _decoded(
    records: NDArray[np.int64], numbers: NDArray[np.int64], others: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What the blocks (how, first value, values) of n customers' records hold: floats of those that are numbers, NaN
    where missing, and days, instants and places of words of the others."""
    doubles, narrow, bytes_ = records.view(np.float64), records.view(np.int32), records.view(np.uint8)
    floats = np.empty((len(records), numbers[:, 2].sum()))
    whole = np.empty((len(records), others[:, 2].sum()), dtype=np.int64)
    for i in range(len(records)):
        to = 0
        for b in range(len(numbers)):
            how, first, n = numbers[b, 0], numbers[b, 1], numbers[b, 2]
            for k in range(n):
                if how == _NUMBER:
                    floats[i, to + k] = doubles[i, first + k]
                elif how == _FLAG:
                    flag = bytes_[i, first + k]
                    floats[i, to + k] = flag if flag <= 1 else np.nan
                else:
                    value = records[i, first + k]
                    amount = value / 100.0 if how == _AMOUNT else float(value)
                    floats[i, to + k] = np.nan if value == NO_INTEGER else amount
            to += n
        to = 0
        for b in range(len(others)):
            how, first, n = others[b, 0], others[b, 1], others[b, 2]
            for k in range(n):
                if how == _INSTANT:
                    whole[i, to + k] = records[i, first + k]
                else:
                    value = np.int64(narrow[i, first + k])
                    whole[i, to + k] = NO_INTEGER if how == _DATE and value == NO_DAY else value
            to += n
    return floats, whole

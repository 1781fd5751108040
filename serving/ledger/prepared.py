"""Statements of the hot path, compiled once.

SQLAlchemy looks up, binds and wraps anew at each call, which costs a read of one customer 0.25 ms where SQLite itself
takes 0.03, and an insert twelve microseconds a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol

from sqlalchemy import Connection, Dialect, String, bindparam, select, union_all

from serving.ledger.scope import chunks

_PREPARED_FOR = (1, 8, 64)


class Statements(Protocol):
    """What runs a statement as it is written: SQLAlchemy's connection, or one of the driver's own."""

    def exec_driver_sql(self, statement: str, parameters: Any = ..., /) -> Any: ...


class Prepared:
    """A statement as its dialect writes it, with the names of its parameters in the order the driver wants them.

    `run` hands values to the driver as they are; `fetch` and `run_columns` write dates as the dialect does.
    """

    def __init__(self, statement: Any, dialect: Dialect, names: Sequence[str] | None = None) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=names)
        self._sql = str(compiled)
        self._order: Sequence[str] = compiled.positiontup or ()
        self._processors = {
            name: processor
            for name, bind in compiled.binds.items()
            if (processor := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        }

    def run(self, connection: Statements, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Execute once for each of `rows`; a single row may give a result."""
        if not self._order:
            return connection.exec_driver_sql(self._sql, rows if len(rows) > 1 else rows[0])
        pick = itemgetter(*self._order) if len(self._order) > 1 else lambda row: (row[self._order[0]],)
        values = [pick(row) for row in rows]
        return connection.exec_driver_sql(self._sql, values if len(values) > 1 else values[0])

    def fetch(self, cursor: Any, row: dict[str, Any]) -> Sequence[Any]:
        """The plain rows of a query, by a cursor of the driver's own; `row` then has dates as they are written."""
        for name, processor in self._processors.items():
            row[name] = processor(row[name])
        cursor.execute(self._sql, [*map(row.__getitem__, self._order)] if self._order else row)
        found: Sequence[Any] = cursor.fetchall()
        return found

    def run_columns(self, connection: Connection, columns: Mapping[str, Sequence[Any]]) -> None:
        """Execute once for each row of `columns`, which have the parameters' names and equal lengths."""
        ready = {name: self._processed(name, values) for name, values in columns.items()}
        if self._order:
            connection.exec_driver_sql(self._sql, list(zip(*[ready[name] for name in self._order], strict=True)))
        else:
            rows = zip(*ready.values(), strict=True)
            connection.exec_driver_sql(self._sql, [dict(zip(ready, row, strict=True)) for row in rows])

    def _processed(self, name: str, values: Sequence[Any]) -> Sequence[Any]:
        processor = self._processors.get(name)
        return values if processor is None else [processor(value) for value in values]


class OfCustomers:
    """A query about customers: prepared for one of them and for a few, in chunks for many.

    `query` makes it from the condition on its customer column: `query(lambda column: column == "C1")`. A prepared
    statement has a fixed number of places; those that are left over are null, which is nobody.
    """

    def __init__(self, query: Callable[[Callable[[Any], Any]], Any], dialect: Dialect) -> None:
        many = bindparam("customer_ids", type_=String, expanding=True)
        self._prepared = {n: Prepared(query(_one_of(n, dialect)), dialect) for n in _PREPARED_FOR}
        self._of_many = query(lambda column: column.in_(many))

    def rows(self, connection: Connection, customer_ids: Sequence[str], **values: Any) -> Sequence[Any]:
        """The rows of these customers, as tuples; `values` are the query's other parameters."""
        if len(customer_ids) <= _PREPARED_FOR[-1]:
            cursor = connection.connection.cursor()
            try:
                return self.rows_by(cursor, customer_ids, **values)
            finally:
                cursor.close()
        rows: list[Any] = []
        for chunk in chunks(customer_ids):
            rows += connection.execute(self._of_many, {"customer_ids": chunk} | values).all()
        return rows

    def rows_by(self, cursor: Any, customer_ids: Sequence[str], **values: Any) -> Sequence[Any]:
        """The same by a cursor of the driver's own, for however many customers."""
        if len(customer_ids) <= _PREPARED_FOR[-1]:
            return self._fetched(cursor, customer_ids, values)
        rows: list[Any] = []
        for start in range(0, len(customer_ids), _PREPARED_FOR[-1]):
            rows += self._fetched(cursor, customer_ids[start : start + _PREPARED_FOR[-1]], values)
        return rows

    def _fetched(self, cursor: Any, customer_ids: Sequence[str], values: Mapping[str, Any]) -> Sequence[Any]:
        if not customer_ids:
            return []
        places, prepared = next(found for found in self._prepared.items() if found[0] >= len(customer_ids))
        filled = [*customer_ids, *[None] * (places - len(customer_ids))]
        return prepared.fetch(cursor, {**dict(zip(_NAMES, filled, strict=False)), **values})


_NAMES = [f"customer_{place}" for place in range(_PREPARED_FOR[-1])]


def _one_of(n: int, dialect: Dialect) -> Callable[[Any], Any]:
    """The condition that a column is one of n customers.

    SQLite makes a table of the list that IN names for each part of a query, which takes longer than to look for the
    customers; so they stand in one table for all parts.
    """
    places = [bindparam(name, type_=String) for name in _NAMES[:n]]
    if n == 1:
        return lambda column: column == places[0]
    if dialect.name != "sqlite":
        return lambda column: column.in_(places)
    asked = union_all(*[select(place.label("customer_id")) for place in places]).cte("asked")
    return lambda column: column == asked.c.customer_id

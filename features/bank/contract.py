"""What a bank table promises: grain, key, columns, owners; what many tables share. `tables.py` lists the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from features.vocabulary import Column, Kind, Sensitivity


@dataclass(frozen=True, slots=True)
class Table:
    """The contract of one bank table.

    `key` is unique. `foreign` maps a column to the table whose key it must be found in; a row that breaks a contract
    goes to quarantine. `happened` names the column that places a fact in time, None for reference data. A table
    that is `apart` is not opened with the bank: no feature, tile, example or model can read it.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    foreign: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    happened: str | None = None
    is_apart: bool = False

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def first_date(self) -> str | None:
        """The date that places a row of reference data in time, such as registered_on; None where it has none."""
        return next((c.name for c in self.columns if c.kind is Kind.DATE and not c.is_nullable), None)


def id_of(name: str, meaning: str, null: str | None = None) -> Column:
    """A code that is open: an id, or a list that the bank keeps."""
    return Column(name, Kind.CODE, meaning, null)


def codes_of(name: str, meaning: str, allowed: tuple[str, ...], null: str | None = None) -> Column:
    """A code of a closed list."""
    return Column(name, Kind.CODE, meaning, null, allowed=allowed)


def amount_of(name: str, meaning: str, null: str | None = None, at_least: float | None = 0) -> Column:
    """An amount in reporting currency; personal, and not negative unless `at_least` says so."""
    return Column(name, Kind.AMOUNT, meaning, null, Sensitivity.C2, at_least=at_least)


CUSTOMER = id_of("customer_id", "the customer")
BUSINESS_ON = Column("business_on", Kind.DATE, "day of business in the bank's zone")
KNOWN_AT = Column("known_at", Kind.INSTANT, "when the bank's systems knew the row")
OF_CUSTOMER = MappingProxyType({"customer_id": "customer"})
EVENT_CHANNELS = ("APP", "WEB", "WECHAT", "BRANCH", "ATM", "CALL", "RM", "PAD", "SMS", "EMAIL", "SOCIAL", "LETTER")

"""How the bank serves, month by month: surveys, journeys, cases, referrals, the front line and the books together."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from simulation import cases, journeys
from simulation.bank_files import DAY_US, write_parquet
from simulation.behaviour import Life, Month, Txns
from simulation.books import Books
from simulation.cases import Cases
from simulation.chance import Chance
from simulation.frontline import Frontline
from simulation.ledger import Ledger
from simulation.population import Population
from simulation.portfolio import Portfolio
from simulation.records import Records
from simulation.referrals import Referrals
from simulation.surveys import Surveys

Tables = dict[str, dict[str, pa.Array]]


class Service:
    """Everything between the bank and its customers that is neither money nor marketing."""

    def __init__(self, people: Population, portfolio: Portfolio, first_on: int, chance: Chance) -> None:
        self.people, self.portfolio, self.chance = people, portfolio, chance
        self.surveys, self.cases, self.referrals = Surveys(people.n), Cases(), Referrals()
        self.frontline = Frontline(people.n, first_on, chance)
        self.books = Books(people, portfolio)

    def month(self, life: Life, ledger: Ledger, txns: Txns, month: Month) -> Tables:
        """The tables of a month whose transactions are posted, by name."""
        people, m = self.people, month.number
        self.referrals.month(people, life, month, self.chance.of("referrals", m))
        return {
            "survey_response": self.surveys.month(people, life, month, self.chance.of("surveys", m)),
            "journey_event": journeys.journey_columns(people, life, self.portfolio, txns, month,
                                                      self.chance.of("journeys", m)),
            "rm_usage": self.frontline.usage(month, self.chance.of("usage", m)),
            "product_ledger": self.books.month(people, self.portfolio, ledger, month, self.chance.of("accruals", m)),
        }  # fmt: skip

    def settle(self, records: Records, life: Life, ledger: Ledger, month: Month) -> None:
        """Opens and closes the month's cases, once its complaints are noted."""
        self.cases.month(records, life, ledger, month, self.chance.of("cases", month.number))

    def columns(self, last_on: int) -> Tables:
        """The tables that are kept to the end, by name."""
        rng = self.chance.of("service books")
        end = (last_on + 1) * DAY_US - DAY_US // 3
        told = {"case": self.cases.columns(rng, end), "referral": self.referrals.columns(rng)}
        return told | self.frontline.columns(rng)

    def save(self, truth: Path) -> None:
        """What judges may read of all this."""
        write_parquet(truth / "remedies.parquet", cases.truth_columns())
        write_parquet(truth / "referrals.parquet", self.referrals.truth())
        write_parquet(truth / "managers.parquet", self.frontline.truth())

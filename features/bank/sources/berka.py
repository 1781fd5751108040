"""The Berka data as two bank homes: all accounts up to 1994-03-31, and the loan accounts of 1995 to 1998.

What a mapping can say stands in berka/prefix.yaml and berka/loans.yaml. What it cannot: the balance at the end of a
day. The files give a balance after each transaction, but not the order of a day's transactions, and the printed
balances are rounded to a tenth, so that they do not add up to the haléř. The last row of a day is the one whose balance
lies nearest to all that the account moved up to and including that day.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from features.bank import reading
from features.bank.engines import connect
from features.bank.importing import Imported, Progress, silent
from features.bank.importing import bring_in as import_
from features.bank.mapping import load
from features.bank.reading import Layout
from features.bank.shaping import find
from features.bank.values import literal

FOLDER = Path(__file__).parent / "berka"
HOMES = {"prefix": "trans_prefix_to_1994-03-31.asc.gz", "loans": "trans_loan_accounts_1995-98.csv.gz"}
_COLUMNS = ("account_id", "date", "type", "amount", "balance")
_CREDITS = ("PRIJEM", "credit")


def bring_in(folder: Path, out: Path, progress: Progress = silent) -> dict[str, Imported]:
    """Both homes, `out`/prefix and `out`/loans, made of the data set in `folder`; raises BadBank."""
    made: dict[str, Imported] = {}
    with tempfile.TemporaryDirectory(prefix="tiercel-berka-") as prepared:
        for name, file in HOMES.items():
            end_of_day(find([folder], [file])[0], Path(prepared) / f"end_of_day_{name}.parquet")
        for name in HOMES:
            progress(name, len(made) / len(HOMES))
            mapping = load(FOLDER / f"{name}.yaml")
            made[name] = import_(mapping, folder, out / name, beside=FOLDER, prepared=Path(prepared))
    progress("done", 1.0)
    last, first = made["prefix"].last_on, made["loans"].first_on
    gap = f"gap: the data set holds no transaction between {last} and {first}"
    made["loans"].notes.append(f"{gap}, so this home begins anew: in its first month every stage and tier is seeded")
    return made


def end_of_day(transactions: Path, target: Path) -> None:
    """The balance of every account at the end of each day on which it moved: account_id, date, balance, as text."""
    con = connect()
    try:
        with tempfile.TemporaryDirectory(prefix="tiercel-berka-") as staging:
            staged = reading.read([transactions], Layout(delimiter=";"), _COLUMNS, Path(staging))
            files = ", ".join(literal(str(file)) for file in staged.files)
            nothing = ", ".join(f"NULL::VARCHAR AS {name}" for name in _COLUMNS)
            some, none = f"SELECT * FROM read_parquet([{files}])", f"SELECT {nothing}, 0 AS _line WHERE false"
            text = some if files else none
            con.raw_sql(f"COPY ({_END_OF_DAY.format(text=text)}) TO {literal(str(target))} (FORMAT parquet)")
    finally:
        con.disconnect()


_END_OF_DAY = f"""
WITH moved AS (
  SELECT account_id, date, balance, _line, TRY_CAST(balance AS DECIMAL(18, 2)) AS after,
    CASE WHEN type IN {_CREDITS} THEN 1 ELSE -1 END * TRY_CAST(amount AS DECIMAL(18, 2)) AS moved
  FROM ({{text}})),
told AS (
  SELECT *, sum(moved) OVER (PARTITION BY account_id ORDER BY date RANGE UNBOUNDED PRECEDING) AS total FROM moved)
SELECT account_id, date, first(balance ORDER BY abs(after - total), _line DESC) AS balance
FROM told GROUP BY account_id, date ORDER BY account_id, date"""

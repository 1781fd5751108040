"""One mapped value as SQL: the text that stood in the file, and the typed value it is, null where it cannot be read.

Everything is an expression of DuckDB over columns of text, so that a million rows are one statement. A value that
cannot be read is not guessed at: the typed side is null, the text side keeps what was said, and quarantine compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from features.bank.mapping import MULTIPLIER, KnownAt, Value
from features.vocabulary import Column, Kind

STORED_AS: Mapping[Kind, str] = {
    Kind.FLAG: "BOOLEAN", Kind.INTEGER: "BIGINT", Kind.NUMBER: "DOUBLE", Kind.AMOUNT: "DECIMAL(18, 2)",
    Kind.CODE: "VARCHAR", Kind.SET: "VARCHAR", Kind.DATE: "DATE", Kind.INSTANT: "TIMESTAMPTZ",
}  # fmt: skip
_TRUE, _FALSE = ("true", "t", "1", "y", "yes", "是", "有"), ("false", "f", "0", "n", "no", "否", "无")
_ROUNDED = r"^-?\d(\.\d+)?[eE][+]?\d+$"
_BLANKS = " \t\u00a0\u2002\u2003\u2009\u202f\u3000"  # a tab keeps a spreadsheet from reading an account as a number
_EXCEL_ZERO = "DATE '1899-12-30'"
# form -> how its text must look, and the date it is
_DATES: Mapping[str, tuple[str, str]] = {
    "yyyy-mm-dd": (r"\d{4}-\d{1,2}-\d{1,2}([ T]00:00:00(\.0+)?)?", "strptime(substr({t}, 1, 10), '%Y-%m-%d')"),
    "yyyymmdd": (r"\d{8}", "strptime({t}, '%Y%m%d')"),
    "yyyy/mm/dd": (r"\d{4}/\d{1,2}/\d{1,2}", "strptime({t}, '%Y/%m/%d')"),
    "yyyy.mm.dd": (r"\d{4}\.\d{1,2}\.\d{1,2}", "strptime({t}, '%Y.%m.%d')"),
    "yyyy年mm月dd日": (r"\d{4}年\d{1,2}月\d{1,2}日", "strptime({t}, '%Y年%m月%d日')"),
    "dd.mm.yyyy": (r"\d{1,2}\.\d{1,2}\.\d{4}", "strptime({t}, '%d.%m.%Y')"),
    "dd/mm/yyyy": (r"\d{1,2}/\d{1,2}/\d{4}", "strptime({t}, '%d/%m/%Y')"),
    "mm/dd/yyyy": (r"\d{1,2}/\d{1,2}/\d{4}", "strptime({t}, '%m/%d/%Y')"),
    "yymmdd": (r"\d{6}", "strptime('19' || {t}, '%Y%m%d')"),
    # a Czech birth number: the month of a woman is written 50 higher
    "birth_number": (
        r"\d{6}",
        "strptime('19' || substr({t}, 1, 2) || lpad((substr({t}, 3, 2)::INT % 50)::VARCHAR, 2, '0') "
        "|| substr({t}, 5, 2), '%Y%m%d')",
    ),
    "excel": (r"\d{1,5}(\.0+)?", _EXCEL_ZERO + " + CAST(floor({t}::DOUBLE) AS INT)"),
}
_INSTANTS: Mapping[str, tuple[str, str]] = {
    "yyyymmddHHMMSS": (r"\d{14}", "strptime({t}, '%Y%m%d%H%M%S')"),
    "yyyy-mm-dd HH:MM:SS": (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "strptime({t}, '%Y-%m-%d %H:%M:%S')"),
    "yyyy/mm/dd HH:MM:SS": (r"\d{4}/\d\d?/\d\d? \d\d?:\d\d:\d\d", "strptime({t}, '%Y/%m/%d %H:%M:%S')"),
    "yyyymmdd": (r"\d{8}", "strptime({t}, '%Y%m%d')"),
    "excel": (
        r"\d{1,5}(\.\d+)?",
        _EXCEL_ZERO + "::TIMESTAMP + to_microseconds(CAST({t}::DOUBLE * 86400000000 AS BIGINT))",
    ),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One column of a table as SQL: `typed`, the `said` text (None where it cannot fail), and what it should be."""

    typed: str
    said: str | None
    should_be: str


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def known_after(day: str, lag: KnownAt, zone: str) -> str:
    """When the business of `day` (SQL of a date) was known."""
    return f"timezone({literal(zone)}, CAST({day} AS TIMESTAMP) + INTERVAL {lag.days} DAY + INTERVAL {lag.hour} HOUR)"


def reading(column: Column, value: Value, zone: str, nulls: tuple[str, ...]) -> Reading:
    """How `value` gives `column`."""
    if value.owner_of is not None:
        said = cleaned(value.owner_of, (*nulls, *value.nulls))
        unowned = f"(CASE WHEN _owner._owned_by IS NULL THEN {said} END)"
        return Reading("_owner._owned_by", unowned, "the owner of an account")
    said = _said(value, nulls)
    form = _FORMS[column.kind]
    typed, should_be = form(said, value, zone)
    if column.kind is Kind.CODE:  # what could be read stands as it was said
        unread = f"(CASE WHEN {typed} IS NULL THEN {said} END)" if column.name.endswith("_id") else None
        return Reading(typed, unread, should_be)
    return Reading(typed, said, should_be)


def trimmed(name: str, of: str = "") -> str:
    """A column's text (of the relation `of`) without blanks around it, tabs and full-width ones among them."""
    return f"trim({of}{quoted(name)}, {literal(_BLANKS)})"


def cleaned(name: str, nulls: tuple[str, ...]) -> str:
    """A column's text without the spaces around it, null where nothing stands there or a word for nothing."""
    text = f"nullif({trimmed(name)}, '')"
    if not nulls:
        return text
    return f"(CASE WHEN {text} IN ({', '.join(map(literal, nulls))}) THEN NULL ELSE {text} END)"


def _said(value: Value, nulls: tuple[str, ...]) -> str:
    """The text of a value after take, codes and missing."""
    words = (*nulls, *value.nulls)
    if value.constant is not None:
        return literal(value.constant)
    if value.row is not None:
        return f"({literal(value.row)} || _row::VARCHAR)"
    if isinstance(value.from_, tuple):
        text = " || '/' || ".join(f"coalesce({cleaned(name, words)}, '')" for name in value.from_)
    else:
        text = cleaned(str(value.from_), words)
    if value.take is not None:
        text = f"nullif(substr({text}, {value.take[0]}, {value.take[1]}), '')"
    if value.codes is not None:
        cases = " ".join(f"WHEN {literal(code)} THEN {literal(ours)}" for code, ours in value.codes.items())
        rest = text if value.others is None else f"CASE WHEN {text} IS NULL THEN NULL ELSE {literal(value.others)} END"
        text = f"nullif(CASE {text} {cases} ELSE {rest} END, '')"
    text = text if value.missing is None else f"coalesce({text}, {literal(value.missing)})"
    return f"({literal(value.prefix)} || {text})" if value.prefix else text


def _flag(said: str, value: Value, zone: str) -> tuple[str, str]:
    true, false = (", ".join(map(literal, words)) for words in (_TRUE, _FALSE))
    text = f"lower({said})"
    return f"(CASE WHEN {text} IN ({true}) THEN true WHEN {text} IN ({false}) THEN false END)", "yes or no"


def _number_text(said: str, value: Value) -> str:
    """Text to be cast: marks go where they stand between thousands and nowhere else, an underscore is no mark."""
    text = f"(CASE WHEN NOT contains({said}, '_') THEN {said} END)"
    if value.thousands is None:
        return text
    mark = literal(value.thousands)
    grouped = literal(rf"[-+]?\d{{1,3}}(\Q{value.thousands}\E\d{{3}})+(\.\d*)?")
    return f"(CASE WHEN regexp_full_match({said}, {grouped}) THEN replace({said}, {mark}, '') ELSE {text} END)"


def _integer(said: str, value: Value, zone: str) -> tuple[str, str]:
    text = _number_text(said, value)
    whole = f"TRY_CAST({text} AS DOUBLE) = floor(TRY_CAST({text} AS DOUBLE))"
    return f"(CASE WHEN {whole} THEN TRY_CAST(TRY_CAST({text} AS DOUBLE) AS BIGINT) END)", "a whole number"


def _number(said: str, value: Value, zone: str) -> tuple[str, str]:
    number = f"TRY_CAST({_number_text(said, value)} AS DOUBLE)"
    return f"(CASE WHEN isfinite({number}) THEN {number} * {MULTIPLIER[value.unit]} END)", "a number"


def _amount(said: str, value: Value, zone: str) -> tuple[str, str]:
    """Rounded to the hundredth of the currency, half away from zero."""
    number = f"TRY_CAST({_number_text(said, value)} AS DECIMAL(27, 10))"
    number = f"abs({number})" if value.absolute else number
    scaled = f"TRY(CAST(round({number} * CAST({MULTIPLIER[value.unit]} AS DECIMAL(11, 2)), 2) AS DECIMAL(18, 2)))"
    unit = "" if value.unit == "元" else f" in {value.unit}"
    return scaled, f"an amount{unit}"


def _code(said: str, value: Value, zone: str) -> tuple[str, str]:
    lost = f"regexp_matches({said}, {literal(_ROUNDED)}) OR contains({said}, '\N{REPLACEMENT CHARACTER}')"
    return f"(CASE WHEN {lost} THEN NULL ELSE {said} END)", "an id (a spreadsheet or a wrong encoding has spoilt it)"


def _date(said: str, value: Value, zone: str) -> tuple[str, str]:
    if value.age_on is not None:
        years = f"TRY_CAST({said} AS INT)"
        born = f"make_date({value.age_on.year} - {years}, 1, 1)"
        return f"(CASE WHEN {years} BETWEEN 0 AND 130 THEN {born} END)", "an age"
    pattern, form = _DATES[value.date]
    day = f"(CASE WHEN regexp_full_match({said}, {literal(pattern)}) THEN TRY(CAST({form.format(t=said)} AS DATE)) END)"
    return _shifted(day, value), f"a date {value.date}"


def _shifted(day: str, value: Value) -> str:
    for unit, by in (("MONTH", value.plus_months), ("DAY", value.plus_days)):
        if by is not None:
            count = str(by) if isinstance(by, int) else f"TRY_CAST({quoted(by)} AS INT)"
            day = f"CAST({day} + to_{unit.lower()}s({count}) AS DATE)"
    return day


def _instant(said: str, value: Value, zone: str) -> tuple[str, str]:
    if value.hours_since is not None:
        hours = f"CAST(TRY_CAST({said} AS DOUBLE) * 3600000000 AS BIGINT)"
        start = f"TIMESTAMPTZ {literal(value.hours_since.isoformat())}"
        return f"TRY({start} + to_microseconds({hours}))", "a number of hours"
    if value.instant == "iso":
        local = f"timezone({literal(zone)}, TRY_CAST({said} AS TIMESTAMP))"
        has_zone = rf"regexp_matches({said}, '([zZ]|[+-]\d\d(:?\d\d)?)$') AND contains({said}, ':')"
        return f"(CASE WHEN {has_zone} THEN TRY_CAST({said} AS TIMESTAMPTZ) ELSE {local} END)", "an instant"
    pattern, form = _INSTANTS[value.instant]
    local = f"TRY(CAST({form.format(t=said)} AS TIMESTAMP))"
    read = f"(CASE WHEN regexp_full_match({said}, {literal(pattern)}) THEN timezone({literal(zone)}, {local}) END)"
    return read, f"an instant {value.instant}"


_FORMS = {
    Kind.FLAG: _flag, Kind.INTEGER: _integer, Kind.NUMBER: _number, Kind.AMOUNT: _amount, Kind.CODE: _code,
    Kind.SET: _code, Kind.DATE: _date, Kind.INSTANT: _instant,
}  # fmt: skip

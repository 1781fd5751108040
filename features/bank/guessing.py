"""What one column of a file is likely to be: by the words of its header and the look of its values, with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from features.bank.headers import WORDS
from features.bank.mapping import MULTIPLIER
from features.bank.tables import TABLES
from features.bank.wordings import codes_of
from features.vocabulary import Column, Kind

NULL_WORDS = ("NULL", "null", "None", "N/A", "\\N", "nan", "NaN", "-")
_OPEN_END = ("99991231", "9999-12-31", "9999/12/31", "29991231", "2999-12-31", "0", "00000000", "0001-01-01")
_YES_NO = {"true", "t", "1", "y", "yes", "是", "有", "false", "f", "0", "n", "no", "否", "无"}
_FORMS: Sequence[tuple[str, str]] = (
    ("yyyymmdd", r"(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    ("yyyy-mm-dd", r"\d{4}-\d{1,2}-\d{1,2}([ T]00:00:00(\.0+)?)?"),
    ("yyyy/mm/dd", r"\d{4}/\d{1,2}/\d{1,2}"),
    ("yyyy.mm.dd", r"\d{4}\.\d{1,2}\.\d{1,2}"),
    ("yyyy年mm月dd日", r"\d{4}年\d{1,2}月\d{1,2}日"),
    ("dd.mm.yyyy", r"\d{1,2}\.\d{1,2}\.\d{4}"),
    ("excel", r"[1-5]\d{4}(\.0+)?"),
    ("yymmdd", r"\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
)
_INSTANTS: Sequence[tuple[str, str]] = (
    ("yyyymmddHHMMSS", r"(19|20)\d{12}"),
    ("iso", r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?([zZ]|[+-]\d\d:?\d\d)?"),
    ("yyyy/mm/dd HH:MM:SS", r"\d{4}/\d\d?/\d\d? \d\d?:\d\d:\d\d"),
    ("yyyymmdd", r"(19|20)\d{6}"),
)
_MOST = 0.95
_EXACT = 100


@dataclass
class Guess:
    """How a column of ours is read: keys of the mapping beside `from`, and why."""

    header: str
    keys: dict[str, object] = field(default_factory=dict)
    why: list[str] = field(default_factory=list)
    words: Mapping[str, str] = field(default_factory=dict)  # for codes of this column


def bare(header: str) -> str:
    """A header without unit, spaces and case, so that it can be looked up.

    >>> bare("日终余额(万元)"), bare("Cust_ID")
    ('日终余额', 'custid')
    """
    return re.sub(r"[\s_\-]|[（(].*?[）)]", "", header).lower()


def likeness(header: str, column: str, words: Sequence[str]) -> int:
    """How well a header fits a column: 0 not at all, 100 and more by a whole word, less by a part of it."""
    name = bare(header)
    if name == bare(column):
        return _EXACT + 10
    best = 0
    for word in map(bare, words):
        if name == word:
            best = max(best, _EXACT)
        elif len(word) > 1 and word in name:
            best = max(best, _EXACT * len(word) // (len(name) + 1))
    return best if best > _EXACT // 3 else 0


def matched(headers: Sequence[str], table: str) -> dict[str, str]:
    """Our columns of `table` -> the header that fits best, each header once."""
    scores = sorted(
        ((likeness(header, column, words), -place, header, column)
         for column, words in WORDS[table].items() for place, header in enumerate(headers)),
        reverse=True,
    )  # fmt: skip
    found: dict[str, str] = {}
    for score, _, header, column in scores:
        if score and column not in found and header not in found.values():
            found[column] = header
    return found


def guess(table: str, name: str, header: str, values: Sequence[str]) -> Guess:
    """How the column `name` of `table` is read from `header`, judged by the values of a sample."""
    column = TABLES[table].column(name)
    made = Guess(header, words=codes_of(table, name))
    exact = likeness(header, name, WORDS[table][name]) >= _EXACT
    made.why.append(f"header {'is' if exact else 'contains'} a word for {name}")
    texts = [text.strip() for text in values if text is not None and text.strip()]
    nulls = sorted({text for text in texts if text in NULL_WORDS or (_is_time(column) and text in _OPEN_END)})
    if nulls and column.kind is not Kind.FLAG:
        made.keys["nulls"] = nulls
        made.why.append(f"{', '.join(nulls)} taken as nothing")
        texts = [text for text in texts if text not in nulls]
    _READ[column.kind](column, header, texts, made)
    if not texts:
        made.why.append("no value in the sample: CHECK")
    return made


def _is_time(column: Column) -> bool:
    return column.kind in (Kind.DATE, Kind.INSTANT)


def _date(column: Column, header: str, texts: Sequence[str], made: Guess) -> None:
    _form("date", _FORMS, "yyyy-mm-dd", texts, made)


def _instant(column: Column, header: str, texts: Sequence[str], made: Guess) -> None:
    _form("instant", _INSTANTS, "iso", texts, made)


def _form(key: str, forms: Sequence[tuple[str, str]], default: str, texts: Sequence[str], made: Guess) -> None:
    for name, pattern in forms:
        fits = sum(re.fullmatch(pattern, text) is not None for text in texts)
        if texts and fits >= _MOST * len(texts):
            if name != default:
                made.keys[key] = name
            made.why.append(f"{fits} of {len(texts)} values look like {name}")
            return
    if texts:
        made.why.append(f"no form fits values such as {texts[0]!r}: CHECK")


def _amount(column: Column, header: str, texts: Sequence[str], made: Guess) -> None:
    unit = next((unit for unit in sorted(MULTIPLIER, key=len, reverse=True)
                 if unit != "元" and re.search(rf"[（(]\s*{unit}\s*[）)]", header)), None)  # fmt: skip
    if unit is not None:
        made.keys["unit"] = unit
        made.why.append(f"the header says {unit}")
    if any(re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text) for text in texts):
        made.keys["thousands"] = ","
        made.why.append("commas between thousands")
    negative = sum(text.startswith("-") for text in texts)
    if negative and column.at_least == 0:
        made.keys["absolute"] = True
        made.why.append(f"{negative} of {len(texts)} are negative; taken without the sign: CHECK")


def _code(column: Column, header: str, texts: Sequence[str], made: Guess) -> None:
    if not column.allowed:
        return
    seen = sorted(set(texts))
    codes = {text: made.words[text] for text in seen if text not in column.allowed and text in made.words}
    if codes:
        made.keys["codes"] = codes
        made.why.append(f"{len(codes)} codes by their words")
    strange = [text for text in seen if text not in column.allowed and text not in made.words]
    if strange:
        made.why.append(f"not known: {', '.join(strange[:8])}; add them to codes, or they are set aside: CHECK")


def _integer(column: Column, header: str, texts: Sequence[str], made: Guess) -> None:
    codes = {text: made.words[text] for text in sorted(set(texts)) if text in made.words}
    if codes:
        made.keys["codes"] = codes
        made.why.append(f"{len(codes)} codes by their words")


def _flag(column: Column, header: str, texts: Sequence[str], made: Guess) -> None:
    _integer(column, header, texts, made)
    strange = sorted({text for text in texts if text.lower() not in _YES_NO and text not in made.words})
    if strange:
        made.why.append(f"neither yes nor no: {', '.join(strange[:5])}: CHECK")


def _any(column: Column, header: str, texts: Sequence[str], made: Guess) -> None:
    return


_READ: Mapping[Kind, Callable[[Column, str, Sequence[str], Guess], None]] = {
    Kind.DATE: _date, Kind.INSTANT: _instant, Kind.AMOUNT: _amount, Kind.NUMBER: _amount, Kind.CODE: _code,
    Kind.SET: _any, Kind.INTEGER: _integer, Kind.FLAG: _flag,
}  # fmt: skip

"""Figures as bankers read them: 万 and 亿 in Chinese, thousands and millions in English."""

from __future__ import annotations

from serving.console.words import Language

_UNITS: dict[Language, tuple[tuple[float, str], ...]] = {
    "zh": ((1e8, "亿"), (1e4, "万"), (1.0, "")),
    "en": ((1e9, "bn"), (1e6, "m"), (1e3, "k"), (1.0, "")),
}
NOTHING = "–"


def count(n: float | None) -> str:
    """A count in full.

    >>> count(12345), count(None)
    ('12,345', '–')
    """
    return NOTHING if n is None else f"{n:,.0f}"


def amount(value: float | None, language: Language) -> str:
    """An amount to three figures with its unit.

    >>> amount(93_588_42.8, "zh"), amount(93_588_42.8, "en"), amount(0.4, "en"), amount(-1234, "zh")
    ('936万', '9.36m', '0', '-1,234')
    >>> amount(10_000, "en"), amount(1_000_000, "zh"), amount(-0.4, "zh")
    ('10k', '100万', '0')
    """
    if value is None:
        return NOTHING
    size = abs(value)
    scale, unit = next((u for u in _UNITS[language] if size >= u[0]), (1.0, ""))
    if unit == "":
        return f"{round(value):,}"
    scaled = value / scale
    digits = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
    figures = f"{scaled:,.{digits}f}"
    return f"{figures.rstrip('0').rstrip('.') if digits else figures}{unit}"


def share(value: float | None) -> str:
    """A share as percent to one digit.

    >>> share(0.0561), share(None)
    ('5.6%', '–')
    """
    return NOTHING if value is None else f"{value:.1%}"


def chance(value: float | None) -> str:
    """A probability to three digits.

    >>> chance(0.04231)
    '0.042'
    """
    return NOTHING if value is None else f"{value:.3f}"


def plain(value: object) -> str:
    """A value that has no unit: a dash for what is not known, numbers without needless digits."""
    if value is None or value == "":
        return NOTHING
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def figure(value: float | None) -> str:
    """A figure of a model to four digits, small differences included.

    >>> figure(0.77531), figure(-0.00042), figure(None)
    ('0.7753', '-0.0004', '–')
    """
    return NOTHING if value is None else f"{value:.4f}"


def signed(value: float | None) -> str:
    """The same of a difference, with its sign.

    >>> signed(0.0095), signed(-0.02)
    ('+0.0095', '-0.0200')
    """
    return NOTHING if value is None else f"{value:+.4f}"

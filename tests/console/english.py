"""English sentences on a page that speaks Chinese, and a walk over all pages that links lead to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

SENTENCE = re.compile(r"\b[a-z']{2,}(?:[ ,;:]+[a-z']{2,}){2,}")  # three words in a row; names and codes are shorter
CHINESE = re.compile("[一-鿿]")
_SILENT = ("code", "script", "style", "title")  # commands are typed as they stand
_BLOCK = re.compile(r"<(p|tr|h1|h2)\b[^>]*>(.*?)</\1>", re.DOTALL)
_TAG = re.compile("<[^>]*>")
Fetch = Callable[[str], str]


class _Reader(HTMLParser):
    """The texts that people read on a page, names that are read aloud among them, and where its links lead.

    Tips (`title`) are left out: they show a rule as it stands, or a name in the other language.
    """

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT
        told = dict(attrs)
        self.texts += [value for name in ("aria-label", "alt") if (value := told.get(name))]
        if tag == "a" and (href := told.get("href")):
            self.links.append(href)

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in _SILENT

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.texts.append(data)


def english_in(page: str) -> list[str]:
    """The English sentences of a page, wherever they stand.

    >>> english_in("<p>说明：the gate is closed</p><code>tiercel month end now</code>")
    ['the gate is closed']
    """
    reader = _Reader()
    reader.feed(page)
    return [found.group() for text in reader.texts for found in SENTENCE.finditer(text)]


def untranslated(report: str) -> list[str]:
    """Paragraphs, headings and rows of a report in both languages that say something in English alone.

    A row holds both; a paragraph holds both, or is followed by its Chinese.

    >>> untranslated("<p>two of nine closed</p><p>两道未通过</p><tr><td>all the gates open</td></tr>")
    ['all the gates open']
    """
    texts = [_TAG.sub(" ", inside).strip() for _, inside in _BLOCK.findall(report)]
    return [
        text
        for text, after in zip(texts, [*texts[1:], ""], strict=True)
        if SENTENCE.search(text) and not CHINESE.search(text) and not CHINESE.search(after)
    ]


def walk(fetch: Fetch, start: str, under: tuple[str, ...], *, most: int = 12) -> Iterator[tuple[str, str]]:
    """The pages whose path begins as one of `under` that links lead to from `start`, `most` of each kind, with text."""
    waiting, seen, kinds = [start], {_place(start)}, Counter[str]()
    while waiting:
        path = waiting.pop(0)
        kinds[_kind(path)] += 1
        if kinds[_kind(path)] > most:
            continue
        text = fetch(path)
        yield path, text
        reader = _Reader()
        reader.feed(text)
        for link in (urljoin(path, href) for href in reader.links):
            if _place(link).startswith(under) and _place(link) not in seen and "lang=" not in link:
                seen.add(_place(link))
                waiting.append(link)


def _kind(link: str) -> str:
    """What sort of page a link leads to: the first words of its path, and how long it is."""
    words = urlsplit(link).path.split("/")
    return f"{words[2]} {len(words)}"


def _place(link: str) -> str:
    """Where a link leads; months of one page and its pages of people are alike."""
    parts = urlsplit(link)
    kept = [one for one in parts.query.split("&") if one.startswith(("measure=", "against="))]
    return "?".join([parts.path, *kept])

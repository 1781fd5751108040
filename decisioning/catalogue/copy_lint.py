"""文案检查 Copy lint: no forbidden word in an approved text, and every phrase that the law wants in it (R39, R42).

Words are found through full-width letters, capitals, blanks and dots put between the characters; 低·风 险 is 低风险.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

from decisioning.catalogue.cards import OfferCard
from decisioning.catalogue.findings import Finding
from decisioning.catalogue.wording import Scope, Wording
from decisioning.policy import DecisionsPolicy

_HIDING = re.compile(r"[\s·•・*~|_/\-\u200b-\u200d\ufeff]+")
_BETWEEN_WORDS = re.compile(r"[\W_]+")


def banned_words(zh: str, en: str, wording: Wording) -> list[str]:
    """Forbidden words that stand in the texts, in the policy's order.

    >>> from decisioning.catalogue.wording import Wording
    >>> wording = Wording(banned_zh=("低风险",), banned_en=("risk-free",), banned_rule="R42", required=())
    >>> banned_words("本产品低·风 险。", "A Risk Free product.", wording)
    ['低风险', 'risk-free']
    """
    chinese, english = _chinese(zh), _english(en)
    found = [word for word in wording.banned_zh if _chinese(word) in chinese]
    return found + [word for word in wording.banned_en if _english(word) in english]


def lint_text(where: str, zh: str, en: str, wording: Wording, scopes: Collection[Scope]) -> list[Finding]:
    """What is wrong with one text in both languages, of a thing that falls under `scopes`."""
    banned = banned_words(zh, en, wording)
    findings = [Finding(where, "forbidden word in copy", wording.banned_rule, word) for word in banned]
    for phrase in wording.required:
        if phrase.scope in scopes:
            pairs = ((phrase.zh, _chinese(phrase.zh) in _chinese(zh)), (phrase.en, _english(phrase.en) in _english(en)))
            missing = [text for text, stands in pairs if not stands]
            findings += [
                Finding(where, "required phrase is missing in copy", phrase.rule, allowed=text) for text in missing
            ]
    return findings


def lint(policy: DecisionsPolicy, offer_ids: Iterable[str] | None = None) -> list[Finding]:
    """What is wrong with the approved texts of the named offers, or of all."""
    findings = []
    for offer_id in policy.offers if offer_ids is None else offer_ids:
        offer = policy.offers[offer_id]
        scopes = scopes_of(offer_id, policy)
        findings += lint_text(f"offer {offer_id}", offer.copy_zh, offer.copy_en, policy.wording, scopes)
    return findings


def scopes_of(offer_id: str, policy: DecisionsPolicy) -> frozenset[Scope]:
    """Which required phrases concern the offer: those of risk, of loans, of every sale."""
    card = OfferCard.of(offer_id, policy)
    scopes: set[Scope] = set() if card.is_care or card.kind == "information" else {"sale"}
    scopes |= {"risk"} if card.risk_level >= 1 else set()
    scopes |= {"loan"} if card.category == "贷款" else set()
    return frozenset(scopes)


def _chinese(text: str) -> str:
    return _HIDING.sub("", unicodedata.normalize("NFKC", text).casefold())


def _english(text: str) -> str:
    words = _BETWEEN_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold())
    return f" {words.strip()} "

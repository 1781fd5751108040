"""Every error Tiercel raises on purpose, as one tree.

    TiercelError
    ├── UserMistake            the caller can mend it: exit code 2, HTTP 4xx
    │   ├── BadPolicy          a policy file that does not parse, or does not hold together
    │   ├── BadBank            bank tables that break their contract beyond the set share
    │   ├── BadPredicate       a rule that names an unknown column or compares unlike kinds
    │   ├── BadRequest         a request whose content is not allowed
    │   ├── NotFound           an id that nothing answers to
    │   └── NotAllowed         an actor who may not do this
    └── NotReady               something has to be made first: exit code 2, HTTP 503
        ├── MissingBuild       no month has been built
        ├── MissingModel       no champion is registered, or too little to train one
        └── MissingRelease     nothing has been released

Each says four things: what is wrong, which value, what is allowed, what to do; `zh` says it in Chinese where a report
or a page shows it to bank staff. Leaf errors that only one room raises live beside the code that raises them and
inherit from one of these.
"""

from __future__ import annotations

from collections.abc import Iterable


class TiercelError(Exception):
    """Root of all errors that Tiercel raises on purpose.

    >>> print(UserMistake("unknown channel", value="FAX", allowed=["APP", "RM"], todo="use one of them"))
    unknown channel: 'FAX'; allowed: APP, RM; use one of them
    """

    slug = "error"

    def __init__(
        self,
        what: str,
        *,
        value: object = None,
        allowed: Iterable[object] | str | None = None,
        todo: str = "",
        zh: str = "",
    ) -> None:
        self.what = what
        self.value = value
        self.allowed = allowed if isinstance(allowed, str) or allowed is None else ", ".join(map(str, allowed))
        self.todo = todo
        self.zh = zh
        super().__init__(what)

    @property
    def says_zh(self) -> str:
        """The same in Chinese, in English where nobody wrote it."""
        return self.zh or str(self)

    def __str__(self) -> str:
        parts = [self.what if self.value is None else f"{self.what}: {self.value!r}"]
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        if self.todo:
            parts.append(self.todo)
        return "; ".join(parts)


class UserMistake(TiercelError):
    """The caller can mend it."""

    slug = "user-mistake"


class BadPolicy(UserMistake):
    """A policy file does not parse, or does not hold together."""

    slug = "bad-policy"


class BadBank(UserMistake):
    """Bank tables break their contract beyond the set share, or are not there."""

    slug = "bad-bank"


class BadPredicate(UserMistake):
    """A rule names an unknown column, or compares unlike kinds."""

    slug = "bad-predicate"


class BadRequest(UserMistake):
    """The content of a request is not allowed."""

    slug = "bad-request"


class NotFound(UserMistake):
    """Nothing answers to this id."""

    slug = "not-found"


class NotAllowed(UserMistake):
    """The actor may not do this."""

    slug = "not-allowed"


class NotReady(TiercelError):
    """Something has to be made first."""

    slug = "not-ready"


class MissingBuild(NotReady):
    """No month has been built."""

    slug = "missing-build"


class MissingModel(NotReady):
    """No champion is registered, or there is too little to train one."""

    slug = "missing-model"


class MissingRelease(NotReady):
    """Nothing has been released."""

    slug = "missing-release"

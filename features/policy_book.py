"""Dated policy: YAML files -> the frozen, typed values in force on a day, with their version and digest.

Anything in a policy file may be dated. A mapping with the key `since` is a dated value: it maps first days to
values, and beside it stand `unit` and `source`. Nothing is overwritten: a new figure is a new date. Before its first
date a value does not exist, which is an error and not a default.

    near_up_share: {unit: share of the next threshold, source: R15, since: {2015-01-01: 0.8}}

One file is one section, named by its file name. Folders are read in order and a later folder replaces whole
sections, so that a home may carry its own tiers and keep our grades. Sections that are a register of named things may
be added to instead: a thing of the same name is replaced, one that is null is taken out. Unknown keys are refused
everywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)
from pydantic_core import ErrorDetails

from features.errors import BadPolicy, BadPredicate, TiercelError
from features.predicates import Predicate

_DATED_KEYS = {"since", "unit", "source", "note"}


class Frozen(BaseModel):
    """A policy value: immutable, and unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class PolicyValues(Frozen):
    """All values of one policy book in force on a day; `version` is the date of its newest value."""

    version: date
    digest: str


def _parse(value: object) -> object:
    try:
        return Predicate.parse(value) if isinstance(value, str) else value
    except BadPredicate as error:  # as a ValueError it is told with the place in the policy where it stands
        raise ValueError(str(error)) from error


Rule = Annotated[Predicate, BeforeValidator(_parse), PlainSerializer(lambda rule: rule.text, return_type=str)]
Share = Annotated[float, Field(ge=0, le=1)]
T = TypeVar("T", bound=PolicyValues)


class PolicyBook(Generic[T]):
    """All dated values of one kind of policy, as read from its files; `view(as_of)` gives those in force."""

    def __init__(self, schema: type[T], sections: Mapping[str, Any]) -> None:
        self._schema = schema
        self._sections = sections
        self._views: dict[date, T] = {}

    @classmethod
    def read(cls, schema: type[T], *folders: Path, registers: Collection[str] = ()) -> Self:
        """The book in `folders`, later folders replacing sections of earlier ones, or adding to those in `registers`.

        Raises BadPolicy.
        """
        sections: dict[str, Any] = {}
        for folder in folders:
            for path in sorted(folder.glob("*.yaml")):
                said, before = load_yaml(path, BadPolicy), sections.get(path.stem)
                sections[path.stem] = _added(before, said) if path.stem in registers else said
        if not sections:
            raise BadPolicy(
                "no policy files found",
                value=", ".join(map(str, folders)),
                todo="name a folder of *.yaml files",
            )
        return cls(schema, sections)

    @property
    def sections(self) -> Mapping[str, Any]:
        """The files as read, so that a release can keep them."""
        return self._sections

    def dates(self) -> list[date]:
        """Every day on which some value changes, ascending."""
        return sorted(set(_dates(self._sections)))

    def view(self, as_of: date) -> T:
        """The values in force on `as_of`; raises BadPolicy if one has not begun or does not hold together."""
        version = max((day for day in self.dates() if day <= as_of), default=as_of)
        if version not in self._views:  # between two changes every day has the same values
            self._views[version] = self._read(as_of, version)
        return self._views[version]

    def _read(self, as_of: date, version: date) -> T:
        values = {name: _in_force(section, as_of, name) for name, section in self._sections.items()}
        digest = hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
        try:
            return self._schema(**values, version=version, digest=digest)
        except ValidationError as error:
            told = complaint_of(error, "policy", self._schema)
            raise BadPolicy(told, todo="`tiercel policy check` lists the rules") from error


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C parser, where there is one
    """YAML as people read it: a key stands once, and only true and false are truth values (`no` is a step's number)."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        letter: [(tag, pattern) for tag, pattern in resolvers if letter in "tTfF" or not tag.endswith(":bool")]
        for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if not key.tag.endswith(":merge")]
        if repeated := [key for key in keys if keys.count(key) > 1]:
            raise yaml.YAMLError(f"key {str(repeated[0])!r} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep=deep)


def load_yaml(path: Path, raises: type[TiercelError]) -> Any:
    """What a YAML file of ours says, read as a policy is read; raises `raises` if it cannot be read."""
    try:
        return yaml.load(path.read_text("utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise raises("file cannot be read as YAML", value=str(path), todo=" ".join(str(error).split())) from error


def _added(before: object, said: object) -> object:
    """A register with what a later folder says of it."""
    if not isinstance(said, dict) or not isinstance(before, dict | None):
        return said
    return {name: thing for name, thing in {**(before or {}), **said}.items() if thing is not None}


def _is_dated(node: object) -> bool:
    return isinstance(node, dict) and "since" in node


def _dates(node: object) -> Iterator[date]:
    if isinstance(node, dict):
        if _is_dated(node):
            yield from node["since"]
        for child in node.values():
            yield from _dates(child)


def _in_force(node: object, as_of: date, path: str) -> Any:
    """`node` with every dated value replaced by the one in force."""
    if isinstance(node, list):
        return [_in_force(child, as_of, f"{path}[{i}]") for i, child in enumerate(node)]
    if not isinstance(node, dict):
        return node
    if not _is_dated(node):
        return {key: _in_force(child, as_of, f"{path}.{key}") for key, child in node.items()}
    unknown = set(node) - _DATED_KEYS
    if unknown:
        raise BadPolicy(f"dated value {path} has unknown keys", value=sorted(unknown), allowed=sorted(_DATED_KEYS))
    begun = [day for day in node["since"] if isinstance(day, date) and day <= as_of]
    if not begun:
        raise BadPolicy(f"policy value {path} has not begun on {as_of}", allowed=f"from {min(node['since'])} on",
                        todo="date it earlier, or ask for a later day")  # fmt: skip
    return _in_force(node["since"][max(begun)], as_of, path)


def complaint_of(error: ValidationError, what: str, schema: type[BaseModel]) -> str:
    """What does not hold together in `what`, with the place and the value: the first five findings, one sentence."""
    return f"{what} does not hold together: " + "; ".join(_told(item, schema) for item in error.errors()[:5])


def _told(item: ErrorDetails, schema: type[BaseModel]) -> str:
    where = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        allowed = ", ".join(_keys(schema, item["loc"][:-1]))
        return f"{where}: unknown key" + (f" (allowed: {allowed})" if allowed else "")
    got = "" if isinstance(item["input"], dict) else f" (got {item['input']!r})"
    return f"{where}: {item['msg']}{got}"


def _keys(schema: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """The keys of the model that stands at a place of `schema`; none where that cannot be told."""
    stands: Any = schema
    for name in place:
        if isinstance(stands, type) and issubclass(stands, BaseModel):
            field = stands.model_fields.get(str(name))
            stands = None if field is None else field.annotation
        else:  # the name is a key of a register, or a number in a list
            stands = next(iter(reversed(get_args(stands))), None)
    if not (isinstance(stands, type) and issubclass(stands, BaseModel)):
        return []
    return sorted({field.alias or name for name, field in stands.model_fields.items()} - {"version", "digest"})

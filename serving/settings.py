"""Settings of a running Tiercel, the one place that reads the environment; and the one clock that serving receives.

Every setting is an environment variable TIERCEL_<NAME>; a variable with that prefix which is no setting is refused,
so that a typing error does not pass for a default. Policy (what the bank decides) stands in dated YAML, not here.
"""

from __future__ import annotations

import itertools
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from features.errors import UserMistake

PREFIX = "TIERCEL_"
_MEBIBYTE = 1 << 20


class Settings(BaseSettings):
    """What one process is told by its environment; `read_settings` gives it with a sentence for each mistake."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    home: Path = Field(Path(".tiercel"), description="folder of everything a run makes")
    host: str = Field("127.0.0.1", pattern=r"^(127(\.\d{1,3}){3}|localhost)$",
                      description="loopback address the server listens on")  # fmt: skip
    port: int = Field(8000, ge=0, le=65535, description="port the server listens on; 0 takes a free one")
    as_of: AwareDatetime | None = Field(
        None, description="instant at which the clock stands, with its zone; else the home's own instant, else live"
    )
    body_limit_bytes: int = Field(_MEBIBYTE, ge=1024, description="largest request body that is read")
    max_in_flight: int = Field(
        256, ge=1, description="requests worked on at once; one more is answered 503 with Retry-After"
    )
    refresh_seconds: float = Field(
        1.0, gt=0, le=5, description="how often a running server looks whether another release was switched to"
    )
    ledger_url: SecretStr | None = Field(
        None,
        description="database of the ledger, such as `postgresql://USER:PASSWORD@HOST/DATABASE`; else `ledger.db` in "
        "the home. The password is never shown",
    )
    shared_data: Path | None = Field(
        None, description="folder of public data sets for tests and benchmarks; absent on a bank's machine"
    )


def read_settings(**given: Any) -> Settings:
    """The settings of this process: the environment's, with those `given` before them; raises UserMistake."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise UserMistake("environment variable is no setting", value=unknown[0], allowed=sorted(known))
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        item = error.errors()[0]
        name = PREFIX + str(item["loc"][0]).upper()
        raise UserMistake(f"setting {name} is not allowed", value=item["input"], todo=item["msg"]) from error


class Clock:
    """The one clock: live, or standing at an instant.

    A standing clock moves by one microsecond at each reading, so that an answer given later is later: a refusal
    noted at the standing instant lies strictly before the next decision, as it would in a live bank.

    >>> clock = Clock(datetime(2025, 12, 31, 4, tzinfo=UTC))
    >>> clock.now() < clock.now(), clock.is_live
    (True, False)
    """

    def __init__(self, instant: datetime | None = None) -> None:
        if instant is not None and instant.tzinfo is None:
            raise UserMistake("an instant names its zone", value=instant.isoformat(), todo="add +08:00, or Z for UTC")
        self._instant = None if instant is None else instant.astimezone(UTC)
        self._readings = itertools.count()

    @property
    def is_live(self) -> bool:
        return self._instant is None

    def now(self) -> datetime:
        """The instant, UTC; two readings of one standing clock differ."""
        if self._instant is None:
            return datetime.now(UTC)
        return self._instant + timedelta(microseconds=next(self._readings))

    def move_past(self, latest: datetime | None) -> None:
        """Let a standing clock go on after `latest`, the last instant written within a minute of where it stands.

        A server that is started again must not decide before what it has written already.
        """
        if self._instant is None or latest is None:
            return
        if self._instant <= latest < self._instant + timedelta(minutes=1):
            self._instant = latest + timedelta(microseconds=1)
            self._readings = itertools.count()


def ledger_url(settings: Settings) -> str:
    """Where the ledger stands, with its password: for opening it and nothing else.

    >>> ledger_url(Settings(home=Path("/srv/bank"), ledger_url=None))
    'sqlite:////srv/bank/ledger.db'
    """
    if settings.ledger_url is not None:
        return settings.ledger_url.get_secret_value()
    return f"sqlite:///{settings.home.resolve() / 'ledger.db'}"


def home_facts(home: Path) -> dict[str, Any]:
    """What home.json states of the bank (instant, currency, zone, source); empty for a home that states nothing."""
    path = home / "home.json"
    if not path.exists():
        return {}
    try:
        facts = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UserMistake("home.json cannot be read", value=str(path), todo=str(error)) from error
    return facts if isinstance(facts, dict) else {}


def clock_of(settings: Settings) -> Clock:
    """The clock of a process: at `as_of` if it is set, else at the home's own instant, else live."""
    if settings.as_of is not None:
        return Clock(settings.as_of)
    stated = home_facts(settings.home).get("instant")
    if stated is None:
        return Clock()
    try:
        return Clock(datetime.fromisoformat(str(stated)))
    except ValueError as error:
        raise UserMistake("home.json states no instant", value=stated, todo="such as 2025-12-31T04:00:00Z") from error


def zone_of(name: str) -> ZoneInfo:
    """The bank's time zone; raises UserMistake for a name that no zone has."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UserMistake("unknown time zone", value=name, allowed="names such as Asia/Shanghai") from error

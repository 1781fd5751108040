"""Settings come from the environment alone, mistakes are told in a sentence, and there is one clock."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from features.errors import UserMistake
from serving.settings import Clock, Settings, clock_of, ledger_url, read_settings

NOON = datetime(2025, 12, 31, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "PORT", "AS_OF", "BODY_LIMIT_BYTES", "SHARED_DATA", "LEDGER_URL"):
        monkeypatch.delenv(f"TIERCEL_{name}", raising=False)


def test_a_variable_sets_what_its_name_says_and_an_argument_comes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERCEL_PORT", "8123")
    monkeypatch.setenv("TIERCEL_HOME", "/srv/bank")
    settings = read_settings(home=Path("/srv/other"), host=None)
    assert (settings.port, settings.home, settings.host) == (8123, Path("/srv/other"), "127.0.0.1")


def test_a_misspelt_variable_is_refused_with_those_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERCEL_PROT", "8123")
    with pytest.raises(UserMistake, match=r"TIERCEL_PROT.*allowed: .*TIERCEL_PORT"):
        read_settings()


@pytest.mark.parametrize(("name", "value"), [("PORT", "70000"), ("AS_OF", "2025-12-31T09:00:00"), ("PORT", "http")])
def test_a_value_out_of_bounds_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TIERCEL_{name}", value)
    with pytest.raises(UserMistake, match=f"TIERCEL_{name}"):
        read_settings()


def test_the_password_of_the_ledger_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://tiercel:s3cret@ledger.bank/tiercel"
    monkeypatch.setenv("TIERCEL_LEDGER_URL", url)
    settings = read_settings()
    assert ledger_url(settings) == url
    shown = [repr(settings), str(settings), settings.model_dump_json(), f"{settings.model_dump()}"]
    assert not [text for text in shown if "s3cret" in text]


def test_the_ledger_stands_in_the_home_unless_told_otherwise(tmp_path: Path) -> None:
    assert ledger_url(read_settings(home=tmp_path)) == f"sqlite:///{tmp_path / 'ledger.db'}"


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_standing_clock_gives_its_instant_and_later_readings_lie_microseconds_after_it() -> None:
    clock = Clock(NOON)
    assert [clock.now() - NOON for _ in range(3)] == [timedelta(microseconds=n) for n in range(3)]


def test_a_standing_clock_started_again_goes_on_after_what_was_written() -> None:
    clock = Clock(NOON)
    clock.move_past(NOON + timedelta(microseconds=57))
    assert clock.now() == NOON + timedelta(microseconds=58)


def test_a_standing_clock_does_not_follow_instants_of_another_time() -> None:
    clock = Clock(NOON)
    clock.move_past(NOON + timedelta(days=30))
    assert clock.now() == NOON


def test_a_live_clock_tells_the_time_of_day() -> None:
    before = datetime.now(UTC)
    assert before <= Clock().now() <= datetime.now(UTC)


def test_the_clock_stands_where_the_setting_says_then_where_the_home_says_then_is_live(tmp_path: Path) -> None:
    assert clock_of(Settings(home=tmp_path)).is_live
    (tmp_path / "home.json").write_text(json.dumps({"instant": "2025-12-31T04:00:00Z", "currency": "CNY"}))
    assert clock_of(Settings(home=tmp_path)).now() == NOON
    later = NOON + timedelta(days=1)
    assert clock_of(Settings(home=tmp_path, as_of=later)).now() == later


def test_an_instant_without_a_zone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home.json").write_text(json.dumps({"instant": "2025-12-31T04:00:00"}))
    with pytest.raises(UserMistake, match="zone"):
        clock_of(Settings(home=tmp_path))

"""An event loop stays awake for a moment between requests that follow each other closely, and only then."""

from __future__ import annotations

import asyncio

import pytest

from serving.desk import waking
from serving.desk.waking import Waking


def turns_within(seconds: float, *, gap: float, n_requests: int) -> int:
    """How often an event loop turns after the last of so many requests, each `gap` seconds after the other."""

    async def ask() -> int:
        awake = Waking()
        for _ in range(n_requests):
            await asyncio.sleep(gap)
            awake.asked()
            awake.answered()
        loop, n_turns = asyncio.get_running_loop(), 0
        turn = awake._turn

        def counted(at: asyncio.AbstractEventLoop) -> None:
            nonlocal n_turns
            n_turns += 1
            turn(at)

        awake._turn = counted  # type: ignore[method-assign]  # counted on their way
        await asyncio.sleep(seconds)
        assert loop.is_running()
        return n_turns

    return asyncio.run(ask())


def test_who_asks_again_at_once_is_waited_for_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "AWAKE_SECONDS", 0.02)
    assert turns_within(0.2, gap=0.0, n_requests=3) > 10


def test_after_a_lone_request_and_after_slow_ones_the_loop_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "AWAKE_SECONDS", 0.02)
    assert turns_within(0.1, gap=0.0, n_requests=1) == 0
    assert turns_within(0.1, gap=0.05, n_requests=3) == 0


def test_it_does_not_stay_awake_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "AWAKE_SECONDS", 0.01)

    async def ask() -> bool:
        awake = Waking()
        for _ in range(3):
            awake.asked()
            awake.answered()
        await asyncio.sleep(0.1)
        return awake._is_turning

    assert not asyncio.run(ask())

"""Requests that come at once are answered in one call, and each meets its own error alone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from features.errors import BadRequest
from serving.desk.gathering import Gathering


class Doubling:
    """Work that notes what it was asked together, and refuses numbers below zero."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __call__(self, asked: Sequence[int]) -> list[int]:
        self.calls.append(list(asked))
        if min(asked) < 0:
            raise BadRequest("below zero", value=min(asked))
        return [2 * number for number in asked]


def answers(*asking: Coroutine[Any, Any, int]) -> list[Any]:
    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*asking, return_exceptions=True)

    return asyncio.run(all_at_once())


def test_what_is_asked_at_once_is_answered_in_one_call_each_with_its_own() -> None:
    work = Doubling()
    gathering = Gathering(work)
    assert answers(*(gathering.ask(number) for number in (3, 1, 2))) == [6, 2, 4]
    assert work.calls == [[3, 1, 2]]
    assert answers(gathering.ask(5)) == [10]
    assert work.calls == [[3, 1, 2], [5]]


def test_one_that_cannot_be_answered_leaves_the_others_their_answers() -> None:
    work = Doubling()
    gathering = Gathering(work)
    first, refused, last = answers(*(gathering.ask(number) for number in (1, -1, 2)))
    assert (first, last) == (2, 4)
    assert isinstance(refused, BadRequest)
    assert work.calls == [[1, -1, 2], [1], [-1], [2]]


def test_one_that_was_given_up_does_not_keep_the_others_waiting() -> None:
    gathering = Gathering(Doubling())

    async def given_up() -> list[int]:
        others = [asyncio.ensure_future(gathering.ask(number)) for number in (1, -1, 2)]
        await asyncio.sleep(0)
        others[1].cancel()
        return await asyncio.gather(others[0], others[2])

    assert asyncio.run(given_up()) == [2, 4]


def test_asking_again_after_an_answer_is_another_call() -> None:
    work = Doubling()
    gathering = Gathering(work)

    async def twice() -> int:
        return await gathering.ask(await gathering.ask(1))

    assert answers(twice(), gathering.ask(7)) == [4, 14]
    assert work.calls == [[1, 7], [2]]


def test_an_answer_missing_is_a_defect_that_nobody_takes_for_an_answer() -> None:
    gathering = Gathering(lambda asked: [])
    (told,) = answers(gathering.ask(1))
    with pytest.raises(ValueError, match="zip"):
        raise told


async def _come_back(gathering: Gathering[int, int], number: int) -> None:
    await gathering.ask(number)
    for _ in range(number):
        await asyncio.sleep(0)
    await gathering.ask(number)


def test_who_was_told_together_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.desk.gathering.PATIENCE_SECONDS", 60.0)
    work = Doubling()
    gathering = Gathering(work)
    answers(*(_come_back(gathering, number) for number in (1, 20, 3)))
    assert work.calls == [[1, 20, 3], [1, 3, 20]]


def test_who_does_not_come_back_is_waited_for_but_a_moment_and_once() -> None:
    work = Doubling()
    gathering = Gathering(work)
    answers(*(gathering.ask(number) for number in (1, 2, 3)))
    assert answers(gathering.ask(4)) == [8]

    async def nobody_else() -> int:
        told = asyncio.ensure_future(gathering.ask(5))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return told.result()  # a turn of the loop to ask, one to work, one to be told

    assert asyncio.run(nobody_else()) == 10
    assert work.calls == [[1, 2, 3], [4], [5]]


def test_two_halves_that_would_take_turns_become_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.desk.gathering.PATIENCE_SECONDS", 60.0)
    work = Doubling()
    gathering = Gathering(work)

    async def turns() -> None:
        await asyncio.gather(gathering.ask(1), gathering.ask(2))
        others = [asyncio.ensure_future(gathering.ask(number)) for number in (3, 4)]  # while the first are answered
        await asyncio.sleep(0)
        gathering.answered()
        await asyncio.gather(gathering.ask(1), gathering.ask(2), *others)

    asyncio.run(turns())
    assert work.calls == [[1, 2], [3, 4, 1, 2]]

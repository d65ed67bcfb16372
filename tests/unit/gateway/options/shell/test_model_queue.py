"""The queue of what prices chains, and what is kept of it: bounded both, and in order."""

from __future__ import annotations

import asyncio
from threading import Event, current_thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.problems import Problem
from gateway.options.shell.model_queue import MAX_WAITING, RETRY_S, KeptByLegs, ModelQueue


async def test_work_is_done_one_by_one_in_order_beside_the_loop() -> None:
    """The loop is free meanwhile; every question has its own answer."""
    queue, order, free = ModelQueue(), list[int](), Event()

    def work(number: int) -> tuple[int, str]:
        free.wait(10.0)
        order.append(number)
        return number, current_thread().name

    asked = [asyncio.create_task(queue.run(lambda number=number: work(number))) for number in range(5)]  # type: ignore[misc]
    await asyncio.sleep(0)
    free.set()
    answers = await asyncio.gather(*asked)
    assert [number for number, _ in answers] == order == list(range(5))
    assert {name for _, name in answers} != {current_thread().name}


async def test_one_more_than_may_wait_is_told_to_come_again() -> None:
    """At once; and as soon as one is answered there is room again."""
    queue, free = ModelQueue(), Event()
    asked = [asyncio.create_task(queue.run(lambda: free.wait(10.0))) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Problem) as found:
        await queue.run(lambda: None)
    assert (found.value.status, found.value.code) == (503, "overloaded")
    assert found.value.retry_after_s == RETRY_S
    free.set()
    await asyncio.gather(*asked)
    assert await queue.run(lambda: 7) == 7


async def test_work_that_fails_and_a_client_that_goes_leave_their_place() -> None:
    """Else the queue would be full for ever."""
    queue = ModelQueue()

    def broken() -> None:
        raise ArithmeticError("no")

    for _ in range(MAX_WAITING + 1):
        with pytest.raises(ArithmeticError):
            await queue.run(broken)
    free = Event()
    asked = [asyncio.create_task(queue.run(lambda: free.wait(10.0))) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    for each in asked:
        each.cancel()
    free.set()
    await asyncio.gather(*asked, return_exceptions=True)
    assert await queue.run(lambda: 7) == 7


def test_what_was_not_asked_for_longest_is_given_up() -> None:
    """Asking for it makes it young again."""
    kept: KeptByLegs[str] = KeptByLegs(10)
    kept.keep("a", "A", 4)
    kept.keep("b", "B", 4)
    assert kept.get("a") == "A"
    kept.keep("c", "C", 4)
    assert [kept.get(name) for name in "abc"] == ["A", None, "C"]


def test_one_that_is_replaced_takes_its_room_once() -> None:
    """Else others would be given up for nothing."""
    kept: KeptByLegs[str] = KeptByLegs(10)
    kept.keep("b", "B", 4)
    for _ in range(9):
        kept.keep("a", "A", 4)
    assert (kept.get("a"), kept.get("b")) == ("A", "B")


def test_one_that_is_too_large_is_kept_alone() -> None:
    """Until another comes: it would be read again for every page else."""
    kept: KeptByLegs[str] = KeptByLegs(10)
    kept.keep("small", "S", 1)
    kept.keep("large", "L", 99)
    assert (kept.get("small"), kept.get("large")) == (None, "L")
    kept.keep("small", "S", 1)
    assert (kept.get("small"), kept.get("large")) == ("S", None)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 12), st.booleans()), max_size=60))
def test_together_they_never_have_more_legs_than_may_be(turns: list[tuple[int, int, bool]]) -> None:
    """However often a key is replaced; what was kept last is always there."""
    most = 20
    kept: KeptByLegs[tuple[int, int]] = KeptByLegs(most)
    for key, legs, is_read in turns:
        if is_read:
            kept.get(key)
            continue
        kept.keep(key, (key, legs), legs)
        found: list[Any] = [kept.get(each) for each in range(6)]
        assert sum(each[1] for each in found if each is not None) <= most
        assert kept.get(key) == (key, legs)

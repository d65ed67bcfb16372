"""Blocking calls on threads that hold nobody up."""

from __future__ import annotations

import asyncio
import threading

import pytest

from infra.runtime.threads import in_daemon_thread


async def test_the_result_comes_back_to_the_loop() -> None:
    """The work is done elsewhere, under the name given."""
    assert await in_daemon_thread(lambda: threading.current_thread().name, name="topics") == "topics"


async def test_an_error_is_raised_where_the_work_was_waited_for() -> None:
    """As if the call had been made there."""

    def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await in_daemon_thread(fail, name="topics")


async def test_who_is_cancelled_does_not_wait_and_what_comes_later_harms_nobody() -> None:
    """A SIGTERM is not delayed by a call that waits for a broker."""
    go_on, ended = threading.Event(), threading.Event()

    def slow() -> None:
        go_on.wait(30)
        ended.set()

    waiting = asyncio.ensure_future(in_daemon_thread(slow, name="slow"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()

    assert await asyncio.to_thread(ended.wait, 10)


def test_a_loop_that_is_closed_meanwhile_is_left_alone() -> None:
    """Nobody waits any more; the thread ends without a word."""
    go_on, threads = threading.Event(), list[threading.Thread]()

    def slow() -> None:
        threads.append(threading.current_thread())
        go_on.wait(30)

    async def begin() -> None:
        waiting = asyncio.ensure_future(in_daemon_thread(slow, name="slow"))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(begin())
    go_on.set()
    threads[0].join(10)

    assert not threads[0].is_alive()
    assert threads[0].daemon

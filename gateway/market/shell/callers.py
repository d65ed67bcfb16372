"""Callers who may go away while their answer is made: then nobody reads it, and the work ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

LOOK_EVERY_S = 0.25


@contextmanager
def while_listening(request: web.Request) -> Iterator[None]:
    """Cancel the task that works inside once the caller is gone; what it borrowed of the database is let go with it.

    aiohttp leaves a handler alone then. Only reads are ended so: an act is carried out once it was asked for.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    looks: list[asyncio.TimerHandle] = []

    def look() -> None:
        if task is not None and (request.transport is None or request.transport.is_closing()):
            task.cancel()
        else:
            looks[:] = [loop.call_later(LOOK_EVERY_S, look)]

    looks.append(loop.call_later(LOOK_EVERY_S, look))
    try:
        yield
    finally:
        looks[0].cancel()

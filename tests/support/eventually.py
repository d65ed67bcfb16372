"""Waiting for facts: poll a predicate until it holds or a deadline passes; never a bare sleep."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

POLL_S = 0.05


async def eventually(
    predicate: Callable[[], Any],
    *,
    within_s: float,
    what: str | None = None,
    every_s: float = POLL_S,
) -> Any:
    """Return the first truthy answer of `predicate`; fail with its last answer or error after `within_s`."""
    deadline = time.monotonic() + within_s
    last: object = None
    while True:
        try:
            answer = predicate()
            result = await answer if inspect.isawaitable(answer) else answer
            if result:
                return result
            last = result
        except (AssertionError, OSError, LookupError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or predicate} did not hold within {within_s} s; last: {last!r}")
        await asyncio.sleep(every_s)

"""A sink that dies or freezes at the worst moment: FAULT=kill_before_commit:N or freeze_inside_copy:N, at the Nth time."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import asyncpg

from infra.runtime import lifecycle
from sinks.__main__ import main
from sinks.store.shell.ownership import MOVE_OFFSETS

FAULT, _, TIMES = os.environ["FAULT"].partition(":")
seen = 0


def is_due() -> bool:
    """Whether this is the time the fault was asked for."""
    global seen  # noqa: PLW0603 - one process, one fault
    seen += 1
    return seen == int(TIMES)


class FaultyConnection(asyncpg.Connection):  # type: ignore[type-arg]
    """Fails between COPY and COMMIT, or in the middle of COPY."""

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a query; the positions move last, just before the commit."""
        rows = await super().fetch(query, *args, **options)
        if query == MOVE_OFFSETS and FAULT == "kill_before_commit" and is_due():
            os.kill(os.getpid(), signal.SIGKILL)
        return rows

    async def copy_to_table(self, table_name: str, *, source: Any, **options: Any) -> Any:
        """Copy; the frozen one has sent half of its rows."""
        return await super().copy_to_table(table_name, source=_interrupted(source), **options)


async def _interrupted(source: AsyncIterable[Any]) -> AsyncIterator[bytes]:
    data = b"".join([bytes(chunk) async for chunk in source])
    if FAULT == "freeze_inside_copy" and is_due():
        yield data[: len(data) // 2]
        os.kill(os.getpid(), signal.SIGSTOP)
        yield data[len(data) // 2 :]
    else:
        yield data


if __name__ == "__main__":
    lifecycle.run(main(FaultyConnection))

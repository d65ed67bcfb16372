"""A TCP relay whose connections a test can cut in the middle of anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.conftest import free_port


@asynccontextmanager
async def relay(to_port: int) -> AsyncIterator[tuple[int, Callable[[], None]]]:
    """Yield a port that leads to `to_port`, and what cuts every connection through it without a word."""
    open_writers = set[asyncio.StreamWriter]()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # cut, by the test or from either side
        finally:
            writer.close()
            open_writers.discard(writer)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", to_port)
        open_writers.update((writer, back))
        await asyncio.gather(copy(reader, back), copy(there, writer))

    def cut() -> None:
        for writer in open_writers:
            writer.transport.abort()

    port = free_port()
    server = await asyncio.start_server(accept, "127.0.0.1", port)
    async with server:
        yield port, cut
        cut()

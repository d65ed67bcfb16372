"""The end of a connection: why, what the client is told, and what is done with one that does not listen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from aiohttp import WSMsgType, web

from gateway.websocket.codes import CLOSE_SLOW
from gateway.websocket.delivery import ClientQueue
from gateway.websocket.encoding import frame
from gateway.websocket.messages import disconnect
from gateway.websocket.shell.sockets import abort, drained
from infra.runtime import metrics

CLOSE_GRACE_S = 3.0  # for a client that stopped reading to read why it is closed
RETRY_SLOW_MS = 1_000
GONE = 0

log = logging.getLogger(__name__)


class Goodbye(Exception):
    """The connection ends with a code of CLOSES, or GONE: the client is already away."""

    def __init__(self, code: int, reason: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.retry_after_ms = retry_after_ms


def too_slow(reason: str) -> Goodbye:
    """Return the farewell to a client that does not keep up."""
    return Goodbye(CLOSE_SLOW, f"too slow: {reason}", retry_after_ms=RETRY_SLOW_MS)


async def say(
    goodbye: Goodbye,
    request: web.Request,
    ws: web.WebSocketResponse,
    outbox: ClientQueue,
    epochs: Mapping[str, str],
) -> None:
    """Tell the client why and where to resume, then close; one that does not read is cut off.

    `epochs` is by topic what offsets belong to.
    """
    transport = request.transport
    if goodbye.code != GONE and transport is not None:
        if goodbye.code == CLOSE_SLOW:
            metrics.WS_SLOW_CLOSES.inc()
            metrics.WS_DROPPED_MESSAGES.inc(outbox.unsent())
        log.info("ws_client_sent_away", extra={"code": goodbye.code, "reason": goodbye.reason})
        try:
            async with asyncio.timeout(CLOSE_GRACE_S):
                await drained(transport)
                last = disconnect(
                    goodbye.code,
                    goodbye.reason,
                    retry_after_ms=goodbye.retry_after_ms,
                    resume=[(str(stream), epochs[stream.topic], at) for stream, at in outbox.positions()],
                )
                await ws.send_frame(frame([last.encode()]), WSMsgType.TEXT)
                await ws.close(code=goodbye.code, message=goodbye.reason.encode()[:120])
        except (TimeoutError, ConnectionError, RuntimeError):
            pass  # it does not read, or it is gone
    if transport is not None and (goodbye.code == CLOSE_SLOW or not ws.closed):
        abort(transport)

"""What a WebSocket that the server closes still holds."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.support.declared_messages import messages_of


async def read_to_end(client: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """Return every message left, and the close code."""
    messages: list[dict[str, Any]] = []
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            messages += messages_of(await client.recv())
    return messages, closed.value.rcvd.code if closed.value.rcvd else 1006

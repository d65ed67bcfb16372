"""The gap ledger and the cursors, on a real database."""

from __future__ import annotations

from typing import Any

from schemas.intervals import SECOND_US
from tests.support.builders import a_bar, a_gap
from tests.support.gateway_rest import rest, rows_of


async def test_a_cursor_tells_how_far_its_stream_is_whole(database: str) -> None:
    """To the first gap that is not healed."""
    async with rest(database) as gateway:
        await gateway.store(a_bar(event_time=0), a_bar(event_time=600 * SECOND_US, raw_offset=8))
        path = "/ops/cursor/SPY/1m/yahoo"
        assert (await gateway.get(path))["data"] == {
            "symbol": "SPY", "interval": "1m", "source": "yahoo", "start_time": "1970-01-01T00:00:00.000000Z",
            "last_seen": "1970-01-01T00:10:00.000000Z", "last_contiguous": "1970-01-01T00:10:00.000000Z",
        }  # fmt: skip
        await gateway.store(_gap(120, "filled"), _gap(300, "unrecoverable"))
        assert (await gateway.get(path))["data"]["last_contiguous"] == "1970-01-01T00:05:00.000000Z"
        status, _, problem = await gateway.ask("GET", "/ops/cursor/SPY/1m/finnhub")
        assert (status, problem["code"]) == (404, "unknown_cursor")
        assert "1m/yahoo" in problem["detail"]
        listed = await gateway.get("/gaps", state="unrecoverable")
        assert rows_of(listed, "from_time") == ["1970-01-01T00:05:00.000000Z"]


def _gap(second: int, state: str) -> Any:
    times = {"from_time": second * SECOND_US, "to_time": (second + 60) * SECOND_US}
    return a_gap(gap_id=state, state=state, **times)

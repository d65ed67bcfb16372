"""What a producer knows of its streams when it starts, on a real database."""

from __future__ import annotations

from producers.collecting.shell.starting import read_cursors
from schemas.streams import StreamId
from tests.support.builders import NINE_THIRTY, a_quote
from tests.support.sink_writers import a_minute, store


async def test_a_stream_goes_on_from_its_newest_final_value(database: str) -> None:
    """A forming bar is no reason to leave its minute out; a stream without rows and one not asked for are not told."""
    minutes, quotes = StreamId("bars", "1m", "yahoo", "SPY"), StreamId("quotes", "", "yahoo", "SPY")
    hours, forming = StreamId("bars", "1h", "yahoo", "SPY"), StreamId("bars", "1m", "yahoo", "IWM")
    ahead = a_minute(4, final=False, raw_offset=9)
    await store(database, [a_minute(0), a_minute(3), ahead, a_quote(), a_minute(1, symbol="QQQ")])
    await store(database, [a_minute(2, symbol="IWM", final=False)])

    found = await read_cursors(database, [minutes, quotes, hours, forming])

    assert found == {minutes: a_minute(3).event_time, quotes: NINE_THIRTY}

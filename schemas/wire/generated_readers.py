"""Fast readers of the events of each stream; written by `make docs` from schemas/streams.py, never edited."""

# fmt: off
from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct

from schemas.wire.event_reading import (
    LONG_TEXT,
    Read,
    Unusual,
    moment,
    nulls,
    optional_doubles,
    present,
    small,
    text,
    whole,
)

_ADJUSTMENT_STATE = {0: "raw", 2: "split", 4: "all"}
_BOOLEANS = (False, True)
_DOUBLES_1 = Struct("<1d").unpack_from
_DOUBLES_2 = Struct("<2d").unpack_from
_DOUBLES_5 = Struct("<5d").unpack_from
_SESSION = {0: "pre", 2: "regular", 4: "post", 6: "closed"}


def read_quotes(data: bytes, pos: int, count: int) -> Read:
    """Read `count` events of raw_quotes.v1; raise Unusual, LookupError, ValueError, struct.error."""
    events, heads = [], []
    layout, tags, spelt, values = optional_doubles(8, 0xff)
    for _ in range(count):
        start = pos
        size = data[pos]
        if size & LONG_TEXT:
            raise Unusual
        end = pos + 1 + (size >> 1)
        symbol = data[pos + 1 : end].decode()
        pos = end
        event_time = moment(data, pos)
        pos += 8
        found = layout.unpack_from(data, pos)
        if tags(found) != spelt:
            layout, tags, spelt, values = optional_doubles(8, nulls(data, pos, 8))
            found = layout.unpack_from(data, pos)
        (
            bid, ask, bid_size, ask_size, last, last_size, volume, previous_close,
        ) = values((*found, None))
        pos += layout.size
        currency, pos = text(data, pos)
        market_state, pos = text(data, pos)
        delay_s, pos = small(data, pos)
        simulated = _BOOLEANS[data[pos]]
        pos += 1
        heads.append(data[start:pos])
        events.append({
            "symbol": symbol, "event_time": event_time, "bid": bid, "ask": ask, "bid_size": bid_size,
            "ask_size": ask_size, "last": last, "last_size": last_size, "volume": volume,
            "previous_close": previous_close, "currency": currency, "market_state": market_state,
            "delay_s": delay_s, "simulated": simulated,
        })
    return events, heads, pos


def read_trades(data: bytes, pos: int, count: int) -> Read:
    """Read `count` events of raw_trades.v1; raise Unusual, LookupError, ValueError, struct.error."""
    events, heads = [], []
    frame, frame_sequence, frame_hash = b"", 0, 0
    for _ in range(count):
        start = pos
        size = data[pos]
        if size & LONG_TEXT:
            raise Unusual
        end = pos + 1 + (size >> 1)
        symbol = data[pos + 1 : end].decode()
        pos = end
        event_time = moment(data, pos)
        price, size_ = _DOUBLES_2(data, pos + 8)
        pos += 24
        if data[pos]:
            trade_id, pos = text(data, present(data, pos))
        else:
            trade_id, pos = None, pos + 1
        conditions, pos = text(data, pos)
        venue, pos = text(data, pos)
        simulated = _BOOLEANS[data[pos]]
        pos += 1
        heads.append(data[start:pos])
        if frame and data.startswith(frame, pos):
            pos += len(frame)
        else:
            begun = pos
            frame_sequence, pos = whole(data, pos)
            frame_hash, pos = whole(data, pos)
            frame = data[begun:pos]
        events.append({
            "symbol": symbol, "event_time": event_time, "price": price, "size": size_, "trade_id": trade_id,
            "conditions": conditions, "venue": venue, "simulated": simulated,
            "frame_sequence": frame_sequence, "frame_hash": frame_hash,
        })
    return events, heads, pos


def read_bars(data: bytes, pos: int, count: int) -> Read:
    """Read `count` events of raw_bars.v1; raise Unusual, LookupError, ValueError, struct.error."""
    events, heads = [], []
    for _ in range(count):
        start = pos
        size = data[pos]
        if size & LONG_TEXT:
            raise Unusual
        end = pos + 1 + (size >> 1)
        symbol = data[pos + 1 : end].decode()
        pos = end
        interval, pos = text(data, pos)
        event_time = moment(data, pos)
        open_, high, low, close, volume = _DOUBLES_5(data, pos + 8)
        pos += 48
        if data[pos]:
            (vwap,), pos = _DOUBLES_1(data, present(data, pos)), pos + 9
        else:
            vwap, pos = None, pos + 1
        if data[pos]:
            trade_count, pos = small(data, present(data, pos))
        else:
            trade_count, pos = None, pos + 1
        final = _BOOLEANS[data[pos]]
        session = _SESSION[data[pos + 1]]
        adjustment_state = _ADJUSTMENT_STATE[data[pos + 2]]
        currency, pos = text(data, pos + 3)
        simulated = _BOOLEANS[data[pos]]
        pos += 1
        heads.append(data[start:pos])
        events.append({
            "symbol": symbol, "interval": interval, "event_time": event_time, "open": open_, "high": high,
            "low": low, "close": close, "volume": volume, "vwap": vwap, "trade_count": trade_count,
            "final": final, "session": session, "adjustment_state": adjustment_state, "currency": currency,
            "simulated": simulated,
        })
    return events, heads, pos


READERS: Mapping[str, Callable[[bytes, int, int], Read]] = {
    "raw_quotes.v1": read_quotes,
    "raw_trades.v1": read_trades,
    "raw_bars.v1": read_bars,
}

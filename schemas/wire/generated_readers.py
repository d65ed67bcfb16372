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
_AMOUNT_BASIS = {0: "as_declared", 2: "split_adjusted", 4: "unknown"}
_BOOLEANS = (False, True)
_DOUBLES_1 = Struct("<1d").unpack_from
_DOUBLES_2 = Struct("<2d").unpack_from
_DOUBLES_5 = Struct("<5d").unpack_from
_FREQUENCY = {0: "D", 2: "W", 4: "BW", 6: "M", 8: "Q", 10: "S", 12: "A"}
_PUBLISHED_PRECISION = {0: "none", 2: "date", 4: "scheduled", 6: "time"}
_RIGHTS = {0: "public", 2: "attribution", 4: "restricted", 6: "unknown"}
_SESSION = {0: "pre", 2: "regular", 4: "post", 6: "closed"}
_STATE = {0: "announced", 2: "confirmed", 4: "cancelled"}
_TYPE = {0: "split", 2: "stock_dividend", 4: "cash_dividend", 6: "special_dividend", 8: "return_of_capital", 10: "spin_off", 12: "rights", 14: "rename", 16: "merger", 18: "delisting"}


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
    """Read `count` events of raw_bars.v2; raise Unusual, LookupError, ValueError, struct.error."""
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
        if data[pos]:
            adjusted_through, pos = whole(data, present(data, pos))
        else:
            adjusted_through, pos = None, pos + 1
        heads.append(data[start:pos])
        events.append({
            "symbol": symbol, "interval": interval, "event_time": event_time, "open": open_, "high": high,
            "low": low, "close": close, "volume": volume, "vwap": vwap, "trade_count": trade_count,
            "final": final, "session": session, "adjustment_state": adjustment_state, "currency": currency,
            "simulated": simulated, "adjusted_through": adjusted_through,
        })
    return events, heads, pos


def read_actions(data: bytes, pos: int, count: int) -> Read:
    """Read `count` events of raw_actions.v1; raise Unusual, LookupError, ValueError, struct.error."""
    events, heads = [], []
    layout, tags, spelt, values = optional_doubles(4, 0xf)
    for _ in range(count):
        start = pos
        size = data[pos]
        if size & LONG_TEXT:
            raise Unusual
        end = pos + 1 + (size >> 1)
        symbol = data[pos + 1 : end].decode()
        pos = end
        event_time = moment(data, pos)
        action_id, pos = text(data, pos + 8)
        type_ = _TYPE[data[pos]]
        ex_date, pos = whole(data, pos + 1)
        if data[pos]:
            declared_date, pos = whole(data, present(data, pos))
        else:
            declared_date, pos = None, pos + 1
        if data[pos]:
            record_date, pos = whole(data, present(data, pos))
        else:
            record_date, pos = None, pos + 1
        if data[pos]:
            pay_date, pos = whole(data, present(data, pos))
        else:
            pay_date, pos = None, pos + 1
        found = layout.unpack_from(data, pos)
        if tags(found) != spelt:
            layout, tags, spelt, values = optional_doubles(4, nulls(data, pos, 4))
            found = layout.unpack_from(data, pos)
        (
            ratio_to, ratio_from, amount, price_factor,
        ) = values((*found, None))
        pos += layout.size
        currency, pos = text(data, pos)
        new_symbol, pos = text(data, pos)
        child_symbol, pos = text(data, pos)
        amount_basis = _AMOUNT_BASIS[data[pos]]
        state = _STATE[data[pos + 1]]
        pos += 2
        if data[pos]:
            published_at, pos = moment(data, present(data, pos)), pos + 9
        else:
            published_at, pos = None, pos + 1
        published_precision = _PUBLISHED_PRECISION[data[pos]]
        simulated = _BOOLEANS[data[pos + 1]]
        pos += 2
        heads.append(data[start:pos])
        events.append({
            "symbol": symbol, "event_time": event_time, "action_id": action_id, "type": type_,
            "ex_date": ex_date, "declared_date": declared_date, "record_date": record_date,
            "pay_date": pay_date, "ratio_to": ratio_to, "ratio_from": ratio_from, "amount": amount,
            "price_factor": price_factor, "currency": currency, "new_symbol": new_symbol,
            "child_symbol": child_symbol, "amount_basis": amount_basis, "state": state,
            "published_at": published_at, "published_precision": published_precision, "simulated": simulated,
        })
    return events, heads, pos


def read_macro(data: bytes, pos: int, count: int) -> Read:
    """Read `count` events of raw_macro.v1; raise Unusual, LookupError, ValueError, struct.error."""
    events, heads = [], []
    for _ in range(count):
        start = pos
        size = data[pos]
        if size & LONG_TEXT:
            raise Unusual
        end = pos + 1 + (size >> 1)
        symbol = data[pos + 1 : end].decode()
        pos = end
        event_time = moment(data, pos)
        period_start, pos = whole(data, pos + 8)
        if data[pos]:
            vintage_start, pos = whole(data, present(data, pos))
        else:
            vintage_start, pos = None, pos + 1
        period_end, pos = whole(data, pos)
        if data[pos]:
            vintage_end, pos = whole(data, present(data, pos))
        else:
            vintage_end, pos = None, pos + 1
        if data[pos]:
            (value,), pos = _DOUBLES_1(data, present(data, pos)), pos + 9
        else:
            value, pos = None, pos + 1
        if data[pos]:
            published_at, pos = moment(data, present(data, pos)), pos + 9
        else:
            published_at, pos = None, pos + 1
        units, pos = text(data, pos)
        seasonal, pos = text(data, pos)
        frequency = _FREQUENCY[data[pos]]
        rights = _RIGHTS[data[pos + 1]]
        published_precision = _PUBLISHED_PRECISION[data[pos + 2]]
        simulated = _BOOLEANS[data[pos + 3]]
        pos += 4
        heads.append(data[start:pos])
        events.append({
            "symbol": symbol, "event_time": event_time, "period_start": period_start,
            "vintage_start": vintage_start, "period_end": period_end, "vintage_end": vintage_end,
            "value": value, "published_at": published_at, "units": units, "seasonal": seasonal,
            "frequency": frequency, "rights": rights, "published_precision": published_precision,
            "simulated": simulated,
        })
    return events, heads, pos


READERS: Mapping[str, Callable[[bytes, int, int], Read]] = {
    "raw_quotes.v1": read_quotes,
    "raw_trades.v1": read_trades,
    "raw_bars.v2": read_bars,
    "raw_actions.v1": read_actions,
    "raw_macro.v1": read_macro,
}

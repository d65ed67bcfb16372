"""Plain values for tests: every builder returns a valid record, changed as asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from schemas.intervals import MINUTE_US, SECOND_US
from schemas.journals import CadenceSample, ProviderHealth
from schemas.records import Bar, Gap, Quote, RawBlock, Trade

NINE_THIRTY = 1_381_152_600_000_000  # 2013-10-07 09:30 in New York, µs


def a_bar_event(**changes: Any) -> dict[str, Any]:
    """Return a parsed bar as a producer puts it into a raw block."""
    event: dict[str, Any] = {
        "symbol": "SPY", "interval": "1m", "event_time": NINE_THIRTY, "open": 167.41, "high": 167.5, "low": 167.25,
        "close": 167.3, "volume": 12_000.0, "vwap": None, "trade_count": None, "final": True, "session": "regular",
        "adjustment_state": "raw", "currency": "USD", "simulated": False,
    }  # fmt: skip
    return event | changes


def a_quote_event(**changes: Any) -> dict[str, Any]:
    """Return a parsed quote as a producer puts it into a raw block."""
    event: dict[str, Any] = {
        "symbol": "SPY", "event_time": NINE_THIRTY, "bid": 167.4, "ask": 167.41, "bid_size": 300.0, "ask_size": 500.0,
        "last": 167.4, "last_size": None, "volume": 1_000.0, "previous_close": 168.0, "currency": "USD",
        "market_state": "regular", "delay_s": 0, "simulated": False,
    }  # fmt: skip
    return event | changes


def a_trade_event(**changes: Any) -> dict[str, Any]:
    """Return a parsed trade as a producer puts it into a raw block."""
    event: dict[str, Any] = {
        "symbol": "SPY", "event_time": NINE_THIRTY, "price": 167.4, "size": 100.0, "trade_id": None, "conditions": "",
        "venue": "", "simulated": False, "frame_sequence": 0, "frame_hash": 0,
    }  # fmt: skip
    return event | changes


def a_block(*events: dict[str, Any], **changes: Any) -> RawBlock:
    """Return a raw block of `events`."""
    block = RawBlock(
        provider="yahoo",
        endpoint="chart",
        route="primary",
        received_time=NINE_THIRTY + MINUTE_US,
        events=events,
    )
    return replace(block, **changes)


META: dict[str, Any] = {
    "provider": "yahoo", "route": "primary", "received_time": NINE_THIRTY + MINUTE_US,
    "known_from": NINE_THIRTY + MINUTE_US + 5_000, "raw_offset": 7, "index": 0,
}  # fmt: skip


def a_bar(**changes: Any) -> Bar:
    """Return a canonical bar."""
    return Bar(**(a_bar_event() | META | changes))


def a_quote(**changes: Any) -> Quote:
    """Return a canonical quote."""
    return Quote(**(a_quote_event() | META | changes))


def a_trade(**changes: Any) -> Trade:
    """Return a canonical trade."""
    event = a_trade_event() | META | changes
    return Trade(**{name: value for name, value in event.items() if not name.startswith("frame_")})


def a_gap(**changes: Any) -> Gap:
    """Return an open inferred gap of one bar."""
    fields: dict[str, Any] = {
        "gap_id": "0123456789abcdef", "stream": "bars.1m:yahoo:SPY", "symbol": "SPY", "provider": "yahoo",
        "interval": "1m", "from_time": NINE_THIRTY, "to_time": NINE_THIRTY + MINUTE_US, "cause": "missing_bars",
        "detector": "processor", "known_from": NINE_THIRTY + 5 * MINUTE_US, "expected": 1,
    }  # fmt: skip
    return Gap(**(fields | changes))


def a_health(**changes: Any) -> ProviderHealth:
    """Return the health of a provider that serves quotes well."""
    fields: dict[str, Any] = {
        "capability": "quotes", "provider": "yahoo", "score": 0.98, "success": 1.0, "latency": 0.93, "freshness": 1.0,
        "validity": 1.0, "breaker": "closed", "usable": True, "chosen": True,
        "reason": "yahoo is the first in order of preference that is usable", "chosen_since": NINE_THIRTY,
        "observed_time": NINE_THIRTY + MINUTE_US,
    }  # fmt: skip
    return ProviderHealth(**(fields | changes))


def a_cadence_sample(**changes: Any) -> CadenceSample:
    """Return ten seconds of a producer that polled bars every minute: ten polls, nine of them up to 10 ms late."""
    fields: dict[str, Any] = {
        "replica": "a", "generation": 3, "capability": "bars:1m", "provider": "yahoo", "tier": "T0",
        "begun_time": NINE_THIRTY, "ended_time": NINE_THIRTY + 10 * SECOND_US, "market_s": 10.0, "every_s": 60.0,
        "symbols": 60, "due": 10, "begun": 10, "succeeded": 10, "failed": 0, "skipped": 0, "missed": 0,
        "symbol_polls": 10, "stale_s": 0.0, "stale_symbols": 0, "error_p50_ms": 5.0, "error_p99_ms": 40.0,
        "error_max_ms": 40.0, "buckets": [0, 17, 39], "counts": [4, 5, 1],
    }  # fmt: skip
    return CadenceSample(**(fields | changes))

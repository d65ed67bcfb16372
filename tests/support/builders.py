"""Plain values for tests: every builder returns a valid record, changed as asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from schemas.chain_slices import ChainSlice
from schemas.deriving import event_fields, lists, record_fields
from schemas.entries import CorporateAction, MacroObservation
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.journals import CadenceSample, ProviderHealth
from schemas.records import Evidence, Gap, RawBlock
from schemas.streams import (
    ACTION_STREAM,
    BAR_STREAM,
    MACRO_STREAM,
    OPTION_STREAM,
    QUOTE_STREAM,
    TRADE_STREAM,
    Bar,
    Quote,
    Stream,
    Trade,
)
from tests.support.stream_values import NINE_THIRTY, an_event


def a_bar_event(**changes: Any) -> dict[str, Any]:
    """Return a parsed bar as a producer puts it into a raw block."""
    prices = {"open": 167.41, "high": 167.5, "low": 167.25, "close": 167.3, "volume": 12_000.0}
    return an_event(BAR_STREAM, **({"interval": "1m", "final": True, "currency": "USD"} | prices | changes))


def a_quote_event(**changes: Any) -> dict[str, Any]:
    """Return a parsed quote as a producer puts it into a raw block."""
    sides = {"bid": 167.4, "ask": 167.41, "bid_size": 300.0, "ask_size": 500.0, "last": 167.4}
    day = {"volume": 1_000.0, "previous_close": 168.0, "currency": "USD", "market_state": "regular"}
    return an_event(QUOTE_STREAM, **(sides | day | changes))


def a_trade_event(**changes: Any) -> dict[str, Any]:
    """Return a parsed trade as a producer puts it into a raw block."""
    return an_event(TRADE_STREAM, **({"size": 100.0} | changes))


def an_action_event(**changes: Any) -> dict[str, Any]:
    """Return a parsed corporate action, a split of 7 for 1 on 2014-06-09."""
    named = {"symbol": "AAPL", "action_id": "split-2014", "ex_date": 16_230, "type": "split"}
    return an_event(ACTION_STREAM, **(named | changes))


def an_observation_event(**changes: Any) -> dict[str, Any]:
    """Return a parsed macro observation of 2016-11, in the vintage of 2016-12-05."""
    return an_event(MACRO_STREAM, **({"symbol": "FRED:UNRATE", "value": 4.6, "frequency": "M"} | changes))


def a_leg(**changes: Any) -> dict[str, Any]:
    """Return a leg of a slice as it lies in an event, a call struck at 170."""
    leg = {each.name: None if each.required else each.default for each in lists(OPTION_STREAM)["legs"]}
    quoted = {
        "strike": 170.0,
        "right": "C",
        "bid": 1.2,
        "ask": 1.25,
        "quote_time": NINE_THIRTY,
        "open_interest": 12.0,
    }
    return leg | quoted | {"oi_date": 15_984} | changes


def a_slice_event(*legs: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a parsed slice of an option chain, by default of a call and a put."""
    underlying = {
        "underlying_bid": 167.4,
        "underlying_ask": 167.41,
        "underlying_time": NINE_THIRTY,
        "currency": "USD",
    }
    held = list(legs) or [a_leg(), a_leg(right="P", bid=None, ask=0.05, vendor_iv=0.21)]
    return an_event(OPTION_STREAM, **({"legs": held, "root": "SPY", "expiry": 16_026} | underlying | changes))


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
    return Bar(**_record(BAR_STREAM, a_bar_event(), changes))


def a_quote(**changes: Any) -> Quote:
    """Return a canonical quote."""
    return Quote(**_record(QUOTE_STREAM, a_quote_event(), changes))


def a_trade(**changes: Any) -> Trade:
    """Return a canonical trade."""
    return Trade(**_record(TRADE_STREAM, a_trade_event(), changes))


def an_action(**changes: Any) -> CorporateAction:
    """Return what is said of a corporate action."""
    return CorporateAction(**_record(ACTION_STREAM, an_action_event(), changes))


def an_observation(**changes: Any) -> MacroObservation:
    """Return an observation of a macro series."""
    return MacroObservation(**_record(MACRO_STREAM, an_observation_event(), changes))


def a_slice(**changes: Any) -> ChainSlice:
    """Return a slice of an option chain."""
    return ChainSlice(**_record(OPTION_STREAM, a_slice_event(), changes))


def _record(stream: Stream, event: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    given = event | META | changes
    if "known_from" not in changes:  # no earlier than it happened: a stamp of the future is another matter
        given["known_from"] = max(given["known_from"], given["event_time"] + MINUTE_US)
    held = {name: given.pop(name) for name in [field.name for field in record_fields(stream)]}
    own = {field.name for field in event_fields(stream)}
    return held | {name: value for name, value in given.items() if name not in own}


def a_gap(**changes: Any) -> Gap:
    """Return an open inferred gap of one bar."""
    fields: dict[str, Any] = {
        "gap_id": "0123456789abcdef", "stream": "bars.1m:yahoo:SPY", "symbol": "SPY", "provider": "yahoo",
        "interval": "1m", "from_time": NINE_THIRTY, "to_time": NINE_THIRTY + MINUTE_US, "cause": "missing_bars",
        "detector": "processor", "known_from": NINE_THIRTY + 5 * MINUTE_US, "expected": 1,
    }  # fmt: skip
    return Gap(**(fields | changes))


def an_evidence(**changes: Any) -> Evidence:
    """Return the word of a processor that nobody watched one bar."""
    fields: dict[str, Any] = {
        "kind": "blind", "stream": "bars.1m:yahoo:SPY", "symbol": "SPY", "provider": "yahoo", "interval": "1m",
        "from_time": NINE_THIRTY, "to_time": NINE_THIRTY + MINUTE_US, "cause": "producer_down", "detector": "processor",
        "known_from": NINE_THIRTY + 5 * MINUTE_US, "raw_offset": 7, "expected": 1,
    }  # fmt: skip
    return Evidence(**(fields | changes))


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

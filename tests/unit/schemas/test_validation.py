"""What no event may say, and what unusual ones may."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.deriving import Field, amounts, own_fields, prices, texts
from schemas.errors import InvalidRecord
from schemas.fields import AMOUNT
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.partitions import partition_of
from schemas.streams import STREAMS, Stream
from schemas.validation import (
    CHECKS,
    MAX_SYMBOL_CHARS,
    MAX_TEXT_CHARS,
    check_bar,
    check_quote,
    check_symbol,
    check_trade,
)
from tests.support.builders import NINE_THIRTY, a_bar_event, a_quote_event, a_trade_event
from tests.support.stream_values import an_event

NOW = NINE_THIRTY + MINUTE_US
NAN, INF = float("nan"), float("inf")


def plain(stream: Stream, **changes: Any) -> dict[str, Any]:
    """Return a possible event of a stream, changed as asked; of a bar also its interval must be one."""
    return an_event(stream, **({"interval": "1m"} if stream.by_interval else {}) | changes)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"open": NAN}, id="not a number"),
        pytest.param({"high": INF}, id="infinite"),
        pytest.param({"volume": NAN}, id="volume not a number"),
        pytest.param({"volume": -1.0}, id="negative volume"),
        pytest.param({"low": -1.0, "open": -1.0}, id="negative price"),
        pytest.param({"vwap": NAN}, id="vwap not a number"),
        pytest.param({"vwap": -1.0}, id="negative vwap"),
        pytest.param({"trade_count": -1}, id="negative count"),
        pytest.param({"high": 1.0}, id="high below low"),
        pytest.param({"close": 168.0}, id="close above high"),
        pytest.param({"event_time": NINE_THIRTY + 1}, id="not aligned"),
        pytest.param({"event_time": 0}, id="the epoch"),
        pytest.param({"event_time": NINE_THIRTY + 2 * DAY_US}, id="the future"),
        pytest.param({"currency": "x" * (MAX_TEXT_CHARS + 1)}, id="long text"),
        pytest.param({"currency": "U\0D"}, id="NUL"),
        pytest.param({"adjusted_through": 16_230}, id="raw prices of another day"),
        pytest.param({"adjusted_through": 84_006, "adjustment_state": "split"}, id="a day after 2199"),
        pytest.param({"adjusted_through": -135_141, "adjustment_state": "split"}, id="a day before 1600"),
    ],
)
def test_an_impossible_bar_is_refused(changes: dict[str, Any]) -> None:
    """Each names what would be right."""
    with pytest.raises(InvalidRecord):
        check_bar(a_bar_event(**changes), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="plain"),
        pytest.param({"vwap": 167.3, "trade_count": 12}, id="with its trades"),
        pytest.param({"trade_count": 0, "volume": 0.0}, id="without a trade"),
        pytest.param({"open": 5.0, "high": 5.0, "low": 5.0, "close": 5.0}, id="flat"),
        pytest.param({"interval": "1h"}, id="hourly at the half hour"),
        pytest.param({"adjusted_through": 0, "adjustment_state": "split"}, id="in the shares of 1970"),
        pytest.param(
            {"adjusted_through": None, "adjustment_state": "split"}, id="in nobody says whose shares"
        ),
        pytest.param({"interval": "1d", "event_time": NINE_THIRTY + 1}, id="daily anywhere in the day"),
        pytest.param({"event_time": NINE_THIRTY + 20 * HOUR_US}, id="less than a day ahead"),
        pytest.param(
            {"open": 1e308, "high": 1.5e308, "low": 1e308, "close": 1e308, "volume": 1e308},
            id="huge but finite",
        ),
    ],
)
def test_an_unusual_bar_passes(changes: dict[str, Any]) -> None:
    """The rules refuse the impossible, not the rare."""
    check_bar(a_bar_event(**changes), NOW)


@pytest.mark.parametrize(
    "changes",
    [{"bid": NAN}, {"ask": -1.0}, {"volume": INF}, {"event_time": -5}, {"market_state": "x" * 2_000}],
    ids=str,
)
def test_an_impossible_quote_is_refused(changes: dict[str, Any]) -> None:
    """Each names what would be right."""
    with pytest.raises(InvalidRecord):
        check_quote(a_quote_event(**changes), NOW)


def test_an_index_may_stand_below_zero() -> None:
    """A rate did in 2020; its sizes and a share's prices never do."""
    below = {"open": -0.1, "high": -0.05, "low": -0.11, "close": -0.105}

    check_bar(a_bar_event(symbol="^IRX", **below), NOW)
    check_quote(a_quote_event(symbol="^IRX", last=-0.105, previous_close=-0.02), NOW)
    for impossible in (a_bar_event(**below), a_bar_event(symbol="^IRX", volume=-1.0, **below)):
        with pytest.raises(InvalidRecord):
            check_bar(impossible, NOW)
    with pytest.raises(InvalidRecord):
        check_quote(a_quote_event(symbol="^IRX", last=-INF), NOW)


def test_a_crossed_or_empty_quote_passes() -> None:
    """Both happen on real markets."""
    check_quote(a_quote_event(bid=167.5, ask=167.4), NOW)
    check_quote(a_quote_event(bid=None, ask=None, last=None), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"price": NAN},
        {"size": INF},
        {"price": -0.01},
        {"size": -1.0},
        {"event_time": NINE_THIRTY + 2 * DAY_US},
        {"conditions": "c" * 2_000},
        {"trade_id": "\0"},
    ],
    ids=str,
)
def test_an_impossible_trade_is_refused(changes: dict[str, Any]) -> None:
    """Each names what would be right."""
    with pytest.raises(InvalidRecord):
        check_trade(a_trade_event(**changes), NOW)


def test_a_trade_of_nothing_passes() -> None:
    """Odd lots of zero are printed by some venues."""
    check_trade(a_trade_event(size=0.0, trade_id="x"), NOW)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_no_declared_price_may_be_zero_but_of_an_index(stream: Stream) -> None:
    """Whoever parsed it: 0 is how vendors say that a price is missing, and a client would read that all was lost."""
    for name in prices(stream):
        with pytest.raises(InvalidRecord):
            CHECKS[stream.name](plain(stream, symbol="NZDUSD=X", **{name: 0.0}), NOW)
    CHECKS[stream.name](plain(stream, symbol="^IRX") | dict.fromkeys(prices(stream), 0.0), NOW)
    no_sizes = dict.fromkeys(set(amounts(stream)) - set(prices(stream)), 0)
    CHECKS[stream.name](plain(stream) | no_sizes, NOW)


@pytest.mark.parametrize(
    "zero", [{"low": 0.0}, {"open": 0.0, "high": 0.0, "low": 0.0, "close": 0.0}, {"vwap": 0.0}], ids=str
)
def test_a_bar_at_zero_says_what_is_right(zero: dict[str, Any]) -> None:
    """One price or all of them."""
    with pytest.raises(InvalidRecord, match="is 0, which says that there is none"):
        check_bar(a_bar_event(**zero), NOW)


@pytest.mark.parametrize(
    ("stream", "field"),
    [(s, field) for s in STREAMS for field in own_fields(s) if AMOUNT in field.roles],
    ids=lambda value: value.name,
)
def test_no_declared_amount_may_be_negative_infinite_or_no_number(stream: Stream, field: Field) -> None:
    """An amount declared and not checked would become history."""
    CHECKS[stream.name](plain(stream), NOW)
    for impossible in (NAN, INF, -INF, -1.0) if field.kind == "double" else (-1,):
        with pytest.raises(InvalidRecord):
            CHECKS[stream.name](plain(stream, **{field.name: impossible}), NOW)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_each_declared_price_of_an_index_may_be_negative_and_nothing_else(stream: Stream) -> None:
    """A price declared and not known as one would be a dead letter; a size known as one would become history."""
    rate = plain(stream, symbol="^TNX") | dict.fromkeys(prices(stream), -0.25)
    CHECKS[stream.name](rate, NOW)
    for name in amounts(stream):
        with pytest.raises(InvalidRecord):
            CHECKS[stream.name](rate | {name: -INF if name in prices(stream) else -1}, NOW)
    for name in prices(stream):
        with pytest.raises(InvalidRecord):
            CHECKS[stream.name](plain(stream, symbol="TNX", **{name: -0.25}), NOW)


@pytest.mark.parametrize(
    ("stream", "name"),
    [(s, name) for s in STREAMS for name in texts(s)],
    ids=lambda value: getattr(value, "name", value),
)
def test_no_declared_text_may_be_long_or_hold_a_nul(stream: Stream, name: str) -> None:
    """PostgreSQL takes no NUL, and nobody a novel."""
    for impossible in ("x" * (MAX_TEXT_CHARS + 1), "a\0"):
        with pytest.raises(InvalidRecord):
            CHECKS[stream.name](plain(stream, **{name: impossible}), NOW)


@pytest.mark.parametrize("symbol", ["", "A" * (MAX_SYMBOL_CHARS + 1), "A\0", "A\n"], ids=repr)
def test_a_symbol_is_something_one_can_print(symbol: str) -> None:
    """Everything else is a parser's mistake."""
    with pytest.raises(InvalidRecord, match="printable"):
        check_symbol(symbol, partition_of(symbol, 4), 4)


def test_a_symbol_lives_in_its_partition() -> None:
    """Elsewhere its order, and its state, would be split in two."""
    home = partition_of("SPY", 4)
    check_symbol("SPY", home, 4)

    with pytest.raises(InvalidRecord, match=f"partition {home}"):
        check_symbol("SPY", (home + 1) % 4, 4)

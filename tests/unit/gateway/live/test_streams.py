"""Stream names, and what a record looks like on the wire."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.streams import (
    CAPABILITY_CHANNELS,
    DEFAULT_CHANNELS,
    OPTION_CHANNEL,
    InvalidStream,
    LiveStream,
    encode_entry,
    item_of,
    parse_stream,
    wire_record,
    without_lists,
)
from schemas.identity import event_id
from schemas.streams import MACRO_STREAM, OPTION_STREAM
from schemas.topics import BARS, GAPS, QUOTES, TRADES
from tests.support.builders import NINE_THIRTY, a_bar, a_gap, a_leg, a_quote, a_slice, a_trade

FIRST_DAY = date(1970, 1, 1)


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("quotes:best:AAPL", QUOTES),
        ("trades:finnhub:BRK.B", TRADES),
        ("bars.1m:yahoo:^GSPC", BARS),
        ("bars.1mo:best:EURUSD=X", BARS),
        ("gaps:best:BINANCE:BTCUSDT", GAPS),
        ("macro:best:FRED:GDPC1", MACRO_STREAM.topic),
        # Longer than a symbol may be.
        ("macro:ecb:ECB:BSI.M.U2.Y.V.M30.X.1.U2.2300.Z01.E.AND.MORE.OF.THEM", MACRO_STREAM.topic),
    ],
)
def test_a_stream_name_round_trips_and_finds_its_topic(text: str, topic: str) -> None:
    """What is parsed prints as what was written, a colon inside the symbol included."""
    stream = parse_stream(text)
    assert (str(stream), stream.topic) == (text, topic)


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("", "unknown_channel"),
        ("bars.7m:best:AAPL", "unknown_channel"),
        ("quotes", "bad_message"),
        ("quotes::AAPL", "bad_message"),
        ("quotes:Best:AAPL", "bad_message"),
        ("quotes:best:", "unknown_symbol"),
        ("quotes:best:aapl", "unknown_symbol"),
        ("quotes:best:AAPL\n", "unknown_symbol"),
        ("quotes:best:" + "A" * 33, "unknown_symbol"),
        ("macro:best:ECB:" + "A" * 61, "unknown_symbol"),
        ("macro:best:AAPL", "unknown_symbol"),
        ("macro:best:cpi", "unknown_symbol"),
    ],
)
def test_a_bad_stream_name_is_refused_for_its_part(text: str, slug: str) -> None:
    """The slug says which part is wrong."""
    with pytest.raises(InvalidStream) as caught:
        parse_stream(text)
    assert caught.value.slug == slug


@pytest.mark.parametrize(("given", "meant"), [("cpi", "FRED:CPIAUCSL"), ("FRED:gdpc1", "FRED:GDPC1")])
def test_of_a_series_the_key_is_said_that_was_meant(given: str, meant: str) -> None:
    """A stream has one name: an alias is no other one."""
    with pytest.raises(InvalidStream, match=meant):
        parse_stream(f"macro:best:{given}")


@given(st.text(max_size=80))
def test_any_text_is_a_stream_or_a_typed_refusal(text: str) -> None:
    """Nothing but InvalidStream ever comes out."""
    try:
        assert str(parse_stream(text)) == text
    except InvalidStream:
        pass


def test_best_is_every_provider_but_shadows() -> None:
    """A shadow's record is in its provider's own scope alone; a backfilled one is in both."""
    best, own = parse_stream("quotes:best:SPY"), parse_stream("quotes:yahoo:SPY")
    shadow, late = asdict(a_quote(route="shadow")), asdict(a_quote(route="backfill"))
    assert (best.holds(shadow), own.holds(shadow)) == (False, True)
    assert best.holds(late)
    assert own.holds(late)
    assert not own.holds(asdict(a_quote(provider="finnhub")))


def test_a_bar_belongs_to_the_channel_of_its_interval() -> None:
    """Bars of another interval or symbol are another stream's."""
    stream = LiveStream("bars.1m", "best", "SPY")
    assert stream.holds(asdict(a_bar()))
    assert not stream.holds(asdict(a_bar(interval="5m")))
    assert not stream.holds(asdict(a_bar(symbol="GOOG")))


def test_a_record_carries_only_what_says_something() -> None:
    """Absent values, empty text and the usual case of a flag are left out; zero and false are said."""
    record = wire_record(QUOTES, 3, asdict(a_quote(bid=0.0, last=None, currency="", delay_s=0)))
    assert record["bid"] == 0.0
    assert not {"last", "last_size", "currency", "delay_s", "simulated", "raw_offset", "symbol"} & set(record)
    assert wire_record(BARS, 3, asdict(a_bar(final=False)))["final"] is False
    assert wire_record(QUOTES, 3, asdict(a_quote(simulated=True, delay_s=900)))["delay_s"] == 900
    rebased = a_bar(adjustment_state="split", adjusted_through=16_230)
    assert wire_record(BARS, 3, asdict(rebased))["adjusted_through"] == "2014-06-09"
    assert "adjusted_through" not in wire_record(BARS, 3, asdict(a_bar()))


def test_a_record_is_named_by_its_position() -> None:
    """The event_id is the one REST and the database give."""
    trade = a_trade(raw_offset=12, index=3)
    expected = event_id(TRADES, "SPY", trade.event_time, 1, 12, 3)
    assert wire_record(TRADES, 1, asdict(trade))["event_id"] == expected
    assert "event_id" not in wire_record(GAPS, 1, asdict(a_gap()))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_prices_survive_the_wire_exactly(price: float) -> None:
    """The double that went in is the double that comes out."""
    offset, record = orjson.loads(encode_entry(TRADES, 0, 7, asdict(a_trade(price=price))))
    assert (offset, record["price"]) == (7, price)


def test_every_field_a_client_may_need_is_on_the_wire() -> None:
    """A field added to a record is either carried or left out on purpose."""
    left_out: dict[str, set[str]] = {
        QUOTES: {"symbol", "route", "raw_offset", "index"},
        TRADES: {"symbol", "route", "raw_offset", "index"},
        BARS: {"symbol", "interval", "route", "raw_offset", "index"},
        GAPS: {"symbol", "raw_offset", "index"},
    }
    full: dict[str, Any] = {
        QUOTES: a_quote(last_size=1.0, delay_s=1, simulated=True),
        TRADES: a_trade(trade_id="1", conditions="@", venue="Q", simulated=True),
        BARS: a_bar(
            vwap=1.0, trade_count=1, simulated=True, adjustment_state="split", adjusted_through=16_230
        ),
        GAPS: a_gap(),
    }
    for topic, record in full.items():
        fields = asdict(record)
        assert set(fields) - set(wire_record(topic, 0, fields)) == left_out[topic]


def test_a_capability_of_providers_fills_a_channel() -> None:
    """Routing and streams name the same thing."""
    assert CAPABILITY_CHANNELS["quotes"] == "quotes"
    assert CAPABILITY_CHANNELS["bars:1m"] == "bars.1m"


def test_a_slice_is_columnar_on_the_wire() -> None:
    """A list for each field of its legs that is said of any of them; days are ISO dates, times integers."""
    legs = [a_leg(last_time=NINE_THIRTY), a_leg(right="P", bid=None, ask=0.05, oi_date=None)]
    record = wire_record(OPTION_STREAM.topic, 3, asdict(a_slice(legs=legs, expiry=16_026)))
    assert (record["root"], record["expiry"]) == ("SPY", "2013-11-17")
    assert record["legs"] == {
        "strike": [170.0, 170.0],
        "right": ["C", "P"],
        "bid": [1.2, None],
        "ask": [1.25, 0.05],
        "quote_time": [NINE_THIRTY, NINE_THIRTY],
        "last_time": [NINE_THIRTY, None],
        "open_interest": [12.0, 12.0],
        "oi_date": ["2013-10-06", None],
        "multiplier": [100.0, 100.0],
    }


LEGS = st.lists(
    st.builds(
        a_leg,
        strike=st.floats(0.5, 5_000),
        right=st.sampled_from("CP"),
        bid=st.none() | st.floats(0, 100),
        volume=st.none() | st.integers(0, 10**6).map(float),
        oi_date=st.none() | st.integers(15_000, 17_000),
    ),
    min_size=1,
    max_size=8,
)


@given(LEGS)
def test_the_legs_of_a_slice_are_read_back_from_their_columns(legs: list[dict[str, Any]]) -> None:
    """Nothing but days changes its form, and a column that is left out was null throughout."""
    body = encode_entry(OPTION_STREAM.topic, 0, 7, asdict(a_slice(legs=legs)))
    columns = orjson.loads(body)[1]["legs"]
    assert {len(column) for column in columns.values()} == {len(legs)}
    for number, leg in enumerate(legs):
        given = leg | {"oi_date": leg["oi_date"] and str(FIRST_DAY + timedelta(days=leg["oi_date"]))}
        assert {name: columns[name][number] if name in columns else None for name in leg} == given


def test_the_streams_of_a_symbol_come_without_its_option_chain() -> None:
    """Whoever wants a price must not be sent hundreds of kilobytes."""
    assert OPTION_CHANNEL == "options"
    assert OPTION_CHANNEL not in DEFAULT_CHANNELS
    assert set(DEFAULT_CHANNELS) == {"quotes", "trades", "bars.1m", "actions", "gaps"}


def test_a_slice_gives_way_to_one_of_its_root_and_expiry_alone() -> None:
    """A quote gives way to any newer quote, a trade to none."""
    chain, quotes, trades = (parse_stream(f"{name}:best:SPY") for name in ("options", "quotes", "trades"))
    assert [stream.may_conflate for stream in (chain, quotes, trades)] == [True, True, False]
    assert [stream.of_items for stream in (chain, quotes, trades)] == [True, False, False]
    assert item_of(OPTION_STREAM.topic, asdict(a_slice(root="SPYW", expiry=16_033))) == ("SPYW", 16_033)
    assert item_of(QUOTES, asdict(a_quote())) == ()


def test_the_legs_of_a_slice_are_not_kept_decoded() -> None:
    """What is asked of the newest record is asked of everything else."""
    fields = asdict(a_slice())
    assert without_lists(OPTION_STREAM.topic, fields) == {
        name: value for name, value in fields.items() if name != "legs"
    }
    assert without_lists(QUOTES, fields) is fields

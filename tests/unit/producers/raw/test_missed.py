"""What a producer says it missed."""

from __future__ import annotations

from producers.raw.missed import cause_of, since_break, since_failure, since_stop, while_elsewhere
from schemas.errors import (
    AmbiguousSymbol,
    BudgetExhausted,
    ProviderBanned,
    ProviderThrottled,
    ProviderUnavailable,
    ProviderUnentitled,
)
from schemas.records import Discontinuity
from schemas.streams import StreamId

BARS, QUOTES, TRADES = (
    StreamId("bars", "1m", "yahoo", "SPY"),
    StreamId("quotes", "", "yahoo", "SPY"),
    StreamId("trades", "", "finnhub", "SPY"),
)


def test_a_start_tells_every_stream_since_it_was_last_watched() -> None:
    """Where nobody knows, the processor knows better."""
    holes = since_stop([BARS, QUOTES], {BARS: 60}, now=100)

    assert holes == [
        Discontinuity(symbol="SPY", interval="1m", from_time=60, to_time=100, cause="producer_down"),
        Discontinuity(symbol="SPY", interval="", from_time=None, to_time=100, cause="producer_down"),
    ]


def test_nothing_is_missed_before_it_happens() -> None:
    """A cursor at or beyond market time leaves no hole: a range never runs backwards."""
    assert since_stop([BARS], {BARS: 100}, now=100) == []
    assert since_stop([BARS], {BARS: 101}, now=100) == []


def test_a_broken_socket_tells_every_symbol_since_its_last_frame() -> None:
    """A quiet symbol was watched as long as a busy one; where no frame ever came nobody knows since when."""
    ibm = StreamId("trades", "", "finnhub", "IBM")
    holes = since_break([TRADES, ibm], 70, now=100)

    assert [(hole.symbol, hole.from_time, hole.to_time, hole.cause) for hole in holes] == [
        ("SPY", 70, 100, "disconnected"),
        ("IBM", 70, 100, "disconnected"),
    ]
    assert [hole.from_time for hole in since_break([ibm], None, now=100)] == [None]


def test_what_another_provider_served_is_told_from_the_own_position_on() -> None:
    """Nothing where a provider goes on at its own; where it has none the processor knows from when."""
    (told,) = while_elsewhere(BARS, 60, 100)

    assert told == Discontinuity(
        symbol="SPY", interval="1m", from_time=60, to_time=100, cause="served_elsewhere"
    )
    assert while_elsewhere(BARS, 100, 100) == []
    assert [each.from_time for each in while_elsewhere(BARS, None, 100)] == [None]


def test_keys_are_those_of_the_cursor_table() -> None:
    """Channels are spelt as the sink stores them."""
    assert [BARS.channel, QUOTES.channel, TRADES.channel] == ["bars.1m", "quotes", "trades"]


def test_polls_that_failed_tell_a_stream_once_it_is_late() -> None:
    """Since it was last watched, with the cause; when it is late is asked once a moment."""
    asked: list[int] = []

    def late_us(moment: int) -> int:
        asked.append(moment)
        return moment + 30

    failed = [(QUOTES, 60, "banned"), (QUOTES._replace(symbol="IBM"), 70, "budget"), (BARS, 60, "banned")]

    assert since_failure(failed, 100, late_us) == [
        Discontinuity(symbol="SPY", interval=interval, from_time=60, to_time=100, cause="banned")
        for interval in ("", "1m")
    ]
    assert asked == [60, 70]


def test_a_failure_is_named_by_who_is_to_act() -> None:
    """Our own brake is not the vendor's, and a ban is not one 429; anything else is an outage."""
    errors = [
        BudgetExhausted("yahoo", 1.0, limit="all", setting="limits"),
        ProviderBanned("yahoo", 1.0),
        ProviderThrottled("yahoo"),
        ProviderUnentitled("no"),
        AmbiguousSymbol("who"),
        ProviderUnavailable("down"),
    ]

    assert [cause_of(error) for error in errors] == [
        "budget", "banned", "throttled", "refused", "not_offered", "provider_unavailable",
    ]  # fmt: skip

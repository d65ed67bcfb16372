"""Orders for open gaps: of any stream, by tier."""

from __future__ import annotations

from schemas.backfill import order_of_gap
from schemas.clocks import EventTime
from schemas.intervals import MINUTE_US
from schemas.ledger.gaps import gap_from
from schemas.records import Gap, GapState
from schemas.streams import StreamId
from sinks.ledger.gaps import Revision
from sinks.ledger.orders import SOURCE, gap_orders, open_gaps
from tests.support.builders import NINE_THIRTY, an_evidence

SPY = StreamId("bars", "1m", "yahoo", "SPY")


def a_gap(stream: str, symbol: str, state: GapState = "open") -> Gap:
    """Return a gap of ten minutes."""
    low, high = EventTime(NINE_THIRTY), EventTime(NINE_THIRTY + 10 * MINUTE_US)
    return gap_from(an_evidence(stream=stream, symbol=symbol), low, high, expected=10, state=state)


def test_open_gaps_of_any_stream_are_ordered_and_nothing_else() -> None:
    """Not what is closed, nor what no series can be named of, nor a stream that is declared no more."""
    gaps = [
        a_gap("bars.1m:yahoo:SPY", "SPY"),
        a_gap("quotes:alpaca:BRK.B", "BRK.B"),
        a_gap("trades:finnhub:BINANCE:BTCUSDT", "BINANCE:BTCUSDT"),
        a_gap("bars.1wk:yahoo:SPY", "SPY"),
        a_gap("bars.5m:yahoo:SPY", "SPY", "filled"),
        a_gap("bars.5m:yahoo:QQQ", "QQQ", "unrecoverable"),
        a_gap("bars.v1/3", ""),
        a_gap("auctions:yahoo:SPY", "SPY"),
    ]
    revision = Revision(deleted=(gaps[0],), written=tuple(gaps), found=(), announced=())

    orders = gap_orders(open_gaps([(0, revision)]), {"SPY": "T0", "BINANCE:BTCUSDT": "T1"})

    assert [
        (each.series.name, each.series.symbol, each.tier, each.origin, each.source) for each in orders
    ] == [
        ("bars", "SPY", "T0", "gap", SOURCE),
        ("quotes", "BRK.B", "T2", "gap", SOURCE),
        ("trades", "BINANCE:BTCUSDT", "T1", "gap", SOURCE),
        ("bars", "SPY", "T0", "gap", SOURCE),
    ]
    assert orders[0] == order_of_gap(gaps[0], SPY, "T0", source=SOURCE)

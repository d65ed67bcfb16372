"""Canonical records of any content that a record may have."""

from __future__ import annotations

from hypothesis import strategies as st

from schemas.topics import BARS, QUOTES, TRADES
from tests.support.builders import a_bar, a_quote, a_trade

TEXTS = st.text(max_size=40)
FLOATS = st.floats(allow_nan=False)
TIMES = st.integers(-(1 << 54), (1 << 54) - 1)
SMALL = st.integers(-(1 << 31), (1 << 31) - 1)
MAYBE = st.none() | FLOATS
RECORDS = {
    QUOTES: st.builds(
        a_quote, symbol=TEXTS, event_time=TIMES, bid=MAYBE, ask=MAYBE, bid_size=MAYBE, volume=MAYBE, currency=TEXTS,
        market_state=TEXTS, delay_s=SMALL, raw_offset=TIMES, index=SMALL,
    ),
    TRADES: st.builds(
        a_trade, symbol=TEXTS, price=FLOATS, size=FLOATS, trade_id=st.none() | TEXTS, conditions=TEXTS, venue=TEXTS,
        route=st.sampled_from(["primary", "shadow", "backfill"]), simulated=st.booleans(), known_from=TIMES,
    ),
    BARS: st.builds(
        a_bar, symbol=TEXTS, open=FLOATS, vwap=MAYBE, trade_count=st.none() | TIMES, final=st.booleans(),
        session=st.sampled_from(["pre", "regular", "post", "closed"]), event_time=TIMES, provider=TEXTS,
    ),
}  # fmt: skip

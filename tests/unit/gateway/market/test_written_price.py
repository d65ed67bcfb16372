"""An answer that was written before is, byte by byte, the one that would be made now."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.database.versions import StoredClose, Value
from gateway.market.candidates import Candidates
from gateway.market.freshness import session_until
from gateway.market.price import Composed, Now, compose
from gateway.market.written_price import write_price
from schemas.calendar.sessions import Calendar, load_calendar
from schemas.clocks import EventTime, KnowledgeTime, MarketTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tests.support.builders import NINE_THIRTY, a_bar, a_quote, a_trade

CALENDARS = [load_calendar(name) for name in ("XNYS", "XHKG", "24/7", "none")]
NOW = NINE_THIRTY + 3 * DAY_US
AGES = (
    st.integers(-MINUTE_US, 3 * MINUTE_US)
    | st.sampled_from([60, 75, 75.000001, 195, 900, 975]).map(lambda s: round(s * SECOND_US))
    | st.integers(0, 6 * DAY_US)
)
SPEEDS = st.sampled_from([1.0, 0.5, 60.0, float("inf")])
AS_OF = '"2013-10-07T13:30:00.000000Z"'
PROVIDERS = st.sampled_from(["yahoo", "finnhub", "alpaca"])


@st.composite
def records(draw: st.DrawFn) -> Value:
    common: dict[str, Any] = {"provider": draw(PROVIDERS), "event_time": EventTime(NOW - draw(AGES))}
    price, maybe = draw(st.floats(0.01, 1e6)), st.none() | st.floats(0.01, 1e6)
    kind = draw(st.sampled_from("tqb"))
    if kind == "t":
        return a_trade(**common, price=price, simulated=draw(st.booleans()))
    currency = draw(st.sampled_from(["", "USD", "GBp"]))
    if kind == "b":
        return a_bar(**common, close=price, interval=draw(st.sampled_from(["1m", "1d"])), currency=currency)
    sides: dict[str, Any] = {
        name: draw(maybe) for name in ("bid", "ask", "bid_size", "last", "previous_close", "volume")
    }
    return a_quote(**common, **sides, currency=currency, delay_s=draw(st.sampled_from([0, 900])))


CLOSES = st.builds(
    StoredClose, symbol=st.just("SPY"), provider=PROVIDERS, interval=st.sampled_from(["1m", "1d"]),
    close=st.floats(0.01, 1e6), event_time=st.integers(1, 9).map(lambda days: EventTime(NOW - days * DAY_US)),
    currency=st.sampled_from(["", "USD"]),
)  # fmt: skip


def made(composed: Composed, now: Now) -> bytes:
    """Return the body as it is made of nothing but the document."""
    meta = {"request_id": "one-of.mine_", "as_of": orjson.loads(AS_OF), "unresolved": []}
    return orjson.dumps({"data": composed.document(now), "meta": meta})


@given(
    values=st.lists(records(), min_size=1, max_size=5),
    closes=st.lists(CLOSES, max_size=3),
    calendar=st.sampled_from(CALENDARS),
    moments=st.lists(st.tuples(AGES, SPEEDS, st.none() | st.integers(-HOUR_US, HOUR_US)), min_size=1, max_size=9),
)  # fmt: skip
def test_what_holds_is_what_would_be_made(
    values: list[Value], closes: list[StoredClose], calendar: Calendar, moments: list[Any]
) -> None:
    """Of any candidates, at any later moment and speed, whatever is complete by then."""
    candidates = Candidates(values=values, closes=closes)
    if candidates.value is None:
        return
    composed = compose(candidates, calendar, 3)
    written = None
    for age, speed, through in moments:
        complete = None if through is None else KnowledgeTime(candidates.value.known_from + through)
        now = Now(time=MarketTime(NOW - age), complete_through=complete, speed=speed)
        if written is None or not written.holds(now):
            written = write_price(composed, now)
        for probed in (now.time, min(written.until - 1, now.time + 90 * DAY_US), now.time + SECOND_US):
            then = Now(time=MarketTime(int(probed)), complete_through=complete, speed=speed)
            if written.holds(then):
                assert written.body(then, request_id="one-of.mine_", as_of=AS_OF.encode()) == made(
                    composed, then
                )
        assert written.holds(now)


def test_it_holds_until_something_else_than_the_age_is_new() -> None:
    """A trade of the session is fresh for 75 s, its quote's book for as long, and neither is written anew before."""
    trade = a_trade(event_time=EventTime(NOW), provider="finnhub")
    quote = a_quote(event_time=EventTime(NOW - 10 * SECOND_US))
    composed = compose(Candidates(values=[trade, quote]), CALENDARS[0], 3)

    def now(after_us: int) -> Now:
        return Now(time=MarketTime(NOW + after_us), complete_through=None)

    written = write_price(composed, now(0))
    assert [written.holds(now(each)) for each in (-1, 0, 65 * SECOND_US, 65 * SECOND_US + 1)] == [
        False,
        True,
        True,
        False,
    ]
    later = write_price(composed, now(66 * SECOND_US))
    assert [later.holds(now(each)) for each in (75 * SECOND_US, 75 * SECOND_US + 1)] == [True, False]
    closes = write_price(composed, now(80 * SECOND_US))
    assert closes.until == NINE_THIRTY + 3 * DAY_US + 6 * HOUR_US + 30 * MINUTE_US


@pytest.mark.parametrize("calendar", CALENDARS, ids=lambda each: each.name)
@given(moment=st.integers(NOW - 4_000 * DAY_US, NOW + 9_000 * DAY_US), share=st.floats(0, 1))
def test_a_session_lasts_until_its_end(calendar: Calendar, moment: int, share: float) -> None:
    """The part of the day is the same all along, and whether it is known."""
    until = session_until(moment, calendar)
    assert until > moment
    probed = int(moment + share * (min(until, moment + 50 * DAY_US) - 1 - moment))
    for then in (probed, int(min(until, moment + 50 * DAY_US)) - 1):
        assert calendar.session_of(then) == calendar.session_of(moment)
        assert calendar.knows(then) == calendar.knows(moment)

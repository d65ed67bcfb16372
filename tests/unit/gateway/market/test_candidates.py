"""One value out of many, and what else of them belongs to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.database.versions import StoredClose, Value
from gateway.market.candidates import (
    Candidates,
    Quoted,
    currency_of,
    newest,
    previous_close_of,
    price_of,
)
from gateway.market.freshness import stale_after_us, trading_day
from gateway.market.price import Now, compose
from schemas.calendar.sessions import load_calendar
from schemas.clocks import EventTime, MarketTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.streams import Quote
from tests.support.builders import NINE_THIRTY, a_bar, a_quote, a_trade

XNYS = load_calendar("XNYS")
AGES = st.integers(0, 5 * DAY_US) | st.integers(0, 3 * MINUTE_US)
NOW = NINE_THIRTY + 2 * DAY_US + 3 * HOUR_US


def test_a_quotes_price_is_its_last_else_its_middle() -> None:
    """A one-sided quote has none."""
    assert price_of(a_quote(last=5.0)) == (5.0, "last")
    assert price_of(a_quote(last=None, bid=4.0, ask=6.0)) == (5.0, "mid")
    assert price_of(a_quote(last=None, bid=0.0, ask=6.0)) is None
    assert price_of(a_bar(close=7.0)) == (7.0, "close")


def test_the_newest_event_wins_and_a_trade_breaks_ties() -> None:
    """A quote without a price does not count."""
    trade, quote, bar = a_trade(), a_quote(), a_bar()
    assert newest([bar, quote, trade]) is trade
    assert newest([bar, quote]) is quote
    later = a_bar(event_time=NINE_THIRTY + 1)
    assert newest([later, trade, a_quote(event_time=NINE_THIRTY + 2, last=None, bid=None)]) is later
    assert newest([None]) is None


def test_a_contingent_trade_is_no_last_price() -> None:
    """SPY at 257.6591 while it traded at 249.75 (polygon-io issue 13): a print of another bargain; of an unknown vendor it may be one."""
    last = a_trade(provider="finnhub", price=249.75, conditions="1,12")
    contingent = a_trade(
        provider="finnhub", price=257.6591, conditions="52,41", event_time=NINE_THIRTY + 53_000
    )
    foreign = a_trade(provider="acme", price=3.0, conditions="52", event_time=NINE_THIRTY + 60_000)
    assert newest([last, contingent]) is last
    assert newest([contingent]) is None
    assert newest([last, contingent, foreign]) is foreign


def test_a_stamp_of_the_future_is_the_newest_of_nothing() -> None:
    """Whatever clock is wrong: until then it would hide what is true."""
    true = a_trade(price=600.0)
    ahead = replace(a_quote(last=1.0), event_time=EventTime(true.known_from + 20 * HOUR_US))
    assert newest([true, ahead]) is true
    assert Candidates(values=[true, ahead]).quotes("yahoo") == []


def a_close(days: int, **changes: Any) -> StoredClose:
    """Return a daily close so many days before Monday."""
    fields: dict[str, Any] = {
        "symbol": "SPY", "provider": "yahoo", "interval": "1d", "close": 1.0, "currency": "USD",
        "event_time": EventTime(NINE_THIRTY - days * DAY_US),
    }  # fmt: skip
    return StoredClose(**(fields | changes))


def test_the_close_is_of_the_latest_day_and_there_a_days_own_before_a_minutes() -> None:
    """Of the value's provider before another's, by name; never one of the value's own day, nor in another currency."""
    trade = a_trade()
    friday = EventTime(NINE_THIRTY - 3 * DAY_US)
    last_minute = EventTime(friday + 389 * MINUTE_US)
    minute = a_close(0, interval="1m", close=2.0, event_time=last_minute)
    foreign = a_close(3, provider="finnhub", close=3.0)

    def chosen(*closes: StoredClose, value: Value = trade) -> tuple[float, str] | None:
        found = previous_close_of(value, [], closes, XNYS)
        return None if found is None else (found.value, found.provider)

    assert chosen(a_close(3), minute, foreign) == (1.0, "yahoo")
    assert chosen(minute, foreign) == (2.0, "yahoo")
    assert chosen(a_close(4), foreign) == (3.0, "finnhub")
    assert chosen(a_close(0), a_close(21)) == (1.0, "yahoo")
    assert chosen(a_close(0)) is None
    assert chosen(a_close(3, currency="EUR"), value=a_bar()) is None


def test_a_currency_is_borrowed_where_it_can_be_no_other() -> None:
    """Of the newest that has one, by name; none of two that differ, nor of one whose price may be in pence."""

    def chosen(*others: Value, closes: Any = (), value: Value | None = None) -> Quoted | None:
        candidates = Candidates(values=[value or trade, *others], closes=closes)
        return currency_of(value or trade, candidates.quotes("finnhub"), candidates)

    trade = a_trade(provider="finnhub", price=170.0)
    bar = a_bar(provider="alpaca", event_time=NINE_THIRTY - MINUTE_US)
    pounds = a_bar(provider="acme", currency="GBP", close=1.7)
    for others in ((a_quote(), bar), (bar, a_quote())):
        assert chosen(*others) == ("USD", "yahoo")
    assert chosen(a_quote(currency=""), bar) == ("USD", "alpaca")
    assert chosen(closes=[a_close(3, close=168.0)]) == ("USD", "yahoo")
    assert chosen(
        value=a_quote(provider="finnhub", currency="", last=170.0), closes=[a_close(3, close=168.0)]
    )
    assert chosen(a_quote(provider="finnhub", currency="EUR"), bar) == ("EUR", "finnhub")
    assert chosen(bar, a_quote(currency="CAD")) is None
    assert chosen(bar, closes=[a_close(3, close=168.0, currency="CAD")]) is None
    assert chosen(pounds) is None
    assert chosen() is None


@given(value_age=AGES, quote_ages=st.lists(AGES, max_size=4), kind=st.sampled_from([a_trade, a_bar, a_quote]))
def test_every_field_is_of_its_own_time_whatever_the_ages(
    value_age: int, quote_ages: list[int], kind: Any
) -> None:
    """Price of the newest, book of a fresh quote, close and volume of the price's day; and each says which quote it is of."""
    value = kind(event_time=EventTime(NOW - value_age), provider="finnhub")
    quotes = [
        a_quote(
            event_time=EventTime(NOW - age), raw_offset=number, provider=("yahoo", "finnhub")[number % 2],
            bid=1.0 + number, previous_close=100.0 + number, volume=1_000.0 + number, last=None, ask=None,
        )
        for number, age in enumerate(quote_ages)
    ]  # fmt: skip
    candidates = Candidates(values=[value, *quotes])
    answer = compose(candidates, XNYS, 0).document(Now(time=MarketTime(NOW), complete_through=None))
    by_provider = [*quotes, *([value] if isinstance(value, Quote) else [])]

    def of(name: str, said: str) -> list[Quote]:
        return [quote for quote in by_provider if getattr(quote, said) == answer[name]]

    if answer["bid"] is not None:
        assert any(NOW - quote.event_time <= stale_after_us("quote", 0, 1.0) for quote in of("bid", "bid"))
    day = trading_day(value.event_time, XNYS)
    for name in ("previous_close", "volume"):
        if answer[name] is not None:
            assert any(trading_day(quote.event_time, XNYS) == day for quote in of(name, name))
    same_day = [quote for quote in by_provider if trading_day(quote.event_time, XNYS) == day]
    assert (answer["volume"] is None) == (not same_day)
    own = [quote for quote in same_day if quote.provider == value.provider]
    if own:
        assert answer["volume_provider"] == answer["previous_close_provider"] == value.provider

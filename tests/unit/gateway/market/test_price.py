"""One value out of quote, trade and bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.database.versions import StoredClose, Value
from gateway.http.problems import Problem
from gateway.market.candidates import Candidates
from gateway.market.price import PRICE_FIELDS, Now, check_age, chosen, compose, topic_of
from schemas.calendar.sessions import load_calendar
from schemas.clocks import MarketTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tests.support.builders import NINE_THIRTY, a_bar, a_quote, a_trade

XNYS = load_calendar("XNYS")


def document(
    value: Value,
    *others: Value,
    closes: Sequence[StoredClose] = (),
    now: int = NINE_THIRTY + SECOND_US,
    **changes: Any,
) -> dict[str, Any]:
    candidates = Candidates(values=(value, *others), closes=closes)
    given: dict[str, Any] = {"time": MarketTime(now), "complete_through": value.known_from}
    return compose(candidates, XNYS, 1).document(Now(**(given | changes)))


def a_close(**changes: Any) -> StoredClose:
    given: dict[str, Any] = {
        "symbol": "SPY", "provider": "yahoo", "interval": "1d", "close": 50.0, "currency": "USD",
        "event_time": NINE_THIRTY - 3 * DAY_US,
    }  # fmt: skip
    return StoredClose(**(given | changes))


def test_the_answer_has_every_field_of_the_contract() -> None:
    """In its order."""
    assert tuple(document(a_quote())) == PRICE_FIELDS


def test_the_change_is_from_the_quotes_close_before_the_bars() -> None:
    """A subtraction's binary noise is not shown."""
    answer = document(a_trade(price=100.1), a_quote(previous_close=100.0), closes=[a_close()])
    assert (answer["previous_close"], answer["change"], answer["change_percent"]) == (100.0, 0.1, 0.1)
    assert answer["previous_close_time"] == "2013-10-07T13:30:00.000000Z"
    answer = document(a_trade(price=100.1), a_quote(previous_close=None), closes=[a_close()])
    assert (answer["previous_close"], answer["previous_close_provider"]) == (50.0, "yahoo")
    assert answer["previous_close_time"] == "2013-10-04T20:00:00.000000Z"


def test_a_rate_below_zero_has_a_change_and_no_share_of_it() -> None:
    """From -0.02 to -0.105 it fell, though the quotient is positive."""
    quote = a_quote(symbol="^IRX", last=-0.105, previous_close=-0.02)
    answer = document(quote)
    assert (answer["price"], answer["change"], answer["change_percent"]) == (-0.105, -0.085, None)


def test_an_index_changes_from_a_close_of_zero() -> None:
    """Which is a value like any other of a rate, and has no share."""
    quote = a_quote(symbol="^IRX", last=-0.03, previous_close=0.0)
    answer = document(quote)
    assert (answer["previous_close"], answer["change"], answer["change_percent"]) == (0.0, -0.03, None)


@pytest.mark.parametrize("previous_close", [None, 0.0])
def test_without_a_close_there_is_no_change(previous_close: float | None) -> None:
    """Never a division by zero."""
    answer = document(a_trade(), a_quote(previous_close=previous_close))
    assert (answer["change"], answer["change_percent"]) == (None, None)


@pytest.mark.parametrize(
    ("complete_through", "provisional"),
    [(None, True), (a_quote().known_from - 1, True), (a_quote().known_from, False)],
)
def test_a_value_is_provisional_until_the_watermark_has_it(
    complete_through: int | None, *, provisional: bool
) -> None:
    """The watermark is inclusive here."""
    assert document(a_quote(), complete_through=complete_through)["provisional"] is provisional


def test_a_bars_age_counts_from_its_end_and_never_below_zero() -> None:
    """Its close was true at its end, or now while it forms."""
    assert document(a_bar(), now=NINE_THIRTY + 30 * SECOND_US)["age_ms"] == 0
    assert document(a_bar(), now=NINE_THIRTY + 3 * MINUTE_US)["age_ms"] == 120_000
    assert document(a_quote(), now=NINE_THIRTY - SECOND_US)["age_ms"] == 0


@pytest.mark.parametrize(
    ("after_open", "age_us", "state"),
    [
        pytest.param(HOUR_US, 0, "live", id="while it forms"),
        pytest.param(8 * HOUR_US + 30 * MINUTE_US, 2 * HOUR_US, "closed", id="in the evening"),
        pytest.param(22 * HOUR_US + 30 * MINUTE_US, 16 * HOUR_US, "closed", id="before the next open"),
        pytest.param(24 * HOUR_US + 2 * MINUTE_US, 17 * HOUR_US + 32 * MINUTE_US, "stale", id="after it"),
    ],
)
def test_a_days_close_is_as_old_as_its_session(after_open: int, age_us: int, state: str) -> None:
    """Not 24 hours younger than its open: an old close looked like a market that stood (IEX-API issue 754)."""
    answer = document(a_bar(interval="1d"), now=NINE_THIRTY + after_open)
    assert (answer["age_ms"] * 1_000, answer["state"]) == (age_us, state)


def test_too_old_a_value_is_refused_with_its_age() -> None:
    """503, and when to come again."""
    answer = document(a_quote(), now=NINE_THIRTY + MINUTE_US)
    check_age(answer, 60_000)
    with pytest.raises(Problem) as problem:
        check_age(answer, 59_999)
    assert (problem.value.status, problem.value.code, problem.value.extra["age_ms"]) == (
        503,
        "stale_value",
        60_000,
    )


def test_another_days_quote_lends_nothing() -> None:
    """SPY on Tuesday at 170 beside Monday's last quote: its close was Friday's, its volume and book Monday's; nothing of it is today's."""
    tuesday = NINE_THIRTY + DAY_US
    trade = a_trade(price=170.0, event_time=tuesday + 5 * SECOND_US)
    monday = a_quote(event_time=NINE_THIRTY + 6 * HOUR_US, previous_close=160.0, volume=99e6, delay_s=900)
    close = a_close(close=168.0, event_time=NINE_THIRTY, interval="1d")
    answer = document(trade, monday, closes=[close], now=tuesday + 6 * SECOND_US)

    assert (answer["previous_close"], answer["change_percent"]) == (168.0, 1.19047619)
    assert (answer["bid"], answer["ask"], answer["quote_time"], answer["volume"]) == (None,) * 4
    assert (answer["state"], answer["age_ms"]) == ("live", 1_000)


def test_a_trade_feed_empties_no_answer() -> None:
    """What its provider does not give another does, by name; a close in another currency would be no close of it."""
    trade = a_trade(price=170.0, provider="finnhub", event_time=NINE_THIRTY + SECOND_US)
    answer = document(trade, a_quote())

    assert (answer["provider"], answer["currency"]) == ("finnhub", "USD")
    for name in ("quote", "previous_close", "volume", "currency"):
        assert answer[f"{name}_provider"] == "yahoo"
    assert (answer["bid"], answer["previous_close"], answer["change"]) == (167.4, 168.0, 2.0)
    in_pence = a_quote(provider="finnhub", currency="GBp", previous_close=None)
    answer = document(trade, in_pence, a_quote(currency="GBP"))
    assert (answer["currency"], answer["currency_provider"]) == ("GBp", "finnhub")
    assert answer["previous_close"] is None


def test_a_simulated_value_always_says_so() -> None:
    """Whatever fields were asked for."""
    answer = document(a_trade(simulated=True))
    assert chosen(answer, ["price"]) == {"price": 167.4, "simulated": True}
    assert "simulated" not in document(a_trade())


def test_each_record_has_its_topic() -> None:
    """Its watermark is that topic's."""
    assert [topic_of(v) for v in (a_quote(), a_trade(), a_bar())] == ["quotes.v1", "trades.v1", "bars.v1"]


def test_beyond_what_its_calendar_knows_an_old_price_is_unknown_not_stale() -> None:
    """Nobody says whether the market is open."""
    horizon = XNYS.horizon
    assert horizon is not None
    old = a_trade(event_time=horizon - 9 * HOUR_US)

    assert document(old, now=horizon - HOUR_US)["state"] == "closed"
    assert document(old, now=horizon + 15 * HOUR_US)["state"] == "unknown"

"""One value out of quote, trade and bar."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.database.versions import Value
from gateway.http.problems import Problem
from gateway.market.price import (
    PRICE_FIELDS,
    check_age,
    chosen,
    newest,
    price_document,
    price_of,
    stale_after_us,
    state_of,
    topic_of,
)
from schemas.calendar.sessions import load_calendar
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US
from schemas.streams import Quote
from tests.support.builders import NINE_THIRTY, a_bar, a_quote, a_trade

XNYS = load_calendar("XNYS")


def document(value: Value, quote: Quote | None = None, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "partition": 1, "previous_close": None, "complete_through": value.known_from, "now": NINE_THIRTY + SECOND_US,
        "speed": 1.0, "calendar": XNYS,
    }  # fmt: skip
    return price_document(value, quote, **(given | changes))


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


def test_the_answer_has_every_field_of_the_contract() -> None:
    """In its order."""
    assert tuple(document(a_quote(), a_quote())) == PRICE_FIELDS


def test_the_change_is_from_the_quotes_close_before_the_bars() -> None:
    """A subtraction's binary noise is not shown."""
    answer = document(a_trade(price=100.1), a_quote(previous_close=100.0), previous_close=50.0)
    assert (answer["previous_close"], answer["change"], answer["change_percent"]) == (100.0, 0.1, 0.1)
    answer = document(a_trade(price=100.1), a_quote(previous_close=None), previous_close=50.0)
    assert answer["previous_close"] == 50.0


def test_a_rate_below_zero_has_a_change_and_no_share_of_it() -> None:
    """From -0.02 to -0.105 it fell, though the quotient is positive."""
    quote = a_quote(symbol="^IRX", last=-0.105, previous_close=-0.02)
    answer = document(quote, quote)
    assert (answer["price"], answer["change"], answer["change_percent"]) == (-0.105, -0.085, None)


def test_an_index_changes_from_a_close_of_zero() -> None:
    """Which is a value like any other of a rate, and has no share."""
    quote = a_quote(symbol="^IRX", last=-0.03, previous_close=0.0)
    answer = document(quote, quote)
    assert (answer["previous_close"], answer["change"], answer["change_percent"]) == (0.0, -0.03, None)


@pytest.mark.parametrize("previous_close", [None, 0.0])
def test_without_a_close_there_is_no_change(previous_close: float | None) -> None:
    """Never a division by zero."""
    answer = document(a_trade(), previous_close=previous_close)
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


def test_a_simulated_value_always_says_so() -> None:
    """Whatever fields were asked for."""
    answer = document(a_trade(simulated=True))
    assert chosen(answer, ["price"]) == {"price": 167.4, "simulated": True}
    assert "simulated" not in document(a_trade())


def test_each_record_has_its_topic() -> None:
    """Its watermark is that topic's."""
    assert [topic_of(v) for v in (a_quote(), a_trade(), a_bar())] == ["quotes.v1", "trades.v1", "bars.v1"]


def state(**changes: Any) -> str:
    given: dict[str, Any] = {
        "kind": "quote", "age_us": SECOND_US, "delay_s": 0, "session": "regular", "speed": 1.0,
    }  # fmt: skip
    return state_of(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, "live", id="fresh"),
        pytest.param({"age_us": HOUR_US}, "stale", id="old in the session"),
        pytest.param({"age_us": HOUR_US, "session": "closed"}, "closed", id="old after hours"),
        pytest.param({"session": "closed"}, "closed", id="nothing trades"),
        pytest.param({"session": None}, "live", id="fresh, of an unknown home"),
        pytest.param({"age_us": HOUR_US, "session": None}, "unknown", id="old, of an unknown home"),
        pytest.param({"session": "pre"}, "live", id="fresh before the open"),
        pytest.param({"age_us": HOUR_US, "session": "post"}, "closed", id="the close is not a dead feed"),
        pytest.param({"delay_s": 900, "age_us": 900 * SECOND_US}, "delayed", id="the vendor delays"),
        pytest.param({"delay_s": 900, "age_us": HOUR_US}, "stale", id="delayed and dead"),
        pytest.param(
            {"speed": 600.0, "age_us": 1_000 * SECOND_US}, "live", id="fast market, same wall latency"
        ),
        pytest.param({"speed": float("inf"), "age_us": 10**15}, "live", id="unpaced market"),
    ],
)
def test_the_state_follows_age_cadence_and_calendar(changes: dict[str, Any], expected: str) -> None:
    """Silence counts only while the market is open and beyond the cadence."""
    assert state(**changes) == expected


def test_a_bar_may_be_older_than_a_quote() -> None:
    """A value a minute old is normal where values come once a minute."""
    assert stale_after_us("bar", 0, 1.0) > stale_after_us("quote", 0, 1.0)
    assert state(kind="bar", age_us=120 * SECOND_US) == "live"
    assert state(kind="quote", age_us=120 * SECOND_US) == "stale"


def test_beyond_what_its_calendar_knows_an_old_price_is_unknown_not_stale() -> None:
    """Nobody says whether the market is open."""
    horizon = XNYS.horizon
    assert horizon is not None
    old = a_trade(event_time=horizon - 9 * HOUR_US)

    assert document(old, now=horizon - HOUR_US)["state"] == "closed"
    assert document(old, now=horizon + 15 * HOUR_US)["state"] == "unknown"

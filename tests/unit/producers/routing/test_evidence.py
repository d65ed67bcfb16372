"""What an answer says about its provider."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from producers.routing.evidence import (
    FROZEN_US,
    FUTURE_US,
    AnswerEvidence,
    Witness,
    bars_evidence,
    is_judged,
    quotes_evidence,
)
from schemas.calendar.sessions import calendar_of
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US
from tests.support.builders import NINE_THIRTY, a_bar_event, a_quote_event

NOW = NINE_THIRTY + HOUR_US


def quotes(*events: dict[str, object], asked: int = 1) -> AnswerEvidence:
    names = [f"S{number}" for number in range(asked)]
    return quotes_evidence(names, events, NOW, latency_s=0.1, every_us=5 * SECOND_US)


def test_zero_absent_and_future_quotes_do_not_count() -> None:
    """Of five symbols asked for, two have a quote that can be true."""
    found = quotes(
        a_quote_event(symbol="A", event_time=NOW - SECOND_US),
        a_quote_event(symbol="B", event_time=NOW - SECOND_US, last=None),
        a_quote_event(symbol="C", last=0.0, bid=None),
        a_quote_event(symbol="D", event_time=NOW + FUTURE_US + 1),
        asked=5,
    )

    assert (len(found.prices), found.lies, found.absent) == (2, 2, {"S0", "S1", "S2", "S3", "S4"})
    assert Witness().validity("yahoo", found, NOW) == 2 / 9
    assert found.newest == NOW - SECOND_US
    assert found.prices == {"A": 167.4, "B": (167.4 + 167.41) / 2}


def test_a_declared_delay_is_no_fault() -> None:
    """A feed that says it is 15 minutes late is as fresh as it says it can be."""
    late = a_quote_event(event_time=NOW - 15 * MINUTE_US, delay_s=900)

    assert quotes(late).newest == NOW


def test_bars_are_as_new_as_the_end_of_the_newest() -> None:
    """A minute is known when it is over; an empty window says nothing about validity."""
    events = [a_bar_event(event_time=NOW - 2 * MINUTE_US), a_bar_event(event_time=NOW - 3 * MINUTE_US)]
    found = bars_evidence(events, NOW, latency_s=0.1, every_us=MINUTE_US, step_us=MINUTE_US)
    empty = bars_evidence([], NOW, latency_s=0.1, every_us=MINUTE_US, step_us=MINUTE_US)

    assert (found.newest, found.lies, found.tolerance_us) == (NOW - MINUTE_US, 0, 4 * MINUTE_US)
    assert (empty.newest, Witness().validity("yahoo", empty, NOW)) == (None, None)


def test_values_are_expected_only_in_an_open_market() -> None:
    """Not before the open, not just after it, not after the close."""
    calendars = [calendar_of("SPY")]
    judged = [
        is_judged(calendars, NINE_THIRTY + minute * MINUTE_US, MINUTE_US) for minute in (-60, 0, 1, 300, 390)
    ]

    assert judged == [False, False, True, True, False]


def said(**prices: float) -> AnswerEvidence:
    return AnswerEvidence(latency_s=0.1, newest=None, tolerance_us=1, prices=prices)


def test_a_price_that_stands_while_others_move_is_frozen() -> None:
    """The same price for minutes is suspicious only beside a provider that saw it change, and until it moves."""
    witness = Witness()
    shares = []
    for step in range(6):
        now = NOW + step * FROZEN_US // 2
        witness.validity("finnhub", said(SPY=100.0 + step), now)
        shares.append(witness.validity("yahoo", said(SPY=100.0, IBM=50.0 + step), now))

    assert shares == [1.0, 1.0, 0.5, 0.5, 0.5, 0.5]
    assert witness.validity("yahoo", said(SPY=101.0, IBM=60.0), NOW + 4 * FROZEN_US) == 1.0


def test_a_symbol_a_provider_never_had_is_unknown_there_and_one_it_had_is_missing() -> None:
    """Zeros for an index are no lie of a provider of shares; zeros for all that it had are."""
    witness, nothing = Witness(), replace(said(), absent={"^GSPC"})

    assert witness.validity("finnhub", nothing, NOW) == 0.0  # nothing at all so far: nothing speaks for it
    assert witness.validity("finnhub", said(SPY=100.0), NOW) == 1.0
    assert witness.validity("finnhub", nothing, NOW) is None
    assert witness.validity("finnhub", replace(said(), absent={"SPY"}), NOW) == 0.0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3)), max_size=60))
def test_nobody_is_frozen_where_nothing_moves(answers: list[tuple[str, int]]) -> None:
    """A quiet symbol is quiet for all: no share below 1 while every provider shows the same price."""
    witness, now = Witness(), NOW
    for provider, minutes in answers:
        now += minutes * MINUTE_US

        assert witness.validity(provider, said(SPY=100.0), now) == 1.0

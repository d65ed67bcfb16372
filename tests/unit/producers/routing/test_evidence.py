"""What an answer says about its provider."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from producers.routing.evidence import (
    COMPARED_US,
    FROZEN_US,
    FUTURE_US,
    AnswerEvidence,
    Witness,
    bars_evidence,
    entries_evidence,
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

    assert (len(found.prices), found.lies) == (2, {"C", "D"})
    assert found.absent == {"S0", "S1", "S2", "S3", "S4"}
    assert found.newest == {"A": NOW - SECOND_US, "B": NOW - SECOND_US}
    assert found.prices == {"A": 167.4, "B": (167.4 + 167.41) / 2}


def test_what_is_said_seldom_is_neither_old_nor_priced() -> None:
    """Of an answer about entries it counts that it came, and what it leaves out."""
    found = entries_evidence(["SPY", "IBM"], ["IBM"], latency_s=0.3, every_us=6 * HOUR_US)

    assert (found.asked, set(found.absent), found.latency_s) == (["SPY", "IBM"], {"IBM"}, 0.3)
    assert (dict(found.newest), dict(found.prices), found.is_present) == ({}, {}, False)


def test_a_declared_delay_is_said_beside_the_stamp() -> None:
    """A trade of half past two is that, whichever feed says it: only its age is excused."""
    late = a_quote_event(event_time=NOW - 15 * MINUTE_US, delay_s=900)
    found = quotes(late)

    assert set(found.newest.values()) == {NOW - 15 * MINUTE_US}
    assert set(found.delays_us.values()) == {15 * MINUTE_US}


def test_bars_are_as_new_as_the_end_of_the_newest() -> None:
    """A minute is known when it is over; an empty window says nothing about validity."""
    events = [a_bar_event(event_time=NOW - 2 * MINUTE_US), a_bar_event(event_time=NOW - 3 * MINUTE_US)]
    found = bars_evidence("SPY", events, NOW, latency_s=0.1, every_us=MINUTE_US, step_us=MINUTE_US)
    empty = bars_evidence("SPY", [], NOW, latency_s=0.1, every_us=MINUTE_US, step_us=MINUTE_US)

    assert (found.newest, found.lies, found.tolerance_us) == ({"SPY": NOW - MINUTE_US}, (), 4 * MINUTE_US)
    assert (empty.newest, empty.lies) == ({}, ())


def test_values_are_expected_only_in_an_open_market() -> None:
    """Not before the open, not just after it, not after the close."""
    calendar = calendar_of("SPY")
    judged = [
        is_judged(calendar, NINE_THIRTY + minute * MINUTE_US, MINUTE_US) for minute in (-60, 0, 1, 300, 390)
    ]

    assert judged == [False, False, True, True, False]


def test_a_price_that_stands_while_others_move_is_frozen() -> None:
    """The same price for minutes is suspicious only beside a provider that saw it change, and until it moves."""
    witness, said = Witness(), list[bool | None]()
    for step in range(6):
        now = NOW + step * FROZEN_US // 2
        witness.confirms("finnhub", "SPY", 100.0 + step, now)
        said.append(witness.confirms("yahoo", "SPY", 100.0, now))

    assert said == [True, True, False, False, False, False]
    assert witness.confirms("yahoo", "SPY", 104.0, NOW + 3 * FROZEN_US) is True


def test_one_that_leaves_the_level_of_both_is_wrong_and_one_that_never_was_on_it_is_disputed() -> None:
    """Of two the last agreement decides, of three the majority; 30 % are a market, 50 % a split of three for two."""
    witness = Witness()
    witness.confirms("finnhub", "SPY", 100.0, NOW)

    assert witness.confirms("yahoo", "SPY", 130.0, NOW) is True
    assert witness.confirms("yahoo", "SPY", 195.0, NOW) is False
    assert witness.confirms("finnhub", "SPY", 101.0, NOW) is True
    assert witness.confirms("yahoo", "IBM", 10.0, NOW) is None
    assert witness.confirms("finnhub", "IBM", 1_000.0, NOW) is None
    assert list(witness.disputed) == ["IBM"]
    assert witness.confirms("alpaca", "IBM", 11.0, NOW) is True
    assert witness.confirms("finnhub", "IBM", 1_001.0, NOW) is False
    assert list(witness.disputed) == []


def test_an_index_about_zero_is_on_no_level() -> None:
    """A bill's yield crosses zero, stands on it and doubles within minutes; one in the thousands is scaled or it is not."""
    witness, said = Witness(), list[bool | None]()
    for yahoo, polygon in ((0.013, 0.03), (0.0, -0.105), (-0.105, 0.002), (-0.05, -0.2), (4.2, 0.9)):
        witness.confirms("yahoo", "^IRX", yahoo, NOW)
        said.append(witness.confirms("polygon", "^IRX", polygon, NOW))
    witness.confirms("yahoo", "^IRX", 4.2, NOW)

    assert said == [True] * 5
    assert list(witness.disputed) == []
    assert witness.confirms("polygon", "^IRX", 4.3, NOW) is True
    assert witness.confirms("polygon", "^IRX", 43.0, NOW) is False


def test_prices_beyond_any_ratio_are_on_two_levels() -> None:
    """A vendor's smallest and largest number."""
    witness = Witness()
    witness.confirms("yahoo", "SPY", 5e-324, NOW)

    assert witness.confirms("polygon", "SPY", 1.7e308, NOW) is None
    assert witness.confirms("yahoo", "SPY", 5e-324, NOW) is None


def test_an_old_price_is_held_against_nobody() -> None:
    """A market that gapped since then is no lie."""
    witness = Witness()
    witness.confirms("finnhub", "SPY", 100.0, NOW)
    witness.confirms("yahoo", "SPY", 100.0, NOW)

    assert witness.confirms("yahoo", "SPY", 50.0, NOW + COMPARED_US + 1) is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3)), max_size=60))
def test_nobody_is_frozen_where_nothing_moves(answers: list[tuple[str, int]]) -> None:
    """A quiet symbol is quiet for all: nobody is wrong while every provider shows the same price."""
    witness, now = Witness(), NOW
    for provider, minutes in answers:
        now += minutes * MINUTE_US

        assert witness.confirms(provider, "SPY", 100.0, now) is not False

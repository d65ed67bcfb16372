"""Routes of single symbols: passed over where it is lacking, tried again ever more rarely, quiet where all are."""

from __future__ import annotations

import pytest

from producers.routing.streams import LONGEST_WAIT_S, PATIENCE, Lack, StreamRoutes
from schemas.clocks import MarketTime

FIRST_WAIT_S = 60.0
TOLERANCE_US = 240


def routes(**named: str) -> StreamRoutes:
    made = StreamRoutes()
    made.plan({name: symbols.split() for name, symbols in named.items()}, FIRST_WAIT_S)
    return made


def lacking(made: StreamRoutes, provider: str, fault: Lack = Lack.REFUSED, now_s: float = 0.0) -> None:
    for _ in range(PATIENCE[fault]):
        made.bad(provider, "SPY", fault, None, now_s)


def test_a_symbol_goes_to_the_choice_or_whoever_has_a_name_for_it() -> None:
    """In order of preference behind the choice."""
    made = routes(a="SPY", b="SPY IBM", c="SPY IBM GOOG")

    assert [made.route(symbol, "a") for symbol in ("SPY", "IBM", "GOOG", "NONE")] == ["a", "b", "c", None]
    assert made.route("SPY", "c") == "c"


@pytest.mark.parametrize("fault", Lack)
def test_one_that_is_lacking_goes_on_alone_after_so_many_faults(fault: Lack) -> None:
    """A refusal is believed at once, a time-out is not."""
    made = routes(a="SPY IBM", b="SPY IBM")
    made.good("b", "SPY", 100, 0.0)  # type: ignore[arg-type]
    for _ in range(PATIENCE[fault] - 1):
        made.bad("a", "SPY", fault, None, 0.0)
    before = made.route("SPY", "a")
    made.bad("a", "SPY", fault, None, 0.0)
    if fault is Lack.STALE:
        assert made.route("SPY", "a") == "a"
        assert made.retries("b", "SPY", "a", 0.0)
        made.good("b", "SPY", 100, 0.0)  # type: ignore[arg-type]

    assert (before, made.route("SPY", "a"), made.route("IBM", "a")) == ("a", "b", "a")


def test_a_good_answer_between_faults_begins_the_count_anew() -> None:
    """Two time-outs, an answer, two time-outs: it stays."""
    made = routes(a="SPY", b="SPY")
    for _ in range(3):
        made.bad("a", "SPY", Lack.FAILING, None, 0.0)
        made.bad("a", "SPY", Lack.FAILING, None, 0.0)
        made.good("a", "SPY", None, 0.0)

    assert made.route("SPY", "a") == "a"


def test_waits_double_up_to_an_hour_and_a_return_that_fails_does_not_end_that() -> None:
    """It is granted once a wait; being well for an hour longer is what makes up for it."""
    made, now_s, waits = routes(a="SPY", b="SPY"), 0.0, []
    lacking(made, "a")
    for _ in range(9):
        begun_s = now_s
        while not made.retries("a", "SPY", "a", now_s):
            now_s += 1.0
        assert not made.retries("a", "SPY", "a", now_s)
        waits.append(now_s - begun_s)
        made.good("a", "SPY", None, now_s)
        assert made.route("SPY", "a") == "a"
        lacking(made, "a", now_s=now_s)

    assert waits == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0, 3600.0]
    made.good("a", "SPY", None, now_s)
    now_s += 2 * LONGEST_WAIT_S + 1.0
    lacking(made, "a", now_s=now_s)
    assert made.retries("a", "SPY", "a", now_s + FIRST_WAIT_S)


def test_one_that_would_change_nothing_is_not_tried() -> None:
    """The less preferred one, while the preferred one is well."""
    made = routes(a="SPY", b="SPY")
    lacking(made, "b")

    assert not made.retries("b", "SPY", "a", 9_000.0)
    assert made.retries("b", "SPY", "b", 9_000.0)


def test_old_values_everywhere_are_those_of_a_quiet_symbol() -> None:
    """It stays, and the other is asked once after each of the waits that double."""
    made, asked = routes(a="SPY", b="SPY"), []
    for second in range(0, 7_440, 60):
        made.bad("a", "SPY", Lack.STALE, 100, float(second))  # type: ignore[arg-type]
        if made.retries("b", "SPY", "a", float(second)):
            asked.append(second)
            made.bad("b", "SPY", Lack.STALE, 100, float(second))  # type: ignore[arg-type]
        assert made.route("SPY", "a") == "a"

    assert asked == [0, 60, 180, 420, 900, 1860, 3780, 7380]
    assert made.unserved == {}


def test_a_quiet_symbol_does_not_wait_for_one_that_has_no_time_for_it() -> None:
    """The other is out of budget for an hour: what comes meanwhile comes from where it is."""
    made = routes(a="SPY", b="SPY")
    made.bad("a", "SPY", Lack.STALE, None, 0.0)
    assert made.retries("b", "SPY", "a", 0.0)  # and nothing is heard of it

    assert made.route("SPY", "a") == "a"
    made.good("a", "SPY", 500, 60.0)  # type: ignore[arg-type]
    made.good("b", "SPY", 900, 61.0)  # type: ignore[arg-type]
    assert made.route("SPY", "a") == "a"


def test_what_never_had_a_value_anywhere_is_unserved() -> None:
    """Three times at each; old values are not enough."""
    made = routes(a="SPY", b="SPY")
    for _ in range(3):
        made.bad("a", "SPY", Lack.STALE, None, 0.0)
        made.bad("b", "SPY", Lack.STALE, None, 0.0)

    assert made.unserved == {"SPY": Lack.NOTHING}
    made.bad("b", "SPY", Lack.STALE, 7, 0.0)  # type: ignore[arg-type]
    assert made.unserved == {}


def test_of_old_values_the_newest_are_taken_where_all_are_old() -> None:
    """A part of the tape is older than all of it, and both are late."""
    made = routes(a="SPY", b="SPY")
    made.bad("a", "SPY", Lack.STALE, 100, 0.0)  # type: ignore[arg-type]
    made.bad("b", "SPY", Lack.STALE, 900, 0.0)  # type: ignore[arg-type]

    assert made.route("SPY", "a") == "b"
    for each in ("a", "b"):
        made.asked(each, "SPY", MarketTime(1_000))
    assert list(made.behind("SPY", 900, 1_000, TOLERANCE_US)) == ["a"]  # type: ignore[arg-type]
    assert list(made.behind("SPY", 900, 1_800, TOLERANCE_US)) == []  # type: ignore[arg-type]


def test_what_nobody_gives_is_unserved_until_one_does() -> None:
    """It stays with the choice, the others are tried, and it is nobody's suspect."""
    made = routes(a="SPY", b="SPY", c="IBM")
    lacking(made, "a")
    before = dict(made.unserved)
    lacking(made, "b", Lack.NOT_OFFERED)

    assert (before, made.unserved) == ({}, {"SPY": Lack.REFUSED})
    assert made.route("SPY", "a") == "a"
    assert made.suspects("a") == []
    assert made.retries("b", "SPY", "a", FIRST_WAIT_S)
    made.good("b", "SPY", None, 60.0)
    assert made.unserved == {}
    assert made.suspects("a") == ["SPY"]
    made.plan({"a": ["SPY"]}, FIRST_WAIT_S)
    assert made.unserved == {"SPY": Lack.REFUSED}
    made.plan({"a": ["IBM"]}, FIRST_WAIT_S)
    assert made.unserved == {}


def test_one_that_proved_itself_is_asked_for_all_but_what_it_said_it_lacks() -> None:
    """A dead provider failed for every symbol: that it is back is told by a few."""
    made = routes(a="SPY IBM", b="SPY IBM")
    lacking(made, "a", Lack.FAILING)
    made.bad("a", "IBM", Lack.NOT_OFFERED, None, 0.0)
    made.forgive("a")

    assert [made.route(symbol, "a") for symbol in ("SPY", "IBM")] == ["a", "b"]


def test_what_one_that_proved_itself_is_asked_for_again_is_not_unserved() -> None:
    """Both failed; what the other refuses is now the hope of this one alone."""
    made = routes(a="SPY IBM", b="SPY IBM")
    for symbol in ("SPY", "IBM"):
        made.bad("b", symbol, Lack.REFUSED, None, 0.0)
        for _ in range(PATIENCE[Lack.FAILING]):
            made.bad("a", symbol, Lack.FAILING if symbol == "SPY" else Lack.REFUSED, None, 0.0)
    before = dict(made.unserved)
    made.forgive("a")

    assert before == {"SPY": Lack.FAILING, "IBM": Lack.REFUSED}
    assert made.unserved == {"IBM": Lack.REFUSED}

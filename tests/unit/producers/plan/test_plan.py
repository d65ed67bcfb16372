"""A configuration becomes a plan."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from producers.plan.plan import check_implemented, plan_of
from schemas.configuration.model import parse_configuration
from schemas.configuration.streams import MacroStream
from schemas.errors import ConfigurationError
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US
from schemas.providers.capabilities import Capabilities
from schemas.streams import STREAMS
from schemas.universe import Member
from tests.support.entries import GIVING, KNOWN
from tests.support.growth import assert_linear
from tests.support.toy_stream import a_toy_stream

TEXT = """
symbols: [SPY, IBM, {symbol: ^GSPC, streams: [bars]}]
streams:
  bars: {provider: yahoo, every_s: 30, overlap_s: 120}
  quotes: {provider: finnhub, every_s: 10}
  trades: {provider: finnhub}
"""
YAHOO = Capabilities(intervals=("1m",), quotes_per_request=200)
FINNHUB = Capabilities(intervals=("1m",), quotes_per_request=1, trades=True)
BOTH = {"yahoo": YAHOO, "finnhub": FINNHUB}
CONFIGURATION = parse_configuration(TEXT, source="test")


def test_every_symbol_is_polled_for_the_streams_it_takes_part_in() -> None:
    """Bars one task a symbol, Finnhub's quotes one request a symbol, trades one socket."""
    plan = plan_of(CONFIGURATION, usable=BOTH)

    assert [task.symbol for task in plan.bars] == ["SPY", "IBM", "^GSPC"]
    assert {(task.every_us, task.overlap_us) for task in plan.bars} == {(30 * SECOND_US, 120 * SECOND_US)}
    assert [task.symbols for task in plan.quotes] == [("SPY",), ("IBM",)]
    assert [task.symbols for task in plan.trades] == [("SPY", "IBM")]
    assert plan.providers == ["finnhub", "yahoo"]


def test_a_provider_that_cannot_be_used_has_nothing_to_do() -> None:
    """Without Finnhub's key only Yahoo's part of the plan is left."""
    plan = plan_of(CONFIGURATION, usable={"yahoo": YAHOO})

    assert (len(plan.bars), plan.quotes, plan.trades) == (3, [], [])
    assert plan.providers == ["yahoo"]


def test_yahoo_quotes_are_asked_for_together() -> None:
    """Two hundred symbols a request, in the order of the file."""
    names = [f"SIM{number:03d}" for number in range(450)]
    text = f"symbols: [{', '.join(names)}]\nstreams: {{quotes: {{provider: yahoo}}}}"

    plan = plan_of(parse_configuration(text, source="test"), usable={"yahoo": YAHOO})

    assert [len(task.symbols) for task in plan.quotes] == [200, 200, 50]
    assert [symbol for task in plan.quotes for symbol in task.symbols] == names


def test_streams_are_named_for_cursors_and_breaks() -> None:
    """Every polled and every streamed symbol has a key."""
    plan = plan_of(CONFIGURATION, usable=BOTH)

    assert [(key.channel, key.symbol) for key in plan.polled_streams()] == [
        ("bars.1m", "SPY"), ("bars.1m", "IBM"), ("bars.1m", "^GSPC"), ("quotes", "SPY"), ("quotes", "IBM"),
    ]  # fmt: skip
    assert [(key.channel, key.symbol) for key in plan.trade_streams()] == [
        ("trades", "SPY"),
        ("trades", "IBM"),
    ]


def test_every_provider_that_may_serve_has_its_tasks() -> None:
    """Bars of two providers are two tasks a symbol; the routes keep the order of preference."""
    text = "symbols: [SPY, IBM]\nstreams: {bars: {providers: [finnhub, yahoo]}, quotes: {provider: yahoo}}"
    plan = plan_of(parse_configuration(text, source="test"), usable=BOTH)

    assert [(task.provider, task.symbol) for task in plan.bars] == [
        ("finnhub", "SPY"), ("finnhub", "IBM"), ("yahoo", "SPY"), ("yahoo", "IBM"),
    ]  # fmt: skip
    assert {name: list(providers) for name, providers in plan.named.items()} == {
        "bars:1m": ["finnhub", "yahoo"],
        "quotes": ["yahoo"],
    }


def test_every_interval_has_its_tasks_cadence_and_overlap() -> None:
    """A longer bar is polled every fifth of its length, at most hourly, from two of its bars before."""
    text = "symbols: [SPY]\nstreams: {bars: {provider: yahoo, intervals: [1m, 5m, 1h, 1d]}}"
    plan = plan_of(parse_configuration(text, source="test"), usable=BOTH)

    assert [(task.interval, task.every_us, task.overlap_us) for task in plan.bars] == [
        ("1m", MINUTE_US, 5 * MINUTE_US),
        ("5m", MINUTE_US, 10 * MINUTE_US),
        ("1h", 12 * MINUTE_US, 2 * HOUR_US),
        ("1d", HOUR_US, 48 * HOUR_US),
    ]
    assert list(plan.named) == ["bars:1m", "bars:5m", "bars:1h", "bars:1d"]


def test_a_tier_says_how_often_and_a_request_holds_one_tier() -> None:
    """Defaults of T0 and T2, T1 as the streams say; quotes are batched within a tier."""
    text = "symbols: [A, {symbol: B, tier: T0}, {symbol: C, tier: T2}, D]\nstreams: {bars: {provider: yahoo}, quotes: {provider: yahoo}}"
    plan = plan_of(parse_configuration(text, source="test"), usable=BOTH)

    assert [(task.symbol, task.tier, task.every_us // SECOND_US) for task in plan.bars] == [
        ("A", "T1", 60), ("B", "T0", 30), ("C", "T2", 300), ("D", "T1", 60),
    ]  # fmt: skip
    assert [(task.symbols, task.tier, task.every_us // SECOND_US) for task in plan.quotes] == [
        (("B",), "T0", 1), (("A", "D"), "T1", 5), (("C",), "T2", 60),
    ]  # fmt: skip


def test_members_of_the_database_take_the_place_of_the_files() -> None:
    """The same plan whoever lists the symbols; nobody listed is nothing to do."""
    streams = "streams: {bars: {provider: yahoo}, quotes: {provider: finnhub}, trades: {provider: finnhub}}"
    configuration = parse_configuration(f"universe: database\n{streams}", source="test")
    members = (Member(symbol="SPY", tier="T0"), Member(symbol="IBM", streams=("bars",)))
    same = parse_configuration(
        f"symbols: [{{symbol: SPY, tier: T0}}, {{symbol: IBM, streams: [bars]}}]\n{streams}", source="test"
    )

    assert plan_of(configuration, usable=BOTH, members=members) == plan_of(same, usable=BOTH)
    assert plan_of(configuration, usable=BOTH, members=()).providers == []


ENTRIES = """
symbols: [SPY, IBM, QQQ, {symbol: ^GSPC, streams: [bars]}]
streams:
  actions: {providers: [alpaca, yahoo], every_s: 3600, back_days: 5, ahead_days: 30}
  macro: {keys: [cpi, "FRED:GDPC1", eurusd, ust_10y], every_s: 600}
"""
USABLE = {name: GIVING[name] for name in ("alpaca", "yahoo", "fred", "ecb")}


def test_actions_are_asked_for_in_batches_of_each_provider() -> None:
    """As many symbols as it takes, of those that take part in the stream."""
    plan = plan_of(parse_configuration(ENTRIES, source="test", known=KNOWN), usable=USABLE)

    assert [(task.provider, task.symbols) for task in plan.actions] == [
        ("alpaca", ("SPY", "IBM")), ("alpaca", ("QQQ",)),
        ("yahoo", ("SPY",)), ("yahoo", ("IBM",)), ("yahoo", ("QQQ",)),
    ]  # fmt: skip
    assert {(task.every_us, task.back_days, task.ahead_days) for task in plan.actions} == {(HOUR_US, 5, 30)}


def test_a_series_is_asked_of_the_source_its_key_names() -> None:
    """Aliases are resolved; a source that cannot be used is left out; none stands in for another."""
    plan = plan_of(parse_configuration(ENTRIES, source="test", known=KNOWN), usable=USABLE)

    assert [(task.provider, task.series) for task in plan.macro] == [
        ("fred", "FRED:CPIAUCSL"), ("fred", "FRED:GDPC1"), ("ecb", "ECB:EXR.D.USD.EUR.SP00.A"),
    ]  # fmt: skip
    assert {name: list(providers) for name, providers in plan.named.items()} == {
        "actions": ["alpaca", "yahoo"], "macro:fred": ["fred"], "macro:ecb": ["ecb"],
    }  # fmt: skip
    assert {task.scheduled for task in plan.macro} == {False}
    timed = ENTRIES.replace("every_s: 600", "every_s: 600, release_times: scheduled")
    plan_by_table = plan_of(parse_configuration(timed, source="test", known=KNOWN), usable=USABLE)
    assert {task.scheduled for task in plan_by_table.macro} == {True}
    assert plan.providers == ["alpaca", "ecb", "fred", "yahoo"]
    assert plan.instruments == {"SPY", "IBM", "QQQ"}


@pytest.mark.slow
def test_planning_grows_in_proportion_to_what_is_planned() -> None:
    """Symbols and series, n, 2n and 4n of them."""
    streams = "actions: {provider: alpaca}, macro: {keys: [FRED:GDPC1]}"
    few = parse_configuration(f"symbols: [SPY]\nstreams: {{{streams}}}", source="test", known=KNOWN)

    def planning(number: int) -> Callable[[], object]:
        members = [Member(symbol=f"SIM{index:05d}") for index in range(20 * number)]
        keys = tuple(f"FRED:SIM{index:05d}" for index in range(number))
        streams = few.streams.model_copy(update={"macro": MacroStream(keys=keys)})
        configuration = few.model_copy(update={"streams": streams})
        return lambda: plan_of(configuration, usable=USABLE, members=members).named

    assert_linear(planning, 250)


def test_the_declared_streams_can_be_collected() -> None:
    """Each has its part of the configuration and its tasks."""
    check_implemented()


def test_a_stream_nobody_collects_is_named_with_what_it_lacks() -> None:
    """The producer does not start as if it were not asked for anything."""
    with pytest.raises(ConfigurationError, match=r"slices has no part of the configuration.*no tasks in"):
        check_implemented([*STREAMS, a_toy_stream()])

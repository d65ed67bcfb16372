"""One capability: shares by calendar, probes that ask what failed last, and turns symbol by symbol."""

from __future__ import annotations

import pytest

from producers.routing.choice import Rules
from producers.routing.evidence import AnswerEvidence, entries_evidence, quotes_evidence
from producers.routing.serving import Serving, Turn
from schemas.calendar.overlay import overlay_of
from schemas.calendar.sessions import CalendarBook, calendar_of
from schemas.clocks import EventTime, MarketTime
from schemas.errors import ProviderRefused, ProviderThrottled, ProviderUnavailable, UnknownSymbol
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US
from tests.support.builders import NINE_THIRTY, a_quote_event

RULES = Rules(margin=0.2, floor=0.3, dwell_s=30.0, proof_s=60.0)
STOCKS = [f"S{number}" for number in range(8)]
OPEN, EVENING = NINE_THIRTY + HOUR_US, NINE_THIRTY + 9 * HOUR_US
PROBE_EVERY_S = 30.0


class _World:
    """Alpaca, which has the stocks, before Yahoo, which has a coin as well."""

    def __init__(self, now: int = OPEN) -> None:
        self.now, self.now_s = MarketTime(now), 0.0
        self.serving = Serving()
        symbols = [*STOCKS, "BTC-USD"]
        self.serving.plan(
            {"alpaca": STOCKS, "yahoo": symbols},
            {symbol: calendar_of("BTC-USD" if "-" in symbol else "SPY") for symbol in symbols},
            RULES,
            half_life_s=10.0,
            deadline_s=10.0,
            now_s=0.0,
        )
        self.decide()

    def decide(self) -> str:
        self.serving.decide(lambda _: "closed", self.now_s)
        return self.serving.chosen

    def answer(self, provider: str, *symbols: str, age_us: int = 0) -> None:
        self.now_s += 1.0
        newest = EventTime(self.now - age_us)
        evidence = AnswerEvidence(
            latency_s=0.1,
            asked=symbols,
            newest=dict.fromkeys(symbols, newest),
            tolerance_us=4 * MINUTE_US,
            prices=dict.fromkeys(symbols, 100.0 + self.now_s / 100.0),
        )
        self.serving.answered(provider, evidence, self.now, self.now_s, paced=True)
        self.decide()

    def turn(self, provider: str, *symbols: str) -> Turn:
        return self.serving.turn(provider, symbols, PROBE_EVERY_S, self.now_s)

    def freshness(self, provider: str) -> float:
        return self.serving.entries[provider].health.freshness.value


def test_a_coin_in_the_evening_condemns_no_provider_of_stocks() -> None:
    """The day's last bar is hours old and the newest there is; the coin is served by who has it."""
    world = _World(EVENING)
    for _ in range(20):
        for stock in STOCKS:
            world.answer("alpaca", stock, age_us=2 * HOUR_US)
            world.answer("yahoo", stock, age_us=2 * HOUR_US)
        world.answer("yahoo", "BTC-USD")

    assert (world.freshness("alpaca"), world.freshness("yahoo")) == (1.0, 1.0)
    assert world.serving.chosen == "alpaca"
    assert world.turn("yahoo", "BTC-USD").serve == ("BTC-USD",)


def test_a_coin_that_stands_still_is_a_fault_while_the_stocks_rest() -> None:
    """Each is judged by its own calendar: the one market that is open is all that counts."""
    world = _World(EVENING)
    for _ in range(20):
        world.answer("yahoo", *STOCKS, age_us=2 * HOUR_US)
        world.answer("yahoo", "BTC-USD", age_us=HOUR_US)

    assert world.freshness("yahoo") < 0.5


def test_freshness_is_the_share_of_symbols_that_others_have_no_newer() -> None:
    """One fresh symbol does not speak for seven that another has fresher."""
    world = _World()
    for _ in range(12):
        for stock in STOCKS:
            world.answer("alpaca", stock, age_us=0 if stock == "S0" else HOUR_US)
            world.answer("yahoo", stock)

    assert world.serving.chosen == "yahoo"
    assert world.freshness("alpaca") < 0.6


def test_symbols_that_trade_rarely_are_no_fault_while_nobody_has_newer() -> None:
    """Seven quiet ones of eight, the other provider asked for the eighth alone."""
    world = _World()
    for _ in range(12):
        for stock in STOCKS:
            world.answer("alpaca", stock, age_us=0 if stock == "S0" else HOUR_US)
        world.answer("yahoo", "S0")

    assert world.freshness("alpaca") == 1.0


def test_probes_ask_what_failed_last() -> None:
    """Not the first few, which are well; those have their turn where nothing failed."""
    world = _World()
    first = world.turn("yahoo", "S0")
    world.now_s += PROBE_EVERY_S
    other = world.turn("yahoo", "S7")
    world.serving.failed("yahoo", ("S7",), ProviderUnavailable("status 500"), world.now_s)

    assert (first, other) == (Turn(probe=("S0",)), Turn())
    world.now_s += PROBE_EVERY_S
    assert world.turn("yahoo", "S7").probe == ("S7",)
    world.now_s += PROBE_EVERY_S
    assert world.turn("yahoo", "S0") == Turn()
    assert world.turn("yahoo", "S7").probe == ("S7",)


def test_a_failure_of_one_symbol_is_one_share_and_one_of_the_provider_moves_none() -> None:
    """A refusal is the symbol's, a throttle the provider's, an unknown symbol costs nobody's score."""
    world, serving = _World(), None
    serving = world.serving
    for stock in STOCKS:
        world.answer("alpaca", stock)
    moved = serving.failed("alpaca", ("S1",), ProviderRefused("plan"), 60.0)
    throttled = serving.failed("alpaca", ("S2",), ProviderThrottled("alpaca"), 61.0)
    before = serving.entries["alpaca"].health
    unknown = serving.failed("alpaca", ("S3",), UnknownSymbol("who?"), 90.0)

    assert (list(moved), list(throttled), list(unknown)) == (["S1"], [], ["S3"])
    assert serving.entries["alpaca"].health is before
    assert before.success.value > 0.7
    assert [serving.provider_of(stock) for stock in STOCKS[:4]] == ["alpaca", "yahoo", "alpaca", "yahoo"]
    assert serving.chosen == "alpaca"


def test_what_nobody_gives_is_asked_for_anew_and_published() -> None:
    """Its slot is done by an answer of no use; a coin that one provider alone has stays with it."""
    world = _World()
    for provider in ("alpaca", "yahoo"):
        world.serving.failed(provider, ("S1",), UnknownSymbol("who?"), 0.0)
    world.now_s = 60.0

    assert world.turn("alpaca", "S1").serve == ("S1",)
    assert world.turn("yahoo", "S1") == Turn(serve=("S1",), anew=("S1",))
    assert world.turn("yahoo", "BTC-USD").serve == ("BTC-USD",)
    world.answer("yahoo", "S1")
    assert world.turn("yahoo", "S1").serve == ("S1",)
    assert world.serving.streams.unserved == {}


def test_the_same_trade_is_no_newer_where_a_feed_declares_to_be_late() -> None:
    """A share traded half an hour ago: both providers show that trade, and the live one keeps the symbol."""
    world = _World()
    trade = world.now - HOUR_US // 2
    for _ in range(20):
        for provider, delay_s in (("alpaca", 0), ("yahoo", 900)):
            world.now_s += 5.0
            quotes = [
                a_quote_event(symbol=stock, event_time=trade if stock == "S1" else world.now, delay_s=delay_s)
                for stock in STOCKS
            ]
            found = quotes_evidence(STOCKS, quotes, world.now, latency_s=0.1, every_us=5 * SECOND_US)
            moved = world.serving.answered(provider, found, world.now, world.now_s, paced=True)

            assert (list(moved), world.decide()) == ([], "alpaca")
    assert world.freshness("alpaca") == 1.0


def test_markets_are_known_by_name_whatever_object_stands_for_them() -> None:
    """A new generation of calendars is other objects of the same markets: what was shown of them was shown."""
    world = _World()
    world.answer("alpaca", *STOCKS[1:])
    book = CalendarBook(overlay_of({"XNYS": ["2031-03-11"]}, {}))
    again = {symbol: book.calendar_of(symbol) for symbol in STOCKS}
    named = {"alpaca": STOCKS, "yahoo": STOCKS}
    world.serving.plan(named, again, RULES, half_life_s=10.0, deadline_s=10.0, now_s=world.now_s)
    world.answer("alpaca", "S0", age_us=HOUR_US)

    assert world.freshness("alpaca") == 1.0


@pytest.mark.parametrize("ahead_s", [61, 180, 299])
def test_a_vendor_whose_clock_is_ahead_makes_nobody_late(ahead_s: int) -> None:
    """Its quotes are minutes to come, and those of now are as new as can be, whoever is asked first."""
    world = _World()
    for _ in range(20):
        for provider, lead_s in (("alpaca", 0), ("yahoo", ahead_s)):
            world.now_s += 5.0
            stamp = world.now + lead_s * SECOND_US
            quotes = [a_quote_event(symbol=stock, event_time=stamp) for stock in STOCKS]
            found = quotes_evidence(STOCKS, quotes, world.now, latency_s=0.1, every_us=5 * SECOND_US)
            moved = world.serving.answered(provider, found, world.now, world.now_s, paced=True)

            assert (list(moved), world.decide()) == ([], "alpaca")
        marks = world.serving.entries["alpaca"].shares

        assert marks.share("fresh") == 1.0


def test_one_that_was_asked_a_while_ago_is_not_behind_for_what_came_since() -> None:
    """A probe a quarter of an hour after the last poll shows what is a quarter of an hour newer; both were right."""
    world = _World()
    for _ in range(8):
        world.answer("alpaca", *STOCKS)
        world.now = MarketTime(world.now + 15 * MINUTE_US)
        world.answer("yahoo", *STOCKS)

        assert world.serving.entries["alpaca"].shares.share("fresh") == 1.0
    world.answer("alpaca", *STOCKS, age_us=5 * MINUTE_US)
    world.answer("yahoo", *STOCKS)
    assert world.serving.entries["alpaca"].shares.share("fresh") == 0.0


def test_what_a_provider_of_entries_leaves_out_goes_to_the_next_and_is_no_lie() -> None:
    """Three answers without a word of a symbol: another is asked for it, and the rest stays where it is."""
    world = _World()
    for _ in range(3):
        world.now_s += 1.0
        evidence = entries_evidence(STOCKS, STOCKS[:1], latency_s=0.1, every_us=6 * HOUR_US)
        world.serving.answered("alpaca", evidence, world.now, world.now_s, paced=True)

    assert world.decide() == "alpaca"
    assert world.serving.entries["alpaca"].health.validity.value == 1.0
    assert world.turn("yahoo", *STOCKS).serve == (STOCKS[0],)
    assert world.turn("alpaca", *STOCKS).serve == tuple(STOCKS[1:])

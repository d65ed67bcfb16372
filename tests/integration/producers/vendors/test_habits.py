"""The same minutes of the market through every vendor's format with each habit switched on: what the parsers make of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from infra.simulator.faults.exchange import Simulation
from infra.simulator.faults.habits import HABITS
from infra.simulator.market.model import Candle
from producers.catalogue.shell.opening import Vendors
from producers.vendors.answers import PollWindow, Response
from producers.vendors.finnhub.trades import parse_frame
from producers.vendors.yahoo import bars as yahoo_bars
from schemas.calendar.sessions import calendar_of
from schemas.errors import MarketDataError, NoData, ProviderThrottled, ProviderUnentitled, UnknownSymbol
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from tests.support.producer_processes import values
from tests.support.simulated_vendor import next_frame
from tests.support.vendor_apis import asked, vendors

OPEN = "2013-10-07T14:07:30Z"  # 10:07:30 in New York
CLOSED = "2013-10-07T22:30:00Z"  # two and a half hours after the close
BEGIN = int(datetime.fromisoformat("2013-10-07T13:30:00Z").timestamp()) * SECOND_US
SYNTHETIC = "2026-11-20T15:00:30Z"
BEGIN_SYNTHETIC = int(datetime.fromisoformat("2026-11-20T14:30:00Z").timestamp()) * SECOND_US
STEPS = {"1m": MINUTE_US, "5m": 5 * MINUTE_US}
ALL_VENDORS = ("yahoo", "finnhub", "alpaca", "polygon")
NOTHING = ("unknown_symbols", "empty_symbols", "empty_symbols-otherwise")
DELAYED_VENDORS = ("yahoo", "polygon")


def habit(kind: str, *, vendor: str | None = None, **settings: Any) -> str:
    """Return a scenario of one habit."""
    match = {"match": {"vendor": vendor}} if vendor else {}
    return orjson.dumps({"rules": [{**match, "fault": {"type": kind, **settings}}]}).decode()


@dataclass(frozen=True)
class Border:
    """The open vendors before a market that stands still."""

    opened: Vendors
    simulation: Simulation

    async def bars(self, vendor: str, symbol: str, interval: str, begin: int, end: int) -> list[Any]:
        """Return the bars that a vendor gives, none rejected."""
        now = self.simulation.view.clock.now()
        request = asked(symbol, interval, PollWindow(start=begin, end=end), now)
        answer = (await self.opened.apis[vendor].bars(request)).answer
        assert not answer.rejected
        return list(answer.events)

    def truth(self, interval: str, begin: int, end: int, symbol: str = "SPY") -> dict[int, tuple[float, ...]]:
        """Return what the market holds: whole minutes joined, and the one that forms."""
        view, now = self.simulation.view, self.simulation.view.clock.now()
        minutes = view.minutes(symbol, begin, end, now)
        forming = view.forming(symbol, begin, end, now)
        joined: dict[int, list[Candle]] = {}
        for bar in [*minutes, *([forming] if forming is not None else [])]:
            joined.setdefault(bar.time - bar.time % STEPS[interval], []).append(bar)
        return {start: together(bars) for start, bars in joined.items()}


def together(bars: list[Candle]) -> tuple[float, ...]:
    """Return open, high, low, close and volume of bars in a row."""
    high, low = max(bar.high for bar in bars), min(bar.low for bar in bars)
    return (bars[0].open, high, low, bars[-1].close, float(sum(bar.volume for bar in bars)))


@asynccontextmanager
async def border(scenario: str, start: str = OPEN, data: Path | None = None) -> AsyncIterator[Border]:
    """Open all vendors before a market that stands at `start`."""
    async with vendors(data=data, start=start, speed="1", scenario=scenario) as (opened, simulation, _):
        simulation.view.clock.set_paused(paused=True)
        yield Border(opened, simulation)


def by_start(events: list[Any]) -> dict[int, tuple[float, ...]]:
    """Return the values of bars by their start."""
    return {event["event_time"]: tuple(values(event)) for event in events}


@pytest.mark.parametrize(
    "case",
    ["yahoo-1m", "yahoo-5m", "yahoo-5m-beside", "yahoo-1m-beside", "polygon-1m", "polygon-5m"],
)
async def test_a_final_bar_of_a_delayed_feed_is_whole(
    case: str, market_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever our clock says: the feed is a quarter of an hour behind, in the middle of a minute and of five.

    `beside`: with the row of now beside the interval's own. Yahoo's is that of an exchange it may be late for: SPY's is none.
    """
    monkeypatch.setattr(yahoo_bars, "IN_REAL_TIME", frozenset())
    vendor, interval, *beside = case.split("-")
    end = BEGIN + 40 * MINUTE_US
    rules = [{"type": "delayed", "by_s": 900}, *([{"type": "live_row"}] if beside else [])]
    scenario = orjson.dumps({"rules": [{"fault": rule} for rule in rules]}).decode()
    async with border(scenario, data=market_data) as here:
        events = await here.bars(vendor, "SPY", interval, BEGIN, end)
        whole = here.truth(interval, BEGIN, end)
    final = by_start([event for event in events if event["final"]])
    assert len(final) >= 4
    assert final == {start: whole[start] for start in final}


@pytest.mark.parametrize("vendor", DELAYED_VENDORS)
async def test_a_delayed_quote_says_by_how_much(vendor: str) -> None:
    """And its stamps are the market's of then."""
    async with border(habit("delayed", by_s=900), SYNTHETIC) as here:
        (event,) = (await here.opened.apis[vendor].quotes(["SIM001"])).answer.events
        late = here.simulation.view.clock.now() - 900 * SECOND_US
    assert event["delay_s"] == 900
    assert late - MINUTE_US < event["event_time"] <= late


@pytest.mark.parametrize("case", ["1m-open", "5m-open", "1m-closed", "5m-closed"])
async def test_yahoos_row_of_now_is_part_of_its_interval(case: str, market_data: Path) -> None:
    """The interval keeps its open and its volume; after the close it is final."""
    interval, moment = case.split("-")
    start = {"open": OPEN, "closed": CLOSED}[moment]
    close = BEGIN + 390 * MINUTE_US
    begin, end = {"open": (BEGIN, BEGIN + 40 * MINUTE_US), "closed": (close - 30 * MINUTE_US, close)}[moment]
    async with border(habit("live_row"), start, market_data) as here:
        events = await here.bars("yahoo", "SPY", interval, begin, end)
        whole = here.truth(interval, begin, end)
    assert by_start(events) == whole
    assert [event["final"] for event in events] == [True] * (len(events) - 1) + [moment == "closed"]


@pytest.mark.parametrize("interval", ["1m", "5m"])
async def test_float32_is_taken_back_to_the_cent(interval: str, market_data: Path) -> None:
    """Prices in cents are exact; those between two cents as near as 32 bits are."""
    end = BEGIN + 37 * MINUTE_US
    async with border(habit("float32"), data=market_data) as here:
        found = by_start(await here.bars("yahoo", "SPY", interval, BEGIN, end))
        whole = here.truth(interval, BEGIN, end)
    assert found.keys() == whole.keys()
    in_cents = 0
    for start, expected in whole.items():
        assert found[start] == pytest.approx(expected, rel=1e-7)
        for given, price in zip(found[start], expected, strict=True):
            if price == round(price, 2):
                assert given == price
                in_cents += 1
    assert in_cents > len(whole)


@pytest.mark.parametrize("own_row", [False, True])
@pytest.mark.parametrize("symbol", ["OCDO.L", "UNIR.MI", "7203.T", "BHP.AX", "RY.TO"])
async def test_a_day_stamped_after_its_close_is_that_day_and_final(symbol: str, own_row: bool) -> None:
    """One bar a session, whether or not the day's own row stands beside it; on a Saturday too."""
    listed = {"fault": {"type": "listed_elsewhere", "symbols": [symbol]}}
    stamps = {"fault": {"type": "close_stamps", "after_s": 342, "own_row": own_row}}
    calendar = calendar_of(symbol)
    for moment in ("2024-07-02T23:30:00Z", "2024-07-06T12:00:00Z"):
        scenario = orjson.dumps({"rules": [listed, stamps]}).decode()
        async with border(scenario, moment) as here:
            now = here.simulation.view.clock.now()
            events = await here.bars("yahoo", symbol, "1d", now - 6 * DAY_US, now)
        opens = [s.open for s in calendar.sessions(now - 6 * DAY_US, now) if now - 6 * DAY_US <= s.open]
        closed = [s for s in opens if (session := calendar.session_at(s)) and session.close <= now]
        assert [event["event_time"] for event in events][: len(closed)] == closed, moment
        assert all(event["final"] for event in events[: len(closed)]), moment


@pytest.mark.parametrize("vendor", ["alpaca", "polygon"])
@pytest.mark.parametrize("rows", [1, 7])
async def test_short_pages_are_one_answer(vendor: str, rows: int, market_data: Path) -> None:
    """Of whatever length: the same bars."""
    end = BEGIN + 20 * MINUTE_US
    async with border(habit("short_pages", rows=rows), data=market_data) as here:
        for interval in STEPS:
            found = by_start(await here.bars(vendor, "SPY", interval, BEGIN, end))
            assert found == here.truth(interval, BEGIN, end)


@pytest.mark.parametrize("rows", [1, 7, 10_000])
async def test_bars_of_several_symbols_are_those_of_each_wherever_a_page_ends(rows: int) -> None:
    """Pages cut within a symbol and between two; one that the vendor refuses costs itself, and windows may differ."""
    names, begin = [f"SIM{number:03d}" for number in range(1, 7)], BEGIN_SYNTHETIC
    rules = [
        {"fault": {"type": "short_pages", "rows": rows}},
        {"fault": {"type": "refused_symbols", "symbols": ["SIM004"]}},
    ]
    async with border(orjson.dumps({"rules": rules}).decode(), SYNTHETIC) as here:
        api, now = here.opened.apis["alpaca"], here.simulation.view.clock.now()
        requests = [
            asked(symbol, "1m", PollWindow(start=begin + n * MINUTE_US, end=begin + (n + 6) * MINUTE_US), now)
            for n, symbol in enumerate(names)
        ]
        found = await api.bars_of(requests)
        alone = {each.symbol: (await api.bars(each)).answer for each in requests if each.symbol != "SIM004"}

    assert found.keys() == set(names)
    assert isinstance(found.pop("SIM004"), UnknownSymbol)
    answers = {symbol: each.answer for symbol, each in found.items() if isinstance(each, Response)}
    assert answers == alone
    assert {len(answer.events) for answer in answers.values()} == {6}


@pytest.mark.parametrize("vendor", ["alpaca"])
async def test_a_provider_is_one_feed(vendor: str, market_data: Path) -> None:
    """Where the plan lacks the consolidated tape, its name is not given to the volume of one exchange."""
    end = BEGIN + 37 * MINUTE_US
    async with border(habit("iex_plan"), data=market_data) as here:
        try:
            found = by_start(await here.bars(vendor, "SPY", "1m", BEGIN, end))
        except ProviderUnentitled:
            return
        whole = here.truth("1m", BEGIN, end)
    assert found == {start: whole[start] for start in found}


@pytest.mark.parametrize("case", [f"{v}-{k}" for v in ALL_VENDORS for k in NOTHING])
async def test_a_symbol_without_data_costs_itself_alone(case: str) -> None:
    """It is missing, and nothing is rejected: an empty answer is no fault of a value."""
    vendor, kind, *otherwise = case.split("-")
    settings = {"spelt": "otherwise"} if otherwise else {}
    async with border(habit(kind, symbols=["SIM002"], **settings), SYNTHETIC) as here:
        api = here.opened.apis[vendor]
        for symbols in (["SIM001"], ["SIM002"]) if vendor == "finnhub" else (["SIM001", "SIM002", "SIM003"],):
            try:
                answer = (await api.quotes(symbols)).answer
            except (NoData, UnknownSymbol):
                assert symbols == ["SIM002"]
                continue
            assert not answer.rejected
            assert {event["symbol"] for event in answer.events} == {*symbols} - {"SIM002"}
            assert list(answer.missing) == [name for name in symbols if name == "SIM002"]
        now = here.simulation.view.clock.now()
        try:
            assert await here.bars(vendor, "SIM002", "1m", now - 10 * MINUTE_US, now) == []
        except (NoData, UnknownSymbol):
            pass
        assert len(await here.bars(vendor, "SIM001", "1m", now - 10 * MINUTE_US, now)) >= 9


@pytest.mark.parametrize("vendor", ["alpaca"])
async def test_a_refused_symbol_costs_itself_alone(vendor: str) -> None:
    """The others of its batch are served, and it is missing."""
    async with border(habit("refused_symbols", symbols=["SIM002"]), SYNTHETIC) as here:
        answer = (await here.opened.apis[vendor].quotes(["SIM001", "SIM002", "SIM003"])).answer
    assert [event["symbol"] for event in answer.events] == ["SIM001", "SIM003"]
    assert list(answer.missing) == ["SIM002"]


@pytest.mark.parametrize("vendor", ALL_VENDORS)
async def test_stale_scaled_and_frozen_symbols_look_well(vendor: str) -> None:
    """No answer tells by itself that it is wrong: that shows beside another vendor's, or by its stamps."""
    rules = [
        {"fault": {"type": "stale_symbols", "symbols": ["SIM001"], "by_s": 1_800}},
        {"fault": {"type": "scaled_symbols", "symbols": ["SIM002"], "factor": 2}},
        {"fault": {"type": "frozen_symbols", "symbols": ["SIM003"], "since": "2026-11-20T14:00:00Z"}},
    ]
    async with border(orjson.dumps({"rules": rules}).decode(), SYNTHETIC) as here:
        view, now = here.simulation.view, here.simulation.view.clock.now()
        quotes = {}
        for symbol in ("SIM001", "SIM002", "SIM003", "SIM004"):
            (quotes[symbol],) = (await here.opened.apis[vendor].quotes([symbol])).answer.events
        whole = {symbol: view.market.span(symbol, now - now % DAY_US, now) for symbol in quotes}
        stood = view.market.span("SIM003", now - now % DAY_US, now - 3_630 * SECOND_US)
    assert now - 1_860 * SECOND_US < quotes["SIM001"]["event_time"] <= now - 1_800 * SECOND_US
    assert all(quotes[name]["event_time"] > now - MINUTE_US for name in ("SIM002", "SIM003", "SIM004"))
    last = {symbol: span.close for symbol, span in whole.items() if span is not None}
    assert quotes["SIM002"]["last"] == pytest.approx(2 * last["SIM002"])
    assert stood is not None
    assert quotes["SIM003"]["last"] == stood.close != last["SIM003"]
    assert quotes["SIM004"]["last"] == last["SIM004"]


@pytest.mark.parametrize("vendor", ALL_VENDORS)
async def test_an_old_trade_is_never_live_by_a_quotes_stamp(vendor: str) -> None:
    """Beside a book of now, half an hour old: its price has its own time, or there is none."""
    rule = habit("stale_symbols", symbols=["SIM001"], by_s=1_800, book=False)
    async with border(rule, SYNTHETIC) as here:
        view, now = here.simulation.view, here.simulation.view.clock.now()
        (event,) = (await here.opened.apis[vendor].quotes(["SIM001"])).answer.events
        traded = view.market.span("SIM001", now - now % DAY_US, now - 1_800 * SECOND_US)
        book = view.market.top_of_book("SIM001", now)
    assert traded is not None
    assert book is not None
    stamps = {moment // SECOND_US for name, moment in event.items() if name.endswith("_time") and moment}
    assert event["last"] in (None, traded.close)
    assert event["last"] is None or traded.last_time // SECOND_US in stamps
    assert event["bid"] in (None, book.bid)


@pytest.mark.parametrize("vendor", ALL_VENDORS)
async def test_a_counted_limit_is_understood(vendor: str) -> None:
    """As a throttle; for as long as the vendor says, where it does."""
    async with border(habit("limit", vendor=vendor, requests=5, by=["address"]), SYNTHETIC) as here:
        now = here.simulation.view.clock.now()
        refusals: list[MarketDataError] = []
        for _ in range(8):
            try:
                await here.bars(vendor, "SIM001", "1m", now - 5 * MINUTE_US, now)
            except MarketDataError as error:
                refusals.append(error)
        answered = here.simulation.statistics.responses
    assert refusals
    assert {type(error) for error in refusals} == {ProviderThrottled}
    assert sum(count for name, count in answered.items() if name.endswith(" 200")) == 5


@pytest.mark.parametrize("kind", ["cut_frames", "gather_frames"])
async def test_frames_of_any_cut_hold_the_same_trades(kind: str) -> None:
    """One trade a frame, or all symbols' of two seconds in one."""
    settings = {"s": 2} if kind == "gather_frames" else {}
    honest, cut = [await trades_of(scenario) for scenario in ("rules: []", habit(kind, **settings))]
    assert honest[:60] == cut[:60]


async def trades_of(scenario: str) -> list[tuple[Any, ...]]:
    """Return the first trades of SIM001 that an unpaced socket gives, as parsed."""
    found: list[tuple[Any, ...]] = []
    known = {"SIM001": "SIM001"}
    async with (
        vendors(scenario=scenario) as (_, _, url),
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/finnhub/ws?token=k") as socket,
    ):
        await socket.send_json({"type": "subscribe", "symbol": "SIM001"})
        for sequence in range(60):
            payload = await next_frame(socket)
            assert payload is not None
            answer = parse_frame(payload, sequence=sequence, asked=known, simulated=known).answer
            assert not answer.rejected
            found += [(e["event_time"], e["price"], e["size"]) for e in answer.events]
    return found


def test_every_habit_is_played() -> None:
    """Here, or where it is about more than what an answer says: how long it takes, how many sockets there are."""
    source = Path(__file__).read_text("utf-8")
    elsewhere = {"latency", "one_socket", "too_many_symbols"}
    assert {name for name in HABITS if f'"{name}"' not in source} <= elsewhere

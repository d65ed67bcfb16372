"""The index's chain from the vendors' forms through our own parsers to the model: both roots of a third Friday, each with its own end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import numpy as np
import orjson
import pytest

from analytics.leg_status import LegStatus
from gateway.options.inputs import Beside, unpriced_chain
from gateway.options.model import priced
from gateway.options.priced import LegModel, PricedSlice
from gateway.options.slices import OptionSlice
from infra.simulator.faults.exchange import Simulation
from infra.simulator.market.black_prices import RATE, YEAR_S
from infra.simulator.market.made_options import OF_CLOSE, OF_MORNING, smile_vol, volatility_level
from infra.simulator.market.venues import INDEX_SYMBOL
from infra.simulator.server import build_simulation
from infra.simulator.vendors import alpaca_options, polygon, polygon_options, yahoo_options, yahoo_quote
from infra.simulator.vendors.polygon_plan import NO_SYMBOL, stock_of, symbol_of
from producers.vendors.answers import Answer
from producers.vendors.option_rows import ChainPage, chain_origin
from producers.vendors.option_slices import chain_events
from producers.vendors.polygon.bars import parse_aggregates
from producers.vendors.polygon.options import parse_chain as parse_polygon
from producers.vendors.yahoo.options import parse_chain as parse_yahoo
from producers.vendors.yahoo.options import parse_expiries
from schemas.calendar.sessions import calendar_of
from schemas.clocks import KnowledgeTime, WallTime, date_of, day_of
from schemas.errors import UnknownSymbol
from schemas.intervals import HOUR_US, SECOND_US
from schemas.providers.alpaca import FACTS as ALPACA
from schemas.providers.polygon import FACTS as POLYGON
from schemas.providers.yahoo import FACTS as YAHOO
from tests.support.chains import asked_chain, check_slices
from tests.support.option_slices import slice_of_record, slice_record
from tests.support.simulations import body

SEED = 1
ADDRESS = "http://127.0.0.1:1/polygon/v3/snapshot/options/I:SIMX"
THIRD_FRIDAY = date(2026, 12, 18)
ENDS = {OF_MORNING: "2026-12-18T09:30:00-05:00", OF_CLOSE: "2026-12-18T16:00:00-05:00"}
ROUNDING = 1e-4  # of volatilities: the forward is implied by rounded prices
WEEK_BEFORE, OPENED = "2026-12-11T12:00:00-05:00", "2026-12-18T12:00:00-05:00"


def micros(text: str) -> int:
    """Return an RFC 3339 time in µs."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_US


def simulated(now: str) -> Simulation:
    """Return the simulated market as it stands at a moment."""
    return build_simulation(
        data=None, start=now, speed="1", seed=SEED, scenario=None, wall_time=0, monotonic=lambda: 0.0
    )


def polygon_pages(simulation: Simulation) -> list[ChainPage]:
    """Return the whole chain, page by page, as our parser reads it."""
    symbol, given, pages = symbol_of("I:SIMX"), {"limit": "250", "sort": "expiration_date"}, []
    while True:
        reply = polygon_options.options(
            simulation.options, simulation.view, symbol, given, (), address=ADDRESS
        )
        pages.append(parse_polygon(reply.body, symbol=INDEX_SYMBOL, base_url="http://127.0.0.1:1"))
        if not pages[-1].following:
            return pages
        given = {"cursor": pages[-1].following.partition("cursor=")[2]}


def yahoo_pages(simulation: Simulation) -> list[ChainPage]:
    """Return the expiries of the year, as our parser reads them."""
    book, view, symbol = simulation.options, simulation.view, YAHOO.vendor_symbol(INDEX_SYMBOL)
    listed = parse_expiries(yahoo_options.options(book, view, symbol, "", ()).body, symbol=INDEX_SYMBOL)
    near = [day for day in listed if day <= day_of(date(2026, 12, 31))]
    bodies = [yahoo_options.options(book, view, symbol, str(day * 86_400), ()).body for day in near]
    return [parse_yahoo(each, symbol=INDEX_SYMBOL) for each in bodies]


Face = Callable[[Simulation], list[ChainPage]]
FACES = [pytest.param(polygon_pages, id="polygon"), pytest.param(yahoo_pages, id="yahoo")]


def answer(face: Face, now: str) -> Answer:
    """Return the slices of all expiries as a vendor tells them at a moment."""
    pages = face(simulated(now))
    rows = [row for page in pages for row in page.rows]
    assert not [refused for page in pages for refused in page.rejected]
    origin = chain_origin("acme", asked_chain(INDEX_SYMBOL), simulated=True)
    return chain_events(rows, origin, WallTime(micros(now) + SECOND_US))


def pair(face: Face, now: str) -> dict[str, PricedSlice]:
    """Return the two slices of the third Friday, priced at the simulator's rate, by root."""
    found = [_stored(event) for event in answer(face, now).events]
    chain = priced(
        unpriced_chain(INDEX_SYMBOL, found, Beside(fallback_rate=RATE), calendar_of(INDEX_SYMBOL)),
        with_sides=True,
    )
    return {each.slice.root: each for each in chain.slices if each.slice.expiry == THIRD_FRIDAY}


def _stored(event: dict[str, Any]) -> OptionSlice:
    known = KnowledgeTime(event["event_time"] + SECOND_US)
    said = {**event, "known_from": known, "received_time": known}
    return slice_of_record(slice_record(said.pop("legs"), **said), partition=0)


@pytest.mark.parametrize("face", FACES)
def test_both_roots_of_a_third_friday_are_slices_of_their_own(face: Face) -> None:
    """Nothing is rejected, none is taken for adjusted, and the underlying stands beside all of them, without sides."""
    found = answer(face, WEEK_BEFORE)
    roots = {(event["root"], date_of(event["expiry"])): event for event in found.events}

    assert not found.rejected
    check_slices(found, WallTime(micros(WEEK_BEFORE)))
    assert {OF_MORNING, OF_CLOSE} == {root for root, day in roots if day == THIRD_FRIDAY}
    assert {root for root, day in roots if day == date(2026, 12, 31)} == {OF_CLOSE}
    for event in found.events:
        assert (event["symbol"], event["currency"], event["is_adjusted"]) == (INDEX_SYMBOL, "USD", False)
        assert event["underlying_price"] is not None
        assert event["underlying_bid"] is event["underlying_ask"] is None


@pytest.mark.parametrize("face", FACES)
def test_one_date_has_two_ends_and_both_can_be_priced(face: Face) -> None:
    """The morning root's is 6.5 hours before the other's; European, by a forward that the quotes imply."""
    roots = pair(face, WEEK_BEFORE)
    morning, closing = roots[OF_MORNING], roots[OF_CLOSE]

    assert morning.inputs.expiration_us == micros("2026-12-18T09:30:00-05:00")
    assert closing.inputs.expiration_us == micros("2026-12-18T16:00:00-05:00")
    assert morning.inputs.valuation_us == closing.inputs.valuation_us == micros(WEEK_BEFORE)
    assert closing.inputs.days - morning.inputs.days == pytest.approx(6.5 / 24, abs=1e-9)
    assert (morning.inputs.settlement, closing.inputs.settlement) == ("am", "pm")
    for each in (morning, closing):
        assert each.inputs.is_european
        assert each.inputs.carry_source == "implied"
        assert each.inputs.forward == pytest.approx(
            (each.slice.underlying_price or 0.0) * np.exp(RATE * each.inputs.years), rel=1e-3
        )
        assert set(each.model.tolist()) == {LegModel.BLACK76}
        assert (each.implied.status == LegStatus.OK).sum() >= 15


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("now", "valued", "least"),
    [
        pytest.param("2026-11-30T10:30:00-05:00", "2026-11-30T10:30:00-05:00", 15, id="three-weeks-before"),
        pytest.param(WEEK_BEFORE, WEEK_BEFORE, 15, id="a-week-before"),
        pytest.param("2026-12-17T15:30:00-05:00", "2026-12-17T15:30:00-05:00", 4, id="the-last-half-hour"),
        pytest.param("2026-12-18T09:29:00-05:00", "2026-12-17T16:00:00-05:00", 4, id="before-the-opening"),
    ],
)
def test_the_volatilities_that_prices_were_made_with_come_back(
    face: Face, now: str, valued: str, least: int
) -> None:
    """Within the spread of each contract, at the moment of the quotes and by the root's own end."""
    level = volatility_level(SEED, INDEX_SYMBOL)
    for root, each in pair(face, now).items():
        of, spot, is_ok = each.slice, each.slice.underlying_price, each.implied.status == LegStatus.OK
        assert spot is not None
        assert each.bid_vol is not None
        assert each.ask_vol is not None
        years = (micros(ENDS[root]) - micros(valued)) / SECOND_US / YEAR_S
        made = np.array([smile_vol(level, spot, strike, years) for strike in of.strikes])
        low, high = np.nan_to_num(each.bid_vol, nan=0.0), np.nan_to_num(each.ask_vol, nan=np.inf)

        # before the opening Yahoo says 0 of all books
        assert is_ok.sum() >= (0 if face is yahoo_pages and now != valued else least)
        assert each.inputs.years == pytest.approx(years, abs=1e-9)
        assert np.all((low - ROUNDING <= made)[is_ok])
        assert np.all((made <= high + ROUNDING)[is_ok])


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("now", "is_over"),
    [
        pytest.param("2026-12-18T09:29:00-05:00", False, id="a-minute-before-the-opening"),
        pytest.param("2026-12-18T09:31:00-05:00", True, id="a-minute-after"),
        pytest.param("2026-12-18T15:59:00-05:00", True, id="a-minute-before-the-close"),
    ],
)
def test_the_morning_root_is_over_from_the_opening_on_and_the_other_is_not(
    face: Face, now: str, is_over: bool
) -> None:
    """It is still told of, and each of its contracts is expired."""
    roots = pair(face, now)
    statuses = {
        root: {LegStatus(code).label for code in each.implied.status.tolist()} for root, each in roots.items()
    }

    assert ("expired" in statuses[OF_MORNING]) is is_over
    assert statuses[OF_MORNING] == {"expired"} or not is_over
    assert (roots[OF_MORNING].inputs.years == 0.0) is is_over
    assert "expired" not in statuses[OF_CLOSE]
    assert roots[OF_CLOSE].inputs.years > 0.0
    assert ("no_bid" in statuses[OF_MORNING]) is not is_over


@pytest.mark.parametrize("face", FACES)
def test_after_the_close_neither_is_told_of(face: Face) -> None:
    """The next week's comes first."""
    told = {date_of(event["expiry"]) for event in answer(face, "2026-12-18T16:00:00-05:00").events}

    assert min(told) == date(2026, 12, 24)


def test_polygon_tells_an_index_by_its_own_name_and_value() -> None:
    """Not as a stock's price; European; what has ended has no volatility. By others' spelling nobody has options."""
    simulation = simulated(OPENED)
    given = {"limit": "250", "expiration_date": "2026-12-18"}

    def rows(ticker: str) -> list[dict[str, Any]]:
        symbol = symbol_of(ticker)
        reply = polygon_options.options(simulation.options, simulation.view, symbol, given, (), address="")
        found: list[dict[str, Any]] = body(reply).get("results", [])
        return found

    found = rows("I:SIMX")
    beside = found[0]["underlying_asset"]
    assert set(beside) == {"change_to_break_even", "last_updated", "ticker", "timeframe", "value"}
    assert beside["ticker"] == POLYGON.vendor_symbol(INDEX_SYMBOL) == "I:SIMX"
    assert {row["details"]["exercise_style"] for row in found} == {"european"}
    over = [row for row in found if row["details"]["ticker"].startswith("O:SIMX2")]
    going = [row for row in found if row["details"]["ticker"].startswith("O:SIMXW2")]
    assert over
    assert not any("implied_volatility" in row for row in over)
    assert any("implied_volatility" in row for row in going)
    assert rows(INDEX_SYMBOL) == rows("I:SPX") == []


def test_polygon_knows_no_stock_of_that_name() -> None:
    """Snapshots are of stocks; of bars there are those of the index, without anything traded."""
    assert stock_of("I:SIMX") == stock_of(INDEX_SYMBOL) == symbol_of(INDEX_SYMBOL) == NO_SYMBOL
    assert stock_of("SIM001") == symbol_of("SIM001") == "SIM001"
    assert symbol_of("I:SIMX") == INDEX_SYMBOL
    now = micros(WEEK_BEFORE)
    asked = {"ticker": "I:SIMX", "multiplier": "1", "timespan": "minute"}
    asked |= {"from": str((now - HOUR_US) // 1_000), "to": str(now // 1_000 - 1)}
    reply = polygon.aggregates(simulated(WEEK_BEFORE).view, asked, (), address=ADDRESS)

    assert {frozenset(row) for row in body(reply)["results"]} == {frozenset("ohlct")}
    page = parse_aggregates(reply.body, symbol=INDEX_SYMBOL, base_url="http://127.0.0.1:1")
    assert (len(page.rows), page.rejected) == (60, [])


def test_yahoo_tells_that_it_is_an_index() -> None:
    """By our symbol, without bid and ask, and marked as simulated."""
    (quote,) = yahoo_quote.quote_rows(simulated(WEEK_BEFORE).view, [INDEX_SYMBOL], ())

    assert (quote["symbol"], quote["quoteType"], quote["exchange"]) == (INDEX_SYMBOL, "INDEX", "SIM")
    assert not {"bid", "ask", "bidSize", "askSize"} & set(quote)
    assert all(page.simulated for page in yahoo_pages(simulated(WEEK_BEFORE)))


def test_alpaca_has_no_indices() -> None:
    """It refuses the symbol by any spelling, and we ask it for none."""
    simulation = simulated(WEEK_BEFORE)
    for name in (INDEX_SYMBOL, "I:SIMX"):
        reply = alpaca_options.options(simulation.options, simulation.view, name, {}, ())
        assert (reply.status, orjson.loads(reply.body)) == (
            400,
            {"message": f"code=400, message=invalid symbol: {name}"},
        )
    empty = alpaca_options.options(simulation.options, simulation.view, "SIMX", {}, ())
    assert body(empty)["snapshots"] == {}
    with pytest.raises(UnknownSymbol, match="alpaca has no name"):
        ALPACA.vendor_symbol(INDEX_SYMBOL)

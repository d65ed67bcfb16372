"""What the tests that walk all vendors need of one: its parsers with something to parse, and its refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from producers.vendors.action_rows import ActionPage, action_events, action_origin
from producers.vendors.answers import ActionsRequest, Answer, BarsRequest, PollWindow
from producers.vendors.bar_rows import BarPage, bar_events, bar_origin, session_hours
from producers.vendors.bar_slots import HOURLY
from producers.vendors.option_rows import ChainPage
from schemas.calendar.sessions import calendar_of
from schemas.clocks import Day, WallTime
from schemas.errors import MarketDataError
from schemas.intervals import SECOND_US
from schemas.providers.built_in import BUILT_IN
from tests.support.chains import events_of

LONG_AFTER_US = 4_102_444_800 * SECOND_US  # 2100: every bar is settled
EVERYTHING = PollWindow(start=0, end=2**60)
RECEIVED = WallTime(1_795_363_230_000_000)
EVERYBODY = {name: name for name in ("AAPL", "MSFT", "F", "TSLA", "GE", "NIO")}

# Of one who has no securities.
NO_SECURITIES_NAMES: Mapping[str, str | None] = dict.fromkeys(("AAPL", "BRK.B", "^GSPC", "BTC-USD", "SIM001"))

Parse = Callable[[bytes], object]
Refuse = Callable[[int, bytes, str], MarketDataError]


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One vendor's: `payloads` are examples by name, and `parsers` what reads them.

    `names` are symbols in its spelling, None where it has none. `useful` names those that hold events; `refusals` are (name, status, body, what it means).
    """

    names: Mapping[str, str | None]
    payloads: Callable[[Path], Sequence[tuple[str, bytes]]]
    parsers: Sequence[Parse]
    useful: frozenset[str]
    refuse: Refuse
    refusals: Sequence[tuple[str, int, bytes, type[MarketDataError]]]


def sheet_of(vendor: str) -> Sheet:
    """Return the sheet of a vendor: `SHEET` of the module of its name beside this one."""
    sheet = import_module(f"tests.support.vendors.{vendor}").SHEET
    assert isinstance(sheet, Sheet)
    return sheet


def sheets() -> dict[str, Sheet]:
    """Return the sheets of all vendors we ship; one without any fails."""
    return {vendor: sheet_of(vendor) for vendor in BUILT_IN}


def asked(symbol: str, interval: str) -> BarsRequest:
    """Return a request for all bars there ever were."""
    return BarsRequest(
        symbol=symbol, interval=interval, window=EVERYTHING, now=LONG_AFTER_US, calendar=calendar_of(symbol)
    )


def bars(page: BarPage, interval: str, symbol: str = "AAPL") -> Answer:
    """Return the events of a page."""
    request = asked(symbol, interval)
    origin = bar_origin(request)
    return bar_events(session_hours(page.rows, origin) if interval == HOURLY else page.rows, origin)


def actions(page: ActionPage, provider: str) -> Answer:
    """Return the events of a page of actions that came in 2026."""
    request = ActionsRequest(symbols=[*EVERYBODY.values(), "AAA"], first=Day(-20_000), last=Day(80_000))
    return action_events(page.rows, action_origin(provider, request, basis="unknown"), RECEIVED)


def chain(page: ChainPage) -> Answer:
    """Return the slices of a page of Apple's chain that came in 2026."""
    return events_of(page, received=RECEIVED)


def recordings(vendor: str) -> Callable[[Path], Sequence[tuple[str, bytes]]]:
    """Return what reads the vendor's recorded answers."""
    return lambda market_data: [
        (path.name, path.read_bytes())
        for path in sorted((market_data / "vendor_fixtures" / vendor).glob("*.json"))
    ]

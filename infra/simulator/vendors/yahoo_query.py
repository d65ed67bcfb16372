"""The parameters of Yahoo's chart endpoint: what is asked for, and which requests the vendor refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from infra.simulator.market.model import Listing
from infra.simulator.market.view import MarketView
from infra.simulator.reply import json_reply
from schemas.intervals import DAY_US, SECOND_US

MINUTES_OF = {"1m": 1, "2m": 2, "5m": 5, "15m": 15, "30m": 30, "60m": 60, "90m": 90, "1h": 60, "4h": 240}
DAYS_OF = {"1d": 1, "5d": 5, "1wk": 7, "1mo": 28, "3mo": 84}
INTERVALS = (*MINUTES_OF, *DAYS_OF)
RANGE_DAYS = {
    "1d": 1,
    "5d": 5,
    "1mo": 31,
    "3mo": 92,
    "6mo": 183,
    "1y": 366,
    "2y": 731,
    "5y": 1827,
    "10y": 3653,
}
VALID_RANGES = ("1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max")
MAX_MINUTE_SPAN_DAYS = 8  # of one request at 1m
DEPTH_DAYS = {"1m": 30, "60m": 730, "1h": 730, "4h": 730}  # how far back a request may begin
DEFAULT_DEPTH_DAYS = 60  # of the other intraday intervals
LAST_EPOCH_S = 10**11  # the year 5138: beyond it no calendar answers


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartQuery:
    """A validated request: window [start, end) in µs; `range` is "" when the window was given."""

    interval: str
    start: int
    end: int
    range: str
    extended: bool  # includePrePost

    @property
    def intraday(self) -> bool:
        """Whether rows are made of minutes."""
        return self.interval in MINUTES_OF


class ChartError(Exception):
    """A request Yahoo refuses, with the status and words of its answer."""

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(description)
        self.reply = json_reply(
            {"chart": {"result": None, "error": {"code": code, "description": description}}}, status
        )


def parse_query(view: MarketView, listing: Listing, given: Mapping[str, str], now: int) -> ChartQuery:
    """Return what the parameters ask for at market time `now`; raise ChartError with Yahoo's words where it would refuse."""
    interval = given.get("interval", "1m")
    if interval not in INTERVALS:
        names = ", ".join(INTERVALS)
        raise ChartError(
            400,
            "Bad Request",
            f"Invalid input - interval={interval} is not supported. Valid intervals: [{names}]",
        )
    extended = given.get("includePrePost", "false").lower() in ("true", "1")
    if "period1" in given or "period2" in given:
        start = _epoch(given, "period1", listing.first_trade_time // SECOND_US)
        end = _epoch(given, "period2", now // SECOND_US + 1)
        if start > end:
            dates = f"startDate = {start}, endDate = {end}"
            raise ChartError(
                400, "Bad Request", f"Invalid input - start date cannot be after end date. {dates}"
            )
        query = ChartQuery(
            interval=interval, start=start * SECOND_US, end=end * SECOND_US, range="", extended=extended
        )
    else:
        query = _ranged(view, listing, given.get("range", "1d"), interval, now, extended=extended)
    _check_depth(query, listing, now)
    # nothing is known of the future; its days are not listed
    return replace(query, end=min(query.end, now + DAY_US))


def _epoch(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, "")
    try:
        value = int(text) if text else default
    except ValueError:
        raise ChartError(400, "Bad Request", f"Invalid input - {name}={text} is not a number") from None
    return max(-LAST_EPOCH_S, min(value, LAST_EPOCH_S))


def _ranged(
    view: MarketView, listing: Listing, name: str, interval: str, now: int, *, extended: bool
) -> ChartQuery:
    if name not in VALID_RANGES:
        raise ChartError(
            400,
            "Bad Request",
            f"Invalid input - range={name} is not supported. Valid ranges: [{', '.join(VALID_RANGES)}]",
        )
    session = view.session(listing, now)
    start = session.pre_open if session is not None else now
    if name == "5d":
        recent = view.sessions_before(listing, now)[: RANGE_DAYS[name]]
        start = min([start, *(session.pre_open for session in recent)])
    elif name == "ytd":
        zone = ZoneInfo(view.calendar(listing).timezone)
        year = datetime.fromtimestamp(now // SECOND_US, zone).year
        start = int(datetime(year, 1, 1, tzinfo=zone).timestamp()) * SECOND_US
    elif name == "max":
        start = listing.first_trade_time
    elif name != "1d":
        start = now - RANGE_DAYS[name] * DAY_US
    return ChartQuery(interval=interval, start=start, end=now + SECOND_US, range=name, extended=extended)


def _check_depth(query: ChartQuery, listing: Listing, now: int) -> None:
    """Apply the vendor's limits, measured on the market clock."""
    first, last = query.start // SECOND_US, query.end // SECOND_US
    if query.end <= listing.first_trade_time:
        raise ChartError(400, "Bad Request", f"Data doesn't exist for startDate = {first}, endDate = {last}")
    if not query.intraday:
        return
    unavailable = f"{query.interval} data not available for startTime={first} and endTime={last}."
    if query.interval == "1m" and query.end - query.start > MAX_MINUTE_SPAN_DAYS * DAY_US:
        words = "Only 8 days worth of 1m granularity data are allowed to be fetched per request."
        raise ChartError(422, "Unprocessable Entity", f"{unavailable} {words}")
    depth = DEPTH_DAYS.get(query.interval, DEFAULT_DEPTH_DAYS)
    if query.start < now - depth * DAY_US:
        words = f"The requested range must be within the last {depth} days."
        raise ChartError(422, "Unprocessable Entity", f"{unavailable} {words}")

"""Yahoo's charts become bars: recordings, quirks of the vendor, and nothing but our own errors."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.polling.position import BarsPosition, next_window
from producers.vendors.answers import BarsRequest, PollWindow
from producers.vendors.yahoo.bars import asked_symbol, narrowed, parse_chart, refusal
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, MarketTime, iso_day
from schemas.errors import (
    HistoryEnded,
    MalformedPayload,
    MarketDataError,
    NoData,
    ProviderDeclined,
    ProviderRefused,
    UnknownSymbol,
)
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from schemas.providers.yahoo import FACTS
from tests.support.vendor_payloads import NINE_THIRTY_S, a_chart, recorded

START = NINE_THIRTY_S * SECOND_US
LONG_AFTER = START + 80 * 365 * DAY_US
HOUR = PollWindow(start=START, end=START + 60 * MINUTE_US)
ROW = (167.41, 167.5, 167.25, 167.3, 12_000)
RECORDINGS = {
    "chart-AAPL-2020-01-01-to-2020-01-03.json": ("AAPL", 1),
    "chart-AAPL-2020-08-31-to-2020-11-07.json": ("AAPL", 49),
    "chart-BTC-USD-2020-01-01-to-2020-01-03.json": ("BTC-USD", 3),
    "historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv.json": ("MSFT", 252),
}


def parse(payload, *, window=HOUR, now=START + 60 * MINUTE_US, symbol="SPY", interval="1m"):
    asked = BarsRequest(
        symbol=symbol, interval=interval, window=window, now=now, calendar=calendar_of(symbol)
    )
    return parse_chart(payload, asked=asked)


@pytest.mark.parametrize(("name", "expected"), RECORDINGS.items())
def test_every_recorded_chart_parses(market_data: Path, name: str, expected: tuple[str, int]) -> None:
    """Each recorded daily chart gives one final bar per row, stamped with the session's open."""
    symbol, count = expected
    everything = PollWindow(start=0, end=2**60)

    answer = parse(
        recorded(market_data, name), window=everything, now=LONG_AFTER, symbol=symbol, interval="1d"
    )

    assert len(answer.events) == count
    assert not answer.rejected
    assert all(event["final"] and event["symbol"] == symbol for event in answer.events)


def test_a_recorded_float32_is_the_decimal_it_stood_for(market_data: Path) -> None:
    """AAPL's close of 2020-08-31 was recorded as 129.0399932861328 and is 129.04."""
    everything = PollWindow(start=0, end=2**60)

    answer = parse(
        recorded(market_data, "chart-AAPL-2020-08-31-to-2020-11-07.json"),
        window=everything, now=LONG_AFTER, symbol="AAPL", interval="1d",
    )  # fmt: skip

    assert answer.events[0]["close"] == 129.04


def test_a_recorded_closed_window_is_no_data(market_data: Path) -> None:
    """A week-end's chart has no `timestamp` key: nothing there, not an error."""
    name = "chart-AAPL-2025-02-01-to-2025-02-02-includePrePost-false-interval-1m.json"

    with pytest.raises(NoData):
        parse(recorded(market_data, name), symbol="AAPL")


def test_exact_decimals_of_real_files_are_never_rounded(market_data: Path) -> None:
    """No price of the real minute files changes, whatever the hint: rounding is for widened float32 alone."""
    prices = set()
    for name in ("spy/20131007", "goog/20151224", "aapl/20140606", "twx/20140606"):
        with zipfile.ZipFile(market_data / "equity_minute" / f"{name}_trade.zip") as archive:
            rows = archive.read(archive.namelist()[0]).decode().split()
        prices |= {int(value) / 10_000 for row in rows for value in row.split(",")[1:5]}

    assert len(prices) > 1_000
    assert all(narrowed(price, hint) == price for price in prices for hint in (0, 2, 4))


@settings(deadline=None)
@given(cents=st.integers(min_value=1, max_value=10_000_000))
def test_widened_cents_come_back(cents: int) -> None:
    """Every price in cents below 100,000 survives the way through float32."""
    widened = struct.unpack("f", struct.pack("f", cents / 100))[0]

    assert narrowed(widened, 2) == cents / 100


def test_the_forming_minute_is_not_final() -> None:
    """A last row stamped within its minute is that minute so far."""
    chart = a_chart({NINE_THIRTY_S: ROW, NINE_THIRTY_S + 60: ROW, NINE_THIRTY_S + 147: ROW})

    events = parse(chart, now=START + 150 * SECOND_US).events

    assert [(event["event_time"] - START) // MINUTE_US for event in events] == [0, 1, 2]
    assert [event["final"] for event in events] == [True, True, False]


def test_an_aligned_minute_that_is_not_over_is_not_final() -> None:
    """A row stamped with its minute's start is forming as long as market time is within the minute."""
    events = parse(a_chart({NINE_THIRTY_S: ROW}), now=START + 59 * SECOND_US).events

    assert [event["final"] for event in events] == [False]


def at(text: str, zone: str) -> int:
    """Return a local time in seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def finals(
    symbol: str, zone: str, day: str, rows: Sequence[str], *, now: str, shown: str | None, exchange: str
) -> list[bool]:
    """Return which minutes of a chart are final, asked at `now` of a feed whose market stands at `shown`."""
    meta = {} if shown is None else {"regularMarketTime": at(f"{day} {shown}", zone)}
    chart = a_chart(
        {at(f"{day} {each}", zone): ROW for each in rows}, symbol=symbol, exchangeName=exchange, **meta
    )
    everything = PollWindow(start=0, end=2**60)
    answer = parse(chart, window=everything, now=at(f"{day} {now}", zone) * SECOND_US, symbol=symbol)
    return [event["final"] for event in answer.events]


NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("symbol", "exchange", "zone", "rows", "now", "shown", "expected"),
    [
        pytest.param("OCDO.L", "LSE", "Europe/London", ["10:14", "10:15"], "10:30:30", "10:15:20", [True, False], id="a quarter of an hour behind"),
        pytest.param("OCDO.L", "LSE", "Europe/London", ["10:14", "10:15"], "10:31:30", "10:16:20", [True, True], id="a minute later"),
        pytest.param("7203.T", "JPX", "Asia/Tokyo", ["10:59", "11:00"], "11:19:59", "11:00:00", [True, False], id="twenty minutes behind"),
        pytest.param("NSRGY", "PNK", NEW_YORK, ["10:02", "10:03"], "10:20:00", "10:03:20", [True, False], id="over the counter, quiet since"),
        pytest.param("NSRGY", "PNK", NEW_YORK, ["10:02", "10:03"], "10:34:00", "10:03:20", [True, True], id="quiet for longer than any delay"),
        pytest.param("NSRGY", "PNK", NEW_YORK, ["08:00", "08:01"], "08:02:30", "06:00:00", [True, False], id="the market's clock stands, rows go on"),
        pytest.param("SPY", "PCX", NEW_YORK, ["10:02", "10:03"], "10:04:00", "10:03:20", [True, True], id="in real time, quiet or not"),
        pytest.param("SPY", "PCX", NEW_YORK, ["19:58", "19:59"], "20:00:00", "16:00:00", [True, True], id="the last minute of the day"),
        pytest.param("VOD.L", "LSE", "Europe/London", ["10:14", "10:15"], "10:15:59", None, [True, False], id="it does not say"),
        pytest.param("VOD.L", "LSE", "Europe/London", ["10:15", "10:16"], "10:15:30", "10:15:10", [False, False], id="a row of time to come"),
    ],
)  # fmt: skip
def test_a_bar_is_final_by_the_feeds_own_clock(
    symbol: str,
    exchange: str,
    zone: str,
    rows: Sequence[str],
    now: str,
    shown: str | None,
    expected: list[bool],
) -> None:
    """A delayed exchange shows a minute that is over for us with its first trades alone (yfinance issue 789)."""
    assert finals(symbol, zone, "2024-07-02", rows, now=now, shown=shown, exchange=exchange) == expected


@pytest.mark.parametrize(
    ("exchange", "shown", "delay_s"),
    [("ASX", "14:39:40", 1_220), ("ASX", "13:11:00", 1_800), ("ASX", None, 0), ("NYQ", "14:39:40", 0)],
)
def test_a_chart_says_how_late_its_exchange_is(exchange: str, shown: str | None, delay_s: int) -> None:
    """As far as its market's clock has come, and no later than the longest delay; where it is in real time not at all."""
    day, zone = "2024-07-02", "Australia/Sydney"
    meta = {} if shown is None else {"regularMarketTime": at(f"{day} {shown}", zone)}
    chart = a_chart({at(f"{day} 13:10", zone): ROW}, symbol="CSL.AX", exchangeName=exchange, **meta)
    now = at(f"{day} 15:00:00", zone) * SECOND_US

    assert parse(chart, window=PollWindow(start=0, end=2**60), now=now, symbol="CSL.AX").delay_s == delay_s


@pytest.mark.parametrize(
    ("symbol", "zone", "opened", "stamp", "now"),
    [
        pytest.param("OCDO.L", "Europe/London", "2024-07-02 08:00:00", "2024-07-02 16:35:01", "2024-07-02 20:00:00", id="London, in its auction"),
        pytest.param("UNIR.MI", "Europe/Rome", "2024-07-02 09:00:00", "2024-07-02 17:35:42", "2024-07-02 20:00:00", id="Milan"),
        pytest.param("OCDO.L", "Europe/London", "2024-07-05 08:00:00", "2024-07-05 16:35:01", "2024-07-06 12:00:00", id="Friday, asked on Saturday"),
        pytest.param("CSL.AX", "Australia/Sydney", "2024-01-09 10:00:00", "2024-01-09 16:21:07", "2024-01-09 18:00:00", id="Sydney, the day before in UTC"),
        pytest.param("7203.T", "Asia/Tokyo", "2024-12-03 09:00:00", "2024-12-03 15:45:00", "2024-12-03 17:00:00", id="Tokyo"),
        pytest.param("SHOP.TO", "America/Toronto", "2024-07-02 09:30:00", "2024-07-02 16:10:11", "2024-07-02 18:00:00", id="Toronto"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("own_row", [False, True])
def test_a_day_stamped_after_its_close_is_the_days_own(
    symbol: str, zone: str, opened: str, stamp: str, now: str, *, own_row: bool
) -> None:
    """One bar a day under the venue's date, final after the close, in the window a poll asks for (yahooquery issue 127)."""
    begin, asked_at = at(opened, zone), at(now, zone) * SECOND_US
    days = [
        (begin - 86_400, (10.0, 11.0, 9.0, 10.5, 1000)),
        (at(stamp, zone), (10.5, 12.0, 10.0, 11.5, 2000)),
    ]
    days += [(begin, (10.5, 12.0, 10.0, 11.0, 1900))] * own_row
    chart = a_chart(days, symbol=symbol, dataGranularity="1d", regularMarketTime=at(stamp, zone))
    position = BarsPosition(position=EventTime((begin - 86_400) * SECOND_US + DAY_US))
    window = next_window(position, MarketTime(asked_at), step_us=DAY_US, overlap_us=2 * DAY_US)

    events = parse(chart, window=window, now=asked_at, symbol=symbol, interval="1d").events

    assert [(event["close"], event["final"]) for event in events][-1] == (11.5, True)
    assert [event["event_time"] // SECOND_US for event in events if event["close"] > 10.5] == [begin]


def test_null_rows_are_no_bars() -> None:
    """Minutes without a trade come as nulls and stay missing."""
    chart = a_chart({NINE_THIRTY_S: ROW, NINE_THIRTY_S + 60: [None] * 5, NINE_THIRTY_S + 120: ROW})

    assert [event["event_time"] - START for event in parse(chart).events] == [0, 2 * MINUTE_US]


def test_rows_outside_the_window_are_dropped() -> None:
    """What was not asked for (a row at period2, a day before) is not taken."""
    chart = a_chart({NINE_THIRTY_S - 60: ROW, NINE_THIRTY_S: ROW, NINE_THIRTY_S + 3600: ROW})

    assert [event["event_time"] for event in parse(chart).events] == [START]


def test_unsorted_rows_are_sorted() -> None:
    """Arrays need not be sorted; the row inside a minute is that minute so far."""
    newer = (167.41, 167.6, 167.25, 167.6, 15_000)
    chart = a_chart([(NINE_THIRTY_S + 60, ROW), (NINE_THIRTY_S + 30, newer), (NINE_THIRTY_S, ROW)])

    events = parse(chart).events

    assert [event["event_time"] for event in events] == [START, START + MINUTE_US]
    assert (events[0]["close"], events[0]["volume"]) == (167.6, 27_000.0)


def five_minutes(rows: Sequence[tuple[str, Sequence[float | None]]], *, now: str, shown: str | None = None):
    """Return the bars of a day of 2024 in five minutes as (open, high, low, close, volume, final), by their clock."""
    day, zone = "2024-07-02", "America/New_York"
    meta = {} if shown is None else {"regularMarketTime": at(f"{day} {shown}", zone)}
    chart = a_chart([(at(f"{day} {clock}", zone), row) for clock, row in rows], dataGranularity="5m", **meta)
    answer = parse(
        chart, window=PollWindow(start=0, end=2**60), now=at(f"{day} {now}", zone) * SECOND_US, interval="5m"
    )
    names = ("open", "high", "low", "close", "volume", "final")
    found = {
        event["event_time"] // SECOND_US: tuple(event[name] for name in names) for event in answer.events
    }
    return [found.get(at(f"{day} {clock}", zone)) for clock, _ in rows], len(answer.rejected)


OWN = ("10:05", (100.5, 104.0, 100.0, 103.0, 80_000))


@pytest.mark.parametrize(
    ("rows", "now", "shown", "expected"),
    [
        pytest.param([OWN, ("10:08:07", (102.5, 102.5, 102.5, 102.5, 0))], "10:08:08", "10:08:07", (100.5, 104.0, 100.0, 102.5, 80_000.0, False), id="inside its interval"),
        pytest.param([OWN, ("10:08:07", (99.0, 99.0, 99.0, 99.0, 300))], "10:08:08", "10:08:07", (100.5, 104.0, 99.0, 99.0, 80_300.0, False), id="a new low, with a volume"),
        pytest.param([OWN, ("10:09:58", (105.0, 105.0, 105.0, 105.0, None))], "12:00:00", "10:09:58", (100.5, 105.0, 100.0, 105.0, 80_000.0, True), id="kept for hours after the close"),
        pytest.param([OWN, ("10:08:07", (None,) * 5)], "10:08:08", "10:08:07", (100.5, 104.0, 100.0, 103.0, 80_000.0, False), id="of nothing"),
        pytest.param([("10:05", (None,) * 5), ("10:08:07", (7, 7, 7, 7, 0))], "12:00:00", "10:08:07", (7.0, 7.0, 7.0, 7.0, 0.0, False), id="alone: what an interval held before is unknown"),
        pytest.param([OWN, ("10:05", (104.5, 104.5, 104.5, 104.5, 0))], "10:05:01", "10:05:00", (100.5, 104.5, 100.0, 104.5, 80_000.0, False), id="on the second an interval begins"),
    ],
)  # fmt: skip
def test_the_live_row_is_a_word_about_the_interval_it_lies_in(
    rows: list[tuple[str, Sequence[float | None]]], now: str, shown: str, expected: tuple[object, ...]
) -> None:
    """It extends high and low and is the close; the open stays, and volumes are added (yfinance issue 2206)."""
    found, refused = five_minutes(rows, now=now, shown=shown)

    assert (found[0], refused) == (expected, 0)


@pytest.mark.parametrize(
    ("again", "holds"),
    [
        pytest.param(OWN, OWN[1], id="as it was"),
        pytest.param(("10:05", (100.5, 106.0, 100.0, 105.5, 95_000)), (100.5, 106.0, 100.0, 105.5, 95_000), id="corrected"),
    ],
)  # fmt: skip
def test_a_row_that_is_given_twice_is_no_row_of_now(
    again: tuple[str, Sequence[float]], holds: tuple[float, ...]
) -> None:
    """The later wins, as at the other vendors: its volume is the interval's, and is not added."""
    found, refused = five_minutes([OWN, again], now="12:00:00", shown="11:59:59")

    assert (found[0], refused) == ((*holds, True), 0)


def test_a_flat_row_that_is_given_twice_counts_once() -> None:
    """An interval of one price looks like a row of now; the same volume twice is the same row."""
    flat = ("10:05", (50.25, 50.25, 50.25, 50.25, 400))

    assert five_minutes([flat, flat], now="12:00:00", shown="11:59:59")[0][0] == (*flat[1], True)


def test_a_live_row_that_cannot_be_used_costs_itself() -> None:
    """It is told, and the interval stands as it was."""
    for clock in ("10:08:07", "10:05"):
        found, refused = five_minutes([OWN, (clock, (102.5, -1, 102.5, 102.5, 0))], now="10:20:00")

        assert (found[0], refused) == ((*OWN[1], True), 1)


@pytest.mark.parametrize("columns", [[], [{}]])
def test_stamps_without_columns_are_a_window_without_data(columns: list[object]) -> None:
    """An object without a column is another spelling of nothing; no object is another format."""
    document = json.loads(a_chart({NINE_THIRTY_S: ROW}))
    document["chart"]["result"][0]["indicators"]["quote"] = columns

    with pytest.raises(NoData if columns else MalformedPayload):
        parse(json.dumps(document).encode())


def test_one_bad_price_costs_one_bar() -> None:
    """A price that is not finite or is negative is rejected alone, with its row."""
    chart = a_chart(
        {
            NINE_THIRTY_S: ROW,
            NINE_THIRTY_S + 60: (-1.0, *ROW[1:]),
            NINE_THIRTY_S + 120: (float("inf"), *ROW[1:]),
        }
    )

    answer = parse(chart)

    assert [event["event_time"] for event in answer.events] == [START]
    assert [entry.reason for entry in answer.rejected] == ["invalid", "invalid"]
    assert b"-1.0" in answer.rejected[0].payload


def test_simulated_values_say_so() -> None:
    """The simulator's exchange marks every bar; a real one none."""
    assert parse(a_chart({NINE_THIRTY_S: ROW}, exchangeName="SIM")).events[0]["simulated"]
    assert not parse(a_chart({NINE_THIRTY_S: ROW})).events[0]["simulated"]


def test_bars_say_their_session_and_adjustment() -> None:
    """Pre-market is told from regular by the calendar, and Yahoo's prices are split-adjusted."""
    window = PollWindow(start=START - 10 * MINUTE_US, end=START + MINUTE_US)
    events = parse(a_chart({NINE_THIRTY_S - 60: ROW, NINE_THIRTY_S: ROW}), window=window).events

    assert [event["session"] for event in events] == ["pre", "regular"]
    assert {event["adjustment_state"] for event in events} == {"split"}


@pytest.mark.parametrize(
    ("symbol", "now", "day"),
    [
        pytest.param("SPY", "2013-10-08T03:59:59Z", "2013-10-07", id="still that day in New York"),
        pytest.param("SPY", "2013-10-08T04:00:00Z", "2013-10-08", id="the next day in New York"),
        pytest.param("VOD.L", "2013-10-07T22:59:59Z", "2013-10-07", id="still that day in London"),
        pytest.param("VOD.L", "2013-10-07T23:00:00Z", "2013-10-08", id="the next day in London"),
    ],
)
def test_bars_are_in_the_shares_of_the_day_they_were_told_on(symbol: str, now: str, day: str) -> None:
    """By the venue's calendar, whatever day they are of: Yahoo adjusts for every split up to then."""
    moment = int(datetime.fromisoformat(now).timestamp()) * SECOND_US
    (event,) = parse(a_chart({NINE_THIRTY_S: ROW}, symbol=symbol), now=moment, symbol=symbol).events

    assert iso_day(event["adjusted_through"]) == day


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        pytest.param(b'{"chart": {"result": [{"meta"', "chart", id="truncated"),
        pytest.param(b"\xff\xfe", "yahoo chart", id="not-text"),
        pytest.param(b"[]", "yahoo chart", id="not-an-object"),
        pytest.param(a_chart({NINE_THIRTY_S: ROW}, symbol="QQQ"), "meta.symbol", id="another-symbol"),
        pytest.param(
            a_chart({NINE_THIRTY_S: ROW}, dataGranularity="5m"), "dataGranularity", id="another-interval"
        ),
        pytest.param(a_chart({NINE_THIRTY_S + 0.5: ROW}), "timestamp", id="a fraction of a second"),  # type: ignore[dict-item]
        pytest.param(a_chart({-5: ROW}), "timestamp", id="stamp-before-1970"),
        pytest.param(a_chart({10**17: ROW}), "timestamp", id="stamp-in-another-unit"),
        pytest.param(
            b'{"chart":{"result":[{"meta":{"symbol":"SPY"},"timestamp":[1,2],"indicators":{"quote":[{"open":[1]}]}}],'
            b'"error":null}}',
            "every column",
            id="columns-differ",
        ),
    ],
)
def test_a_malformed_chart_names_the_field(payload: bytes, words: str) -> None:
    """What cannot be used as a whole says which field is wrong, and why."""
    with pytest.raises(MalformedPayload, match=words):
        parse(payload)


@pytest.mark.parametrize(
    ("status", "code", "description", "expected"),
    [
        pytest.param(404, "Not Found", "No data found, symbol may be delisted", UnknownSymbol, id="unknown"),
        pytest.param(200, "Not Found", "No data found, symbol may be delisted", UnknownSymbol, id="unknown-200"),
        pytest.param(400, "Bad Request", "Data doesn't exist for startDate = 1, endDate = 2", NoData, id="before-listing"),
        pytest.param(422, "Unprocessable Entity", "1m data not available for startTime=1 and endTime=2.", HistoryEnded, id="too-old"),
        pytest.param(400, "Bad Request", "Invalid input - interval=45m is not supported.", ProviderDeclined, id="bad-interval"),
        pytest.param(401, "Unauthorized", "Invalid Crumb", ProviderRefused, id="key"),
    ],
)  # fmt: skip
def test_refusals_mean_what_they_say(
    status: int, code: str, description: str, expected: type[MarketDataError]
) -> None:
    """The vendor's words decide whether a symbol is unknown, a window is empty or a request is wrong."""
    body = json.dumps(
        {"chart": {"result": None, "error": {"code": code, "description": description}}}
    ).encode()

    assert type(refusal(status, body, "SPY")) is expected


@pytest.mark.parametrize("body", [b'{"chart":null}', b'{"chart":{"result":[],"error":null}}'])
def test_an_empty_answer_is_no_data(body: bytes) -> None:
    """Answers seen in the wild that say nothing at all."""
    with pytest.raises(NoData):
        parse(body)


def test_an_answer_may_come_under_another_of_the_vendors_names() -> None:
    """Yahoo answers JPY=X to USDJPY=X, and writes BRK-B; the answer about another symbol is not taken in."""
    assert asked_symbol("JPY=X", {"USDJPY=X": "USDJPY=X"}) == "USDJPY=X"
    assert asked_symbol("brk-b", {FACTS.vendor_symbol("BRK.B"): "BRK.B"}) == "BRK.B"
    for name in ("BRK.B", "BRK-A", "", "<html>"):
        assert asked_symbol(name, {"BRK-B": "BRK.B"}) == ""


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_is_done_to_a_recording_the_errors_are_ours(market_data: Path, data: st.DataObject) -> None:
    """A mutated recording parses or raises one of our errors, never anything else."""
    name = data.draw(st.sampled_from(sorted(RECORDINGS)))
    payload = bytearray(recorded(market_data, name))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(payload) - 1))
        kind = data.draw(st.sampled_from(["cut", "flip", "splice"]))
        if kind == "cut":
            payload = payload[: max(at, 1)]
        elif kind == "flip":
            payload[at] = data.draw(st.integers(0, 255))
        else:
            payload[at:at] = data.draw(
                st.sampled_from([b"null", b"NaN", b"1e999", b"-1", b'"x"', b"[]", b"{}", b",", b"9" * 40])
            )

    try:
        answer = parse(
            bytes(payload),
            window=PollWindow(start=0, end=2**60),
            now=LONG_AFTER,
            symbol=RECORDINGS[name][0],
            interval="1d",
        )
    except MarketDataError:
        return
    assert all(event["close"] >= 0 for event in answer.events)

"""Yahoo's chart: the recorded structure, the files' rows, and only what had happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from infra.simulator.faults.scenario import NullBars
from infra.simulator.market.view import MarketView
from infra.simulator.vendors.yahoo_chart import chart
from tests.support.simulations import (
    SYNTHETIC_NOW,
    body,
    chart_rows,
    file_bars,
    frozen_view,
    seconds,
)


def structure(value: Any) -> Any:
    """Return keys and JSON types, numbers being one type and a list being what its items have in common."""
    if isinstance(value, dict):
        return {key: structure(item) for key, item in value.items()}
    if isinstance(value, list):
        return [structure(value[0])] if value else []
    return "number" if type(value) in (int, float) else type(value).__name__


def recorded(data: Path, name: str) -> Any:
    """Return the body of a recorded response."""
    return orjson.loads((data / "vendor_fixtures" / "yahoo" / f"{name}.json").read_bytes())["body"]


def asked(view: MarketView, symbol: str, **parameters: Any) -> Any:
    """Return the document served for a chart request."""
    return body(chart(view, symbol, {name: str(value) for name, value in parameters.items()}, ()))


def test_a_daily_chart_has_the_recorded_structure(market_data: Path) -> None:
    """Same keys and types as Yahoo's own answer, meta block included."""
    view = frozen_view(market_data, "2014-06-09T15:00:00-04:00")
    ours = asked(view, "AAPL", interval="1d", period1=1401840000, period2=1402012800, includePrePost="true")
    assert structure(ours) == structure(recorded(market_data, "chart-AAPL-2020-01-01-to-2020-01-03"))


def test_a_window_without_data_has_the_recorded_structure(market_data: Path) -> None:
    """A closed day is a result without timestamps and an empty quote."""
    view = frozen_view(market_data, "2014-06-09T15:00:00-04:00")
    day = seconds("2014-06-07", "00:00")
    ours = asked(view, "AAPL", interval="1m", period1=day, period2=day + 86_400)
    name = "chart-AAPL-2025-02-01-to-2025-02-02-includePrePost-false-interval-1m"
    assert structure(ours) == structure(recorded(market_data, name))


def test_a_synthetic_chart_has_the_structure_of_a_market_that_never_closes(market_data: Path) -> None:
    """Same keys and types as the recorded BTC-USD."""
    ours = asked(frozen_view(None, SYNTHETIC_NOW), "SIM001", interval="1d", range="5d")
    assert structure(ours) == structure(recorded(market_data, "chart-BTC-USD-2020-01-01-to-2020-01-03"))
    meta = ours["chart"]["result"][0]["meta"]
    assert meta["longName"] == "Simulated SIM001"
    assert (meta["exchangeName"], meta["instrumentType"]) == ("SIM", "SIMULATED")
    assert (meta["exchangeTimezoneName"], meta["hasPrePostMarketData"]) == ("UTC", False)


def test_a_split_is_reported_in_the_recorded_form(market_data: Path) -> None:
    """Events are keyed by the epoch as text and carry the ratio."""
    view = frozen_view(market_data, "2014-06-09T15:00:00-04:00")
    (result,) = asked(view, "AAPL", interval="1d", range="1mo")["chart"]["result"]
    time = seconds("2014-06-09", "09:30")
    split = {"date": time, "numerator": 7, "denominator": 1, "splitRatio": "7:1"}
    assert result["events"] == {"splits": {str(time): split}}


@pytest.mark.parametrize(("symbol", "day"), [("SPY", "2013-10-07"), ("GOOG", "2015-12-24")])
def test_every_minute_equals_the_file(market_data: Path, symbol: str, day: str) -> None:
    """At speed max the whole day is served, each number as the file has it."""
    view = frozen_view(market_data, "", speed="max")
    start = seconds(day, "00:00")
    document = asked(
        view, symbol, interval="1m", period1=start, period2=start + 86_400, includePrePost="true"
    )
    assert chart_rows(document) == file_bars(market_data, symbol, day)


def test_missing_minutes_stay_missing(market_data: Path) -> None:
    """GOOG had no trade in eight regular minutes of 2015-12-28."""
    view = frozen_view(market_data, "", speed="max")
    start = seconds("2015-12-28", "09:30")
    document = asked(view, "GOOG", interval="1m", period1=start, period2=start + 390 * 60)
    served = {row[0] for row in chart_rows(document)}
    absent = [f"{t // 60:02d}:{t % 60:02d}" for t in range(570, 960) if start + (t - 570) * 60 not in served]
    assert absent == ["12:08", "12:15", "12:31", "12:44", "12:47", "13:27", "14:03", "14:40"]


def test_without_extended_hours_only_the_regular_session_is_served(market_data: Path) -> None:
    """The half day of 2015-12-24 ends at 13:00."""
    view = frozen_view(market_data, "", speed="max")
    start = seconds("2015-12-24", "00:00")
    rows = chart_rows(asked(view, "GOOG", interval="1m", period1=start, period2=start + 86_400))
    assert rows[0][0] == seconds("2015-12-24", "09:30")
    assert rows[-1][0] == seconds("2015-12-24", "12:59")


def test_the_minute_in_progress_is_a_last_row_stamped_now(market_data: Path) -> None:
    """At 10:00:30 the row of 10:00 is partial, stamped 10:00:30, and 10:01 does not exist."""
    view = frozen_view(market_data, "2013-10-07T10:00:30-04:00")
    document = asked(view, "SPY", interval="1m", range="1d")
    *whole, forming = chart_rows(document)
    rows = {row[0]: row for row in file_bars(market_data, "SPY", "2013-10-07")}
    ten = seconds("2013-10-07", "10:00")
    assert [row[0] for row in whole] == list(range(ten - 1_800, ten, 60))
    assert forming[0] == ten + 30
    assert forming[0] == document["chart"]["result"][0]["meta"]["regularMarketTime"]
    assert forming[1] == rows[ten][1]
    assert 0 < forming[5] < rows[ten][5]


def test_a_minute_is_served_from_its_end_on(market_data: Path) -> None:
    """One µs before the end it is not whole, at the end it is."""
    start = seconds("2013-10-07", "09:59")
    for now, count in (("10:00:00", 1), ("09:59:59.999999", 0)):
        view = frozen_view(market_data, f"2013-10-07T{now}-04:00")
        rows = chart_rows(asked(view, "SPY", interval="1m", range="1d"))
        assert sum(row[0] == start for row in rows) == count


def test_null_rows_come_only_by_scenario(market_data: Path) -> None:
    """A named minute is null in all five columns, whether or not the file has it."""
    view = frozen_view(market_data, "", speed="max")
    start = seconds("2015-12-28", "12:00")
    parameters = {"interval": "1m", "period1": str(start), "period2": str(start + 900)}
    fault = NullBars(type="null_bars", minutes=("12:07", "12:08"))
    rows = chart_rows(body(chart(view, "GOOG", parameters, [fault])))
    assert [row for row in rows if None in row] == [
        (start + 420, None, None, None, None, None),
        (start + 480, None, None, None, None, None),
    ]
    assert len(rows) == 15
    assert all(None not in row for row in chart_rows(body(chart(view, "GOOG", parameters, []))))


def test_longer_intervals_join_minutes(market_data: Path) -> None:
    """The first half hour of the session is the aggregate of its thirty minutes."""
    view = frozen_view(market_data, "", speed="max")
    start = seconds("2013-10-07", "09:30")
    first, *_ = chart_rows(asked(view, "SPY", interval="30m", period1=start, period2=start + 3_600))
    minutes = [row for row in file_bars(market_data, "SPY", "2013-10-07") if start <= row[0] < start + 1_800]
    assert first == (
        start,
        minutes[0][1],
        max(row[2] for row in minutes),
        min(row[3] for row in minutes),
        minutes[-1][4],
        sum(row[5] for row in minutes),
    )


def test_a_week_joins_its_days(market_data: Path) -> None:
    """The week of 2013-10-07 opens on Monday and closes on Friday."""
    view = frozen_view(market_data, "", speed="max")
    start = seconds("2013-10-07", "00:00")
    window = {"period1": start, "period2": start + 5 * 86_400}
    days = chart_rows(asked(view, "SPY", interval="1d", **window))
    (week,) = chart_rows(asked(view, "SPY", interval="1wk", **window))
    assert week[:2] == (start, days[0][1])
    assert week[4:] == (days[-1][4], sum(day[5] for day in days))


def test_the_day_in_progress_is_stamped_at_its_last_trade(market_data: Path) -> None:
    """The file's daily bar must not be seen before the close."""
    view = frozen_view(market_data, "2013-10-07T10:00:30-04:00")
    document = asked(view, "SPY", interval="1d", range="5d")
    *_, live = chart_rows(document)
    assert live[0] == seconds("2013-10-07", "10:00") + 30
    assert live[4] == document["chart"]["result"][0]["meta"]["regularMarketPrice"]


def test_dividends_are_told_where_they_are_asked_for_in_todays_shares(market_data: Path) -> None:
    """Apple's 3.29 of May 2014 is 0.47 after seven for one; events of another kind stay away."""
    window = {
        "interval": "1d",
        "period1": seconds("2014-05-01", "00:00"),
        "period2": seconds("2014-06-10", "00:00"),
    }
    for now, events, expected in (
        ("2014-05-09T15:00:00-04:00", "div", {"dividends": 3.29}),
        ("2014-06-09T15:00:00-04:00", "div", {"dividends": 0.469957}),
        ("2014-06-09T15:00:00-04:00", "div,splits", {"dividends": 0.469957, "splits": None}),
    ):
        (result,) = asked(frozen_view(market_data, now), "AAPL", events=events, **window)["chart"]["result"]
        time = str(seconds("2014-05-08", "09:30"))
        assert set(result["events"]) == set(expected)
        assert result["events"]["dividends"][time]["amount"] == pytest.approx(expected["dividends"], abs=1e-4)

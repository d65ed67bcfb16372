"""Adjusted bars: whose shares their prices are in, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analytics.action_effects import Effect
from analytics.adjustment import ActionSchedule, Adjustment
from gateway.database.versions import BarVersion
from gateway.market.adjusting import BarAdjuster, day_numbers, place_of
from schemas.calendar.sessions import load_calendar
from schemas.clocks import EventTime, WallTime, date_of, day_of
from schemas.intervals import HOUR_US, MINUTE_US
from schemas.symbols.venues import FX_HOURS
from tests.support.bar_versions import a_version
from tests.support.corporate_actions import day, effect
from tests.support.lines_run import lines_run

XNYS = load_calendar("XNYS")
SEVEN = effect("2014-06-09", after=7.0)
PAID = effect("2014-08-07", kept=1 - 0.47 / 94.97)


def moment(text: str, hours: float = 0.0) -> int:
    """Return so many hours after midnight in New York."""
    return XNYS.day_start(date_of(day(text))) + int(hours * HOUR_US)


def bar(text: str, close: float, *, received: str = "", **changes: Any) -> BarVersion:
    """Return the bar of a day all of whose prices are alike; `received` on a day at noon, on its own at 17:00 without."""
    at = moment(received, 12) if received else moment(text, 17)
    said = {"interval": "1d", "volume": 100.0, "raw_offset": day(text)} | changes
    return a_version(
        event_time=EventTime(moment(text, 9.5)), received_time=WallTime(at), open=close, high=close, low=close, close=close, **said
    )  # fmt: skip


def adjuster(*effects: Effect, to: str = "2014-12-31", adjustment: Adjustment = "split") -> BarAdjuster:
    """Return an adjuster in New York."""
    return BarAdjuster(ActionSchedule(effects), XNYS, target=day(to), adjustment=adjustment)


def closes(bars: list[BarVersion]) -> list[tuple[float, str]]:
    """Return (close, adjustment) of bars, `uncertain` where they are."""
    return [
        (each.close, "uncertain" if each.basis and each.basis.uncertain else each.adjustment_state)
        for each in bars
    ]


def test_days_are_the_venues() -> None:
    """At midnight in New York, whatever the season."""
    texts = ("2014-03-09", "2014-06-09", "2014-11-02", "2014-12-24")
    edges = [moment(text) + off for text in texts for off in (-1, 0)]

    assert day_numbers(edges, XNYS).tolist() == [day(text) + off for text in texts for off in (-1, 0)]
    assert day_numbers([], XNYS).tolist() == []


def test_days_are_found_alike_wherever_the_clocks_change() -> None:
    """As one by one, every hour of a year and a half, in New York, London, Tokyo and for currencies."""
    moments = [moment("2014-01-01") + k * HOUR_US for k in range(0, 13_000, 5)]
    for name in ("XNYS", "XLON", "XTKS", FX_HOURS):
        calendar = load_calendar(name)
        assert day_numbers(moments, calendar).tolist() == [day_of(calendar.date_of(each)) for each in moments]


def test_every_price_and_the_volume_are_adjusted_and_nothing_else() -> None:
    """A share of 700 became seven of 100; what was paid out is taken off prices alone; a missing average stays so."""
    stored = replace(bar("2014-06-06", 700.0), high=707.0, low=693.0, vwap=699.3, trade_count=9)
    (by_split,) = adjuster(SEVEN).adjusted([stored], {})
    (by_all,) = adjuster(SEVEN, PAID, adjustment="all").adjusted([replace(stored, vwap=None)], {})

    assert (by_split.open, by_split.high, by_split.low, by_split.close) == (100.0, 101.0, 99.0, 100.0)
    assert (by_split.vwap, by_split.volume, by_split.trade_count) == (pytest.approx(99.9), 700.0, 9)
    assert (by_all.close, by_all.volume, by_all.vwap) == (100.0 * (1 - 0.47 / 94.97), 700.0, None)
    assert by_all.adjustment_state == "all"
    assert (by_split.adjusted_through, by_all.adjusted_through) == (day("2014-12-31"), day("2014-12-31"))
    unlike = {
        "open", "high", "low", "close", "volume", "vwap", "adjustment_state", "adjusted_through", "basis",
    }  # fmt: skip
    names = set(BarVersion.__dataclass_fields__) - unlike
    assert {name: getattr(by_split, name) for name in names} == {
        name: getattr(stored, name) for name in names
    }


def test_rows_polled_before_and_after_a_split_agree() -> None:
    """And those that are stored raw, whichever way they are asked for."""
    rows = [
        bar("2014-06-05", 647.5),
        bar("2014-06-05", 647.5, adjustment_state="split"),
        bar("2014-06-05", 92.5, adjustment_state="split", received="2014-06-20"),
    ]
    assert closes(adjuster(SEVEN).adjusted(rows, {})) == [(92.5, "split")] * 3
    assert closes(adjuster(SEVEN, to="2014-06-06").adjusted(rows, {})) == [(647.5, "split")] * 3
    assert closes(adjuster(SEVEN, adjustment="raw").adjusted(rows, {})) == [(647.5, "raw")] * 3


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        pytest.param(92.5, 647.5, (92.5, "split"), id="rebased"),
        pytest.param(647.5, 647.4, (92.5, "split"), id="not yet"),
        pytest.param(92.5, None, (92.5, "uncertain"), id="never seen before"),
        pytest.param(300.0, 647.5, (300.0, "uncertain"), id="something else"),
    ],
)
def test_around_a_split_what_was_said_before_proves_the_basis(
    now: float, before: float | None, said: tuple[float, str]
) -> None:
    """Told on the ex-date or within three sessions after it; the earlier version is asked for as it was before the ex-date."""
    bars = [bar("2014-06-05", now, adjustment_state="split", received="2014-06-10")]
    judge = adjuster(SEVEN)
    (doubt,) = judge.doubts(bars)
    told = {} if before is None else {place_of(bars[0]): bar("2014-06-05", before, adjustment_state="split")}

    assert (doubt.bar, doubt.told_before) == (bars[0], moment("2014-06-09"))
    assert closes(judge.adjusted(bars, told)) == [said]


def test_what_was_told_in_time_or_is_raw_is_not_doubted() -> None:
    """Before the ex-date, from the fourth session on, of the ex-date itself; and where nothing was split."""
    bars = [
        bar("2014-06-05", 92.5, adjustment_state="split"),
        bar("2014-06-05", 92.5, adjustment_state="split", received="2014-06-13"),
        bar("2014-06-09", 92.5, adjustment_state="split", received="2014-06-10"),
        bar("2014-06-05", 92.5, received="2014-06-10"),
    ]
    assert adjuster(SEVEN).doubts(bars) == []
    assert [each.bar for each in adjuster(SEVEN).doubts([bar("2014-06-05", 92.5, adjustment_state="split", received="2014-06-12")])]  # fmt: skip
    assert adjuster(PAID).doubts(bars) == []


def test_the_day_a_version_was_told_in_the_shares_of_counts_before_its_receipt() -> None:
    """A replay of years ago is received today; and a vendor that says its day may be late to work a split in as well."""
    told = {"adjustment_state": "split", "received": "2026-11-27"}
    rows = [
        bar("2014-06-05", 647.5, adjusted_through=day("2014-06-05"), **told),
        bar("2014-06-05", 92.5, adjusted_through=day("2014-06-20"), **told),
    ]
    late = bar("2014-06-05", 647.5, adjusted_through=day("2014-06-10"), **told)

    assert adjuster(SEVEN).doubts(rows) == []
    assert closes(adjuster(SEVEN).adjusted(rows, {})) == [(92.5, "split")] * 2
    assert [each.bar for each in adjuster(SEVEN).doubts([late])] == [late]
    assert adjuster(SEVEN, adjustment="raw").adjusted(rows, {})[0].adjusted_through is None


def test_prices_less_their_dividends_are_nobodys_basis() -> None:
    """What a provider calls `all` cannot be brought back."""
    assert closes(adjuster(SEVEN).adjusted([bar("2014-06-05", 90.0, adjustment_state="all")], {})) == [
        (90.0, "uncertain")
    ]


def test_an_unresolved_action_leaves_what_is_known_applied_unless_all_must_be() -> None:
    """The rest is applied to rows; a close that a dividend is measured by must be known whole."""
    bars, unknown = [bar("2014-06-05", 700.0)], effect("2014-07-01", reason="ratio_impossible")

    assert closes(adjuster(SEVEN, unknown).adjusted(bars, {})) == [(100.0, "split")]
    assert closes(adjuster(SEVEN, unknown).adjusted(bars, {}, whole=True)) == [(700.0, "uncertain")]


def test_a_week_with_an_action_in_it_is_no_one_days() -> None:
    """One that is stored whole cannot be adjusted; a week without is."""
    weeks = [bar("2014-06-09", 700.0, interval="1wk"), bar("2014-06-16", 100.0, interval="1wk")]
    on_tuesday = effect("2014-06-10", after=7.0)

    assert closes(adjuster(on_tuesday).adjusted(weeks, {})) == [(700.0, "uncertain"), (100.0, "split")]
    assert closes(adjuster(SEVEN).adjusted(weeks, {})) == [(700.0, "split"), (100.0, "split")]


def test_a_bar_of_both_sides_of_a_split_is_flagged_on_any_page() -> None:
    """Apple's first minute of 2014-06-09: 645.57 to 92.23; it counts as one of its day, first of the page or not."""
    odd = replace(bar("2014-06-09", 92.5, interval="1m"), open=645.57, high=645.57, low=92.23)
    calm = [bar("2014-06-06", 92.5, interval="1m"), bar("2014-06-09", 92.5, interval="1m")]
    for bars in ([odd], [*calm, odd], [odd, *calm]):
        found = adjuster(SEVEN, adjustment="all").adjusted(bars, {})
        assert [each.high for each in found if each.basis and each.basis.mixed] == [645.57]


def test_work_grows_with_the_bars() -> None:
    """Lines of Python at n, 2n, 4n."""

    def work(count: int) -> int:
        bars = [replace(bar("2014-06-05", 92.5), event_time=EventTime(moment("2014-06-05") + k * MINUTE_US)) for k in range(count)]  # fmt: skip
        return lines_run(lambda: adjuster(SEVEN).adjusted(bars, {}), "gateway")

    one, two, four = work(100), work(200), work(400)
    assert four - two <= 2.2 * (two - one)

"""Alpaca's formats: pages sorted by symbol first, absent symbols, refusals in its words."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from infra.simulator.faults.habits import IexPlan
from infra.simulator.faults.scenario import CorrectBars, LateBars, NullBars, ZeroQuote
from infra.simulator.market.view import MarketView
from infra.simulator.vendors import alpaca
from infra.simulator.vendors.alpaca import assets, bars, latest_quotes, snapshots
from infra.simulator.vendors.bar_rows import minute_rows
from tests.support.simulations import SYNTHETIC_NOW, body, file_bars, frozen_view

WINDOW = {"timeframe": "1Min", "start": "2013-10-07T13:30:00Z", "end": "2013-10-07T13:39:00Z"}
BEFORE = {"timeframe": "1Min", "start": "2013-10-07T14:00:00Z", "end": "2013-10-07T14:02:00Z"}


@lru_cache(maxsize=2)
def view_of(data: Path, now: str = "2013-10-07T14:03:30Z") -> MarketView:
    """Return a market that does not move; its files are read once for all tests of a moment."""
    return frozen_view(data, now)


def test_rows_are_the_files_and_both_ends_are_in(market_data: Path) -> None:
    """Ten minutes of SPY, exact; what the files do not know (vwap, trade count) is left out."""
    document = body(bars(view_of(market_data), ("SPY",), WINDOW, ()))

    rows = [(row["t"], row["o"], row["h"], row["l"], row["c"], row["v"]) for row in document["bars"]["SPY"]]
    expected = [
        row for row in file_bars(market_data, "SPY", "2013-10-07") if 1_381_152_600 <= row[0] <= 1_381_153_140
    ]
    assert [row[1:] for row in rows] == [row[1:] for row in expected]
    assert (rows[0][0], rows[-1][0], len(rows)) == ("2013-10-07T13:30:00Z", "2013-10-07T13:39:00Z", 10)
    assert document["next_page_token"] is None
    assert "vw" not in document["bars"]["SPY"][0]


def test_a_first_page_may_hold_one_symbol_only() -> None:
    """Sorted by symbol, then by time; the token leads on until it is null."""
    view = frozen_view(None, SYNTHETIC_NOW)
    given = {
        "timeframe": "1Min",
        "start": "2026-11-22T15:00:00Z",
        "end": "2026-11-22T15:09:00Z",
        "limit": "12",
    }
    pages, token = [], ""
    while token is not None:
        page = body(bars(view, ("SIM002", "SIM001"), given | ({"page_token": token} if token else {}), ()))
        pages.append({name: len(rows) for name, rows in page["bars"].items()})
        token = page["next_page_token"]

    assert pages == [{"SIM001": 10, "SIM002": 2}, {"SIM002": 8}]


def test_a_page_costs_its_own_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 60 symbols no page makes the bars of more than it shows and one; together they are those of one large page."""
    view, names = frozen_view(None, SYNTHETIC_NOW), [f"SIM{number:03d}" for number in range(60, 0, -1)]
    given = {"timeframe": "5Min", "start": "2026-11-22T14:00:00Z", "end": "2026-11-22T14:59:59Z"}
    whole = body(bars(view, names, given | {"limit": "10000"}, ()))["bars"]
    made: list[str] = []

    def counted(view, listing, *rest):
        made.append(listing.symbol)
        return minute_rows(view, listing, *rest)

    monkeypatch.setattr(alpaca, "minute_rows", counted)
    found: dict[str, list[object]] = {}
    token: str | None = ""
    while token is not None:
        made.clear()
        page = body(bars(view, names, given | {"limit": "30", "page_token": token}, ()))
        for name, part in page["bars"].items():
            found.setdefault(name, []).extend(part)
        token = page["next_page_token"]
        assert len(made) <= len(page["bars"]) + 1

    assert found == whole
    assert sum(map(len, whole.values())) == 60 * 12


def test_symbols_without_bars_are_absent_or_null(market_data: Path) -> None:
    """The many-symbol form leaves them out, the one-symbol form says null."""
    view = view_of(market_data)

    assert body(bars(view, ("NOPE",), WINDOW, ())) == {"bars": {}, "next_page_token": None}
    assert body(bars(view, ("NOPE",), WINDOW, (), alone=True)) == {
        "bars": None,
        "symbol": "NOPE",
        "next_page_token": None,
    }


@pytest.mark.parametrize(
    ("fault", "change"),
    [
        pytest.param(NullBars(type="null_bars", minutes=("10:01",)), [0, 2], id="null-minutes-are-omitted"),
        pytest.param(LateBars(type="late_bars", by_s=120), [0], id="late"),
    ],
)
def test_faults_of_bars_strike_here_too(fault: object, change: list[int], market_data: Path) -> None:
    """Minutes without a trade are omitted in this format; late ones are not there yet."""
    view = view_of(market_data)
    whole = body(bars(view, ("SPY",), BEFORE, ()))["bars"]["SPY"]

    assert body(bars(view, ("SPY",), BEFORE, (fault,)))["bars"]["SPY"] == [whole[at] for at in change]


def test_a_corrected_bar_is_another(market_data: Path) -> None:
    """Its close moves by what the scenario says."""
    fault = CorrectBars(type="correct_bars", minute="10:00", close_delta=0.5)
    plain, corrected = (
        body(bars(view_of(market_data), ("SPY",), BEFORE, faults))["bars"]["SPY"][0]
        for faults in ((), (fault,))
    )

    assert corrected["c"] == round(plain["c"] + 0.5, 4)


@pytest.mark.parametrize(
    "given",
    [
        {"timeframe": "60Min"}, {"timeframe": ""}, {"timeframe": "1Week"}, WINDOW | {"limit": "0"},
        WINDOW | {"limit": "10001"}, WINDOW | {"page_token": "???"}, WINDOW | {"start": "soon"},
        {"timeframe": "1Min", "start": "2013-10-08", "end": "2013-10-07"},
    ],
)  # fmt: skip
def test_wrong_parameters_are_refused(given: dict[str, str], market_data: Path) -> None:
    """400 with a message."""
    reply = bars(view_of(market_data), ("SPY",), given, ())

    assert reply.status == 400
    assert body(reply)["message"]


def test_one_malformed_symbol_refuses_the_batch() -> None:
    """An unknown one is null, one that cannot be a US stock is a 400 for all."""
    view = frozen_view(None, SYNTHETIC_NOW)

    assert body(snapshots(view, ("SIM001", "NOPE"), ()))["NOPE"] is None
    assert snapshots(view, ("SIM001", "^GSPC"), ()).status == 400


def test_a_snapshot_can_be_all_zeros() -> None:
    """Then no side and no price is there."""
    entry = body(snapshots(frozen_view(None, SYNTHETIC_NOW), ("SIM001",), (ZeroQuote(type="zero_quote"),)))[
        "SIM001"
    ]

    assert (entry["latestTrade"]["p"], entry["latestQuote"]["ap"], entry["latestQuote"]["bp"]) == (0, 0, 0)


def test_assets_are_the_listings() -> None:
    """Everything is an active US equity."""
    rows = body(assets(frozen_view(None, SYNTHETIC_NOW)))

    assert {row["class"] for row in rows} == {"us_equity"}
    assert len(rows) == 20


def test_an_unknown_symbol_is_null_at_any_speed(market_data: Path) -> None:
    """Without a clock a symbol is seen at the end of its data: one without data has none."""
    document = body(snapshots(frozen_view(market_data, SYNTHETIC_NOW, speed="max"), ("SPY", "NOPE"), ()))

    assert document["NOPE"] is None
    assert document["SPY"]["latestTrade"]["p"] > 0


def test_newest_quotes_are_of_the_feed_that_is_asked() -> None:
    """Late on `delayed_sip` with a plan and without, refused of `sip` on a plan that lacks it."""
    view = frozen_view(None, SYNTHETIC_NOW)
    plan = (IexPlan(type="iex_plan", recent_s=600.0),)

    def stamp(faults: tuple[IexPlan, ...], feed: str) -> str:
        return str(body(latest_quotes(view, ("SIM007",), faults, feed=feed))["quotes"]["SIM007"]["t"])

    assert stamp((), "sip") > "2026-11-22T16:00:00Z" > stamp(plan, "delayed_sip") > stamp((), "delayed_sip")
    assert stamp(plan, "iex") == stamp((), "sip")
    assert latest_quotes(view, ("SIM007",), plan).status == 403
    assert latest_quotes(view, ("sim 7",), ()).status == 400

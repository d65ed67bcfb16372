"""Chains of real days hold what the files said by a moment, and nothing of later."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from infra.simulator.market.option_book import OptionBook
from infra.simulator.market.option_legs import SimulatedLeg
from schemas.errors import MalformedPayload
from schemas.symbols.occ import spelled
from tests.support.option_minutes import dollars, filed_contracts, last_rows, milliseconds
from tests.support.simulations import SYNTHETIC_NOW, frozen_view, seconds

DAY = "2015-12-24"


def chain(data: Path, clock: str, *, day: str = DAY, symbol: str = "GOOG") -> Sequence[SimulatedLeg]:
    """Return the contracts of a symbol at a New York time (HH:MM:SS)."""
    view = frozen_view(data, f"{day}T{clock}-05:00")
    listing = view.market.listing(symbol)
    assert listing is not None
    return OptionBook(seed=1, root=data).legs(view, listing, view.now(symbol))


@pytest.mark.parametrize(
    "clock", ["06:31:30", "09:30:59", "09:31:00", "10:30:00", "12:59:59", "13:00:00", "13:01:00"]
)
def test_quotes_are_those_of_the_last_whole_minute(market_data: Path, clock: str) -> None:
    """Of each contract its last row that was over, stamped at its end: the file has none for a quote that stood still."""
    rows = last_rows(market_data, "quote", clock)
    midnight = seconds(DAY, "00:00") * 1_000_000
    legs = chain(market_data, clock)

    assert legs or clock < "06:31"
    for leg in legs:
        _, row = rows.pop(spelled(leg.contract), ("", None))
        if row is None:
            assert (leg.bid, leg.ask, leg.quote_time) == (None, None, None)
            continue
        assert (leg.bid or 0.0, leg.bid_size) == (dollars(row[4]), int(row[5]) if row[4] else 0)
        assert (leg.ask or 0.0, leg.ask_size) == (dollars(row[9]), int(row[10]) if row[9] else 0)
        assert leg.quote_time == midnight + (int(row[0]) + 60_000) * 1_000
    # What is left ended today.
    assert {expiry for expiry, _ in rows.values()} <= ({"20151224"} if clock >= "13:00:00" else set())


@pytest.mark.parametrize("clock", ["09:31:00", "11:00:30", "12:59:59"])
def test_trades_are_those_that_were_over(market_data: Path, clock: str) -> None:
    """The last one's price and size, and the day so far."""
    found = filed_contracts(market_data, "trade", milliseconds(clock), lasting_ms=60_000)
    expected = {each.name: each.rows for each in found if each.rows}
    traded = {spelled(leg.contract): leg for leg in chain(market_data, clock) if leg.last is not None}

    assert traded.keys() == expected.keys()
    for name, leg in traded.items():
        rows = expected[name]
        assert (leg.last, leg.last_size) == (dollars(rows[-1][4]), int(rows[-1][5]))
        assert leg.day is not None
        assert leg.day.volume == sum(int(row[5]) for row in rows)
        assert (leg.day.open, leg.day.high) == (dollars(rows[0][1]), max(dollars(row[2]) for row in rows))


def test_open_interest_is_told_before_the_open(market_data: Path) -> None:
    """At the moment its row says, half past six; contracts without any are first known by a quote."""
    expected = last_rows(market_data, "openinterest", "06:32:00", lasting_ms=0)
    early = {spelled(leg.contract): leg.open_interest for leg in chain(market_data, "06:32:00")}

    assert 0 < len(expected) < 2_058
    assert early == {name: int(row[1]) for name, (_, row) in expected.items()}
    assert chain(market_data, "06:29:59") == () or all(
        leg.open_interest is not None for leg in chain(market_data, "06:29:59")
    )
    assert len(chain(market_data, "12:00:00")) == 2_192


def test_contracts_end_with_the_half_day_they_expire_on(market_data: Path) -> None:
    """Listed until one o'clock, gone at one."""
    last, gone = chain(market_data, "12:59:59"), chain(market_data, "13:00:00")

    assert sum(leg.contract.expiry == date(2015, 12, 24) for leg in last) == 176
    assert len(gone) == len(last) - 176
    assert min(leg.contract.expiry for leg in gone) == date(2015, 12, 31)


def test_a_chain_is_in_order_and_holds_no_contract_twice(market_data: Path) -> None:
    """By expiry, then strike, calls first."""
    keys = [
        (leg.contract.expiry, leg.contract.strike_mills, leg.contract.right)
        for leg in chain(market_data, "10:30:00")
    ]

    assert keys == sorted(set(keys))


def test_after_its_only_day_a_chain_stays_as_it_was_left(market_data: Path) -> None:
    """Old quotes with their old stamps, but none of the new session's trades; expired ones are gone."""
    later, before = chain(market_data, "10:00:00", day="2015-12-28"), chain(market_data, "16:00:00")

    assert [(leg.contract, leg.bid, leg.quote_time) for leg in later] == [
        (leg.contract, leg.bid, leg.quote_time) for leg in before
    ]
    assert all(leg.day is None for leg in later)
    assert any(leg.day is not None for leg in before)


def test_a_day_before_the_files_and_a_symbol_without_them_have_no_chain(market_data: Path) -> None:
    """Nothing is made up for what is real."""
    assert not chain(market_data, "15:00:00", day="2015-12-23")
    assert not chain(market_data, "10:30:00", symbol="AAPL", day="2015-12-24")


def test_no_file_is_read_before_somebody_asks(market_data: Path, tmp_path: Path) -> None:
    """A broken archive does not keep the simulator from starting; asked for, it is named."""
    shutil.copytree(market_data / "equity_minute" / "goog", tmp_path / "equity_minute" / "goog")
    folder = tmp_path / "options" / "minute" / "goog"
    folder.mkdir(parents=True)
    (folder / "20151224_quote_american.zip").write_bytes(b"no archive")
    view = frozen_view(tmp_path, f"{DAY}T10:30:00-05:00")

    assert view.market.listing("GOOG") is not None
    with pytest.raises(MalformedPayload, match=r"20151224_quote_american\.zip cannot be read"):
        chain(tmp_path, "10:30:00")


@pytest.mark.parametrize(
    ("name", "row", "words"),
    [
        ("20151224_goog_minute_quote_american_call_7500000_20160115.csv", "34200000,1,2", "other columns"),
        ("20151224_goog_minute_quote_american_call_7500000_20160115.csv", "soon" + "," * 10, "other columns"),
        ("readme.txt", "34200000" + "," * 10, "names no contract"),
    ],
)
def test_a_bad_member_is_named(market_data: Path, tmp_path: Path, name: str, row: str, words: str) -> None:
    """With what to do."""
    shutil.copytree(market_data / "equity_minute" / "goog", tmp_path / "equity_minute" / "goog")
    folder = tmp_path / "options" / "minute" / "goog"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "20151224_quote_american.zip", "w") as archive:
        archive.writestr(name, row + "\n")

    with pytest.raises(MalformedPayload, match=f"{words}.*fetch the data set again"):
        chain(tmp_path, "10:30:00")


def test_while_the_clock_stands_a_chain_is_made_once() -> None:
    """A vendor's client reads it page by page; of another moment, market or seed it is another one."""
    view, other = frozen_view(None, SYNTHETIC_NOW), frozen_view(None, SYNTHETIC_NOW)
    listing, sibling = view.market.listing("SIM001"), view.market.listing("SIM002")
    assert listing is not None
    assert sibling is not None
    now, book = view.now("SIM001"), OptionBook(seed=1)
    legs = book.legs(view, listing, now)

    assert legs
    assert book.legs(view, listing, now) is legs
    assert book.legs(other, listing, now) == legs
    assert book.legs(view, listing, now + 60_000_000) != legs
    assert OptionBook(seed=2).legs(view, listing, now) != legs
    assert book.legs(view, sibling, now) != legs

"""Reads a day of a symbol's options from its zipped files; shows it as far as a moment of it has come.

One CSV a contract, whose name says which; rows are minutes by their START in milliseconds since midnight in New York,
prices in ten-thousandths of a dollar. A minute without a row left the quote as it was; a side without a price is missing.
"""

from __future__ import annotations

import re
import zipfile
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from infra.simulator.market.lean_files import MAX_FILE_BYTES, PRICE_SCALE, midnight_us
from infra.simulator.market.model import MS_US, Candle, span_of
from infra.simulator.market.option_legs import SimulatedLeg
from schemas.errors import MalformedPayload
from schemas.intervals import MINUTE_US
from schemas.symbols.occ import ROOT_CHARS, OptionContract, Right, Style

NAMED = re.compile(
    r".*_(?P<style>american|european)_(?P<right>call|put)_(?P<strike>\d+)_(?P<expiry>\d{8})\.csv"
)
NAMED_CALL_OR_PUT: Mapping[str, Right] = {"call": "C", "put": "P"}
PRICE_PER_MILL = PRICE_SCALE // 1_000
MINUTE_MS = MINUTE_US // MS_US
NO_SIDE = -1

Member = tuple[OptionContract, Style, list[list[bytes]]]
Made = TypeVar("Made")


@dataclass(slots=True)
class QuoteColumns:
    """Closing quotes of minutes, of one contract after the other: milliseconds since midnight, ten-thousandths, contracts."""

    times_ms: array[int] = field(default_factory=lambda: array("i"))
    bids: array[int] = field(default_factory=lambda: array("i"))
    bid_sizes: array[int] = field(default_factory=lambda: array("i"))
    asks: array[int] = field(default_factory=lambda: array("i"))
    ask_sizes: array[int] = field(default_factory=lambda: array("i"))

    def append(self, row: list[bytes]) -> None:
        """Add a row of a quote file; raise ValueError or IndexError for what is none."""
        self.times_ms.append(int(row[0]))
        self.bids.append(int(row[4]) if row[4] else NO_SIDE)
        self.bid_sizes.append(int(row[5] or 0))
        self.asks.append(int(row[9]) if row[9] else NO_SIDE)
        self.ask_sizes.append(int(row[10] or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledOptions:
    """All there is of a symbol's options on one day; about 6 MB a quarter of a million quotes."""

    midnight: int
    styles: Mapping[OptionContract, Style]
    quotes: QuoteColumns
    rows: Mapping[OptionContract, tuple[int, int]]  # of `quotes`: first, and one after the last
    trades: Mapping[OptionContract, tuple[Candle, ...]]
    interest: Mapping[OptionContract, tuple[int, int]]  # told when (µs), contracts

    def leg(self, contract: OptionContract, now: int) -> SimulatedLeg | None:
        """Return a contract as the minutes that were over at `now` (µs) leave it; None before the first word of it."""
        told, open_interest = self.interest.get(contract, (now + 1, 0))
        quoted = self._quote(contract, now)
        traded = [bar for bar in self.trades.get(contract, ()) if bar.time + MINUTE_US <= now]
        if told > now and quoted is None and not traded:
            return None
        leg = SimulatedLeg(
            contract=contract,
            style=self.styles[contract],
            open_interest=open_interest if told <= now else None,
        )
        if quoted is not None:
            leg = self._with_quote(leg, quoted)
        return _with_trades(leg, traded) if traded else leg

    def _quote(self, contract: OptionContract, now: int) -> int | None:
        """Return the row of the last minute that was over at `now`."""
        first, end = self.rows.get(contract, (0, 0))
        over_ms = (now - self.midnight) // MS_US - MINUTE_MS
        row = bisect_right(self.quotes.times_ms, over_ms, first, end) - 1
        return row if row >= first and end > first else None

    def _with_quote(self, leg: SimulatedLeg, row: int) -> SimulatedLeg:
        bid, ask = self.quotes.bids[row], self.quotes.asks[row]
        return replace(
            leg,
            bid=None if bid == NO_SIDE else bid / PRICE_SCALE,
            bid_size=0 if bid == NO_SIDE else self.quotes.bid_sizes[row],
            ask=None if ask == NO_SIDE else ask / PRICE_SCALE,
            ask_size=0 if ask == NO_SIDE else self.quotes.ask_sizes[row],
            quote_time=self.midnight + self.quotes.times_ms[row] * MS_US + MINUTE_US,
        )


def option_days(root: Path, symbol: str) -> dict[date, Path]:
    """Return the quote files of a symbol's options by New York date; none where there is no folder of them."""
    paths = sorted((root / "options" / "minute" / symbol.lower()).glob("[0-9]*_quote_*.zip"))
    return {datetime.strptime(path.name[:8], "%Y%m%d").date(): path for path in paths}  # noqa: DTZ007 - a date only


def read_option_day(quotes: Path, symbol: str, day: date) -> FiledOptions:
    """Return a day's options from a quote file and the trade and interest files beside it; raise MalformedPayload naming a bad one."""
    midnight = midnight_us(day)
    columns, rows, styles = QuoteColumns(), {}, {}
    for contract, style, lines in _members(quotes, symbol):
        first = len(columns.times_ms)
        _checked(quotes, lines, columns.append)
        rows[contract], styles[contract] = (first, len(columns.times_ms)), style
    trades: dict[OptionContract, tuple[Candle, ...]] = {}
    interest: dict[OptionContract, tuple[int, int]] = {}
    for contract, style, lines in _members(_beside(quotes, "trade"), symbol):
        trades[contract] = tuple(_checked(quotes, lines, lambda row: _bar(row, midnight)))
        styles[contract] = style
    for contract, style, lines in _members(_beside(quotes, "openinterest"), symbol):
        told = _checked(quotes, lines, lambda row: (midnight + int(row[0]) * MS_US, int(row[1])))
        interest |= {contract: told[-1]} if told else {}
        styles[contract] = style
    return FiledOptions(
        midnight=midnight, styles=styles, quotes=columns, rows=rows, trades=trades, interest=interest
    )


def _with_trades(leg: SimulatedLeg, traded: Sequence[Candle]) -> SimulatedLeg:
    last = traded[-1]
    return replace(
        leg,
        last=last.close,
        last_size=last.volume,
        last_time=last.time + MINUTE_US,
        day=span_of(traded, last_time=last.time + MINUTE_US),
    )


def _beside(quotes: Path, kind: str) -> Path:
    """Return the file of another kind of the same day."""
    return quotes.with_name(quotes.name.replace("_quote_", f"_{kind}_"))


def _members(path: Path, symbol: str) -> Iterator[Member]:
    """Yield the contracts of an archive, each with its rows; nothing where there is no such file."""
    if not path.is_file():
        return
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_FILE_BYTES:
                raise MalformedPayload(f"{path}: over {MAX_FILE_BYTES} bytes unpacked; split the file by day")
            for member in archive.infolist():
                contract, style = _named(path, member.filename, symbol)
                lines = archive.read(member).splitlines()
                yield contract, style, [line.split(b",") for line in lines if line]
    except (OSError, zipfile.BadZipFile) as error:
        raise MalformedPayload(f"{path} cannot be read ({error}); fetch the data set again") from error


def _named(path: Path, name: str, symbol: str) -> tuple[OptionContract, Style]:
    found = NAMED.fullmatch(name)
    if found is None:
        raise MalformedPayload(f"{path}: {name[:80]} names no contract; fetch the data set again")
    root = re.sub(r"[^A-Z0-9]", "", symbol.upper())[:ROOT_CHARS]
    expiry = datetime.strptime(found["expiry"], "%Y%m%d").date()  # noqa: DTZ007 - a date only
    mills = int(found["strike"]) // PRICE_PER_MILL
    contract = OptionContract(root, expiry, NAMED_CALL_OR_PUT[found["right"]], mills)
    return contract, "american" if found["style"] == "american" else "european"


def _bar(row: list[bytes], midnight: int) -> Candle:
    opened, high, low, close = (int(cell) / PRICE_SCALE for cell in row[1:5])
    return Candle(
        time=midnight + int(row[0]) * MS_US, open=opened, high=high, low=low, close=close, volume=int(row[5])
    )


def _checked(path: Path, rows: list[list[bytes]], read: Callable[[list[bytes]], Made]) -> list[Made]:
    try:
        return [read(row) for row in rows]
    except (ValueError, IndexError) as error:
        raise MalformedPayload(
            f"{path}: a row has other columns ({error}); fetch the data set again"
        ) from error

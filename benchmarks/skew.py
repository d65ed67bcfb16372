"""How unevenly events come, and how large they are: computed without a broker, from Zipf's law, real tapes and our own encoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import Row, row
from benchmarks.sink import quotes
from schemas.partitions import partition_of
from schemas.topics import QUOTES, RAW_QUOTES
from schemas.wire.codec import encode, encode_events
from tests.support.loaded_partitions import block_of_quotes, symbols_at_home
from tests.support.market_files import ticks

LISTED, PARTITIONS = 8_000, (4, 16, 64, 256)
BLOCKS = (200, 10)  # events of one
DATA = Path(__file__).parent.parent.parent / "shared" / "data"
TAPES = (("SPY", "20131007"), ("SPY", "20131008"), ("IBM", "20131007"))


def run() -> list[Row]:
    """Return shares of hot symbols, how real trades of one symbol come, and bytes of an event."""
    return [*_share_rows(), *_tape_rows(), *_byte_rows()]


def zipf(count: int) -> list[float]:
    """Return shares of `count` symbols of which the n-th trades an n-th as often as the first."""
    whole = sum(1 / rank for rank in range(1, count + 1))
    return [1 / rank / whole for rank in range(1, count + 1)]


def fullest(shares: Mapping[str, float], partitions: int) -> float:
    """Return the share of the partition with the most events."""
    held = [0.0] * partitions
    for symbol, share in shares.items():
        held[partition_of(symbol, partitions)] += share
    return max(held)


def _share_rows() -> list[Row]:
    shares = {f"SIM{rank}": share for rank, share in enumerate(zipf(LISTED))}
    market = f"{LISTED:,} symbols by Zipf's law: share of"
    rows = [row(f"{market} the first", 100 * max(shares.values()), "%")]
    return rows + [
        row(f"{market} the fullest of {partitions} partitions", 100 * fullest(shares, partitions), "%")
        for partitions in PARTITIONS
    ]


def _tape_rows() -> list[Row]:
    """Return nothing where the data do not lie beside the checkout."""
    rows: list[Row] = []
    for symbol, day in TAPES if DATA.is_dir() else ():
        times_us = [time_us for time_us, *_ in ticks(DATA, symbol, day)]
        rows.append(row(f"{symbol} {day}: trades", len(times_us), "trades"))
        for name, span_us in (("second", 1_000_000), ("tenth of a second", 100_000)):
            busiest = max(Counter(time_us // span_us for time_us in times_us).values())
            rows.append(row(f"{symbol} {day}: in the busiest {name}", busiest, "trades"))
    return rows


def _byte_rows() -> list[Row]:
    home = symbols_at_home(16, 64)[0]
    rows = [
        row(
            f"a quote in a raw block of {events}, not compressed",
            len(encode(RAW_QUOTES, block_of_quotes(home, 1, events))) / events,
            "bytes",
        )
        for events in BLOCKS
    ]
    value = quotes().values[0]
    (encoded,) = encode_events(QUOTES, [value], {})
    size = len(encoded) + len(value["symbol"])
    return [*rows, row("a canonical quote with its key, not compressed", size, "bytes")]


if __name__ == "__main__":
    for result in run():
        print(result)

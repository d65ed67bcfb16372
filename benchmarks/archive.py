"""The archive: what writing and reading files of raw records cost, and a replay from them beside one from the broker.

Blocks are of 90 trades that walk, 3 KB each, as a busy socket gives them; they come again after 26 MB, which is further
than zstd looks back at this level. Writing is measured from rows to the line in the manifest, with everything brought to the
disk. Reading is what `mds archive cat` does: each file hashed, then its records as a stream, to nowhere. The yardstick of
both is zstd, in memory, of the same bytes at the same level. Memory is the peak of a process that writes one file of 128 MB,
above that of one that writes next to nothing. A replay from the archive is a pipe from a process that prints it, whose start
counts.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO, cast

import cramjam
from confluent_kafka import Producer

from benchmarks.measure import RUNS, Row, broker, middle, row
from infra.runtime.kafka.clients import producer_config
from infra.runtime.kafka.topics import ensure_topics
from schemas.clocks import KnowledgeTime, WallTime
from schemas.partitions import partition_of
from schemas.records import RawBlock
from schemas.topics import DEFAULT_PARTITIONS, RAW_TRADES
from schemas.wire.codec import encode
from schemas.wire.framing import StreamedRecord
from sinks.archive.planning import Row as ArchivedRow
from sinks.archive.shell.inspection import Moments, archived, cat, replayed
from stream_processors.replay import from_kafka, from_stream, replay
from tests.support.archives import NOON_US, archiver, opened, rows_of
from tests.support.builders import a_trade_event

ROOT = Path(__file__).parent.parent
EVENTS_PER_BLOCK = 90
DISTINCT_BLOCKS = 8_000
BLOCKS = 40_000  # about one full file
REPLAYED_BLOCKS = 8_000
FILE_BYTES = 134_217_728
MEMORY_GOAL_MIB = 512.0
MIB = 2**20
EVER = Moments(0, 2**62)


def run() -> list[Row]:
    """Return MB/s, ratio, memory and the pace of replays: medians of runs that alternate."""
    with tempfile.TemporaryDirectory(prefix="mds-bench-") as folder:
        return [*_files(Path(folder)), *_memory(), *asyncio.run(_from_broker(Path(folder)))]


@cache
def blocks(count: int) -> Sequence[bytes]:
    """Return encoded blocks of trades of a symbol that walks."""
    chance, price, made = random.Random(7), 100.0, []
    for number in range(min(count, DISTINCT_BLOCKS)):
        events = []
        for place in range(EVENTS_PER_BLOCK):
            price = round(max(1.0, price + chance.gauss(0, 0.01)), 2)
            moment = NOON_US + number * 40_000 + place * 400 + chance.randrange(400)
            events.append(
                a_trade_event(
                    symbol="SPY",
                    price=price,
                    size=float(chance.choice([1, 5, 100, 100, 200, chance.randrange(1, 900)])),
                    event_time=moment,
                )
            )
        block = RawBlock(
            provider="bench",
            endpoint="ws",
            route="primary",
            received_time=WallTime(NOON_US + number * 40_000),
            events=events,
        )
        made.append(encode(RAW_TRADES, block))
    return [made[number % len(made)] for number in range(count)]


def _rows(values: Sequence[bytes]) -> Iterator[ArchivedRow]:
    for offset, value in enumerate(values):
        yield ArchivedRow(offset, KnowledgeTime(NOON_US + offset * 1_000), b"SPY", value)


def _files(folder: Path) -> list[Row]:
    values = blocks(BLOCKS)
    size_mb = sum(map(len, values)) / 1e6
    together = b"".join(values)
    paces: dict[str, list[float]] = {name: [] for name in ("write", "pack", "read", "unpack")}
    ratio = 0.0
    for number in range(RUNS):
        root = folder / str(number)
        began_s = time.perf_counter()
        made = opened(root)
        line = made.keep(rows_of(_rows(values)), leader_epoch=1)
        paces["write"].append(size_mb / (time.perf_counter() - began_s))
        ratio = line.content_bytes / line.file_bytes
        began_s = time.perf_counter()
        packed = cramjam.zstd.compress(together, level=3)
        paces["pack"].append(size_mb / (time.perf_counter() - began_s))
        began_s = time.perf_counter()
        _printed(root)
        paces["read"].append(size_mb / (time.perf_counter() - began_s))
        began_s = time.perf_counter()
        cramjam.zstd.decompress(packed)
        paces["unpack"].append(size_mb / (time.perf_counter() - began_s))
    written, packed_pace, read, unpacked_pace = (middle(found) for found in paces.values())
    return [
        row(
            "archive written and brought to the disk / zstd(3) alone", written, "MB/s", yardstick=packed_pace
        ),
        row("archive read: hash and record stream / zstd alone", read, "MB/s", yardstick=unpacked_pace),
        row("bytes of blocks of 90 trades, to those of their file", ratio, "times"),
    ]


def _printed(root: Path) -> None:
    with Path(os.devnull).open("wb") as out:
        parts = list(archived(root))
        assert not list(cat(parts, replayed(parts, ()), EVER, out))


def _memory() -> list[Row]:
    """Measure blocks as small as ticks and as large as a topic takes."""
    least = _peak_mib(1_000, 1_000)
    rows = []
    for what, size in (("300 B", 300), ("3 KB", 3_000), ("1 MB", 1_000_000)):
        peak = _peak_mib(size, FILE_BYTES) - least
        rows.append(
            row(
                f"memory of a file of 128 MB, blocks of {what}",
                peak,
                "MiB",
                goal=MEMORY_GOAL_MIB,
                lower_is_better=True,
            )
        )
    return rows


def _peak_mib(block_bytes: int, file_bytes: int) -> float:
    command = [sys.executable, "-m", "benchmarks.archive", str(block_bytes), str(file_bytes)]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def peak_mib(block_bytes: int, file_bytes: int) -> float:
    """Write a file of random blocks, made as they are taken, and return the most memory this process had."""
    chance = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="mds-bench-") as folder:
        made = (chance.randbytes(block_bytes) for _ in range(file_bytes // block_bytes))
        rows = (ArchivedRow(at, KnowledgeTime(NOON_US + at), None, value) for at, value in enumerate(made))
        opened(Path(folder)).keep(rows_of(rows), leader_epoch=1)
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says there may be of the process that started this one
        (peak,) = [text for text in status.read_text("utf-8").splitlines() if text.startswith("VmHWM:")]
        return int(peak.split()[1]) / 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


async def _from_broker(folder: Path) -> list[Row]:
    """Measure archiving itself, and events a second of the processors' replay from the archive and from the broker."""
    prefix = f"bench.{os.getpid()}."
    with broker(short_lived=True) as bootstrap:
        _fill(bootstrap, f"{prefix}many.", BLOCKS)
        _fill(bootstrap, prefix, REPLAYED_BLOCKS)
        archiving: list[float] = []
        for number in range(RUNS):
            archive = archiver(
                folder / f"many{number}",
                bootstrap,
                f"{prefix}many.",
                topics=[RAW_TRADES],
                file_bytes=FILE_BYTES,
            )
            began_s = time.perf_counter()
            await archive.round()
            archiving.append(sum(map(len, blocks(BLOCKS))) / 1e6 / (time.perf_counter() - began_s))
        await archiver(folder / "replayed", bootstrap, prefix, file_bytes=FILE_BYTES).round()
        paces = _replays(folder / "replayed", bootstrap, prefix)
    return [
        row("archived from the broker, raw bytes", middle(archiving), "MB/s"),
        row(
            "replay of trades from the archive / from the broker",
            middle(paces["archive"]),
            "events/s",
            yardstick=middle(paces["broker"]),
        ),
    ]


def _fill(bootstrap: str, prefix: str, count: int) -> None:
    ensure_topics(bootstrap, prefix=prefix)
    producer = Producer(producer_config(bootstrap, "bench"))
    partition = partition_of("SPY", DEFAULT_PARTITIONS)
    for value in blocks(count):
        producer.produce(prefix + RAW_TRADES, value, b"SPY", partition=partition)
        producer.poll(0)
    assert producer.flush(60) == 0


def _replays(root: Path, bootstrap: str, prefix: str) -> dict[str, list[float]]:
    paces: dict[str, list[float]] = {"archive": [], "broker": []}
    command = [sys.executable, "-m", "sinks", "archive", f"--path={root}", "cat"]
    for _ in range(RUNS):
        began_s = time.perf_counter()
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as printing:
            printed = from_stream(cast("BinaryIO", printing.stdout))
            paces["archive"].append(_pace(replay(printed, DEFAULT_PARTITIONS), began_s))
        assert printing.returncode == 0
        began_s = time.perf_counter()
        held = from_kafka(bootstrap, [RAW_TRADES], DEFAULT_PARTITIONS, prefix=prefix)
        paces["broker"].append(_pace(replay(held, DEFAULT_PARTITIONS), began_s))
    return paces


def _pace(streamed: Iterator[StreamedRecord], began_s: float) -> float:
    assert sum(1 for _ in streamed) > REPLAYED_BLOCKS
    return REPLAYED_BLOCKS * EVENTS_PER_BLOCK / (time.perf_counter() - began_s)


if __name__ == "__main__":
    print(peak_mib(*map(int, sys.argv[1:3])))

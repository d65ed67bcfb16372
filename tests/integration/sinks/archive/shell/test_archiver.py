"""The archive on a real broker: every record once, byte by byte, whatever becomes of the process, the disk and the log."""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient

from infra.runtime import metrics
from infra.runtime.clock import wall_us
from infra.runtime.kafka.moving import Move
from infra.runtime.kafka.publisher import Outgoing
from infra.runtime.kafka.topics import ensure_topics
from infra.runtime.lifecycle import Health
from schemas.archive.manifest import MANIFEST, Lost
from schemas.clocks import CanonicalOffset
from schemas.errors import ArchiveUnavailable, Fenced
from schemas.partitions import TopicPartition, partition_of
from schemas.topics import DEFAULT_PARTITIONS, RAW_TOPICS, RAW_TRADES
from schemas.wire.codec import encode
from sinks.archive.shell import archiver as archiving
from sinks.archive.shell.disk import LOCK, Disk
from sinks.archive.shell.inspection import Archived, Moments, archived, cat, replayed, verify
from sinks.progress.positions import Log, StoredPosition
from sinks.reading.shell.logs import TopicLogs
from stream_processors.replay import from_kafka, from_stream
from tests.support.archives import a_round, archiver, files_at_most, held_rows, later_us, stored_rows
from tests.support.builders import a_block, a_trade_event
from tests.support.eventually import eventually
from tests.support.sink_records import ROOT, publish

SEEDS = 20
WITHIN_S = 30.0


def trades(prefix: str, count: int, *, seed: int = 1) -> list[Outgoing]:
    """Return raw records of any bytes, blocks among them, in all partitions but the last."""
    chance = random.Random(seed)
    return [
        Outgoing(
            topic=prefix + RAW_TRADES,
            partition=number % (DEFAULT_PARTITIONS - 1),
            key=chance.choice([None, b"", b"SPY", chance.randbytes(9)]),
            value=chance.randbytes(chance.choice([0, 5, 700, 9_000]))
            if chance.random() < 0.7
            else encode(RAW_TRADES, a_block(a_trade_event())),
        )
        for number in range(count)
    ]


def parts(root: Path) -> dict[int, Archived]:
    """Return the partitions of an archive of one incarnation of a topic."""
    return {part.tail.place.partition: part for part in archived(root) if part.tail is not None}


def is_whole(root: Path, bootstrap: str, prefix: str) -> None:
    """Fail unless the archive holds what the broker holds, once, and nothing is wrong with it."""
    assert set(parts(root)) == set(range(DEFAULT_PARTITIONS))
    for number, part in parts(root).items():
        assert [str(fault) for fault in verify(part, None, None, prefix=prefix)] == []
        assert stored_rows(part.path) == held_rows(bootstrap, prefix, RAW_TRADES, number)


async def test_every_record_is_kept_byte_by_byte(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """In files of a size, an empty partition among them; what comes later goes on where they end."""
    await publish(kafka_bootstrap, trades(topic_prefix, 90))
    archive = archiver(tmp_path, kafka_bootstrap, topic_prefix)

    await a_round(archive)
    is_whole(tmp_path, kafka_bootstrap, topic_prefix)
    await publish(kafka_bootstrap, trades(topic_prefix, 30, seed=2))
    await archive.round()
    await archive.round()

    is_whole(tmp_path, kafka_bootstrap, topic_prefix)
    assert all(
        len(part.files) > 2 for number, part in parts(tmp_path).items() if number < DEFAULT_PARTITIONS - 1
    )
    assert stored_rows(parts(tmp_path)[DEFAULT_PARTITIONS - 1].path) == []


async def test_an_hour_is_closed_by_the_clock_and_not_by_a_later_record(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Until then nothing of it is a file, its age is that of its first record, and it is not read again each time."""
    now = [wall_us()]
    await publish(kafka_bootstrap, trades(topic_prefix, 12))
    archive = archiver(tmp_path, kafka_bootstrap, topic_prefix, now_us=lambda: now[0], file_bytes=10**9)

    await a_round(archive)
    rows = held_rows(kafka_bootstrap, topic_prefix, RAW_TRADES, 0)
    assert stored_rows(parts(tmp_path)[0].path) == []
    now[0] = wall_us()
    page = metrics.render()[0].decode()
    age_s = max(0, now[0] - rows[0].append_us) / 1_000_000
    labels = f'{{partition="0",topic="{RAW_TRADES}"}}'
    assert f"mds_archive_age_seconds{labels} {age_s}" in page
    assert f"mds_archive_next_offset{labels} 0.0" in page
    now[0] = later_us()
    await archive.round()

    is_whole(tmp_path, kafka_bootstrap, topic_prefix)
    page = metrics.render()[0].decode()
    assert f"mds_archive_age_seconds{labels} 0.0" in page
    assert f"mds_archive_next_offset{labels} {float(len(rows))}" in page


async def test_no_kill_loses_or_repeats_a_record(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Kill -9 of a process at a moment of its writing, over all of them: the next one ends with every record once."""
    await publish(kafka_bootstrap, trades(topic_prefix, 40))
    chance = random.Random(int(os.environ.get("MDS_ARCHIVE_SEED", "1")))
    await a_round(archiver(tmp_path / "first", kafka_bootstrap, topic_prefix))
    alive = await _killed_at(0, tmp_path / "alive", kafka_bootstrap, topic_prefix)
    moments = int(alive.stdout)
    for seed in range(SEEDS):
        root = tmp_path / str(seed)
        moment = 1 + moments * seed // SEEDS + chance.randrange(moments // SEEDS)
        done = await _killed_at(moment, root, kafka_bootstrap, topic_prefix)
        assert done.returncode == -signal.SIGKILL, (moment, moments, done.stderr)
        await archiver(root, kafka_bootstrap, topic_prefix).round()

        is_whole(root, kafka_bootstrap, topic_prefix)


async def _killed_at(
    moment: int, root: Path, bootstrap: str, prefix: str
) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "tests.support.archive_process",
        str(root),
        bootstrap,
        prefix,
        str(moment),
    ]
    return await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


async def test_a_full_disk_stops_the_archive_with_its_reason_until_there_is_room(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost, nothing is left behind, and nobody has to start it again."""
    monkeypatch.setattr(archiving, "LOOK_EVERY_S", 0.1)
    await publish(kafka_bootstrap, trades(topic_prefix, 60))
    archive = archiver(tmp_path, kafka_bootstrap, topic_prefix)
    await a_round(archive)
    await publish(kafka_bootstrap, trades(topic_prefix, 60, seed=3))
    with files_at_most(2_000), pytest.raises(ArchiveUnavailable, match="File too large"):
        await archive.round()
    assert not [name for name in _files(tmp_path) if name.endswith(".tmp")]

    disk = Disk(keep_free_bytes=2**60)
    health = Health()
    running = asyncio.create_task(archiver(tmp_path, kafka_bootstrap, topic_prefix, disk=disk).run(health))
    try:
        await eventually(
            lambda: "bytes free" in health.parts[archiving.ARCHIVE].detail["error"], within_s=WITHIN_S
        )
        assert not health.ready()
        disk._keep_free_bytes = 0  # noqa: SLF001 - somebody made room
        await eventually(health.ready, within_s=WITHIN_S)
    finally:
        running.cancel()
        await asyncio.wait({running})

    is_whole(tmp_path, kafka_bootstrap, topic_prefix)


async def test_the_later_of_two_archives_goes_on_alone(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The earlier one stops before it writes anything more."""
    await publish(kafka_bootstrap, trades(topic_prefix, 30))
    first = archiver(tmp_path, kafka_bootstrap, topic_prefix)
    await a_round(first)
    second = archiver(tmp_path, kafka_bootstrap, topic_prefix)
    await publish(kafka_bootstrap, trades(topic_prefix, 30, seed=2))
    before = _files(tmp_path)

    with pytest.raises(Fenced, match="took over"):
        await first.run(Health())

    assert _files(tmp_path) == before
    await second.round()
    is_whole(tmp_path, kafka_bootstrap, topic_prefix)


async def test_what_retention_took_first_is_a_line(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Also where nothing is left behind it; what is kept of before stays."""
    await publish(kafka_bootstrap, trades(topic_prefix, 30))
    archive = archiver(tmp_path, kafka_bootstrap, topic_prefix)
    await a_round(archive)
    kept = {number: stored_rows(part.path) for number, part in parts(tmp_path).items()}
    await publish(kafka_bootstrap, trades(topic_prefix, 30, seed=2))
    _delete_before(kafka_bootstrap, topic_prefix, {0: 14, 1: 20})

    await archive.round()

    lost = {number: part.missing for number, part in parts(tmp_path).items()}
    assert [(line.start, line.end) for line in lost[0] if isinstance(line, Lost)] == [(10, 14)]
    assert [(line.start, line.end) for line in lost[1] if isinstance(line, Lost)] == [(10, 20)]
    assert lost[2] == []
    for number, part in parts(tmp_path).items():
        assert [str(fault) for fault in verify(part, None, None, prefix=topic_prefix)] == []
        held = held_rows(kafka_bootstrap, topic_prefix, RAW_TRADES, number)
        assert stored_rows(part.path) == (kept[number] + held if number < 2 else held)


async def test_a_topic_that_was_made_again_is_another_archive(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Beside the old one, which stays as it was."""
    await publish(kafka_bootstrap, trades(topic_prefix, 30))
    archive = archiver(tmp_path, kafka_bootstrap, topic_prefix)
    await a_round(archive)
    (old,) = (tmp_path / RAW_TRADES).iterdir()
    before = {number: stored_rows(part.path) for number, part in parts(tmp_path).items()}
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.delete_topics([topic_prefix + RAW_TRADES])[topic_prefix + RAW_TRADES].result(30)
    await eventually(lambda: ensure_topics(kafka_bootstrap, prefix=topic_prefix), within_s=WITHIN_S)
    await publish(kafka_bootstrap, trades(topic_prefix, 6, seed=5))

    await a_round(archive)

    (new,) = set((tmp_path / RAW_TRADES).iterdir()) - {old}
    for number in range(DEFAULT_PARTITIONS):
        held = held_rows(kafka_bootstrap, topic_prefix, RAW_TRADES, number)
        assert stored_rows(new / f"partition={number}") == held
        assert stored_rows(old / f"partition={number}") == before[number]


class ShorterLogs(TopicLogs):
    """Says that a log lost its end, as after an unclean election."""

    shorter: TopicPartition | None = None

    async def look(
        self,
        partitions: Collection[TopicPartition],
        stored: Mapping[TopicPartition, StoredPosition] | None = None,
    ) -> dict[TopicPartition, Log]:
        """Return the logs as they are, one of them shorter."""
        logs = await super().look(partitions, stored)
        return {
            place: replace(log, end=CanonicalOffset(3)) if place == self.shorter else log
            for place, log in logs.items()
        }


async def test_what_is_wrong_with_a_partition_stops_no_other(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A log that lost its end, and a manifest that was changed: both are told with what to do."""
    await publish(kafka_bootstrap, trades(topic_prefix, 30))
    await a_round(archiver(tmp_path, kafka_bootstrap, topic_prefix))
    await publish(kafka_bootstrap, trades(topic_prefix, 30, seed=2))
    before = {number: stored_rows(part.path) for number, part in parts(tmp_path).items()}
    changed = parts(tmp_path)[1].path / MANIFEST
    good = changed.read_bytes()
    changed.write_bytes(good.replace(b'"rows":', b'"rows":1', 1))
    logs = ShorterLogs(kafka_bootstrap, prefix=topic_prefix)
    logs.shorter = TopicPartition(RAW_TRADES, 0)
    archive = archiver(tmp_path, kafka_bootstrap, topic_prefix)
    archive._logs = logs  # noqa: SLF001 - the broker does not lose its end on demand

    await archive.round()

    told = {place.partition: refusal.problem for place, refusal in archive.refused.items()}
    assert set(told) == {0, 1}
    assert "lost its end" in told[0]
    assert "not as it was written" in told[1]
    assert stored_rows(parts(tmp_path)[0].path) == before[0]
    assert stored_rows(parts(tmp_path)[2].path) == held_rows(kafka_bootstrap, topic_prefix, RAW_TRADES, 2)
    changed.write_bytes(good)
    logs.shorter = None
    await archive.round()
    assert archive.refused == {}
    is_whole(tmp_path, kafka_bootstrap, topic_prefix)


async def test_a_replay_of_the_archive_is_the_replay_of_the_broker(
    kafka_bootstrap: str, topic_prefix: str, bare_prefix: str, tmp_path: Path
) -> None:
    """The same raw records at the same moments, also of a log that was moved, whose moments are those of the old one."""
    blocks = [
        Outgoing(
            topic=topic_prefix + RAW_TRADES,
            partition=partition_of(symbol, DEFAULT_PARTITIONS),
            key=symbol.encode(),
            value=encode(RAW_TRADES, a_block(a_trade_event(symbol=symbol))),
        )
        for symbol in ("SPY", "IBM", "GOOG", "TWX") * 5
    ]
    await publish(kafka_bootstrap, blocks)
    move = Move(
        kafka_bootstrap, source=topic_prefix, target=bare_prefix, partitions=2, tell=print, still_for_s=0.0
    )
    await asyncio.to_thread(move.run)
    for prefix, partitions in ((topic_prefix, DEFAULT_PARTITIONS), (bare_prefix, 2)):
        root, out = tmp_path / prefix, io.BytesIO()
        await a_round(archiver(root, kafka_bootstrap, prefix, topics=RAW_TOPICS, partitions=partitions))

        told = list(cat(list(archived(root)), replayed(list(archived(root)), ()), Moments(0, 2**62), out))

        out.seek(0)
        from_archive = sorted(from_stream(out), key=lambda record: (record.topic, record.partition))
        held = await asyncio.to_thread(
            list, from_kafka(kafka_bootstrap, RAW_TOPICS, partitions, prefix=prefix)
        )
        assert told == []
        assert len(from_archive) == len(blocks)
        assert from_archive == sorted(held, key=lambda record: (record.topic, record.partition))
        assert {record.moved for record in from_archive} == {prefix == bare_prefix}


def _files(root: Path) -> dict[str, tuple[int, int]]:
    """Return length and time of change of each file but the lock, which is opened to be asked."""
    found = {str(path): path.stat() for path in root.rglob("*") if path.is_file() and path.name != LOCK}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


def _delete_before(bootstrap: str, prefix: str, offsets: Mapping[int, int]) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    places = [Place(prefix + RAW_TRADES, number, offset) for number, offset in offsets.items()]
    for future in admin.delete_records(places).values():
        future.result(30)

"""What `verify` finds, and what `cat` prints of an archive that a broker filled."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing
from schemas.archive.manifest import MANIFEST, KeptFile, append
from schemas.clocks import CanonicalOffset, WallTime
from schemas.errors import ConfigurationError
from schemas.partitions import TopicPartition
from schemas.topics import RAW_TRADES
from schemas.wire.framing import StreamedRecord, read_records
from sinks.archive.planning import HOUR_US
from sinks.archive.shell.disk import Disk, Ownership
from sinks.archive.shell.folder import Folder, prune
from sinks.archive.shell.inspection import Moments, archived, cat, read_folder, replayed, verify
from sinks.reading.shell.logs import TopicLogs
from tests.support.archives import (
    INCARNATION,
    NOON_US,
    a_round,
    a_row,
    archiver,
    begun,
    held_rows,
    opened,
    rows_of,
    stored_rows,
)
from tests.support.sink_records import publish

EVER = Moments(0, 2**62)
DISK = Disk(keep_free_bytes=0)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of a partition with four files of two records, an hour each."""
    made = opened(tmp_path / "archive")
    for at in range(0, 8, 2):
        pair = (a_row(n, append_us=NOON_US + at // 2 * HOUR_US + n) for n in (at, at + 1))
        made.keep(rows_of(pair), leader_epoch=1)
    yield made.path
    assert not list((tmp_path / "archive").rglob("*.tmp"))


def faults(path: Path) -> list[str]:
    """Return what is wrong with a partition, in words."""
    return [str(fault) for fault in verify(read_folder(path), None, None, prefix="")]


def printed(
    root: Path, moments: Moments = EVER, **incarnations: str
) -> tuple[list[StreamedRecord], list[str]]:
    """Return the record stream of an archive, and what was said beside it."""
    parts, out = list(archived(root)), io.BytesIO()
    told = list(cat(parts, replayed(parts, list(incarnations.values())), moments, out))
    out.seek(0)
    return list(read_records(out)), told


def test_one_flipped_byte_is_named_by_file_and_offsets(folder: Path) -> None:
    """In any place of the file; the others are still checked."""
    assert faults(folder) == []
    assert folder.parent.name == INCARNATION
    names = [line.path for line in read_folder(folder).files]
    for place in (5, 200, -20):
        file = folder / names[2]
        good = file.read_bytes()
        bad = bytearray(good)
        bad[place] ^= 0x10
        file.write_bytes(bytes(bad))

        assert faults(folder) == [
            f"{names[2]}, offsets 4 to 5: the file was changed: its SHA-256 is another one"
        ]
        with pytest.raises(ConfigurationError, match="offsets 4 to 5"):
            printed(folder.parents[2])
        file.write_bytes(good)


def test_a_missing_and_a_shorter_file_are_named(folder: Path) -> None:
    """Each with its offsets."""
    names = [line.path for line in read_folder(folder).files]
    (folder / names[0]).unlink()
    (folder / names[3]).write_bytes(b"PAR1")

    found = faults(folder)

    assert found[0] == f"{names[0]}, offsets 0 to 1: the file is missing"
    assert found[1].startswith(f"{names[3]}, offsets 6 to 7: the file has 4 bytes")
    assert len(found) == 2


def test_a_hole_and_a_broken_chain_are_named(folder: Path) -> None:
    """A line that was taken out, one that was changed, a manifest that is gone, and an older copy of it."""
    manifest = folder / MANIFEST
    lines = manifest.read_bytes().splitlines(keepends=True)
    told = {
        b"".join(lines[:2] + lines[3:]): "the chain is broken",
        b"".join(
            [*lines[:2], lines[2].replace(b'"rows":2', b'"rows":3'), *lines[3:]]
        ): "not as it was written",
        b"": "missing or empty",
        b"".join(lines[:2]): "no line of the manifest knows the file",
    }
    for data, problem in told.items():
        manifest.write_bytes(data)
        assert problem in " ".join(faults(folder)), problem
    manifest.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert faults(folder)[0].startswith("manifest.jsonl, offsets 2 to 2")
    with pytest.raises(ConfigurationError, match="chain is broken"):
        printed(folder.parents[2])


def test_lines_that_were_made_to_fit_do_not_hide_other_rows(folder: Path) -> None:
    """A file of other rows, whose hash and length a line says, in a chain that holds."""
    other = opened(folder.parents[3] / "other")
    other.keep(rows_of([a_row(0), a_row(1, size=41)]), leader_epoch=1)
    (file,) = read_folder(other.path).files
    (folder / file.path).write_bytes((other.path / file.path).read_bytes())
    rewrite(
        folder, lambda line: {"sha256": file.sha256, "file_bytes": file.file_bytes} if line.start == 0 else {}
    )

    assert faults(folder) == [f"{file.path}, offsets 0 to 1: 2 records of 91 bytes, not 2 of 90"]
    with pytest.raises(ConfigurationError, match="2 records of 91 bytes"):
        printed(folder.parents[2])


def rewrite(folder: Path, changes: Callable[[KeptFile], dict[str, Any]]) -> None:
    """Write a manifest anew, its files' lines changed."""
    tail, data = None, b""
    for line in read_folder(folder).lines:
        changed = replace(line, **changes(line)) if isinstance(line, KeptFile) else line
        text, tail = append(tail, changed)
        data += text
    (folder / MANIFEST).write_bytes(data)


def test_a_pruned_partition_is_whole(folder: Path) -> None:
    """Its line says what is gone; the stream says it as well."""
    prune(
        folder.parents[2], folder, read_folder(folder).files[:3], DISK, now_us=WallTime(NOON_US), lossy=True
    )

    records, told = printed(folder.parents[2])

    assert faults(folder) == []
    assert [record.offset for record in records] == [6, 7]
    assert told == [f"{RAW_TRADES}/3: offsets 0 to 5 were pruned"]
    assert len(list(folder.glob("date=*"))) == 1


def test_a_stretch_of_time_is_printed_record_by_record(folder: Path) -> None:
    """From a moment, inclusive, to another, exclusive; whole files beside it are not read."""
    rows = [row for row in stored_rows(folder) if row.offset > 1]
    (folder / read_folder(folder).files[0].path).unlink()
    start, end = NOON_US + HOUR_US + 3, NOON_US + 3 * HOUR_US + 7

    records, told = printed(folder.parents[2], Moments(start, end))

    assert told == []
    assert records == [
        StreamedRecord(
            topic=RAW_TRADES,
            partition=3,
            offset=row.offset,
            append_time=row.append_us,
            key=None,
            value=row.value or b"",
        )
        for row in rows
        if start <= row.append_us < end
    ]
    assert [record.offset for record in records] == [3, 4, 5, 6]


def test_of_two_incarnations_one_is_printed(folder: Path) -> None:
    """The newest, or the one that is named: positions of two logs must not mix."""
    root = folder.parents[2]
    again = replace(begun(topic_id="-newer_one"), at_us=WallTime(NOON_US + 1))
    newer = Folder(root, again, disk=DISK, ownership=Ownership.take(root, DISK))
    newer.keep(rows_of([a_row(0, size=9)]), leader_epoch=1)

    assert [len(record.value) for record in printed(root)[0]] == [14]
    assert [record.offset for record in printed(root, trades=INCARNATION)[0]] == list(range(8))


async def test_archive_and_broker_are_compared(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Where both have a record: one that was changed with its file's line and the whole chain is found."""
    place = TopicPartition(RAW_TRADES, 3)
    sent = [
        Outgoing(topic=topic_prefix + RAW_TRADES, partition=3, key=None, value=a_row(at).value or b"")
        for at in range(6)
    ]
    await publish(kafka_bootstrap, sent)
    await a_round(archiver(tmp_path, kafka_bootstrap, topic_prefix, file_bytes=130))
    (path,) = (part.path for part in archived(tmp_path) if part.tail is not None and part.tail.place == place)
    logs = await TopicLogs(kafka_bootstrap, prefix=topic_prefix).look([place])
    held = held_rows(kafka_bootstrap, topic_prefix, *place)

    def compared(start: int) -> list[str]:
        log = replace(logs[place], start=CanonicalOffset(start))
        with LogReader(kafka_bootstrap, "test-archive") as reader:
            return [str(fault) for fault in verify(read_folder(path), log, reader, prefix=topic_prefix)]

    assert stored_rows(path) == held
    assert compared(0) == []
    second = read_folder(path).files[1]
    changed = rows_of([held[3]._replace(value=b"\0" + (held[3].value or b"")[1:-1] + b"?"), *held[4:]])
    with (path / second.path).open("wb") as out:
        file_bytes, digest = changed.write(out, {})
    rewrite(
        path, lambda line: {"file_bytes": file_bytes, "sha256": digest} if line.start == second.start else {}
    )

    assert compared(0) == [
        f"{second.path}, offsets 3 to 5: archive and broker have different bytes, at offset 3"
    ]
    assert compared(4) == []  # the broker does not have it any more

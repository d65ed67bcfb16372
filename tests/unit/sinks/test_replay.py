"""A record stream becomes the batches the live service would write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO

import pytest

from schemas.clocks import WallTime
from schemas.errors import MalformedPayload, StoreUnavailable
from schemas.intervals import MINUTE_US
from schemas.partitions import TopicPartition
from schemas.records import Progress
from schemas.topics import BARS, DEFAULT_PARTITIONS, PROGRESS, RAW_BARS
from schemas.wire.codec import encode
from schemas.wire.framing import END, StreamedRecord, read_records, write_record
from sinks import replay
from sinks.batch.batch import Batch
from sinks.progress.positions import Log
from sinks.progress.watermark import Claims
from tests.support.builders import NINE_THIRTY, a_bar
from tests.support.received import home


def a_stream(blocks: int) -> BytesIO:
    """Return a record stream: one bar and the progress of each block."""
    out = BytesIO()
    for block in range(blocks):
        bar = a_bar(raw_offset=block, event_time=NINE_THIRTY + block * MINUTE_US)
        progress = Progress(
            raw_topic=RAW_BARS, partition=home("SPY"), raw_offset=block, known_from=block, canonical_topic=BARS,
            canonical_end_offset=99, processing_version=1,
        )  # fmt: skip
        for topic, value in ((BARS, encode(BARS, bar)), (PROGRESS, encode(PROGRESS, progress))):
            record = StreamedRecord(
                topic=topic, partition=home("SPY"), offset=block, append_time=5_000, key=b"k", value=value
            )
            write_record(out, record)
    out.seek(0)
    return out


def test_every_record_is_in_one_batch() -> None:
    """Chunks of the stream lose nothing, and the last block is not held back."""
    batches = list(replay.batches(read_records(a_stream(7)), DEFAULT_PARTITIONS, chunk_records=3))

    offsets = [
        o for batch in batches for rows in batch.rows for o in rows.columns.integers("raw_offset").tolist()
    ]
    assert offsets == list(range(7))
    assert len(batches) > 2


def test_claims_hold_once_read() -> None:
    """In the stream all a claim speaks of comes before it, so no canonical position is waited for."""
    claims = Claims()
    for batch in replay.batches(read_records(a_stream(2)), DEFAULT_PARTITIONS):
        claims = claims.with_new(batch.claims)

    complete, left = claims.settled(None)

    assert (complete, left.pending) == ({(BARS, home("SPY")): 1}, {})


class KeptPlaces:
    """A target that keeps how far it was filled, and fails when told to."""

    def __init__(self, *, fails_after: int | None = None) -> None:
        """Fail at the batch after so many."""
        self.positions: dict[TopicPartition, int] = {}
        self.stored: list[int] = []
        self.fails_after, self.batches = fails_after, 0

    @asynccontextmanager
    async def take_over(
        self, logs: Mapping[TopicPartition, Log], *, now_us: WallTime
    ) -> AsyncIterator[KeptPlaces]:
        """Be taken over."""
        assert {log.topic_id for log in logs.values()} == {replay.REPLAY_ID}
        assert now_us == 0
        self.positions = {place: self.positions.get(place, 0) for place in logs}
        yield self

    async def write(self, batch: Batch) -> None:
        """Store a batch, and how far it reaches."""
        if self.batches == self.fails_after:
            raise StoreUnavailable("gone")
        self.batches += 1
        self.stored += [o for rows in batch.rows for o in rows.columns.integers("raw_offset").tolist()]
        self.positions |= {place: end for place, (end, _) in batch.ends.items()}


def ended(stream: BytesIO) -> BytesIO:
    """Return a record stream with its END."""
    out = BytesIO(stream.getvalue())
    out.seek(0, 2)
    write_record(out, END)
    out.seek(0)
    return out


async def test_a_replay_that_was_cut_off_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """No row twice, none missing, wherever it was cut: the last block of a stream without END is held back."""
    monkeypatch.setattr(replay, "BATCH_RECORDS", 3)
    for blocks in range(1, 9):
        target = KeptPlaces()
        with pytest.raises(MalformedPayload, match="cut off"):
            await replay.resume(target, a_stream(blocks), DEFAULT_PARTITIONS)
        assert target.stored == list(range(len(target.stored)))
        assert len(target.stored) < blocks
        await replay.resume(target, ended(a_stream(9)), DEFAULT_PARTITIONS)
        assert target.stored == list(range(9)), blocks


async def test_what_the_database_did_not_take_is_sent_again() -> None:
    """And nothing that it took."""
    target = KeptPlaces(fails_after=0)
    with pytest.raises(StoreUnavailable):
        await replay.resume(target, ended(a_stream(4)), DEFAULT_PARTITIONS)
    target.fails_after = None
    for _ in range(2):
        await replay.resume(target, ended(a_stream(4)), DEFAULT_PARTITIONS)

    assert target.stored == list(range(4))

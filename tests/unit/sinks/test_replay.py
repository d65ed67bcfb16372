"""A record stream becomes the batches the live service would write."""

from __future__ import annotations

from io import BytesIO

from schemas.intervals import MINUTE_US
from schemas.records import Progress
from schemas.topics import BARS, DEFAULT_PARTITIONS, PROGRESS, RAW_BARS
from schemas.wire.codec import encode
from schemas.wire.framing import StreamedRecord, read_records, write_record
from sinks import replay
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

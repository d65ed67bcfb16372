"""Records no table takes, found before PostgreSQL is asked: each refusal names the field and what to send instead.

Rows are judged column by column, all at once, at a cost that grows with their bytes; the database never sees one that it
would refuse for its text, its time or its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from schemas.deriving import key, record_fields
from schemas.errors import InvalidRecord
from schemas.identity import stream_of
from schemas.intervals import DAY_US, micros
from schemas.partitions import partition_of
from schemas.records import Evidence, Progress
from schemas.streams import Stream
from schemas.tables import MAX_INDEX
from schemas.validation import FIRST_DAY, FIRST_DAY_YEAR
from sinks.columns.avro import Columns, Flags, Members, Text

MAX_TIME_US = 1 << 55  # beyond it the column reader does not follow either
MAX_EVIDENCE_TEXT = 500  # characters; names are index keys
MAX_KEY_BYTES = 256  # symbol, provider, interval: keys of an index
MAX_TEXT_BYTES = 4_096
MAX_INT = (1 << 31) - 1
MAX_RAW_OFFSET = (1 << 47) - 1  # with the index it makes one integer of 64 bits
FIRST_YEAR, LAST_YEAR = 1900, 2199
FIRST_US = micros(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC))
END_US = micros(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC))
END_DAY = END_US // DAY_US

WORD_BYTES = 8
ALL_BITS = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
LOW_BITS = np.uint64(0x0101_0101_0101_0101)
HIGH_BITS = np.uint64(0x8080_8080_8080_8080)

Fault = tuple[int, str]
"""A row, and what is wrong with it."""


def unsound(stream: Stream, columns: Columns) -> dict[int, InvalidRecord]:
    """Return, by row, why a record of the stream cannot be stored; rows the reader could not follow mean nothing."""
    found: dict[int, InvalidRecord] = {}
    for row, problem in _faults(stream, columns):
        found.setdefault(row, InvalidRecord(problem))
    return found


def _faults(stream: Stream, columns: Columns) -> Iterator[Fault]:
    keys = key(stream)
    for field in record_fields(stream):
        if field.kind == "string":
            most = MAX_KEY_BYTES if field.name in keys else MAX_TEXT_BYTES
            yield from _of_text(field.name, columns.texts[field.name], columns.buffer, most)
        elif field.kind == "double":
            numbers = columns.numbers[field.name]
            bad = ~np.isfinite(numbers.values)
            for row in _rows(bad if numbers.valid is None else bad & numbers.valid):
                yield row, f"{field.name} is not a finite number; drop or correct it"
        elif field.kind == "date":
            day = columns.numbers[field.name]
            far = (day.values < FIRST_DAY) | (day.values >= END_DAY)
            for row in _rows(far if day.valid is None else far & day.valid):
                yield (
                    row,
                    f"{field.name} is outside the years {FIRST_DAY_YEAR} to {LAST_YEAR}; it is in days since 1970-01-01",
                )
    for name, members in columns.lists.items():
        yield from _of_members(name, members)
    yield from _outside(columns, "index", 0, MAX_INDEX, "number the events of a block from 0")
    yield from _outside(columns, "raw_offset", 0, MAX_RAW_OFFSET, "it is the offset of the raw record")
    event_time = columns.integers("event_time")
    for row in _rows((event_time < FIRST_US) | (event_time >= END_US)):
        yield row, f"event_time is outside the years {FIRST_YEAR} to {LAST_YEAR}; times are µs since 1970"


def _of_members(name: str, members: Members) -> Iterator[Fault]:
    """Yield each row with a member that no table takes: a number without an end, a moment or a day of no year."""
    rows = np.repeat(np.arange(len(members.edges) - 1), np.diff(members.edges))
    for field, numbers in members.numbers.items():
        values = numbers.values
        if values.dtype == np.float64:
            bad, remedy = ~np.isfinite(values), "is not a finite number; drop or correct it"
        else:
            # a day, an enumeration's place and a moment are all below the last moment
            bad, remedy = (values < 0) | (values >= END_US), "is out of range; times are µs since 1970"
        if field.endswith("_date"):
            bad, remedy = bad | (values >= END_DAY), "is out of range; days count from 1970-01-01"
        for row in np.unique(rows[bad if numbers.valid is None else bad & numbers.valid]).tolist():
            yield row, f"{name}.{field} {remedy}"


def _outside(columns: Columns, name: str, least: int, most: int, remedy: str) -> Iterator[Fault]:
    values = columns.integers(name)
    for row in _rows((values < least) | (values > most)):
        yield row, f"{name} is {int(values[row]):,}, outside {least:,} to {most:,}; {remedy}"


def _of_text(name: str, text: Text, buffer: NDArray[np.uint8], most: int) -> Iterator[Fault]:
    lengths = text.lengths if text.valid is None else np.where(text.valid, text.lengths, 0)
    for row in _rows(lengths > most):
        yield row, f"{name} is {int(lengths[row]):,} bytes long, of at most {most:,}; shorten it"
    nul, beyond_ascii = _bytes_of(text, np.where(lengths > most, 0, lengths), buffer)
    for row in _rows(nul):
        yield row, f"{name} holds a NUL; send text without it"
    for row in _rows(beyond_ascii):
        start = int(text.starts[row])
        try:
            buffer[start : start + int(lengths[row])].tobytes().decode()
        except UnicodeDecodeError:
            yield row, f"{name} is not UTF-8; encode it so"


def _bytes_of(text: Text, lengths: NDArray[np.int64], buffer: NDArray[np.uint8]) -> tuple[Flags, Flags]:
    """Return which texts hold a NUL, and which a byte beyond ASCII: eight bytes of every text at once."""
    words: NDArray[np.uint64] = np.ndarray((len(buffer) - WORD_BYTES + 1,), "<u8", buffer, strides=(1,))
    nul, beyond_ascii = np.zeros(len(lengths), np.bool_), np.zeros(len(lengths), np.bool_)
    rows, begin = np.flatnonzero(lengths), 0
    while len(rows):
        missing = np.maximum(WORD_BYTES - (lengths[rows] - begin), 0).astype(np.uint64)
        ours = ALL_BITS >> (missing * np.uint64(8))
        word = words[text.starts[rows] + begin]
        beyond_ascii[rows] |= (word & ours & HIGH_BITS) != 0
        word = word | ~ours
        nul[rows] |= ((word - LOW_BITS) & ~word & HIGH_BITS) != 0
        begin += WORD_BYTES
        rows = rows[lengths[rows] > begin]
    return nul, beyond_ascii


def _rows(flags: Flags) -> list[int]:
    found: list[int] = np.flatnonzero(flags).tolist()
    return found


def check_evidence(told: Evidence, partition: int, partitions: int) -> None:
    """Raise InvalidRecord where evidence read from `partition` of `partitions` cannot be kept, or is not of what it says."""
    end = told.from_time + 1 if told.to_time is None and told.kind == "collected" else told.to_time
    if end is None or not (FIRST_US < told.from_time < end < END_US and FIRST_US < told.known_from < END_US):
        raise InvalidRecord(
            "the evidence has no length, or a time out of range; send from_time < to_time in µs"
        )
    texts = (told.stream, told.symbol, told.provider, told.interval, told.cause, told.detector, told.job_id)
    if any(len(text) > MAX_EVIDENCE_TEXT or "\0" in text for text in texts):
        raise InvalidRecord(
            f"a text of the evidence is longer than {MAX_EVIDENCE_TEXT} characters or holds a NUL; shorten it"
        )
    if not (
        -1 <= told.raw_offset <= MAX_RAW_OFFSET
        and 0 <= told.index <= MAX_INT
        and 0 <= told.expected <= MAX_INT
    ):
        raise InvalidRecord(
            "raw_offset, index or expected of the evidence is out of range; send its block's place"
        )
    if not told.symbol:
        return
    series = stream_of(told.stream)
    if (series.symbol, series.provider, series.interval) != (told.symbol, told.provider, told.interval):
        raise InvalidRecord(
            f"{told.stream} is not of the symbol, provider and interval beside it; make them agree"
        )
    if (home := partition_of(told.symbol, partitions)) != partition:
        raise InvalidRecord(
            f"symbol {told.symbol} belongs to partition {home}; key records by symbol with murmur2"
        )


def check_progress(progress: Progress) -> None:
    """Raise InvalidRecord where a watermark cannot be what the progress claims."""
    before = progress.complete_before
    if not all(-MAX_TIME_US < moment < MAX_TIME_US for moment in (progress.known_from, before or 0)):
        raise InvalidRecord("a time of the progress is out of range; times are µs since 1970")

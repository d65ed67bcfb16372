"""What a job may say at the border; the table of faults is in test_job_schemas.py."""

from __future__ import annotations

import hashlib

import pytest

from schemas.codec import encode
from schemas.errors import MalformedPayload
from schemas.jobs import (
    MAX_JOB_BYTES,
    MAX_JOB_ID_CHARS,
    by_partition,
    poll_job_id,
    read_job,
    read_result,
)
from schemas.partitions import partition_of
from schemas.records import JobResult, SymbolOutcome
from schemas.topics import JOB_RESULTS

SLOT = 1_381_152_600_000_000


def test_a_poll_is_called_the_same_by_whoever_makes_it() -> None:
    """One symbol stands in the clear; several are a hash that knows no order."""
    joined = hashlib.sha256(b"AAPL\nSPY").hexdigest()

    assert poll_job_id("bars:1m", ["SPY"], SLOT) == f"poll|bars:1m|SPY|{SLOT}"
    assert poll_job_id("quotes", ["SPY", "AAPL"], SLOT) == f"poll|quotes|{joined}|{SLOT}"
    assert poll_job_id("quotes", ["AAPL", "SPY"], SLOT) == poll_job_id("quotes", ["SPY", "AAPL"], SLOT)
    assert len(poll_job_id("bars:1m", ["S" * 32, "T"], 4_102_444_800_000_000)) <= MAX_JOB_ID_CHARS


def test_symbols_are_split_by_their_partition_in_their_order() -> None:
    """A job holds symbols of one partition only."""
    symbols = ["SPY", "AAPL", "MSFT", "IBM", "QQQ"]

    parts = by_partition(symbols, 4)

    assert sorted(symbol for part in parts.values() for symbol in part) == sorted(symbols)
    for number, part in parts.items():
        assert part == [symbol for symbol in symbols if partition_of(symbol, 4) == number]


def test_size_is_judged_before_anything_is_decoded() -> None:
    """An Avro length can claim anything."""
    with pytest.raises(MalformedPayload, match="split the job"):
        read_job(b"\0" * (MAX_JOB_BYTES + 1), partition=0, partitions=4)


def test_a_result_comes_back_as_it_was_written() -> None:
    """Nested outcomes are records again."""
    result = JobResult(
        version=1, job_id="j", type="poll", source="sweeper", status="done", capability="quotes", slot=SLOT,
        outcomes=(SymbolOutcome(symbol="SPY", status="done", events=2),), instance="one", finished_time=SLOT,
    )  # fmt: skip

    assert read_result(encode(JOB_RESULTS, result)) == result

"""What a job may say at the border; the table of faults is in test_job_schemas.py."""

from __future__ import annotations

import hashlib
import json
import re
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import fastavro
import pytest
from fastavro.types import Schema

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
from schemas.topics import DEFAULT_PARTITIONS, JOB_RESULTS, JOBS
from schemas.wire.codec import encode

ROOT = Path(__file__).parent.parent.parent.parent
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


class Sent:
    """The client of the example: keeps what it is given."""

    def __init__(self, config: dict[str, object]) -> None:
        """Note the partitioner: ours is not librdkafka's default."""
        assert config["partitioner"] == "murmur2_random"
        self.records: list[tuple[bytes, int]] = []

    def produce(self, topic: str, value: bytes, key: str = "", partition: int = -1) -> None:
        """Place the record as the broker would."""
        assert topic == JOBS
        self.records.append((value, partition if partition >= 0 else partition_of(key, DEFAULT_PARTITIONS)))

    def flush(self) -> None:
        """Nothing waits."""


def test_the_feed_of_the_document_writes_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ten lines of docs/JOBS.md are run as they stand: a lease for every partition, and a poll with the right id."""
    monkeypatch.chdir(ROOT)
    document = (ROOT / "docs" / "JOBS.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    made: list[Sent] = []

    def framed(schema: Schema, value: dict[str, object]) -> bytes:
        out = BytesIO()
        fastavro.schemaless_writer(out, schema, value)
        return b"\x00\x00\x00\x00\x0c" + out.getvalue()

    def client(config: dict[str, object]) -> Sent:
        made.append(Sent(config))
        return made[-1]

    clock = SimpleNamespace(time_ns=lambda: SLOT * 1_000 + 7_000, sleep=_stop)
    with pytest.raises(InterruptedError):
        exec(code, {"json": json, "time": clock, "Producer": client, "BOOTSTRAP": "", "framed": framed})  # noqa: S102

    jobs = [
        read_job(value, partition=place, partitions=DEFAULT_PARTITIONS) for value, place in made[0].records
    ]
    assert [job.type for job in jobs] == ["lease"] * DEFAULT_PARTITIONS + ["poll"]
    assert {place for _, place in made[0].records} == set(range(DEFAULT_PARTITIONS))
    assert jobs[-1].job_id == poll_job_id("bars:1m", ["SPY"], jobs[-1].slot)
    assert jobs[-1].source == jobs[0].source


def _stop(_: float) -> None:
    raise InterruptedError

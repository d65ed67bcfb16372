"""Jobs as JSON lines: checked whole before anything is written, all that is wrong named at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import orjson

from schemas.errors import ConfigurationError, InvalidRecord
from schemas.intervals import SECOND_US
from schemas.jobs import MAX_JOB_BYTES, VERSION, backfill_job_id, by_partition, job_of, poll_job_id
from schemas.records import Job

SOURCE = "cli"
MAX_JOBS = 10_000  # of one file
MAX_FAULTS = 50


def parsed_lines(lines: Sequence[bytes], partitions: int, *, now: int, deadline_s: float) -> list[Job]:
    """Return the jobs of JSON lines, one for each of the `partitions` a line's symbols live in; `now` is wall time, µs.

    What a line leaves out is filled in: version, source, times and the id all makers give to the same work. Raises
    ConfigurationError naming all wrong lines and fields.
    """
    found, faults = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found += list(_parsed(line, partitions, now=now, deadline_s=deadline_s))
        except InvalidRecord as error:
            faults.append(f"line {number}: {error}")
    if len(found) > MAX_JOBS:
        faults.append(f"{len(found)} jobs, at most {MAX_JOBS} at once")
    if faults:
        more = f"\nand {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
        raise ConfigurationError(
            "\n".join(faults[:MAX_FAULTS]) + more, remedy="nothing was written: correct it and submit again"
        )
    if not found:
        raise ConfigurationError("no job was given", remedy="write one JSON object a line")
    return found


def _parsed(line: bytes, partitions: int, *, now: int, deadline_s: float) -> Iterator[Job]:
    if len(line) > MAX_JOB_BYTES:
        raise InvalidRecord(f"{len(line)} bytes, at most {MAX_JOB_BYTES}; split the job")
    try:
        given = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidRecord(f"no JSON: {error}; write one object a line") from error
    if not isinstance(given, dict):
        raise InvalidRecord('no JSON object; write {"type": "poll", ...}')
    named = "job_id" in given
    filled = {
        "version": VERSION, "source": SOURCE, "created_time": now, "job_id": "unnamed",
        **({} if given.get("type") == "lease" else {"deadline": now + int(deadline_s * SECOND_US)}), **given,
    }  # fmt: skip
    job = job_of(filled)
    if job.type == "lease":
        raise InvalidRecord("type: a lease is for every partition; use `mds jobs lease`")
    for symbols in by_partition(job.symbols, partitions).values():
        part = replace(job, symbols=tuple(symbols))
        yield part if named and len(symbols) == len(job.symbols) else replace(part, job_id=_id(part))


def _id(job: Job) -> str:
    if job.type == "poll":
        return poll_job_id(job.capability, job.symbols, job.slot)
    return backfill_job_id(job.capability, job.symbols[0], job.start, job.end)


def read_lines(file: Path) -> list[bytes]:
    """Return the lines of a file, or of the standard input for `-`; raise ConfigurationError where it is too large."""
    limit = MAX_JOBS * 1_024
    try:
        if str(file) == "-":
            text = sys.stdin.buffer.read(limit + 1)
        else:
            with file.open("rb") as opened:
                text = opened.read(limit + 1)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}", remedy="name another") from error
    if len(text) > limit:
        raise ConfigurationError(f"{file} is larger than {limit} bytes", remedy="submit it in parts")
    return text.splitlines()

"""Jobs at the border: what a message on jobs.v1 may say, checked field by field, and what jobs and polls are called.

A type uses its own fields; any other must keep its default. All times are microseconds since the Unix epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from hashlib import sha256
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schemas.configuration.streams import BAR_INTERVALS
from schemas.errors import InvalidRecord, MalformedPayload
from schemas.intervals import DAY_US
from schemas.macro_keys import is_series_key
from schemas.partitions import partition_of
from schemas.records import Job, JobResult, SymbolOutcome
from schemas.streams import ACTION_STREAM, BAR_STREAM, MACRO_STREAM, OPTION_STREAM, QUOTE_STREAM
from schemas.symbols.instruments import classify
from schemas.topics import JOB_RESULTS, JOBS
from schemas.wire.codec import decode_value

VERSION = 1
MAX_JOB_BYTES = 65_536  # looked at before anything is decoded
MAX_JOB_ID_CHARS = 200
MAX_NAME_CHARS = 100
MAX_SYMBOLS = 1_000
MAX_LIFETIME_US = DAY_US  # as long as jobs.v1 keeps a message
MAX_LEASE_S = 600.0  # and so the part of jobs.v1 a starting producer reads for the lease in force
MAX_TIME_US = 4_102_444_800_000_000  # 2100: later is a time in other units
ALL_VINTAGES = 1  # start of a poll of macro series: all that their source ever said is asked for again
MAX_FAULTS = 20  # told of one message
SHOWN_SYMBOLS = 20
BAR_CAPABILITIES = tuple(BAR_STREAM.capability(interval) for interval in BAR_INTERVALS)
CAPABILITIES = (
    QUOTE_STREAM.name,
    *BAR_CAPABILITIES,
    ACTION_STREAM.name,
    MACRO_STREAM.name,
    OPTION_STREAM.name,
)
SWEEPER = "sweeper"  # source of the results of polls no feed asked for

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
Moment = Annotated[int, Field(gt=0, le=MAX_TIME_US)]
_DEFAULTS: Mapping[str, Any] = {
    field.name: field.default
    for field in fields(Job)
    if field.default is not MISSING and field.name != "priority"
}


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    version: Literal[1]
    job_id: str = Field(min_length=1, max_length=MAX_JOB_ID_CHARS)
    source: Name
    priority: int = Field(default=5, ge=0, le=9)
    created_time: Moment


class _Work(_Message):
    not_before: int = Field(default=0, ge=0, le=MAX_TIME_US)
    deadline: Moment
    provider: str = Field(default="", max_length=MAX_NAME_CHARS)
    symbols: list[str] = Field(min_length=1, max_length=MAX_SYMBOLS)

    @field_validator("symbols")
    @classmethod
    def _each_once(cls, symbols: list[str]) -> list[str]:
        if len(set(symbols)) < len(symbols):
            raise _fault("a symbol is listed twice; list each once")
        return symbols

    @model_validator(mode="after")
    def _lives_long_enough(self) -> _Work:
        if self.deadline - self.created_time > MAX_LIFETIME_US:
            raise _fault("deadline is more than a day after created_time; a job is kept for a day")
        if self.deadline <= max(self.not_before, self.created_time):
            raise _fault("deadline is not after created_time and not_before; nothing could be done in time")
        return self


class PollMessage(_Work):
    """Poll some symbols, of `macro` some series, for one slot of their cadence.

    With a `start` all that a series' source said since that day is asked for again, with ALL_VINTAGES all there is.
    """

    type: Literal["poll"]
    capability: Literal[CAPABILITIES]  # type: ignore[valid-type]  # a tuple of literals
    slot: Moment
    start: int = Field(default=0, ge=0, le=MAX_TIME_US)

    @model_validator(mode="after")
    def _names_what_there_is(self) -> PollMessage:
        if self.start and self.capability != MACRO_STREAM.name:
            raise _fault("start is of macro series alone, or of a backfill; leave it out")
        check = _check_series if self.capability == MACRO_STREAM.name else _check_symbols
        check(self.symbols)
        return self


class BackfillMessage(_Work):
    """Fetch the bars of one symbol in [start, end)."""

    type: Literal["backfill"]
    capability: Literal[BAR_CAPABILITIES]  # type: ignore[valid-type]  # a tuple of literals
    symbols: list[str] = Field(min_length=1, max_length=1)
    start: Moment
    end: Moment
    gap_id: str = Field(default="", max_length=MAX_NAME_CHARS)

    @model_validator(mode="after")
    def _is_a_range(self) -> BackfillMessage:
        _check_symbols(self.symbols)
        if self.end <= self.start:
            raise _fault("end is not after start; start is inclusive, end exclusive")
        return self


class LeaseMessage(_Message):
    """The source polls, by its jobs, what this partition holds for `lease_s` seconds from now on; 0 gives it back."""

    type: Literal["lease"]
    lease_s: float = Field(ge=0.0, le=MAX_LEASE_S, allow_inf_nan=False)


_MESSAGE: TypeAdapter[PollMessage | BackfillMessage | LeaseMessage] = TypeAdapter(
    Annotated[PollMessage | BackfillMessage | LeaseMessage, Field(discriminator="type")]
)


def job_of(value: Mapping[str, Any]) -> Job:
    """Return the job a decoded message states; raise InvalidRecord naming every wrong field and its remedy.

    A field of another type is wrong unless it has its default, as every record on the wire carries all of them.
    """
    given = {name: entry for name, entry in value.items() if not _is_default(name, entry)}
    if given.get("type") == "lease":
        given.setdefault("lease_s", 0.0)
    try:
        message = _MESSAGE.validate_python(given)
    except ValidationError as error:
        raise InvalidRecord(f"{JOBS}: {_told(error)}") from error
    known = message.model_dump()
    return Job(**{**known, "symbols": tuple(known.get("symbols", ()))})


def read_job(value: bytes | None, *, partition: int, partitions: int) -> Job:
    """Return the job in a record of `partition`; raise MalformedPayload or InvalidRecord with the remedy."""
    if value is not None and len(value) > MAX_JOB_BYTES:
        raise MalformedPayload(f"{JOBS}: {len(value)} bytes, at most {MAX_JOB_BYTES} are read; split the job")
    job = job_of(decode_value(JOBS, value))
    foreign = [symbol for symbol in job.symbols if partition_of(symbol, partitions) != partition]
    if foreign:
        raise InvalidRecord(
            f"{JOBS}: symbols: {_listed(foreign)} not of partition {partition}; make one job for each partition"
            f" (murmur2 of the symbol, {partitions} of them)"
        )
    return job


def read_result(value: bytes | None) -> JobResult:
    """Return the result in a record of job-results.v1; raise MalformedPayload."""
    found = decode_value(JOB_RESULTS, value)
    found["outcomes"] = tuple(SymbolOutcome(**entry) for entry in found["outcomes"])
    return JobResult(**found)


def poll_job_id(capability: str, symbols: Sequence[str], slot: int) -> str:
    """Return what a poll is called, by whoever makes it: `poll|capability|symbol|slot`.

    For several symbols the third part is the lower-case hex SHA-256 of their UTF-8, sorted and joined by line feeds.
    """
    name = symbols[0] if len(symbols) == 1 else sha256("\n".join(sorted(symbols)).encode()).hexdigest()
    return f"poll|{capability}|{name}|{slot}"


def backfill_job_id(capability: str, symbol: str, start: int, end: int) -> str:
    """Return what a backfill is called where its maker gives it no other name."""
    return f"backfill|{capability}|{symbol}|{start}|{end}"


def by_partition(symbols: Sequence[str], partitions: int) -> dict[int, list[str]]:
    """Return the symbols of each partition, in the given order."""
    found: dict[int, list[str]] = {}
    for symbol in symbols:
        found.setdefault(partition_of(symbol, partitions), []).append(symbol)
    return found


def _is_default(name: str, entry: Any) -> bool:
    if name not in _DEFAULTS:
        return False
    if name == "symbols":
        return isinstance(entry, (list, tuple)) and not entry
    return type(entry) is type(_DEFAULTS[name]) and bool(entry == _DEFAULTS[name])


def _check_symbols(symbols: Sequence[str]) -> None:
    strange = [symbol[:40] for symbol in symbols if classify(symbol) is None]
    if strange:
        raise _fault(f"symbols: no symbols are {_listed(strange)}; see `mds symbols resolve`")


def _check_series(keys: Sequence[str]) -> None:
    strange = [key[:40] for key in keys if not is_series_key(key)]
    if strange:
        raise _fault(
            f"symbols: no series are {_listed(strange)}; see `mds macro keys`, aliases are resolved before"
        )


def _fault(message: str) -> PydanticCustomError:
    # Its text is ours alone: nothing in it is a template.
    return PydanticCustomError("job", "{message}", {"message": message})


def _listed(symbols: Sequence[str]) -> str:
    more = f" and {len(symbols) - SHOWN_SYMBOLS} more" if len(symbols) > SHOWN_SYMBOLS else ""
    return ", ".join(map(repr, symbols[:SHOWN_SYMBOLS])) + more


def _told(error: ValidationError) -> str:
    faults = []
    for entry in error.errors(include_url=False, include_input=False)[:MAX_FAULTS]:
        place = ".".join(str(part) for part in cast("tuple[object, ...]", entry["loc"])[1:]) or "message"
        remedy = "take it out" if entry["type"] == "extra_forbidden" else "see docs/JOBS.md"
        told = entry["msg"] if entry["type"] == "job" else f"{entry['msg']}; {remedy}"
        faults.append(f"{place}: {told}")
    return " · ".join(faults)

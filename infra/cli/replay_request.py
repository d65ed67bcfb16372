"""`mds replay`, the request: which topics, what of them, and whether it can go where it is to go."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Literal

from infra.cli.symbols import asked_symbol
from infra.runtime.clock import moment_us
from infra.runtime.kafka.ranges import Sought
from schemas.errors import ConfigurationError, MalformedPayload
from schemas.partitions import TopicPartition, partition_of
from schemas.streams import STREAMS
from schemas.topics import CANONICAL_TOPICS, RAW_TOPICS, is_prefix
from schemas.wire.codec import decode_value
from schemas.wire.framing import StreamedRecord
from schemas.wire.splitting import only

By = Literal["known", "event"]
Into = Literal["database", "prefix", "file"]
TARGETS: tuple[Into, ...] = ("database", "prefix", "file")
SUFFIXES = (".parquet", ".csv")
WORDS: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in (*RAW_TOPICS, *CANONICAL_TOPICS)},
    **{stream.name: (stream.topic,) for stream in STREAMS},
    **{f"raw.{stream.name}": (stream.raw_topic,) for stream in STREAMS},
    "raw": RAW_TOPICS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """One replay: topics without prefix, times in µs, offsets by partition (None: of those not named), what is filtered."""

    topics: tuple[str, ...]
    by: By
    since_us: int | None
    until_us: int | None
    positions: Mapping[int | None, int]
    symbols: tuple[str, ...]
    archive: bool  # is read in place of the broker
    into: Into
    target: str

    @property
    def bounds(self) -> Sought:
        """The stretch of each log that is asked for: a time of events does not say where in it they lie."""
        known = self.by == "known"
        return Sought(
            since_us=self.since_us if known else None,
            until_us=self.until_us if known else None,
            positions=self.positions,
        )

    def places(self, partitions: int) -> list[TopicPartition]:
        """Return the partitions to read, of `partitions`: those of the symbols, and those an offset names.

        Raises ConfigurationError where an offset names one that there is not, or none of those the symbols live in.
        """
        numbers = {partition_of(symbol, partitions) for symbol in self.symbols} or set(range(partitions))
        named = {number for number in self.positions if number is not None}
        if absent := sorted(named - set(range(partitions))):
            raise ConfigurationError(
                f"--from-position {absent[0]}:{self.positions[absent[0]]}: there is no such partition",
                remedy=f"name one of 0 to {partitions - 1}",
            )
        if self.positions and None not in self.positions:
            if not numbers & named:
                raise ConfigurationError(
                    f"--from-position names no partition of {', '.join(self.symbols)}",
                    remedy=f"they live in {', '.join(map(str, sorted(numbers)))}; name that, or an offset alone",
                )
            numbers &= named
        return [TopicPartition(topic, number) for topic in self.topics for number in sorted(numbers)]

    def told(self) -> dict[str, Any]:
        """Return it as JSON keeps it: what an interrupted replay is known again by."""
        positions = sorted(
            [-1 if number is None else number, offset] for number, offset in self.positions.items()
        )
        return {
            **asdict(self),
            "topics": list(self.topics),
            "symbols": list(self.symbols),
            "positions": positions,
        }

    @property
    def digest(self) -> str:
        """A name of it, where there is no room for more."""
        return blake2b(json.dumps(self.told()).encode(), digest_size=8).hexdigest()

    def chosen(self) -> Callable[[StreamedRecord], StreamedRecord | None]:
        """Return what becomes of each record that is read: itself, what of it is asked for, or nothing."""
        symbols = frozenset(self.symbols)
        keys = {symbol.encode() for symbol in symbols}
        since, until = self.since_us, self.until_us
        is_timed = self.by == "event" and (since is not None or until is not None)

        def choose(record: StreamedRecord) -> StreamedRecord | None:
            if symbols and record.topic in RAW_TOPICS:
                return only(record, symbols)
            if symbols and record.key not in keys:
                return None
            return record if not is_timed or _happened(record, since, until) else None

        return choose


def _happened(record: StreamedRecord, since_us: int | None, until_us: int | None) -> bool:
    try:
        moment = decode_value(record.topic, record.value)["event_time"]
    except MalformedPayload:
        return False
    return (since_us is None or moment >= since_us) and (until_us is None or moment < until_us)


def requested(
    words: Sequence[str],
    into: tuple[str, str],
    *,
    by: By = "known",
    since: str | None = None,
    until: str | None = None,
    positions: Sequence[str] = (),
    symbols: Sequence[str] = (),
    archive: bool = False,
) -> ReplayRequest:
    """Return the request of a command line; raise ConfigurationError naming the option that is wrong, and what is right."""
    kind, target = into
    request = ReplayRequest(
        topics=_topics(words),
        by=by,
        since_us=None if since is None else _moment("--since", since),
        until_us=None if until is None else _moment("--until", until),
        positions=_positions(positions),
        symbols=tuple(dict.fromkeys(asked_symbol(symbol, "--symbol") for symbol in symbols)),
        archive=archive,
        into=_into(kind),
        target=target,
    )
    if problem := _problem(request):
        raise ConfigurationError(problem[0], remedy=problem[1])
    return request


def _problem(request: ReplayRequest) -> tuple[str, str] | None:
    """Return what contradicts itself in a request, and what would be right; None where nothing does."""
    raw = [topic for topic in request.topics if topic in RAW_TOPICS]
    several, timed = len(request.topics) > 1, (request.since_us, request.until_us) != (None, None)
    is_file, positions = request.into == "file", bool(request.positions)
    found = {
        ("--since is not before --until", "the range is [SINCE, UNTIL)"): (
            request.since_us is not None
            and request.until_us is not None
            and request.since_us >= request.until_us
        ),
        ("--from-position and times of knowledge both say where to begin", "give one of them"): (
            positions and timed and request.by == "known"
        ),
        ("--from-position is an offset in one topic of the broker", "name one topic, and no --archive"): (
            positions and (several or request.archive)
        ),
        (
            "--by event: a block of a raw topic holds events of many times",
            "read canonical topics by event time, or raw ones by when they were known",
        ): request.by == "event" and bool(raw),
        (
            f"one file cannot hold {' and '.join(request.topics)}",
            "replay each into a file of its own",
        ): is_file and several,
        (
            f"--into file {request.target}: no format",
            f"end it with {' or '.join(SUFFIXES)}",
        ): is_file and not request.target.endswith(SUFFIXES),
        (
            f"--into prefix {request.target!r}: no prefix of topics",
            "give up to 200 letters, digits, dots, underscores and dashes, such as trial.",
        ): request.into == "prefix" and not is_prefix(request.target),
        (
            "a database is filled from raw topics: what was watched and is missing is not in canonical ones",
            "give --from raw, or raw.bars and so on",
        ): request.into == "database" and len(raw) < len(request.topics),
    }
    return next((problem for problem, holds in found.items() if holds), None)


def _topics(words: Sequence[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for word in (each for given in words for each in given.split(",")):
        if word not in WORDS:
            raise ConfigurationError(f"--from {word}: no such topic", remedy=f"name one of {' '.join(WORDS)}")
        found.update(dict.fromkeys(WORDS[word]))
    return tuple(topic for topic in (*RAW_TOPICS, *CANONICAL_TOPICS) if topic in found)


def _into(kind: str) -> Into:
    for target in TARGETS:
        if kind == target:
            return target
    raise ConfigurationError(
        f"--into {kind}: no such target", remedy=f"give {', '.join(TARGETS)} and its name"
    )


def _moment(option: str, text: str) -> int:
    try:
        return moment_us(text)
    except ValueError as error:
        problem, _, remedy = str(error).partition("; ")
        raise ConfigurationError(f"{option} {problem}", remedy=remedy) from None


def _positions(given: Sequence[str]) -> dict[int | None, int]:
    found: dict[int | None, int] = {}
    for text in given:
        partition, colon, offset = text.rpartition(":")
        if not offset.isdecimal() or bool(colon) != partition.isdecimal():
            raise ConfigurationError(
                f"--from-position {text}: no position", remedy="give OFFSET, or PARTITION:OFFSET"
            )
        number = int(partition) if colon else None
        if number in found:
            raise ConfigurationError(
                f"--from-position {text}: there is another one of it", remedy="give each partition one offset"
            )
        found[number] = int(offset)
    return found

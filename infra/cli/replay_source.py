"""`mds replay`, what is read: ranges of the broker's logs or of an archive, fixed when it begins, and how far it has come."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from infra.cli.pipes import piped
from infra.cli.replay_request import ReplayRequest
from infra.cli.system import System
from infra.runtime.clock import monotonic_s, rfc3339
from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.ranges import Range, planned, records
from schemas.errors import ArchiveUnavailable, ConfigurationError
from schemas.intervals import micros
from schemas.partitions import TopicPartition
from schemas.streams import BY_TOPIC
from schemas.topics import RAW_TOPICS
from schemas.wire.framing import StreamedRecord, read_records

ARCHIVE = ("sinks", "archive")
QUICK = {"fetch.wait.max.ms": 20}  # the end of a partition is told after this
TELL_EVERY_S = 1.0
TELL_EVERY = 256  # records between two looks at the clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """One replay, with what it reads fixed: whoever goes on with it later reads the same."""

    request: ReplayRequest
    partitions: int
    ranges: tuple[Range, ...]

    @property
    def total(self) -> int:
        """The number of offsets it reads, marks of transactions among them."""
        return sum(each.end - each.start for each in self.ranges)

    def to_json(self) -> bytes:
        """Return it as it is kept at the target."""
        content = {
            "request": self.request.told(),
            "partitions": self.partitions,
            "ranges": [list(each) for each in self.ranges],
        }
        return orjson.dumps(content)

    @property
    def is_processed(self) -> bool:
        """Whether canonical records are made anew of an archive: their offsets are the replay's own."""
        return self.request.archive and any(topic not in RAW_TOPICS for topic in self.request.topics)

    def after(self, positions: Mapping[int, int]) -> ReplayPlan:
        """Return what is left to read of it where each partition has come to an offset; of one topic.

        All of it where records are made anew: what the next one is compared with came before it.
        """
        if self.is_processed:
            return self
        left = [
            each._replace(start=max(each.start, positions.get(each.partition, 0))) for each in self.ranges
        ]
        ranges = tuple(each for each in left if each.start < each.end)
        return ReplayPlan(request=self.request, partitions=self.partitions, ranges=ranges)


def kept_plan(request: ReplayRequest, content: bytes, place: str) -> ReplayPlan:
    """Return the plan of an interrupted replay that is kept at `place`; raise ConfigurationError where it is another's."""
    try:
        kept = orjson.loads(content)
        was, partitions = dict(kept["request"]), int(kept["partitions"])
        ranges = tuple(Range(*each) for each in kept["ranges"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{place} holds a plan that cannot be read", remedy="delete it, or name another target"
        ) from error
    told = orjson.loads(orjson.dumps(request.told()))  # tuples are lists there
    differing = [name for name, value in told.items() if was.get(name) != value]
    if differing:
        theirs = " ".join(f"{name}={was.get(name)}" for name in differing)
        raise ConfigurationError(
            f"{place} holds a part of another replay ({theirs})",
            remedy="finish that with its own options, or name another target",
        )
    return ReplayPlan(request=request, partitions=partitions, ranges=ranges)


def made_plan(
    system: System, request: ReplayRequest, done: Mapping[TopicPartition, int] | None = None
) -> tuple[ReplayPlan, list[str]]:
    """Return what is read behind what is `done`, as far as it is there now, and what of it is gone, in words."""
    if request.archive:
        return _of_archive(system, request)
    partitions, settings = system.partition_count(), system.settings
    with LogReader(settings.bootstrap_servers, "mds-replay", tuning=QUICK) as reader:
        places = request.places(partitions)
        ranges, holes = planned(reader, settings.topic_prefix, places, request.bounds, done)
    plan = ReplayPlan(request=request, partitions=partitions, ranges=tuple(ranges))
    return plan, [str(hole) for hole in holes]


def _of_archive(system: System, request: ReplayRequest) -> tuple[ReplayPlan, list[str]]:
    with piped(system.env, [[*ARCHIVE, "status", "--json"]], read=True) as pipe:
        told = pipe.end.read()
        code = pipe.code()
    if code:
        raise ArchiveUnavailable("the archive cannot be read as it is; see `mds archive status`")
    partitions = system.partition_count()
    newest: dict[tuple[str, int], dict[str, Any]] = {}
    for entry in sorted(orjson.loads(told), key=lambda entry: str(entry.get("begun"))):
        if "topic" in entry:  # its manifest has a line: of a folder that was just made nothing is archived
            newest[entry["topic"], entry["partition"]] = entry
    ranges, holes = [], []
    for place in request.places(partitions):
        stream = BY_TOPIC.get(place.topic)
        topic = place.topic if stream is None else stream.raw_topic
        archived = newest.get((topic, place.partition))
        if archived is None:
            holes.append(f"{topic}/{place.partition}: nothing of it is archived")
            continue
        holes += _missing(archived, None if request.by == "event" else request.since_us)
        ranges.append(Range(place.topic, place.partition, archived["first_offset"], archived["next_offset"]))
    return ReplayPlan(request=request, partitions=partitions, ranges=tuple(ranges)), holes


def _missing(archived: Mapping[str, Any], since_us: int | None) -> Iterator[str]:
    name = f"{archived['topic']}/{archived['partition']}"
    if archived["lost"]:
        yield f"{name}: {archived['lost']:,} records were lost before they were archived"
    first = archived["from"]
    if archived["first_offset"] and (
        since_us is None or first is None or since_us < micros(datetime.fromisoformat(first))
    ):
        since = "" if first is None else f"; whole since {first}"
        yield f"{name}: offsets 0 to {archived['first_offset'] - 1} are not archived{since}"


@contextmanager
def reading(system: System, plan: ReplayPlan) -> Iterator[Iterator[StreamedRecord]]:
    """Read what a plan says, records of each partition in order; raises ArchiveUnavailable and like LogReader."""
    request = plan.request
    if not request.archive:
        settings = system.settings
        with LogReader(settings.bootstrap_servers, "mds-replay", tuning=QUICK) as reader:
            yield (record for each in plan.ranges for record in records(reader, settings.topic_prefix, each))
        return
    commands = [_cat(plan)]
    if plan.is_processed:
        # From its beginning: what a version is compared with came before it.
        commands.append(["stream_processors", "replay", "--partitions", str(plan.partitions)])
    with piped(system.env, commands, read=True) as pipe:
        found = read_records(pipe.end)
        yield _known(plan, found) if plan.is_processed else _within(plan, found)
        if pipe.code():
            raise ArchiveUnavailable("the archive could not be read to its end")


def _cat(plan: ReplayPlan) -> list[str]:
    request = plan.request
    topics = {topic if (s := BY_TOPIC.get(topic)) is None else s.raw_topic for topic in request.topics}
    options = [f"--topic={topic}" for topic in sorted(topics)]
    options += [f"--partition={number}" for number in sorted({each.partition for each in plan.ranges})]
    if all(topic in RAW_TOPICS for topic in request.topics):
        options += [f"--from={rfc3339(request.since_us)}"] if request.since_us is not None else []
        options += [f"--to={rfc3339(request.until_us)}"] if request.until_us is not None else []
    return [*ARCHIVE, "cat", *options]


def _within(plan: ReplayPlan, found: Iterator[StreamedRecord]) -> Iterator[StreamedRecord]:
    bounds = {(each.topic, each.partition): each for each in plan.ranges}
    for record in found:
        each = bounds.get((record.topic, record.partition))
        if each is not None and each.start <= record.offset < each.end:
            yield record


def _known(plan: ReplayPlan, found: Iterator[StreamedRecord]) -> Iterator[StreamedRecord]:
    """Yield the records a plan asks for of all that processing makes; their place is the replay's own."""
    request = plan.request
    since, until = (request.since_us, request.until_us) if request.by == "known" else (None, None)
    for record in found:
        if record.topic in request.topics and (
            (since is None or record.append_time >= since) and (until is None or record.append_time < until)
        ):
            yield record


class ReplayProgress:
    """The way a replay has come, told on standard error where that is a terminal."""

    def __init__(self, plan: ReplayPlan) -> None:
        """Begin now."""
        self._began_s = self._told_s = monotonic_s()
        self._left = {(each.topic, each.partition): each for each in plan.ranges}
        self._total, self._passed = 0 if plan.is_processed else plan.total, 0
        self._shown = sys.stderr.isatty()
        self.records = 0

    def watch(self, found: Iterator[StreamedRecord]) -> Iterator[StreamedRecord]:
        """Yield the records, telling on the way."""
        at: tuple[str, int] | None = None
        for record in found:
            self.records += 1
            if (record.topic, record.partition) != at:
                self._passed += self._size(at)
                at = record.topic, record.partition
            if (
                self._shown
                and self.records % TELL_EVERY == 0
                and monotonic_s() - self._told_s >= TELL_EVERY_S
            ):
                each = self._left.get(at)
                self._tell(self._passed + (0 if each is None else record.offset - each.start))
            yield record
        if self._shown:
            print(file=sys.stderr)

    def _size(self, at: tuple[str, int] | None) -> int:
        each = None if at is None else self._left.get(at)
        return 0 if each is None else each.end - each.start

    def _tell(self, passed: int) -> None:
        self._told_s = monotonic_s()
        spent_s = self._told_s - self._began_s
        print(f"\r{progress_line(self.records, passed, self._total, spent_s)}\033[K", end="", file=sys.stderr)


def progress_line(read: int, passed: int, total: int, spent_s: float) -> str:
    """Return how far it is: records, per cent, records a second, and the time that is left at this rate."""
    line = f"{read:,} records"
    if total and 0 < passed <= total:
        line += f", {100 * passed / total:.0f} %"
    line += f", {read / max(spent_s, 0.001):,.0f} records/s"
    if total and 0 < passed <= total:
        left_s = int(spent_s * (total - passed) / passed)
        line += f", {left_s // 3600}:{left_s // 60 % 60:02d}:{left_s % 60:02d} left"
    return line


def refuse_holes(holes: Sequence[str], *, allowed: bool) -> int:
    """Say what cannot be replayed; return exit code 1 where that is not allowed, 0 otherwise."""
    for hole in holes:
        print(f"{'warning' if allowed else 'error'}: {hole}", file=sys.stderr)
    if holes and not allowed:
        print(
            "error: the range is not whole; ask for less (--since), read the archive (--archive), or say --allow-holes",
            file=sys.stderr,
        )
        return ExitCode.NO
    return ExitCode.DONE

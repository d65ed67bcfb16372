"""`mds rebuild --verify`: the database against one made again of the raw topics, row by row, as of what both hold in full."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex

from infra.cli.output import say, step, warn
from infra.cli.rebuild import rebuild
from infra.cli.replay_request import requested
from infra.cli.replay_source import made_plan
from infra.cli.system import System
from infra.runtime.clock import monotonic_s, rfc3339
from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.logs import LogReader
from infra.runtime.postgres.comparing import (
    VIEWS,
    Compared,
    ComparedView,
    Row,
    Verdict,
    compare,
    floors,
    rows_of,
    snapshot,
    watermarks,
)
from infra.runtime.postgres.databases import drop_database, with_database
from infra.runtime.postgres.migrate import refuse_unmigrated
from schemas.errors import MalformedPayload
from schemas.identity import stream_text
from schemas.intervals import DAY_US, MINUTE_US
from schemas.partitions import TopicPartition, partition_of
from schemas.streams import BY_TOPIC, STREAMS, StreamId
from schemas.topics import EVIDENCE
from schemas.wire.codec import decode_value

CAUGHT_UP_WITHIN_S, LOOK_EVERY_S = 20.0, 0.5
APART_US = 10 * MINUTE_US  # clocks of two brokers differ by less
FOREVER_US = 2**63 - 1
SINK = "sink"  # the detector of what the sink itself told: no topic says it
TOPICS: Mapping[str, str] = {stream.name: stream.topic for stream in STREAMS}
YEARLY = ("1d", "1wk", "1mo")  # intervals whose coverage is a row a year

Stretches = Mapping[str, Sequence[tuple[int, int]]]


def verify(system: System, *, into: str | None, archive: bool) -> int:
    """Rebuild beside the live database, compare the two, and return exit code 1 where they differ.

    The database `into` is kept; without it one of a name of its own is made and dropped. Raises like `rebuild`.
    """
    # two containers may have the same process id, and one may be left of a process that was killed
    name = into if into is not None else f"mds_verify_{token_hex(6)}"
    dsn = with_database(system.settings.dsn, name)
    _, holes = made_plan(system, requested(["raw"], ("database", name), archive=archive))
    if holes:
        for hole in holes:
            warn(hole)
        warn(
            f"{'the archive' if archive else 'the raw topics'} no longer say all that a database may hold; nothing was compared"
            + ("" if archive else ": read the archive with --archive")
        )
        return ExitCode.NO
    asyncio.run(refuse_unmigrated(system.settings.dsn))
    try:
        code = rebuild(system, name, archive=archive)
        return code or asyncio.run(_verified(system, dsn))
    finally:
        if into is None:
            asyncio.run(drop_database(system.settings.dsn, name))


async def _verified(system: System, dsn: str) -> int:
    live = system.settings.dsn
    await _caught_up(live, dsn)
    began_s, partitions = monotonic_s(), system.partition_count()
    async with snapshot(live) as ours, snapshot(dsn) as theirs:
        stored, made = await watermarks(ours), await watermarks(theirs)
        settled = {place: min(moment, stored.get(place, 0)) for place, moment in made.items()}
        changed = await asyncio.to_thread(_told_since, system, settled, partitions)
        judging = Judging(
            watermarks=settled, partitions=partitions, floors=await floors(ours), changed=changed
        )
        found = []
        for view in VIEWS:
            found.append(await compare(view, rows_of(ours, view), rows_of(theirs, view), judging.verdict))
            _say(found[-1])
    never = sorted(set(made) ^ set(stored))
    for place in never:
        ours_say, theirs_say = (rfc3339(each[place]) if place in each else "none" for each in (stored, made))
        say(
            f"  watermarks {place.topic}/{place.partition}: {ours_say} in the database, {theirs_say} in the topics"
        )
    rows = sum(each.same + each.different for each in found)
    until = min((m for m in settled.values() if m), default=None)
    when = "" if until is None else f", known before {rfc3339(until)} and later where a partition is further"
    if never or any(each.different for each in found):
        warn(f"the database is not what the topics say: compared {rows:,} rows{when}")
        return ExitCode.NO
    step(f"database = topics: {rows:,} rows{when}; compared in {monotonic_s() - began_s:.1f} s")
    return ExitCode.DONE


async def _caught_up(live: str, rebuilt: str) -> None:
    """Return once the live database holds what was rebuilt, or does not come nearer to it for a while."""
    deadline_s = monotonic_s() + CAUGHT_UP_WITHIN_S
    while monotonic_s() < deadline_s:
        async with snapshot(live) as ours, snapshot(rebuilt) as theirs:
            stored, made = await watermarks(ours), await watermarks(theirs)
        if all(stored.get(place, 0) >= moment for place, moment in made.items()):
            return
        await asyncio.sleep(LOOK_EVERY_S)


def _say(done: Compared) -> None:
    waiting = (
        f", {done.unsettled:,} left out: too new, no longer kept, or the sink's own" if done.unsettled else ""
    )
    say(f"  {done.view.name}: {done.same:,} rows alike, {done.different:,} not{waiting}")
    for line in done.lines("database", "topics"):
        say(f"    {line}")
    if done.different > len(done.first):
        say(f"    and {done.different - len(done.first):,} more")


def _told_since(
    system: System, settled: Mapping[TopicPartition, int], partitions: int
) -> dict[str, list[tuple[int, int]]]:
    """Return by series the stretches that records known at or after its watermark are of: what they change is not settled."""
    prefix, changed = system.settings.topic_prefix, dict[str, list[tuple[int, int]]]()
    with LogReader(
        system.settings.bootstrap_servers, "mds-verify", tuning={"fetch.wait.max.ms": 20}
    ) as reader:
        for topic in (*BY_TOPIC, EVIDENCE):
            for number in range(partitions):
                since = [
                    settled.get(TopicPartition(each, number), 0)
                    for each in BY_TOPIC
                    if topic in (each, EVIDENCE)
                ]
                low, high = reader.bounds(prefix + topic, number)
                at = reader.offset_at(prefix + topic, number, min(since) - APART_US)
                for message in reader.read(
                    prefix + topic, number, high if at is None else max(low, at), high
                ):
                    with suppress(MalformedPayload):
                        record = decode_value(topic, message.value())
                        if record["known_from"] >= min(since):
                            series, stretch = _stretch(topic, record)
                            changed.setdefault(series, []).append(stretch)
    return changed


def _stretch(topic: str, record: Row) -> tuple[str, tuple[int, int]]:
    if topic == EVIDENCE:
        end = record["to_time"]
        return record["stream"], (record["from_time"], FOREVER_US if end is None else end)
    name = StreamId(BY_TOPIC[topic].name, record.get("interval", ""), record["provider"], record["symbol"])
    return stream_text(name), (record["event_time"], record["event_time"] + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """The part of two databases that can be compared: what both know in full, and nothing since has changed.

    `watermarks` are those of both, `floors` by stream where rows are kept from, `changed` by series what was told later.
    """

    watermarks: Mapping[TopicPartition, int]
    partitions: int
    floors: Mapping[str, int]
    changed: Stretches

    def verdict(self, view: ComparedView, ours: Row | None, theirs: Row | None) -> Verdict:
        """Return whether two rows of a key are the same, or whether that cannot be said yet."""
        rows = [row for row in (ours, theirs) if row is not None]
        kind, series = _series(view, rows[0])
        if rows[0].get("detector") == SINK or self._is_dropped(view, rows[0], kind):
            return "unsettled"
        if view.known:
            known = [row[view.known] for row in rows]
            place = TopicPartition(TOPICS.get(kind, kind), partition_of(rows[0]["symbol"], self.partitions))
            until = self.watermarks.get(_of_whole(series) or place, 0)
            if (min(known) if view.is_history else max(known)) >= until:
                return "unsettled"
        if ours == theirs:
            return "same"
        return "unsettled" if view.is_derived and self._has_changed(view, rows, series) else "different"

    def _is_dropped(self, view: ComparedView, row: Row, kind: str) -> bool:
        floor = self.floors.get(kind)
        moment = row.get("event_time", row.get("to_time", row.get("start_time")))
        return floor is not None and view.name != "v_streams" and moment is not None and moment <= floor

    def _has_changed(self, view: ComparedView, rows: Sequence[Row], series: str) -> bool:
        """Return whether what was told of a series since may be why its rows differ."""
        changed = self.changed.get(series, ())
        stretches = list(_bounds(view, rows))
        return any(low <= end and high >= start for low, high in changed for start, end in stretches)


def _of_whole(series: str) -> TopicPartition | None:
    """Return the partition that evidence is of which names no series."""
    topic, _, number = series.partition("/")
    return TopicPartition(topic, int(number)) if topic in BY_TOPIC and number.isdecimal() else None


def _series(view: ComparedView, row: Row) -> tuple[str, str]:
    """Return the stream a row is of, and its series in words."""
    if "stream" in row:
        text = row["stream"]
        return text.partition(":")[0].partition(".")[0], text
    kind = view.stream or row["kind"]
    channel = f"{kind}.{row['interval']}" if row.get("interval") else kind
    return kind, f"{channel}:{row['provider']}:{row['symbol']}"


def _bounds(view: ComparedView, rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Yield the stretches in which a later record could make two rows differ."""
    if view.name == "v_gaps":
        for row in rows:
            yield row["from_time"], row["to_time"]
    elif view.name == "v_coverage":
        start = rows[0]["start_time"]
        yield start, start + (366 * DAY_US if rows[0]["interval"] in YEARLY else DAY_US)
    elif view.name == "v_streams" and len(rows) > 1:
        for name in ("start_time", "last_seen"):
            moments = [row[name] for row in rows]
            if None in moments or moments[0] != moments[1]:
                told = [moment for moment in moments if moment is not None]
                yield (min(told), max(told)) if len(told) > 1 else (0, FOREVER_US)
    else:
        yield 0, FOREVER_US

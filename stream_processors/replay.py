"""Replay: raw records in, the transactions' content out, by the very functions that run live; Kafka is never written.

Output is a record stream (schemas.wire.framing) on stdout for a sink's replay to read: canonical records, gaps and
progress of each block, in order. Offsets are the replay's own, counted from 0. Dead letters are not written again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import BinaryIO

from infra.runtime.configuration.following import replay_calendars
from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.kept import kept, reach
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.topics import partition_count
from infra.runtime.settings import MdsSettings
from schemas.calendar.sessions import calendars_in_force
from schemas.clocks import CanonicalOffset, KnowledgeTime, RawOffset
from schemas.errors import MalformedPayload, MarketDataError
from schemas.partitions import TopicPartition
from schemas.records import Progress
from schemas.topics import EVIDENCE, PROGRESS, RAW_TOPICS, canonical_of
from schemas.wire.codec import decode
from schemas.wire.framing import END, StreamedRecord, read_records, write_record
from stream_processors.memory import PartitionState
from stream_processors.shell.rebuild import raw_record_of
from stream_processors.transaction import (
    Ends,
    RawRecord,
    Transaction,
    check_implemented,
    progress_of,
    transact,
)

FETCH_WAIT_MS = 20  # the end of a partition is told after this


def replay(
    records: Iterable[RawRecord], partitions: int, symbols: Collection[str] = ()
) -> Iterator[StreamedRecord]:
    """Yield what live processing wrote for these raw records: per block canonical records, evidence, then progress.

    Records of one raw partition must come in offset order, from where the target is empty; their topics have
    `partitions` each. Of `symbols` only, where some are named: their places are those they have among all.
    """
    keys = {symbol.encode() for symbol in symbols}
    states: dict[TopicPartition, PartitionState] = {}
    ends: Counter[TopicPartition] = Counter()
    for record in records:
        place = TopicPartition(record.topic, record.partition)
        if place not in states:
            states[place] = PartitionState(
                raw_topic=record.topic, partition=record.partition, partitions=partitions
            )
        block = transact(states[place], record)
        if keys:
            block.canonical = [(key, value) for key, value in block.canonical if key in keys]
            block.evidence = [each for each in block.evidence if each.symbol in symbols]
        yield from _streamed(block, ends)


def _streamed(block: Transaction, ends: Counter[TopicPartition]) -> Iterator[StreamedRecord]:
    canonical, partition = canonical_of(block.raw_topic), block.partition
    before = Ends(
        canonical=CanonicalOffset(ends[TopicPartition(canonical, partition)]),
        evidence=CanonicalOffset(ends[TopicPartition(EVIDENCE, partition)]),
    )
    progress = progress_of([block], before)
    written = ((canonical, block.canonical), (EVIDENCE, block.evidence_records()), (PROGRESS, [progress]))
    for topic, pairs in written:
        place = TopicPartition(topic, partition)
        for key, value in pairs:
            offset = ends[place]
            ends[place] += 1
            yield StreamedRecord(
                topic=topic,
                partition=partition,
                offset=offset,
                append_time=block.known_from,
                key=key,
                value=value,
            )


def from_stream(source: BinaryIO) -> Generator[RawRecord, None, bool]:
    """Yield the raw records of a record stream up to its END; raise MalformedPayload where it holds another topic.

    Return whether there was an END: its writer said that nothing is missing.
    """
    for record in read_records(source):
        if record == END:
            return True
        if record.topic not in RAW_TOPICS:
            raise MalformedPayload(f"{record.topic} is not a raw topic; replay takes {' '.join(RAW_TOPICS)}")
        yield RawRecord(
            topic=record.topic,
            partition=record.partition,
            offset=RawOffset(record.offset),
            append_time=KnowledgeTime(record.append_time),
            key=record.key,
            value=record.value,
            moved=record.moved_from is not None,
        )
    return False


def from_kafka(
    bootstrap: str, topics: Sequence[str], partitions: int, *, prefix: str = ""
) -> Iterator[RawRecord]:
    """Yield the raw records of `topics` from the log's beginning to its end of now, one partition after the other.

    Says on stderr how far back that is: what the broker has deleted cannot be replayed.
    """
    tuning = {"fetch.wait.max.ms": FETCH_WAIT_MS}
    places = [(prefix + topic, partition) for topic in topics for partition in range(partitions)]
    with LogReader(bootstrap, f"{prefix}processor-replay", tuning=tuning) as reader:
        for fingerprint in sorted(other_calendars(reader, topics, partitions, prefix=prefix)):
            print(
                f"warning: judged by calendars {fingerprint}, and by {calendars_in_force().fingerprint} now: gaps may differ; "
                "replay with the release and the configuration of then",
                file=sys.stderr,
            )
        for line in reach([kept(reader, *place) for place in places]):
            print(line, file=sys.stderr)
        for topic in topics:
            for partition in range(partitions):
                low, high = reader.bounds(prefix + topic, partition)
                for message in reader.read(prefix + topic, partition, low, high):
                    yield raw_record_of(message, topic, partition)


def _settings(bootstrap: str | None, prefix: str) -> MdsSettings:
    shared = MdsSettings.from_env()
    return (
        shared
        if bootstrap is None
        else shared.model_copy(update={"kafka": bootstrap, "topic_prefix": prefix})
    )


def other_calendars(
    reader: LogReader, topics: Sequence[str], partitions: int, *, prefix: str = ""
) -> set[str]:
    """Return the fingerprints of calendars that partitions of `topics` were last judged by, other than those in force."""
    found = {
        progress.calendars
        for partition in range(partitions)
        for message in reader.read(prefix + PROGRESS, partition, *reader.bounds(prefix + PROGRESS, partition))
        for progress in _progress(message)
        if progress.raw_topic in topics
    }
    return found - {"", calendars_in_force().fingerprint}


def _progress(message: Message) -> Iterator[Progress]:
    with suppress(MalformedPayload):
        yield decode(PROGRESS, message.value(), Progress)


def _piped(source: BinaryIO, ended: list[StreamedRecord]) -> Iterator[RawRecord]:
    """Yield the raw records of a record stream, and put its END into `ended` once it came."""
    if (yield from from_stream(source)):
        ended.append(END)


def _source(
    options: argparse.Namespace, bootstrap: str, ended: list[StreamedRecord]
) -> tuple[Iterator[RawRecord], int]:
    """Return the raw records, of a broker where the options name one, and how many partitions their topics have."""
    if options.bootstrap is None:
        return _piped(sys.stdin.buffer, ended), options.partitions
    topics, prefix = options.raw_topic or RAW_TOPICS, options.prefix
    count = partition_count(bootstrap, prefix=prefix, client_id=f"{prefix}processor-replay")
    return from_kafka(bootstrap, topics, count, prefix=prefix), count


def main(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stream_processors replay", description=__doc__)
    parser.add_argument(
        "--bootstrap", help="Kafka bootstrap servers to read raw topics from; without it stdin is read"
    )
    parser.add_argument("--prefix", default="", help="prefix of every topic on the broker")
    parser.add_argument(
        "--partitions",
        type=int,
        help="how many partitions the topics had that the records on stdin are of; a broker is asked",
    )
    parser.add_argument(
        "--raw-topic", action="append", choices=RAW_TOPICS, help="a raw topic to read; all by default"
    )
    parser.add_argument(
        "--symbol", action="append", default=[], help="what becomes of this symbol alone; all by default"
    )
    options = parser.parse_args(arguments)
    if (options.bootstrap is None) == (options.partitions is None):
        parser.error("give --bootstrap, or --partitions with the records on stdin")
    try:
        shared = _settings(options.bootstrap, options.prefix)
        replay_calendars(shared)
        check_implemented()
        ended: list[StreamedRecord] = []
        records, count = _source(options, shared.bootstrap_servers, ended)
        for streamed in chain(replay(records, count, options.symbol), ended):
            write_record(sys.stdout.buffer, streamed)
        sys.stdout.buffer.flush()
    except MarketDataError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.CONFIGURATION
    except BrokenPipeError:
        # Who reads has ended and said why; nothing of ours is to be flushed into the pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.NO
    return 0

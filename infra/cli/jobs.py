"""`mds jobs`: write jobs that are checked before anything is written, hold the lease, and see what became of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

from infra.cli.inspection import simulator_clock
from infra.cli.job_lines import MAX_JOBS, SOURCE, parsed_lines, read_lines
from infra.cli.output import as_json_line, fail, say
from infra.cli.system import System
from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.logs import LogEvent, LogReader, event_of
from infra.runtime.kafka.publisher import Outgoing, Publisher
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.intervals import SECOND_US, micros
from schemas.jobs import (
    CAPABILITIES,
    MAX_LEASE_S,
    VERSION,
    by_partition,
    read_result,
)
from schemas.partitions import TopicPartition
from schemas.records import Job, JobResult
from schemas.topics import JOB_RESULTS, JOBS
from schemas.wire.codec import encode

DEADLINE_S = 60.0
POLL_S = 0.2
RESULT_GRACE_S = 15.0  # after the deadline, for the result to be written
GOOD = ("done", "duplicate")
QUEUED = "queued"

CAPABILITIES_HELP = f"One of {', '.join(CAPABILITIES)}."
jobs_app = typer.Typer(
    help="Ask the producers to poll or to backfill, and see what became of it.", no_args_is_help=True
)
Wait = Annotated[bool, typer.Option("--wait", help="Print the results; exit 1 unless all are done.")]
Deadline = Annotated[
    float, typer.Option("--deadline-s", min=1.0, max=86_400.0, help="Give up after so long.")
]
Priority = Annotated[int, typer.Option(min=0, max=9, help="0 first, 9 last.")]
Provider = Annotated[str, typer.Option(help="Who must serve it; by default whoever serves the capability.")]


@jobs_app.command("submit")
def submit(
    symbols: Annotated[
        list[str] | None,
        typer.Argument(help="Symbols, as in SPY BRK.B; of macro keys, as in FRED:GDPC1.", metavar="SYMBOL"),
    ] = None,
    capability: Annotated[str, typer.Option(help=CAPABILITIES_HELP)] = "",
    file: Annotated[Path | None, typer.Option(help="Jobs as JSON lines; - is the standard input.")] = None,
    slot: Annotated[int | None, typer.Option(help="Market time, µs; by default now.")] = None,
    priority: Priority = 5,
    deadline_s: Deadline = DEADLINE_S,
    provider: Provider = "",
    wait: Wait = False,
) -> None:
    """Submit polls, one for each partition of the symbols, or the jobs of a file. Nothing is written if one is wrong."""
    system = System.from_env()
    if (file is None) == (not symbols):
        raise ConfigurationError("nothing, or two things, to submit", remedy="give symbols, or --file")
    if file is not None:
        lines = read_lines(file)
    else:
        given = {
            "type": "poll", "capability": capability, "symbols": symbols, "priority": priority, "provider": provider,
            "slot": market_us(system) if slot is None else slot,
        }  # fmt: skip
        lines = [orjson.dumps(given)]
    partitions = system.partition_count()
    found = parsed_lines(lines, partitions, now=wall_us(), deadline_s=deadline_s)
    _send(system, found, partitions, wait=wait)


@jobs_app.command("backfill")
def backfill(
    symbol: Annotated[str, typer.Argument(help="Whose bars.")],
    start: Annotated[datetime, typer.Option("--from", help="First moment, UTC, inclusive.")],
    end: Annotated[datetime, typer.Option("--to", help="Last moment, UTC, exclusive.")],
    interval: Annotated[str, typer.Option(help="1m, 5m, 1h or 1d.")] = "1m",
    priority: Priority = 7,
    deadline_s: Deadline = 600.0,
    provider: Provider = "",
    wait: Wait = False,
) -> None:
    """Submit a backfill of one symbol's bars; it becomes a job of the backfill queue."""
    given = {
        "type": "backfill", "capability": f"bars:{interval}", "symbols": [symbol], "priority": priority,
        "provider": provider, "start": _micros(start), "end": _micros(end),
    }  # fmt: skip
    system = System.from_env()
    partitions = system.partition_count()
    found = parsed_lines([orjson.dumps(given)], partitions, now=wall_us(), deadline_s=deadline_s)
    _send(system, found, partitions, wait=wait)


@jobs_app.command("lease")
def lease(
    seconds: Annotated[float, typer.Option(min=0.0, max=MAX_LEASE_S, help="0 gives the lease back.")],
    source: Annotated[str, typer.Option(help="Whose jobs renew it.")] = SOURCE,
) -> None:
    """Take, renew or give back the lease of every partition: the sweeper polls nothing while it lasts."""
    system, now = System.from_env(), wall_us()
    job = Job(
        version=VERSION, job_id=f"lease|{source}|{now}", type="lease", source=source, created_time=now,
        lease_s=seconds,
    )  # fmt: skip
    _publish(system, [(partition, job) for partition in range(system.partition_count())])
    say(f"lease of {source} for {seconds:g} s" if seconds else "lease given back")


@jobs_app.command("results")
def results(
    limit: Annotated[int, typer.Option("-n", min=1, help="The last N of each partition.", metavar="N")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Print results as JSON lines, partition by partition."""
    system = System.from_env()
    partitions = system.partition_count()
    with LogReader(system.settings.bootstrap_servers, "mds-jobs-results") as reader:
        try:
            ends = _ends(system, reader, partitions)
            starts = {number: max(low, high - limit) for number, (low, high) in ends.items()}
            for result in _read(system, reader, starts, for_ever=follow):
                say(as_json_line(asdict(result)))
        except KeyboardInterrupt:
            return  # the usual way to end it


def market_us(system: System) -> int:
    """Return the market's time, µs: the simulator's where that is the market."""
    if system.settings.market_clock == "simulator":
        return int(simulator_clock_us(system))
    return wall_us()


def simulator_clock_us(system: System) -> int:
    """Return the simulator's time, µs; raise ProviderUnavailable where it does not answer."""
    text = str(simulator_clock(system)["market_time"])
    return int(datetime.fromisoformat(text).timestamp() * SECOND_US)


def _micros(moment: datetime) -> int:
    return micros(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


def _send(system: System, jobs: Sequence[Job], partitions: int, *, wait: bool) -> None:
    placed = [(next(iter(by_partition(job.symbols, partitions))), job) for job in jobs]
    if not wait:
        _publish(system, placed)
        say("\n".join(job.job_id for job in jobs))
        return
    with LogReader(system.settings.bootstrap_servers, "mds-jobs-wait") as reader:
        starts = {number: high for number, (_, high) in _ends(system, reader, partitions).items()}
        _publish(system, placed)
        deadline_s = (
            monotonic_s() + RESULT_GRACE_S + max(job.deadline - wall_us() for job in jobs) / SECOND_US
        )
        open_ids, good, queued = {job.job_id for job in jobs}, True, dict[str, str]()
        for result in _read(system, reader, starts, for_ever=True, until_s=deadline_s):
            if result.job_id in open_ids:
                say(as_json_line(asdict(result)))
                if result.status == QUEUED:
                    queued[result.job_id] = result.reason
                    continue  # another result says what became of it
                open_ids.discard(result.job_id)
                good = good and result.status in GOOD
            if not open_ids:
                break
    if waiting := [queued[job_id] for job_id in sorted(open_ids) if job_id in queued]:
        fail(f"{len(waiting)} are in the queue still, as {waiting[0]}; see `mds backfill status JOB`")
    if unheard := len(open_ids) - len(waiting):
        fail(f"{unheard} jobs have no result; does a producer run? see `mds status`")
    if open_ids or not good:
        raise typer.Exit(ExitCode.NO)


def _publish(system: System, placed: Sequence[tuple[int, Job]]) -> None:
    system.reach_kafka()
    topic = system.settings.topic_prefix + JOBS

    async def send() -> None:
        publisher = Publisher(system.settings.bootstrap_servers, f"mds-jobs-{os.getpid()}")
        try:
            await publisher.publish(
                [
                    Outgoing(topic=topic, partition=partition, value=encode(JOBS, job), key=_key(job))
                    for partition, job in placed
                ]
            )
        finally:
            publisher.close()

    asyncio.run(send())


def _key(job: Job) -> bytes | None:
    return job.symbols[0].encode() if job.symbols else None


def _ends(system: System, reader: LogReader, partitions: int) -> Mapping[int, tuple[int, int]]:
    topic = system.settings.topic_prefix + JOB_RESULTS
    return {number: reader.bounds(topic, number) for number in range(partitions)}


def _read(
    system: System,
    reader: LogReader,
    starts: Mapping[int, int],
    *,
    for_ever: bool,
    until_s: float = float("inf"),
) -> Iterator[JobResult]:
    topic, ended = system.settings.topic_prefix + JOB_RESULTS, set[int | None]()
    reader.assign({TopicPartition(topic, number): at for number, at in starts.items()})
    while monotonic_s() < until_s:
        for message in reader.fetch(MAX_JOBS, within_s=POLL_S):
            if (error := message.error()) is None:
                yield read_result(message.value())
            elif (event := event_of(error)) is LogEvent.END:
                ended.add(message.partition())
            elif event is not LogEvent.PASSING:
                raise BrokerUnavailable(f"Kafka: {error.str()}")
        if not for_ever and len(ended) == len(starts):
            return

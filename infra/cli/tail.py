"""`mds tail`: the canonical records of one symbol, as JSON lines, as they are committed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from math import inf
from typing import Annotated, Any

import typer

from infra.cli.output import as_json_line, fail, say
from infra.cli.symbols import asked_symbol
from infra.cli.system import System
from infra.runtime.clock import monotonic_s
from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.logs import LogEvent, LogReader, event_of
from infra.runtime.kafka.topics import Topics
from schemas.errors import BrokerUnavailable, MalformedPayload
from schemas.partitions import TopicPartition, partition_of
from schemas.streams import STREAMS, StreamName
from schemas.wire.codec import decode_value

TOPICS = {stream.name: stream.topic for stream in STREAMS}
POLL_S = 0.5
BATCH = 500
CONNECT_TIMEOUT_S = 5.0


def records(
    system: System, symbol: str, *, stream: StreamName, from_start: bool, for_s: float | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the symbol's records for so long, else for ever: the values, plus topic, partition and offset.

    Times are microseconds since the Unix epoch, UTC. Only committed records are read. Raises
    BrokerUnavailable when the broker does not answer, ConfigurationError where it is no symbol.
    """
    declared, key = TOPICS[stream], asked_symbol(symbol).encode()
    topic = system.settings.topic_prefix + declared
    partition = partition_of(symbol, system.partition_count())
    bootstrap = system.settings.bootstrap_servers
    # A topic that is absent is told before waiting for records that cannot come.
    Topics(bootstrap, "mds-tail-admin", within_s=CONNECT_TIMEOUT_S).describe([topic])
    with LogReader(bootstrap, "mds-tail") as reader:
        low, high = reader.bounds(topic, partition)
        reader.assign({TopicPartition(topic, partition): low if from_start else high})
        until_s = inf if for_s is None else monotonic_s() + for_s
        while (left_s := until_s - monotonic_s()) > 0:
            for message in reader.fetch(BATCH, within_s=min(POLL_S, left_s)):
                if (error := message.error()) is not None:
                    if event_of(error) not in (LogEvent.END, LogEvent.PASSING):
                        raise BrokerUnavailable(f"Kafka: {error.str()}")
                elif message.key() == key:
                    place = {"topic": topic, "partition": partition, "offset": message.offset()}
                    try:
                        yield place | decode_value(declared, message.value())
                    except MalformedPayload as malformed:
                        yield place | {"error": str(malformed)}


def tail_command(
    symbol: Annotated[str, typer.Argument(help="Symbol, as in SPY or SIM001.")],
    stream: Annotated[StreamName, typer.Option(help="Which records.")] = "bars",
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the oldest record kept.")
    ] = False,
    limit: Annotated[int | None, typer.Option("-n", min=1, help="Stop after N records.", metavar="N")] = None,
    for_s: Annotated[
        float | None,
        typer.Option(
            "--for", min=1.0, help="Stop after SECONDS; exit 1 unless a record was seen.", metavar="SECONDS"
        ),
    ] = None,
) -> None:
    """Print the committed records of a symbol as JSON lines, until Ctrl-C."""
    found = records(System.from_env(), symbol, stream=stream, from_start=from_start, for_s=for_s)
    nothing = True
    try:
        for record in itertools.islice(found, limit):
            nothing = False
            say(as_json_line(record))
    except KeyboardInterrupt:
        return  # the usual way to end it
    if nothing:
        fail(
            f"no record of {symbol} in {stream} came within {for_s or 0:g} s; --from-start shows those that are kept"
        )
        raise typer.Exit(ExitCode.NO)

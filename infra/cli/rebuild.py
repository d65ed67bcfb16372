"""`mds rebuild`: an empty database filled from the raw topics, by the services' own replays, one piped into the other."""

from __future__ import annotations

import asyncio

from infra.cli.output import say, step, warn
from infra.cli.pipes import piped
from infra.cli.system import System
from infra.runtime.clock import monotonic_s
from infra.runtime.dsn import named_dsn
from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.kept import Kept, kept, reach
from infra.runtime.kafka.logs import LogReader
from infra.runtime.postgres.databases import create_where_missing, is_same, with_database
from infra.runtime.postgres.migrate import migrate, refuse_used
from schemas.errors import ConfigurationError
from schemas.topics import RAW_TOPICS

TARGET = "SINKS_REPLAY_DSN"


def rebuild(system: System, into: str | None, *, archive: bool = False) -> int:
    """Fill an empty database from the raw topics, or of the archive, and say how far back that reaches; return the exit code.

    `into` names a database beside the live one, made where it is missing; without it SINKS_REPLAY_DSN is the target.
    Raises ConfigurationError where neither is given, or it is the live database or one that holds rows.
    """
    dsn = _target(system, into)
    partitions = system.partition_count()
    if into is not None and asyncio.run(create_where_missing(system.settings.dsn, into)):
        step(f"made the database {into}")
    asyncio.run(refuse_used(dsn))
    asyncio.run(migrate(dsn, tell=step))
    parts = [] if archive else _kept(system, partitions)
    began_s = monotonic_s()
    source = "the archive" if archive else "raw topics"
    step(f"reading {source}, oldest first; what they say is stored as it was the first time")
    code = _pipe(system, dsn, partitions, archive=archive)
    if code:
        warn("it was not finished and holds a part only: drop the database and rebuild it again")
        return code
    step(f"rebuilt in {monotonic_s() - began_s:.1f} s, from")
    for line in reach(parts) or [source]:
        say(f"  {line}")
    return ExitCode.DONE


def _target(system: System, into: str | None) -> str:
    given = system.env.get(TARGET, "")
    if into is None and not given:
        raise ConfigurationError(
            "nothing says which database to fill",
            remedy=f"name an empty one: `mds rebuild --into NAME`, or set {TARGET}",
        )
    live = system.settings.dsn
    dsn = named_dsn(given, TARGET) if into is None else with_database(live, into)
    if asyncio.run(is_same(dsn, live)):
        raise ConfigurationError(
            "this is the database the services use", remedy="rebuild into another, empty one"
        )
    return dsn


def _kept(system: System, partitions: int) -> list[Kept]:
    prefix = system.settings.topic_prefix
    with LogReader(system.settings.bootstrap_servers, "mds-rebuild") as reader:
        places = [(prefix + topic, partition) for topic in RAW_TOPICS for partition in range(partitions)]
        return [kept(reader, topic, partition) for topic, partition in places]


def _pipe(system: System, dsn: str, partitions: int, *, archive: bool) -> int:
    """Run the replays, one into the other, and return the exit code of the last that failed, 0 where all are done."""
    settings = system.settings
    env = {**system.env, TARGET: dsn, "MDS_KAFKA": settings.bootstrap_servers}
    broker = ["--bootstrap", settings.bootstrap_servers, "--prefix", settings.topic_prefix]
    count = ["--partitions", str(partitions)]
    commands = [
        *([["sinks", "archive", "cat"]] if archive else []),
        ["stream_processors", "replay", *(count if archive else broker)],
        ["sinks", "replay", *count],
    ]
    with piped(env, commands) as pipe:
        return pipe.code()

"""`mds replay`, where it goes: a file, the topics of a prefix, a database; each keeps how far it has come itself."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import orjson

from infra.cli.output import step, warn
from infra.cli.pipes import piped
from infra.cli.replay_request import ReplayRequest
from infra.cli.replay_source import (
    ReplayPlan,
    ReplayProgress,
    kept_plan,
    made_plan,
    reading,
    refuse_holes,
)
from infra.cli.system import System
from infra.runtime.clock import monotonic_s
from infra.runtime.dsn import named_dsn
from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.copying import Copies
from infra.runtime.postgres.databases import (
    create_where_missing,
    finish,
    is_same,
    keep_plan,
    plan_in,
    with_database,
)
from infra.runtime.postgres.migrate import migrate, refuse_used
from schemas.errors import ConfigurationError
from schemas.partitions import TopicPartition
from schemas.wire.framing import END, StreamedRecord, write_record

PLAN, BEGUN = "plan.json", "plan.json.begun"
RESUMABLE = "it was not finished; the same command goes on where it was"
TARGET = "SINKS_REPLAY_DSN"


def into_file(system: System, request: ReplayRequest, *, allow_holes: bool) -> int:
    """Write a file by the sinks' command and return the exit code; raises ConfigurationError where one is there."""
    path = Path(request.target)
    parts = path.with_name(f"{path.name}.parts")
    with _writable(parts):
        kept = _kept(path, parts)
    if kept is not None:
        plan = kept_plan(request, kept, str(parts))
        if path.exists():  # killed between its last two steps
            with _writable(parts):
                shutil.rmtree(parts)
            step(f"{path} was finished")
            return ExitCode.DONE
        step(f"going on with {parts}")
    else:
        plan, holes = made_plan(system, request)
        if code := refuse_holes(holes, allowed=allow_holes):
            return code
        with _writable(parts):
            _keep(parts, plan)
    return _exported(system, plan, path)


@contextmanager
def _writable(parts: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{parts} cannot be written: {error.strerror or error}",
            remedy="name a file in a folder that can be",
        ) from error


def _kept(path: Path, parts: Path) -> bytes | None:
    """Return the plan of the replay that makes a file, None where none does; raise ConfigurationError where another's is there."""
    if (parts / PLAN).exists():
        return (parts / PLAN).read_bytes()
    # killed before its plan had its name, a replay left nothing that counts
    begun = parts.exists() and any(each.name != BEGUN for each in parts.iterdir())
    if path.exists() or begun:
        there = path if path.exists() else parts
        raise ConfigurationError(
            f"{there} is there already, of {there.stat().st_size:,} bytes; nothing was changed in it",
            remedy="name another file, or delete it",
        )
    return None


def _keep(parts: Path, plan: ReplayPlan) -> None:
    parts.mkdir(exist_ok=True)
    with (parts / BEGUN).open("wb") as out:
        out.write(plan.to_json())
        out.flush()
        os.fsync(out.fileno())
    (parts / BEGUN).rename(parts / PLAN)


def _exported(system: System, plan: ReplayPlan, path: Path) -> int:
    """Feed the sinks' command, from where its parts end, and return the exit code."""
    (topic,) = plan.request.topics
    began_s, read_count, made = monotonic_s(), 0, dict[str, int]()
    command = ["sinks", "export", "--topic", topic, "--path", str(path)]
    with piped(system.env, [command], fed=True, read=True) as pipe:
        with pipe.feeding() as out:
            positions = {int(name): end for name, end in orjson.loads(pipe.end.readline() or b"{}").items()}
            read_count = _send(system, plan.after(positions), out, plan.request.chosen(), positions)
            made = orjson.loads(pipe.end.readline() or b"{}")
        code = pipe.code()
    if code:
        warn(RESUMABLE)
        return code
    read = f"{read_count:,} records read in {monotonic_s() - began_s:.1f} s"
    step(f"{path}: {made['rows']:,} rows; {read}")
    return ExitCode.DONE


def _send(
    system: System,
    plan: ReplayPlan,
    out: BinaryIO,
    choose: Callable[[StreamedRecord], StreamedRecord | None],
    done: Mapping[int, int],
) -> int:
    """Write what is chosen of a plan's records behind what is done by partition, and an END; return how many were read."""
    progress = ReplayProgress(plan)
    with reading(system, plan) as found:
        for record in progress.watch(found):
            chosen = choose(record) if record.offset >= done.get(record.partition, 0) else None
            if chosen is not None:
                write_record(out, chosen)
    write_record(out, END)
    out.flush()
    return progress.records


def into_prefix(system: System, request: ReplayRequest, *, allow_holes: bool) -> int:
    """Copy to topics of another prefix and return the exit code; raises ConfigurationError where they hold anything else."""
    settings, target = system.settings, request.target
    if target == settings.topic_prefix:
        raise ConfigurationError(
            f"prefix {target!r} is the one the services use",
            remedy="name another; live topics are never written",
        )
    copies = Copies(settings.bootstrap_servers, target, request.topics, replay=request.digest)
    plan, holes = made_plan(system, request)
    done = copies.done()
    if not done and (code := refuse_holes(holes, allowed=allow_holes)):
        return code
    if copies.prepare(plan.partitions, done):
        step(f"topics of prefix {target} were finished")
        return ExitCode.DONE
    if done and not request.archive:
        plan, holes = made_plan(system, request, done)
        if code := refuse_holes(holes, allowed=allow_holes):
            return code
    began_s, progress, choose, copied = monotonic_s(), ReplayProgress(plan), request.chosen(), 0
    with reading(system, plan) as found:
        for record in progress.watch(found):
            lacking = record.offset >= done.get(TopicPartition(record.topic, record.partition), 0)
            chosen = choose(record) if lacking else None
            if chosen is not None:
                copies.add(chosen)
                copied += 1
    copies.finish()
    read = f"{progress.records:,} read in {monotonic_s() - began_s:.1f} s"
    step(
        f"topics of prefix {target}: {copied:,} records copied, {read}; the broker keeps them until they are deleted"
    )
    return ExitCode.DONE


def into_database(system: System, request: ReplayRequest, *, allow_holes: bool) -> int:
    """Fill a database by both services' replays and return the exit code; raises ConfigurationError where it holds rows."""
    live, target = system.settings.dsn, request.target
    dsn = named_dsn(target, "--into database") if "://" in target else with_database(live, target)
    if asyncio.run(is_same(dsn, live)):
        raise ConfigurationError("this is the database the services use", remedy="name another, empty one")
    if dsn != target and asyncio.run(create_where_missing(live, target)):
        step(f"made the database {target}")
    kept = asyncio.run(plan_in(dsn))
    if kept is not None:
        plan = kept_plan(request, kept, "the database")
        step("going on with the database")
    else:
        asyncio.run(refuse_used(dsn))
        plan, holes = made_plan(system, request)
        if code := refuse_holes(holes, allowed=allow_holes):
            return code
        asyncio.run(migrate(dsn, tell=step))
        asyncio.run(keep_plan(dsn, plan.to_json()))
    count = ["--partitions", str(plan.partitions)]
    processing = ["stream_processors", "replay", *count, *(f"--symbol={each}" for each in request.symbols)]
    env = {**system.env, TARGET: dsn, "MDS_KAFKA": system.settings.bootstrap_servers}
    began_s, read_count = monotonic_s(), 0
    with piped(env, [processing, ["sinks", "replay", *count, "--resume"]], fed=True) as pipe:
        with pipe.feeding() as out:
            # Symbols are chosen of what is made, so that each record's place is the one it has among all.
            read_count = _send(system, plan, out, lambda record: record, {})
        code = pipe.code()
    if code:
        warn(RESUMABLE)
        return code
    asyncio.run(finish(dsn))
    step(f"filled from {read_count:,} raw records in {monotonic_s() - began_s:.1f} s")
    return ExitCode.DONE

"""A service's life: JSON logs, an ops port with /livez /readyz /metrics, SIGTERM that drains, clear exit codes.

Exit codes are those of `exit_codes`; a configuration error is a sentence on stderr, without traceback.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from infra.runtime import metrics, tracing
from infra.runtime.call_traces import CallTracer, TraceFolder, trace_route
from infra.runtime.clock import monotonic_s, rfc3339, wall_us
from infra.runtime.exit_codes import ExitCode, exit_code
from infra.runtime.settings import MdsSettings
from infra.runtime.unreadable import calm_site
from schemas.errors import ConfigurationError

OPS_KEEPALIVE_S = 15
OPS_SHUTDOWN_S = 2.0
VERSION = "1.0.0rc1"  # pyproject.toml reads it here
_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

# They say the same of every attempt, ten times a second while a broker makes its first topics.
REPEATING_LIBRARIES = ("aiokafka", "faust", "mode", "opentelemetry", "urllib3")
SAID_AGAIN_AFTER_S = 10.0
REMEMBERED_LINES = 256

log = logging.getLogger(__name__)


@dataclass(slots=True)
class HealthPart:
    """State of one part of a service; `stall_after_s` None means it is never judged by progress."""

    ready: bool = False
    detail: dict[str, Any] = field(default_factory=dict)
    stall_after_s: float | None = None
    moved_at_s: float = 0.0

    def stalled(self, now_s: float) -> bool:
        """Whether progress was promised and did not come."""
        return self.stall_after_s is not None and now_s - self.moved_at_s > self.stall_after_s


class Health:
    """States of the parts of a process as they report them; liveness is progress, readiness is being able to serve."""

    def __init__(self) -> None:
        """Start with no parts: alive, and not ready before one can serve."""
        self.parts: dict[str, HealthPart] = {}

    def expect(self, name: str, *, stall_after_s: float | None = None) -> None:
        """Declare a part before it is ready, so that /readyz waits for it."""
        self.parts[name] = HealthPart(stall_after_s=stall_after_s, moved_at_s=monotonic_s())

    def report(self, name: str, *, ready: bool, **detail: Any) -> None:
        """State whether a part can serve, with fields that explain it; counts as progress."""
        part = self.parts.setdefault(name, HealthPart())
        part.ready, part.detail, part.moved_at_s = ready, detail, monotonic_s()

    def promise(self, name: str, *, stall_after_s: float | None) -> None:
        """Judge a part by progress from now on, or, with None, not any more."""
        part = self.parts[name]
        part.stall_after_s, part.moved_at_s = stall_after_s, monotonic_s()

    def forget(self, name: str) -> None:
        """Take a part back that is no more."""
        self.parts.pop(name, None)

    def moved(self, name: str) -> None:
        """Note that a part made progress."""
        self.parts[name].moved_at_s = monotonic_s()

    def live(self) -> bool:
        """Whether no part has stalled."""
        now_s = monotonic_s()
        return not any(part.stalled(now_s) for part in self.parts.values())

    def ready(self) -> bool:
        """Whether every part can serve and none has stalled."""
        return bool(self.parts) and self.live() and all(part.ready for part in self.parts.values())

    def document(self) -> dict[str, Any]:
        """Return the state of every part for JSON."""
        now_s = monotonic_s()
        return {
            name: {
                "ready": part.ready,
                "stalled": part.stalled(now_s),
                "seconds_since_progress": round(now_s - part.moved_at_s, 1),
                **part.detail,
            }
            for name, part in self.parts.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The running service: set `stopping` to end it, report to `health`."""

    name: str
    stopping: asyncio.Event
    health: Health


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts, level, service, event, the ids of the span under way, then the fields given as `extra`."""

    def __init__(self, service: str) -> None:
        """Put `service` into every line."""
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; what JSON cannot hold is shown as text."""
        line: dict[str, Any] = {
            "ts": rfc3339(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
            "service": self._service,
            "event": record.getMessage(),
        }
        span = tracing.current()
        if span is not None:
            line |= {"trace_id": span.trace, "span_id": span.span}
        line.update({name: value for name, value in vars(record).items() if name not in _STANDARD_ATTRIBUTES})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class RepeatedLines(logging.Filter):
    """A filter of what a library says again within ten seconds: counted, and told as `repeated` with the next line that says it."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        super().__init__()
        # Of a text, when it was let through, and its repeats since.
        self._said: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is let through; a line of ours always is."""
        if record.name.partition(".")[0] not in REPEATING_LIBRARIES:
            return True
        text = record.getMessage()
        said_s, repeats = self._said.pop(text, (None, 0))
        if said_s is not None and record.created - said_s < SAID_AGAIN_AFTER_S:
            self._said[text] = said_s, repeats + 1
            return False
        if repeats:
            record.repeated = repeats
        self._said[text] = record.created, 0
        if len(self._said) > REMEMBERED_LINES:
            del self._said[next(iter(self._said))]
        return True


def configure_logging(service: str, level: str) -> None:
    """Send every log line as JSON to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    handler.addFilter(RepeatedLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


@asynccontextmanager
async def running(
    name: str,
    ops_port: int,
    shared: MdsSettings,
    *,
    expecting: Iterable[str] = (),
) -> AsyncIterator[Process]:
    """Run a service inside: logs, signals, spans and the ops port; raise ConfigurationError where it cannot listen there.

    `expecting` names parts that /readyz waits for, also while others that are wired earlier can serve already.
    """
    configure_logging(name, shared.log_level)
    host = str(shared.ops_host)
    process = Process(name=name, stopping=asyncio.Event(), health=Health())
    for part in expecting:
        process.health.expect(part)
    metrics.BUILD_INFO.labels(name, VERSION).set(1)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.stopping.set)
    runner = web.AppRunner(_ops_app(process, shared), shutdown_timeout=OPS_SHUTDOWN_S)
    async with AsyncExitStack() as opened:
        try:
            await opened.enter_async_context(
                calm_site(runner, host, ops_port, keepalive_timeout=OPS_KEEPALIVE_S)
            )
        except OSError as error:
            raise _deaf(name, host, ops_port, error) from error
        if shared.otel:
            await opened.enter_async_context(_exporting(shared, name))
        log.info("started", extra={"ops_port": ops_port, "pid": os.getpid()})
        try:
            yield process
        finally:
            process.stopping.set()
    log.info("stopped")


def _deaf(name: str, host: str, port: int, error: OSError) -> ConfigurationError:
    setting = f"{name.removeprefix('stream_').upper()}_OPS_PORT"
    if error.errno == errno.EADDRINUSE:
        return ConfigurationError(f"ops port {port} is taken", remedy=f"free it or set {setting}")
    return ConfigurationError(
        f"nobody may listen on {host}, port {port} ({error.strerror or error})",
        remedy=f"set MDS_OPS_HOST to an address of this machine, or 0.0.0.0, and {setting} to a port above 1023",
    )


def _exporting(shared: MdsSettings, name: str) -> AbstractAsyncContextManager[None]:
    """Return what records spans; raise ConfigurationError where the extra is not installed."""
    try:
        # only where it is asked for: it takes a quarter of a second and is not everybody's
        from infra.runtime.span_export import exporting
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"MDS_OTEL is set, and {error.name} is not installed",
            remedy="install 'market-data-service[otel]' (in a checkout: make setup EXTRA=otel), or unset MDS_OTEL",
        ) from error
    return exporting(shared, name, VERSION)


def _ops_app(process: Process, shared: MdsSettings) -> web.Application:
    def answer(*, good: bool) -> web.Response:
        document = {
            "service": process.name,
            "ok": good,
            "now": rfc3339(wall_us()),
            "parts": process.health.document(),
        }
        return web.json_response(document, status=200 if good else 503)

    async def livez(_: web.Request) -> web.Response:
        return answer(good=process.health.live())

    async def readyz(_: web.Request) -> web.Response:
        return answer(good=process.health.ready() and not process.stopping.is_set())

    async def exposition(_: web.Request) -> web.Response:
        body, content_type = metrics.render()
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", exposition)])
    if shared.trace:
        app.add_routes([trace_route(CallTracer(TraceFolder(shared.home), process.name))])
    return app


async def until_stopped(process: Process, *works: Coroutine[Any, Any, None]) -> None:
    """Run the works together until one fails, all end, or the process is told to stop; then cancel what is left.

    A work that must drain does so in its own `finally`.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]

        async def stop() -> None:
            await process.stopping.wait()
            for task in tasks:
                task.cancel()

        stopper = group.create_task(stop())
        await asyncio.wait(tasks)
        stopper.cancel()


def run(
    main: Coroutine[Any, Any, None], *, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> None:
    """Run a service to its end, on a loop of its own choice, and exit with the code that says how it ended."""
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main)
    except BaseException as error:
        code = exit_code(error)
        if code == ExitCode.SOFTWARE:
            log.critical("crashed", exc_info=error)
        sys.exit(code)

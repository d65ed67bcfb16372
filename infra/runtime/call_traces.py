"""Traces of every call a process makes for some seconds, as files for a viewer: the one home of viztracer.

A process that is traced is several times slower, so one at a time is, of all that share a home, and a thread of its own
ends it: the loop may be what hangs.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.runtime.clock import rfc3339, wall_us
from schemas.clocks import WallTime
from schemas.errors import ConfigurationError
from schemas.remedies import problem_of, remedy_of

FOLDER = "traces"  # in MDS_HOME
KEPT = 5
MAX_SECONDS = 60
MIN_ENTRIES, MAX_ENTRIES = 1_000, 1_000_000
DEFAULT_SECONDS, DEFAULT_ENTRIES = 5, 200_000
LOCK, PART = ".lock", ".part"
NAME = re.compile(r"([a-z][a-z_]{0,31})-(\d{8}T\d{12}Z)", re.ASCII)
MAX_ORDER_BYTES = 1_024
JSON = "application/json"

log = logging.getLogger(__name__)


class TraceUnderWay(Exception):
    """Another trace is being taken by a process of this home."""


class TraceOrder(BaseModel):
    """An order to trace: for so many seconds, keeping the newest `max_entries` calls."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    seconds: Annotated[int, Field(ge=1, le=MAX_SECONDS)] = DEFAULT_SECONDS
    max_entries: Annotated[int, Field(ge=MIN_ENTRIES, le=MAX_ENTRIES)] = DEFAULT_ENTRIES


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTrace:
    """A trace that is over: its file, named by its id."""

    id: str
    service: str
    size_bytes: int


def check_installed() -> None:
    """Raise ConfigurationError where the extra is not installed."""
    try:
        import viztracer  # noqa: F401 - an extra, for those who trace
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"MDS_TRACE is set, and {error.name} is not installed",
            remedy="install 'market-data-service[trace]' (in a checkout: make setup EXTRA=trace), or unset MDS_TRACE",
        ) from error


class TraceFolder:
    """The traces of a home, whichever process took them; the newest five are kept."""

    def __init__(self, home: Path) -> None:
        """Look in `traces` below `home`."""
        self.path = home / FOLDER

    def kept(self) -> list[KeptTrace]:
        """Return the traces that are over, the newest first."""
        found = []
        for file in self.path.glob("*.json"):
            named = NAME.fullmatch(file.stem)
            if named is not None and file.is_file() and not file.is_symlink():
                found.append(KeptTrace(id=file.stem, service=named[1], size_bytes=file.stat().st_size))
        return sorted(found, key=lambda each: each.id.rpartition("-")[2], reverse=True)

    def file_of(self, trace_id: str) -> Path | None:
        """Return the file of a trace that is kept; None for whatever else is asked for."""
        return next((self.path / f"{each.id}.json" for each in self.kept() if each.id == trace_id), None)

    def keep(self, trace_id: str, write: Callable[[Path], None]) -> None:
        """Have a trace written and forget those that are too many; nobody sees half of one."""
        part = self.path / f"{trace_id}{PART}"
        try:
            write(part)
            part.rename(self.path / f"{trace_id}.json")
        finally:
            part.unlink(missing_ok=True)
        for old in self.kept()[KEPT:]:
            (self.path / f"{old.id}.json").unlink(missing_ok=True)

    def claim(self) -> int:
        """Return the descriptor of the lock that only one tracing process has; it goes with the process. Raises TraceUnderWay."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise TraceUnderWay("a process of this home is being traced already") from None
        for part in self.path.glob(f"*{PART}"):  # of a process that was killed meanwhile
            part.unlink(missing_ok=True)
        return descriptor


class CallTracer:
    """Traces the process it is in."""

    def __init__(self, folder: TraceFolder, service: str) -> None:
        """Write into `folder`, as `service`; raise ConfigurationError where the extra is not installed."""
        check_installed()
        self._folder, self._service = folder, service

    def begin(self, order: TraceOrder) -> str:
        """Trace the loop that calls this, and threads begun from now on; return the id of the trace.

        Its file is there once it is over, some tenths of a second after `order.seconds`. Raises TraceUnderWay.
        """
        from viztracer import VizTracer  # an extra, for those who trace

        lock, begun_us = self._folder.claim(), wall_us()
        trace_id = f"{self._service}-{_compact(begun_us)}"
        tracer = VizTracer(
            tracer_entries=order.max_entries,
            ignore_c_function=True,
            ignore_frozen=True,
            log_async=True,
            # straight from its buffer to the file: as objects a million calls are 700 MB
            dump_raw=True,
            file_info=False,
            register_global=False,
            verbose=0,
        )
        loop = asyncio.get_running_loop()
        box = threading.Thread(
            target=_end,
            args=(tracer, self._folder, trace_id, order.seconds, lock, loop),
            name="call-trace",
            daemon=True,
        )
        box.start()
        tracer.start()
        return trace_id


def _end(
    tracer: Any, folder: TraceFolder, trace_id: str, seconds: int, lock: int, loop: asyncio.AbstractEventLoop
) -> None:
    """End a trace when its time is over, whatever the loop does."""
    try:
        threading.Event().wait(seconds)
        tracer.stop()
        threading.setprofile(None)  # of threads to come
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(sys.setprofile, None)
        folder.keep(trace_id, lambda part: tracer.save(str(part)))
        log.info("call_trace_taken", extra={"trace": trace_id, "seconds": seconds})
    except OSError as error:
        log.warning("call_trace_lost", extra={"trace": trace_id, "error": str(error)})
    finally:
        tracer.clear()
        os.close(lock)


def trace_route(tracer: CallTracer) -> web.RouteDef:
    """Return `POST /trace` of a process's ops port: whoever is on this machine may trace it, but no web page.

    202 with the id of the trace; 403, 409, 415 or 422 with the reason.
    """

    async def trace(request: web.Request) -> web.Response:
        if "Origin" in request.headers:
            return _refusal(403, "a web page may not ask")
        if request.content_type != JSON:
            return _refusal(415, f"send {JSON}")
        body = await request.content.read(MAX_ORDER_BYTES + 1)
        try:
            if len(body) > MAX_ORDER_BYTES:
                return _refusal(422, f"the order is larger than {MAX_ORDER_BYTES} bytes")
            return web.json_response({"id": tracer.begin(TraceOrder.model_validate_json(body))}, status=202)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            return _refusal(
                422, f"{'.'.join(map(str, first['loc']))}: {problem_of(first)}; {remedy_of(first)}"
            )
        except TraceUnderWay as error:
            return _refusal(409, str(error))

    return web.post("/trace", trace)


def _refusal(status: int, detail: str) -> web.Response:
    return web.json_response({"detail": detail}, status=status)


def _compact(time_us: WallTime) -> str:
    """Return a moment as in 20261130T205539123456Z."""
    return re.sub(r"[-:.]", "", rfc3339(time_us))

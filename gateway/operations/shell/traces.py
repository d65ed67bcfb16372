"""`/ops/trace` and `/ops/traces`: this process is traced here, another one is asked at its ops port; files lie in one folder."""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar

from aiohttp import web

from gateway.http.endpoints import JSON
from gateway.http.problems import Problem
from gateway.http.shell.answers import GRANT, Serves, answer, body_of
from gateway.operations.shell.ops_ports import OpsPorts
from gateway.operations.trace_request import OWN, TRACE, TRACE_FILE, TRACES, WantedTrace, wanted_trace
from infra.runtime.call_traces import CallTracer, TraceFolder, TraceOrder, TraceUnderWay
from infra.runtime.settings import MdsSettings

RETRY_S = 5

log = logging.getLogger(__name__)


class CallTraces:
    """Begins traces, and serves those of this home that are over."""

    def __init__(self, shared: MdsSettings, ports: OpsPorts) -> None:
        """Trace this process where the settings allow it; raise ConfigurationError where the extra is not installed."""
        self._folder, self._ports = TraceFolder(shared.home), ports
        self._tracer = CallTracer(self._folder, OWN) if shared.trace else None

    async def trace(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/trace."""
        TRACE.parse(request.query.items())
        wanted = wanted_trace(await body_of(request), (OWN, *self._ports.services))
        trace_id = self._own(wanted) if wanted.service == OWN else await self._other(wanted)
        grant = request.get(GRANT)
        log.info("call_trace_begun", extra={"trace": trace_id, "key": grant.key_id if grant else ""})
        order = {"seconds": wanted.seconds, "max_entries": wanted.max_entries}
        return answer({"id": trace_id, "service": wanted.service, **order}, {}, request, status=202)

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """GET /ops/traces."""
        TRACES.parse(request.query.items())
        kept = await asyncio.to_thread(self._folder.kept)
        data = [{"id": each.id, "service": each.service, "size_bytes": each.size_bytes} for each in kept]
        return answer(data, {}, request)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """GET /ops/traces/{id}: never what the list does not name."""
        TRACE_FILE.parse(request.query.items())
        trace_id = request.match_info["id"]
        path = await asyncio.to_thread(self._folder.file_of, trace_id)
        if path is None:
            detail = f"no trace is called {trace_id[:100]!r}; GET /ops/traces lists what there is"
            raise Problem(code="unknown_trace", detail=detail)
        named = {"Content-Disposition": f'attachment; filename="{path.name}"', "Content-Type": JSON}
        return web.FileResponse(path, headers=named)

    serves: ClassVar[Serves] = ((TRACE, trace), (TRACES, listing), (TRACE_FILE, file))

    def _own(self, wanted: WantedTrace) -> str:
        if self._tracer is None:
            raise _disabled(OWN)
        try:
            return self._tracer.begin(TraceOrder(seconds=wanted.seconds, max_entries=wanted.max_entries))
        except TraceUnderWay as error:
            raise _under_way(str(error)) from error

    async def _other(self, wanted: WantedTrace) -> str:
        order = {"seconds": wanted.seconds, "max_entries": wanted.max_entries}
        status, told = await self._ports.begin_trace(wanted.service, order)
        if status == 202 and isinstance(told.get("id"), str):
            return str(told["id"])
        if status == 404:
            raise _disabled(wanted.service)
        if status == 409:
            raise _under_way(str(told.get("detail")))
        detail = f"{wanted.service} does not answer at its ops port; is it running? (`mds status`)"
        raise Problem(code="service_unreachable", detail=detail, retry_after_s=RETRY_S)


def _disabled(service: str) -> Problem:
    detail = f"{service} does not let itself be traced; start it with MDS_TRACE=1"
    return Problem(code="tracing_disabled", detail=detail)


def _under_way(detail: str) -> Problem:
    return Problem(code="trace_under_way", detail=f"{detail}; come again", retry_after_s=RETRY_S)

"""An OTLP/HTTP receiver on loopback that reads what it is sent by OpenTelemetry's own protobuf; it can be told to freeze."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

MAX_BODY_BYTES = 16_777_216


@dataclass(frozen=True, kw_only=True)
class ReceivedSpan:
    """A span as it came; ids as they are written, `parent` "" where it begins a trace."""

    service: str
    name: str
    kind: int
    trace: str
    span: str
    parent: str
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    failed: bool
    took_us: int


@dataclass
class Receiver:
    """What came so far; `frozen`: requests are read and never answered."""

    url: str
    spans: list[ReceivedSpan] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    frozen: bool = False
    thawing: asyncio.Event = field(default_factory=asyncio.Event)

    def named(self, beginning: str) -> list[ReceivedSpan]:
        """Return the spans whose names begin so."""
        return [each for each in self.spans if each.name.startswith(beginning)]

    async def take(self, request: web.Request) -> web.Response:
        """POST /v1/traces."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        body = await request.read()
        if self.frozen:
            await self.thawing.wait()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_received(service, each) for each in scope.spans]
        return web.Response(body=b"", content_type="application/x-protobuf")


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Receive inside, on a free port."""
    receiver = Receiver("")
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post("/v1/traces", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}"
    try:
        yield receiver
    finally:
        receiver.thawing.set()
        await runner.cleanup()


def _received(service: str, span: Any) -> ReceivedSpan:
    return ReceivedSpan(
        service=service,
        name=span.name,
        kind=span.kind,
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        attributes=_values(span.attributes),
        links=[(each.trace_id.hex(), each.span_id.hex()) for each in span.links],
        failed=span.status.code == 2,
        took_us=(span.end_time_unix_nano - span.start_time_unix_nano) // 1_000,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}

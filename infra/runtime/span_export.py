"""Finished spans → OTLP over HTTP: the one home of opentelemetry, loaded where MDS_OTEL=1.

A receiver that is away, slow or frozen costs spans, counted, and nothing else: what is handed over waits in a queue of
its own thread, and beyond 2,048 is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from socket import gethostname

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from infra.runtime import metrics, tracing
from infra.runtime.settings import MdsSettings
from infra.runtime.threads import in_daemon_thread
from infra.runtime.tracing import RecordedSpan, SpanRef

MAX_WAITING_SPANS = 2_048
BATCH_SPANS = 512
CLOSE_WITHIN_S = 2.0
SCOPE = "mds"
KINDS = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}

log = logging.getLogger(__name__)


@asynccontextmanager
async def exporting(shared: MdsSettings, service: str, version: str) -> AsyncIterator[None]:
    """Record spans inside and send them to where the settings say; at the end what waits has two seconds."""
    export = SpanExport(shared.otel_endpoint, service, version)
    tracing.record(export.take, ratio=shared.otel_ratio, prefix=shared.topic_prefix)
    try:
        yield
    finally:
        tracing.record(None)
        await export.close()


class SpanExport:
    """Takes finished spans and never waits; `waiting` are taken and not yet handed to the network."""

    def __init__(self, endpoint: str, service: str, version: str) -> None:
        """Send to the base URL `endpoint`; "": as OTEL_EXPORTER_OTLP_ENDPOINT says, else to this machine."""
        process = {"service.version": version, "service.instance.id": f"{gethostname()}-{os.getpid()}"}
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": f"mds-{service}"}
        self._exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces" if endpoint else None)
        # The queue below never overflows: what finds no room is counted here, and is the newest.
        queue = BatchSpanProcessor(
            _Counted(self._exporter, self),
            max_queue_size=MAX_WAITING_SPANS,
            max_export_batch_size=BATCH_SPANS,
        )
        self._ids = _GivenIds()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # who takes the span has decided
            resource=Resource.create({**named, **process}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(queue)
        self._tracer = self._provider.get_tracer(SCOPE, version)
        self._counting = threading.Lock()
        self.waiting = 0

    def take(self, span: RecordedSpan) -> None:
        """Queue a finished span, or count it as dropped."""
        with self._counting:
            if self.waiting >= MAX_WAITING_SPANS:
                metrics.SPANS_DROPPED.labels("queue_full").inc()
                return
            self.waiting += 1
        try:
            self._hand_over(span)
        except Exception:  # noqa: BLE001 - whatever becomes of a span, the work it tells of goes on
            self.left(1, sent=False)

    def _hand_over(self, span: RecordedSpan) -> None:
        self._ids.give(span.ref)
        begun_ns = span.began_us * 1_000
        made = self._tracer.start_span(
            span.name,
            context=_around(span.parent),
            kind=KINDS[span.kind],
            attributes=span.attributes,
            links=[Link(_context(ref)) for ref in span.links],
            start_time=begun_ns,
            record_exception=False,
        )
        if span.error:
            made.set_status(Status(StatusCode.ERROR))
        made.end(end_time=begun_ns + round(span.took_s * 1e9))

    def left(self, spans: int, *, sent: bool) -> None:
        """Note that so many went to the receiver, which took them or did not."""
        with self._counting:
            self.waiting -= spans
        if sent:
            metrics.SPANS_EXPORTED.inc(spans)
        else:
            metrics.SPANS_DROPPED.labels("not_taken").inc(spans)

    async def close(self) -> None:
        """Send what waits, for two seconds; what is left then is lost, and the log says how much."""
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await in_daemon_thread(self._provider.shutdown, name="spans-close")
        except TimeoutError:
            self._exporter.shutdown()
            log.warning("spans_lost", extra={"spans": self.waiting, "reason": "the receiver is too slow"})


# mypy does not read the extra, so that it says the same without it.
class _Counted(SpanExporter):  # type: ignore[misc]
    """An exporter, with account of what became of its spans."""

    def __init__(self, exporter: SpanExporter, account: SpanExport) -> None:
        self._exporter, self._account = exporter, account

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        sent = SpanExportResult.FAILURE
        try:
            sent = self._exporter.export(spans)
        finally:
            self._account.left(len(spans), sent=sent is SpanExportResult.SUCCESS)
        return sent

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _GivenIds(IdGenerator):  # type: ignore[misc]
    """The ids of the span that this thread makes next."""

    def __init__(self) -> None:
        self._next = threading.local()

    def give(self, ref: SpanRef) -> None:
        self._next.ref = ref

    def generate_span_id(self) -> int:
        return int(self._next.ref.span_id)

    def generate_trace_id(self) -> int:
        return int(self._next.ref.trace_id)


def _context(ref: SpanRef) -> SpanContext:
    return SpanContext(ref.trace_id, ref.span_id, is_remote=True, trace_flags=TraceFlags(int(ref.sampled)))


def _around(parent: SpanRef | None) -> Context:
    return Context() if parent is None else set_span_in_context(NonRecordingSpan(_context(parent)), Context())

"""Spans at a real OTLP/HTTP receiver: what they say, what they never say, and one that is away or frozen holds nothing up."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from logging import StreamHandler, getLogger

import pytest

from infra.runtime import tracing
from infra.runtime.clock import monotonic_s
from infra.runtime.lifecycle import JsonFormatter
from infra.runtime.metrics import render
from infra.runtime.settings import MdsSettings
from infra.runtime.tracing import span
from tests.conftest import free_port
from tests.support.eventually import eventually
from tests.support.extras import require_otel
from tests.support.otlp_receiver import Receiver, receiving
from tests.support.toy_gateway import bearing, keyed, said, serving

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
WITHIN_S = 20.0
BLOCKED = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError("No module named 'opentelemetry'", name="opentelemetry")
sys.meta_path.insert(0, Absent())
"""
STARTED = """
from infra.runtime import lifecycle
from infra.runtime.settings import MdsSettings
async def main():
    async with lifecycle.running("sinks", int(sys.argv[1]), MdsSettings.from_env()):
        pass
lifecycle.run(main())
"""
LOADED = """
import sys
import gateway.__main__, producers.__main__, sinks.__main__, stream_processors.__main__, infra.cli.__main__
print(sorted({name.partition(".")[0] for name in sys.modules} & {"opentelemetry", "viztracer", "google"}))
"""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    yield
    tracing.record(None)


def settings(endpoint: str, **more: str) -> MdsSettings:
    """Return settings that send spans there."""
    return MdsSettings.from_env({"MDS_OTEL": "1", "MDS_OTEL_ENDPOINT": endpoint, **more})


def exporting(endpoint: str, **more: str):  # type: ignore[no-untyped-def]
    """Record and send spans inside."""
    require_otel()
    from infra.runtime.span_export import exporting

    return exporting(settings(endpoint, **more), "gateway", "1")


@pytest.fixture
def log_lines() -> Iterator[StringIO]:
    """The log as JSON lines."""
    text = StringIO()
    handler = StreamHandler(text)
    handler.setFormatter(JsonFormatter("gateway"))
    getLogger().addHandler(handler)
    yield text
    getLogger().removeHandler(handler)


async def test_a_request_is_found_by_the_trace_its_caller_named(log_lines: StringIO) -> None:
    """In the answer, in its problem, in the log and at the receiver, and neither its key nor its query anywhere."""
    async with receiving() as receiver, exporting(receiver.url), serving(access=keyed()) as session:
        given = {**HEADERS, **bearing()}
        status, headers, _ = await said(session, "GET", "/rows?limit=2", headers=given)
        assert (status, headers["traceparent"][3:35]) == (200, TRACE)
        _, headers, problem = await said(session, "GET", "/rows?apikey=hunter2", headers=given)
        assert (problem["code"], problem["trace_id"]) == ("invalid_parameter", TRACE)
        with pytest.raises(Exception):  # noqa: B017 - however the client says that it breaks off
            await said(session, "GET", "/half", headers=given)
        await eventually(lambda: len(receiver.spans) == 3, within_s=WITHIN_S)
        cut = next(json.loads(line) for line in log_lines.getvalue().splitlines() if "answer_cut" in line)
        assert cut["trace_id"] == TRACE

        first, second, third = receiver.spans
        assert {each.trace for each in receiver.spans} == {TRACE}
        assert (first.name, first.kind, first.service, first.parent) == (
            "GET /rows", 2, "mds-gateway", "00f067aa0ba902b7",
        )  # fmt: skip
        assert second.span == headers["traceparent"][36:52]
        request_id = first.attributes.pop("mds.request_id")
        assert request_id and first.attributes == {
            "http.request.method": "GET",
            "http.route": "/rows",
            "http.response.status_code": 200,
            "url.path": "/rows",
            "url.scheme": "http",
        }
        assert second.attributes["http.response.status_code"] == 422 and not second.failed
        assert third.span == cut["span_id"]
        sent = b"".join(receiver.bodies)
        assert not any(
            secret in sent for secret in (b"hunter2", b"apikey", bearing()["Authorization"][7:].encode())
        )


async def test_without_the_header_a_request_begins_a_trace(log_lines: StringIO) -> None:
    """Of an unknown path and a rare method nothing of the caller's own is told; a socket has no span."""
    async with receiving() as receiver, exporting(receiver.url), serving() as session:
        _, headers, _ = await said(session, "GET", "/no/such?x=1", headers={"traceparent": "00-bad"})
        assert headers["traceparent"].startswith("00-")
        await said(session, "PURGE", "/rows")
        async with session.ws_connect("/ws") as socket:
            await socket.send_str("hello")
            assert await socket.receive_str() == "hello"
        await said(session, "GET", "/rows")
        await eventually(lambda: len(receiver.spans) == 3, within_s=WITHIN_S)
        assert [each.name for each in receiver.spans] == ["GET", "_OTHER", "GET /rows"]
        assert all(not each.parent for each in receiver.spans)
        assert "url.path" not in receiver.spans[0].attributes


async def test_a_request_that_is_not_sampled_sends_nothing() -> None:
    """Nor is its trace told, unless its caller named it."""
    async with receiving() as receiver, exporting(receiver.url, MDS_OTEL_RATIO="0"), serving() as session:
        _, headers, _ = await said(session, "GET", "/rows")
        assert "traceparent" not in headers
        _, headers, _ = await said(
            session, "GET", "/rows", headers={"traceparent": f"{HEADERS['traceparent'][:-1]}0"}
        )
        assert headers["traceparent"].startswith(f"00-{TRACE}-") and headers["traceparent"].endswith("-00")
        await said(session, "GET", "/rows", headers=HEADERS)
        await eventually(lambda: receiver.spans, within_s=WITHIN_S)
        assert len(receiver.spans) == 1


async def test_where_nothing_is_recorded_a_callers_trace_is_still_told(log_lines: StringIO) -> None:
    """And who names none is told of none."""
    async with serving() as session:
        _, headers, problem = await said(session, "GET", "/rows?x=1", headers=HEADERS)
        assert (headers["traceparent"][3:35], problem["trace_id"]) == (TRACE, TRACE)
        assert headers["traceparent"].endswith("-00")
        _, headers, problem = await said(session, "GET", "/rows?x=1")
        assert "traceparent" not in headers and "trace_id" not in problem


def spans_of(count: int) -> float:
    """Make so many spans; return how long that took, s."""
    began_s = monotonic_s()
    for _ in range(count):
        with span("work", "internal"):
            pass
    return monotonic_s() - began_s


def lost() -> float:
    """Return how many spans were counted as lost so far."""
    return sum(
        counted(f'mds_spans_dropped_total{{reason="{reason}"}}') for reason in ("queue_full", "not_taken")
    )


def counted(name: str) -> float:
    """Return what a metric shows."""
    lines = render()[0].decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


async def frozen_or_away(receiver: Receiver | None) -> tuple[float, float]:
    """Make 20,000 spans that nobody takes; return how long that took and how long the end took, s."""
    url = f"http://127.0.0.1:{free_port()}" if receiver is None else receiver.url
    async with exporting(url):
        took_s = spans_of(20_000)
        began_s = monotonic_s()
    return took_s, monotonic_s() - began_s


async def test_a_receiver_that_is_frozen_or_away_holds_nothing_up() -> None:
    """What finds no room is counted, and the end waits two seconds at most."""
    require_otel()
    from infra.runtime.span_export import MAX_WAITING_SPANS

    async with receiving() as receiver:
        receiver.frozen = True
        for whom in (receiver, None):
            before, sent = lost(), counted("mds_spans_exported_total")
            took_s, ending_s = await frozen_or_away(whom)
            assert lost() - before >= 20_000 - MAX_WAITING_SPANS - 512 * 20
            assert lost() > before and counted("mds_spans_exported_total") == sent
            assert took_s < 30 and ending_s < 8, "the exporter itself gives up after 10 s"


async def test_what_waits_is_sent_at_the_end_and_headers_are_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OTEL_* variables count where the SDK reads them."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=desk")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "quotes")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    async with receiving() as receiver:
        async with exporting(receiver.url):
            spans_of(3)
        assert [each.service for each in receiver.spans] == ["quotes"] * 3
        assert receiver.headers[0]["x-tenant"] == "desk"
        assert b"deployment.environment.name" in receiver.bodies[0]


async def ended(code: str, *arguments: str, **env: str) -> tuple[int, str, str]:
    """Run Python and return its exit code and what it said."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={"PATH": "", **env},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


async def test_without_the_extra_the_switch_is_refused_with_the_remedy() -> None:
    """As a sentence, not a traceback; without the switch nobody misses it."""
    port = str(free_port())
    code, _, said_of_it = await ended(BLOCKED + STARTED, port, MDS_OTEL="1")
    assert code == 2
    assert "make setup EXTRA=otel" in said_of_it and "Traceback" not in said_of_it
    assert (await ended(BLOCKED + STARTED, port))[0] == 0


async def test_without_the_switch_nothing_of_the_extras_is_loaded() -> None:
    """By no service, nor by the command line."""
    assert (await ended(LOADED))[:2] == (0, "[]\n")

"""Trace contexts as they are read and derived, and which spans are recorded."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.runtime import tracing
from infra.runtime.lifecycle import JsonFormatter
from infra.runtime.tracing import (
    Blocks,
    RecordedSpan,
    SpanRef,
    block_published,
    parse_traceparent,
    request_span,
    span,
    span_of_blocks,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture(autouse=True)
def _not_recording() -> Iterator[None]:
    yield
    tracing.record(None)


def recorded(ratio: float = 1.0, *, prefix: str = "") -> list[RecordedSpan]:
    """Record into the list that is returned."""
    spans: list[RecordedSpan] = []
    tracing.record(spans.append, ratio=ratio, prefix=prefix)
    return spans


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GIVEN, id="version-00"),
        pytest.param(f" {GIVEN}\t", id="blanks-around"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-what-comes-later", id="later-version"),
        pytest.param(f"00-{TRACE}-{SPAN}-09", id="more-flags"),
    ],
)
def test_a_traceparent_is_read(text: str) -> None:
    """As W3C Trace Context says, later versions included."""
    ref = parse_traceparent(text)
    assert ref is not None
    assert (ref.trace, ref.span, ref.sampled) == (TRACE, SPAN, True)
    assert ref.traceparent == GIVEN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        GIVEN.upper(),
        f"{GIVEN}-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 500}",
        f"00-{TRACE}-{SPAN}-01\r\nX: y",
        f"00-{TRACE}-{SPAN}-\u0660\u0661",
    ],
)
def test_a_malformed_traceparent_is_none(text: str) -> None:
    """Nor is one that is too long."""
    assert parse_traceparent(text) is None


@given(st.text(max_size=80) | st.from_regex(r"\A[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z"))
def test_whatever_is_read_is_written_as_it_was(text: str) -> None:
    """Whatever comes, nothing is raised."""
    ref = parse_traceparent(text)
    assert ref is None or parse_traceparent(ref.traceparent) == ref


def test_where_nothing_is_recorded_a_span_is_none() -> None:
    """No ids are made and nothing is current."""
    with span("poll", "internal") as work:
        assert tracing.current() is None
    assert work is request_span(None) is request_span("nonsense") is span_of_blocks("x", "consumer", [])


def test_a_callers_trace_is_carried_where_nothing_is_recorded() -> None:
    """Under a span id of ours, and not as sampled: there is nothing to be seen of it."""
    with request_span(GIVEN):
        ref = tracing.current()
        assert ref is not None and (ref.trace, ref.sampled) == (TRACE, False)
        assert ref.span != SPAN
    assert tracing.current() is None


def test_what_begins_within_a_span_is_its_child() -> None:
    """In tasks that it begins, too; an error that leaves one marks it as failed."""
    spans = recorded()

    async def work() -> None:
        with span("inner", "client", {"n": 1}):
            raise TimeoutError

    async def outer() -> None:
        with request_span(GIVEN):
            await asyncio.gather(work(), return_exceptions=True)

    asyncio.run(outer())
    inner, request = spans
    assert (inner.parent, inner.error, inner.attributes) == (
        request.ref,
        "TimeoutError",
        {"n": 1, "error.type": "TimeoutError"},
    )
    assert request.parent == parse_traceparent(GIVEN)
    assert request.error == ""


def test_a_callers_word_counts_whatever_the_ratio() -> None:
    """What it samples is recorded, what it does not is not, and neither is what is within."""
    spans = recorded(ratio=0.0)
    with request_span(GIVEN), span("within", "client"):
        pass
    assert [each.name for each in spans] == ["within", "request"]
    spans = recorded(ratio=1.0)
    with request_span(f"00-{TRACE}-{SPAN}-00"), span("within", "client"):
        pass
    assert spans == []


def test_the_ids_of_a_block_can_be_computed_by_anybody() -> None:
    """`printf %s topic/partition/offset | sha256sum` says them; the topic is the broker's."""
    recorded(prefix="eu.")
    digest = sha256(b"eu.raw.quotes.v1/3/1042").hexdigest()
    (ref,) = Blocks("raw.quotes.v1", 3, [1042]).sampled()
    assert (ref.trace, ref.span) == (digest[:32], digest[32:48])


def test_every_stage_samples_the_same_blocks() -> None:
    """One in a hundred of them, in whatever company; work on none of them is not recorded."""
    spans = recorded(ratio=0.01)
    offsets = range(20_000)
    for offset in offsets:
        block_published("raw.bars.v1", 0, offset, began_s=0.0, attributes={})
    sampled = [each.ref for each in spans]
    assert 120 < len(sampled) < 280
    assert all(each.trace_id % 2**64 < 0.01 * 2**64 for each in sampled)
    of_one = [
        span_of_blocks("process", "consumer", [Blocks("raw.bars.v1", 0, [each])]).ref for each in offsets
    ]
    assert sum(ref is not None for ref in of_one) == len(sampled)
    of_all = span_of_blocks("store", "client", [Blocks("raw.bars.v1", 0, offsets)])
    assert isinstance(of_all, RecordedSpan)
    assert (of_all.parent, of_all.ref.trace_id) == (sampled[0], sampled[0].trace_id)
    assert list(of_all.links) == sampled[: tracing.MAX_LINKS]


def test_a_block_is_linked_with_what_sent_it() -> None:
    """It begins a trace of its own, whose ids are known beforehand."""
    spans = recorded()
    with span("poll quotes", "internal") as poll:
        block_published("raw.quotes.v1", 1, 7, began_s=0.0, attributes={"mds.events": 3})
    block = spans[0]
    assert [block.ref] == list(Blocks("raw.quotes.v1", 1, [7]).sampled())
    assert (block.parent, block.links) == (None, (poll.ref,))
    assert block.attributes["messaging.kafka.offset"] == 7
    assert block.took_s > 0


def test_a_long_text_is_cut() -> None:
    """Symbols of a batch may be many."""
    spans = recorded()
    with span("x", "client", {"a": "y" * 1_000}):
        pass
    assert spans[0].attributes == {"a": "y" * tracing.MAX_TEXT_CHARS}


def test_a_log_line_tells_the_span_under_way() -> None:
    """And none where there is none."""
    record = logging.makeLogRecord({"msg": "request_failed"})
    with request_span(GIVEN) as request:
        line = json.loads(JsonFormatter("gateway").format(record))
    assert isinstance(request.ref, SpanRef)
    assert (line["trace_id"], line["span_id"]) == (TRACE, request.ref.span)
    assert "trace_id" not in json.loads(JsonFormatter("gateway").format(record))

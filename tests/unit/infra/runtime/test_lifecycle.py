"""Health by progress, logs as JSON, exit codes that say how it ended."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from infra.runtime.exit_codes import exit_code
from infra.runtime.lifecycle import (
    REMEMBERED_LINES,
    Health,
    JsonFormatter,
    Process,
    RepeatedLines,
    until_stopped,
)
from schemas.errors import BrokerUnavailable


def test_readiness_waits_for_every_declared_part() -> None:
    """A part that has not reported yet is not ready."""
    health = Health()
    assert health.live()
    assert not health.ready(), "nothing is wired yet"

    health.expect("kafka")
    health.report("database", ready=True)

    assert health.live()
    assert not health.ready()

    health.report("kafka", ready=True, offset=3)

    assert health.ready()
    assert health.document()["kafka"]["offset"] == 3


def test_a_part_that_promised_progress_and_stands_still_is_not_alive() -> None:
    """Liveness is progress, not a running loop."""
    health = Health()
    health.expect("stream", stall_after_s=15.0)
    health.report("stream", ready=True)
    health.parts["stream"].moved_at_s -= 16

    assert not health.live()
    assert not health.ready()

    health.moved("stream")

    assert health.live()


def test_a_log_line_is_one_json_object_with_its_fields() -> None:
    """What JSON cannot hold is shown as text rather than raised."""
    record = logging.makeLogRecord(
        {"msg": "gap_detected", "levelname": "WARNING", "symbol": "SPY", "odd": {1}}
    )

    line = json.loads(JsonFormatter("sinks").format(record))

    assert (line["event"], line["level"], line["service"], line["symbol"]) == (
        "gap_detected",
        "warning",
        "sinks",
        "SPY",
    )


async def test_works_end_when_the_process_is_told_to_stop() -> None:
    """Cancellation reaches every work, and its finally runs."""
    process = Process(name="x", stopping=asyncio.Event(), health=Health())
    drained = []

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            drained.append(name)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(until_stopped(process, work("a"), work("b")))
        await asyncio.sleep(0)
        process.stopping.set()

    assert sorted(drained) == ["a", "b"]


async def test_one_failing_work_ends_the_others() -> None:
    """A service never limps on with half of itself."""
    process = Process(name="x", stopping=asyncio.Event(), health=Health())

    async def fail() -> None:
        raise BrokerUnavailable("gone")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(5):
            await until_stopped(process, fail(), asyncio.sleep(60))

    assert exit_code(caught.value) == 70


def said(lines: RepeatedLines, name: str, text: str, at_s: float) -> logging.LogRecord | None:
    """Return the line as it is let through, None where it is not."""
    record = logging.makeLogRecord({"name": name, "msg": text, "created": at_s})
    return record if lines.filter(record) else None


def test_what_a_library_repeats_is_told_once_in_ten_seconds_and_counted() -> None:
    """Another text, and whatever is ours, is told at once, however often."""
    lines, name = RepeatedLines(), "aiokafka.consumer.group_coordinator"
    assert said(lines, name, "no coordinator", 100.0)
    assert [said(lines, name, "no coordinator", 100.0 + tenth / 10) for tenth in range(1, 100)] == [None] * 99
    assert said(lines, name, "found it", 105.0)
    again = said(lines, name, "no coordinator", 110.0)
    assert again is not None and again.repeated == 99  # type: ignore[attr-defined]
    assert all(said(lines, "infra.runtime", "waiting", 100.0) for _ in range(3))


def test_only_so_many_lines_are_remembered() -> None:
    """Texts that never come again take no memory for ever: the oldest is forgotten, and told again."""
    lines = RepeatedLines()
    for number in range(REMEMBERED_LINES + 1):
        assert said(lines, "faust", f"line {number}", 100.0)
    assert said(lines, "faust", f"line {REMEMBERED_LINES}", 101.0) is None
    assert said(lines, "faust", "line 0", 101.0)

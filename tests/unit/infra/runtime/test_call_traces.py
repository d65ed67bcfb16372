"""Traces of every call: ended in time whatever the loop does, one at a time, five kept, and found by their ids alone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from infra.runtime import call_traces
from infra.runtime.call_traces import KEPT, CallTracer, TraceFolder, TraceOrder, TraceUnderWay
from infra.runtime.clock import monotonic_s
from schemas.errors import ConfigurationError
from tests.support.eventually import eventually
from tests.support.extras import require_viztracer

WITHIN_S = 30.0


def called_in_time(number: int) -> int:
    """Be called while the trace is taken."""
    return number + 1


def names_of(file: Path) -> set[str]:
    """Return the names of the functions in a trace."""
    return {event["name"].partition(" ")[0] for event in json.loads(file.read_bytes())["traceEvents"]}


async def test_a_trace_ends_in_time_though_the_loop_is_blocked(tmp_path: Path) -> None:
    """The file is there before the loop turns again, with what was called in time and not what came after."""
    require_viztracer()
    folder = TraceFolder(tmp_path)
    tracer, began_s = CallTracer(folder, "sinks"), monotonic_s()
    trace_id = tracer.begin(TraceOrder(seconds=1, max_entries=10_000))
    file = folder.path / f"{trace_id}.json"
    while not file.exists():  # and the loop does not turn
        called_in_time(1)
        assert monotonic_s() - began_s < WITHIN_S
    await asyncio.sleep(0)

    assert sys.getprofile() is None, "it is as fast as before"
    assert "called_in_time" in names_of(file)
    assert file.stat().st_size < 10_000 * 300
    assert [each.id for each in folder.kept()] == [trace_id]

    async def may_begin() -> str:
        try:
            return tracer.begin(TraceOrder(seconds=1))
        except TraceUnderWay:
            return ""

    again = await eventually(may_begin, within_s=WITHIN_S)
    with pytest.raises(TraceUnderWay):
        CallTracer(TraceFolder(tmp_path), "gateway").begin(TraceOrder())
    await eventually(lambda: folder.file_of(again), within_s=WITHIN_S)


def keep(folder: TraceFolder, *names: str) -> None:
    """Have traces of these names."""
    folder.path.mkdir(exist_ok=True)
    for name in names:
        folder.keep(name, lambda part: part.write_bytes(b"{}") and None)


def trace_of(number: int) -> str:
    """Return the id of a trace, later ones of higher numbers; of one process and another in turn."""
    return f"{('sinks', 'gateway')[number % 2]}-20261130T20553912345{number}Z"


def test_the_sixth_trace_removes_the_first(tmp_path: Path) -> None:
    """The oldest of all processes goes; what is no trace stays and is not listed."""
    folder = TraceFolder(tmp_path)
    keep(folder, *(trace_of(number) for number in range(KEPT)))
    (folder.path / "notes.json").write_text("{}", "utf-8")
    assert folder.file_of(trace_of(0)) is not None
    keep(folder, trace_of(KEPT))
    assert [each.id for each in folder.kept()] == [trace_of(number) for number in range(KEPT, 0, -1)]
    assert folder.file_of(trace_of(0)) is None
    assert (folder.path / "notes.json").exists()


def test_half_of_a_trace_is_none(tmp_path: Path) -> None:
    """One that cannot be written is not listed, and leaves nothing; that of a process that was killed goes with the next."""
    folder = TraceFolder(tmp_path)
    keep(folder, trace_of(1))

    def fail(part: Path) -> Any:
        part.write_bytes(b"{")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        folder.keep(trace_of(2), fail)
    (folder.path / f"{trace_of(3)}.part").write_bytes(b"{")
    os.close(folder.claim())
    assert [path.name for path in folder.path.iterdir() if path.name != ".lock"] == [f"{trace_of(1)}.json"]


@pytest.mark.parametrize(
    "asked",
    ["", "..", "../secret", "/etc/passwd", "notes", trace_of(1) + ".json", trace_of(1) + "\0", "x" * 9_999],
)
def test_nothing_is_opened_but_what_is_listed(tmp_path: Path, asked: str) -> None:
    """Nor a link that is named like a trace."""
    folder = TraceFolder(tmp_path)
    keep(folder, trace_of(1))
    (tmp_path / "secret.json").write_text("{}", "utf-8")
    (folder.path / f"{trace_of(2)}.json").symlink_to(tmp_path / "secret.json")
    assert folder.file_of(trace_of(1)) is not None
    assert folder.file_of(asked) is None
    assert folder.file_of(trace_of(2)) is None


@pytest.mark.parametrize(
    "order",
    [
        {"seconds": 0},
        {"seconds": 61},
        {"seconds": "5"},
        {"seconds": True},
        {"max_entries": 1_000_001},
        {"x": 1},
    ],
)
def test_an_order_is_bounded(order: dict[str, Any]) -> None:
    """Whoever gives it."""
    with pytest.raises(ValidationError):
        TraceOrder.model_validate(order)


def test_without_the_extra_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, not at the first order."""
    monkeypatch.setitem(sys.modules, "viztracer", None)
    with pytest.raises(ConfigurationError) as caught:
        CallTracer(TraceFolder(tmp_path), "sinks")
    assert caught.value.remedy == (
        "install 'market-data-service[trace]' (in a checkout: make setup EXTRA=trace), or unset MDS_TRACE"
    )
    assert call_traces.FOLDER == "traces"

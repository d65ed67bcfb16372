"""What is known of a process without starting one: its record, its log, its last line."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from infra.embedded import process
from infra.embedded.process import PidRecord, readable, rotate
from infra.embedded.process_table import ProcessIdentity, identify


def myself() -> ProcessIdentity:
    """Return the identity of the test process."""
    found = identify(os.getpid())
    assert found is not None
    return found


def a_record(*, process: ProcessIdentity, owner: ProcessIdentity | None = None) -> PidRecord:
    """Return a record of a process that SIGTERM stops."""
    return PidRecord(process=process, owner=owner, stop_signal=int(signal.SIGTERM))


def test_a_record_of_a_live_process_reads_back(tmp_path: Path) -> None:
    """What was written is what is read."""
    record = a_record(process=myself(), owner=myself())
    record.write(tmp_path / "x.pid")
    assert PidRecord.read(tmp_path / "x.pid") == record
    assert not record.is_orphan


def test_a_reused_pid_is_not_the_recorded_process(tmp_path: Path) -> None:
    """A process with our pid that began at another time is a stranger."""
    stranger = ProcessIdentity(pid=os.getpid(), created=myself().created - 3600.0)
    a_record(process=stranger).write(tmp_path / "x.pid")
    assert PidRecord.read(tmp_path / "x.pid") is None
    assert a_record(process=myself(), owner=stranger).is_orphan


@pytest.mark.parametrize("text", ["", "123", '{"process": {"pid": 1}}', '{"process": null, "owner": null}'])
def test_a_torn_record_is_no_record(tmp_path: Path, text: str) -> None:
    """A crash in the middle of a write stops nobody later."""
    (tmp_path / "x.pid").write_text(text)
    assert PidRecord.read(tmp_path / "x.pid") is None


def test_a_detached_process_is_never_an_orphan() -> None:
    """It was meant to outlive its starter."""
    assert not a_record(process=myself()).is_orphan


def test_a_large_log_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log is bounded at every start: one old file, one new."""
    monkeypatch.setattr(process, "MAX_LOG_BYTES", 10)
    log = tmp_path / "x.log"
    assert rotate(log) == 0
    log.write_text("0123456789")
    assert rotate(log) == 10
    log.write_text("0123456789!")
    assert rotate(log) == 0
    assert (tmp_path / "x.log.1").read_text() == "0123456789!"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("plain text", "plain text", id="text"),
        pytest.param('{"event": "stopped", "ts": "x"}', "stopped", id="event"),
        pytest.param(
            '{"event": "crashed", "exception": "Traceback\\n  File\\nValueError: no"}',
            "crashed (ValueError: no)",
            id="exception",
        ),
        pytest.param("[1]", "[1]", id="other-json"),
    ],
)
def test_the_last_line_is_said_for_a_human(line: str, said: str) -> None:
    """Of our JSON lines the event and the error count."""
    assert readable(line) == said

"""Progress is shown for what takes long, and for nothing else."""

from __future__ import annotations

import io
import time

import pytest

from infra.embedded.progress import PLAIN_INTERVAL_S, QUIET_S, Progress


def test_quick_work_says_nothing() -> None:
    """Less than a second needs no line."""
    out = io.StringIO()
    with Progress("fetching", items=2, total_bytes=2_000_000, stream=out) as progress:
        progress.add_bytes(2_000_000)
        progress.finish_item()
    assert out.getvalue() == ""


def test_long_work_counts_files_and_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the quiet second a line appears, again after each interval, and at the end."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    out = io.StringIO()
    with Progress("fetching", items=2, total_bytes=2_000_000, stream=out) as progress:
        now[0] += QUIET_S
        progress.add_bytes(1_000_000)
        progress.finish_item()  # within the interval: no second line
        now[0] += PLAIN_INTERVAL_S
        progress.add_bytes(1_000_000)
        progress.finish_item()
    assert out.getvalue().splitlines() == [
        "fetching: 0 of 2 files, 1 of 2 MB",
        "fetching: 1 of 2 files, 2 of 2 MB",
        "fetching: 2 of 2 files, 2 of 2 MB",
    ]

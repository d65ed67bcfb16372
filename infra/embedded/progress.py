"""A line of progress for work that takes longer than a second; silence for what is quicker."""

from __future__ import annotations

import sys
import threading
import time
from typing import Self, TextIO

QUIET_S = 1.0  # quicker work says nothing
TERMINAL_INTERVAL_S = 0.2  # the line of a terminal is redrawn in place
PLAIN_INTERVAL_S = 5.0  # a log file gets a new line this often
BYTES_PER_MB = 1_000_000


class Progress:
    """Counts finished items and bytes of one piece of work; safe to feed from several threads."""

    def __init__(self, label: str, *, items: int, total_bytes: int, stream: TextIO | None = None) -> None:
        """Describe the work; nothing is shown before QUIET_S has passed."""
        self._label = label
        self._items = items
        self._total_bytes = total_bytes
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._lock = threading.Lock()
        self._done_items = 0
        self._done_bytes = 0
        self._shown = False
        self._next_show = time.monotonic() + QUIET_S

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave a whole last line behind, if any line was shown."""
        if self._shown:
            self._show(end="\n")

    def add_bytes(self, count: int) -> None:
        """Note `count` more bytes."""
        with self._lock:
            self._done_bytes += count
            self._show_when_due()

    def finish_item(self) -> None:
        """Note one more finished item."""
        with self._lock:
            self._done_items += 1
            self._show_when_due()

    def _show_when_due(self) -> None:
        now = time.monotonic()
        if now >= self._next_show:
            self._next_show = now + (TERMINAL_INTERVAL_S if self._terminal else PLAIN_INTERVAL_S)
            self._show(end="" if self._terminal else "\n")

    def _show(self, *, end: str) -> None:
        self._shown = True
        megabytes = f"{self._done_bytes / BYTES_PER_MB:.0f} of {self._total_bytes / BYTES_PER_MB:.0f} MB"
        start = "\r" if self._terminal else ""
        line = f"{start}{self._label}: {self._done_items} of {self._items} files, {megabytes}"
        print(line, end=end, file=self._stream, flush=True)

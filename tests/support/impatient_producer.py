"""A producer that asks again for unknown symbols within a second: a quarter of an hour is too long for a test."""

from __future__ import annotations

import runpy

from producers.polling.shell import poller

if __name__ == "__main__":
    poller.UNKNOWN_SYMBOL_S = 1.0
    runpy.run_module("producers", run_name="__main__")

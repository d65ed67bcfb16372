"""Producers that poll by jobs, what writes jobs, and what became of them."""

from __future__ import annotations

from pathlib import Path

from tests.support.producer_processes import configuration

WITHIN_S = 40.0

SYMBOLS = ("SIM001", "SIM002", "SIM003", "SIM004")

BARS = "bars:1m"


def bars_and_quotes(every: int) -> str:
    """Return the streams of bars and quotes, each asked for every so many seconds."""
    return f"bars: {{provider: yahoo, every_s: {every}}}, quotes: {{provider: finnhub, every_s: {every}}}"


def collected(folder: Path, streams: str) -> dict[str, str]:
    """Write the configuration of these tests."""
    return configuration(folder, symbols=f"[{', '.join(SYMBOLS)}]", streams=streams)

"""A system that has taken in real days, and which days those are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support.system import System
from tests.support.watcher import Watcher

DAYS = [("SPY", "20131007"), ("GOOG", "20151224"), ("GOOG", "20151228"), ("TWX", "20140606")]
SYMBOLS = ["SPY", "GOOG", "TWX"]
SPY_TRADES = 250_601


@dataclass
class Loaded:
    """A system that has taken in all of its data, and the client that watched."""

    system: System
    watcher: Watcher
    data: Path
    bootstrap: str
    prefix: str
    dsn: str

"""What the demonstration hears on its socket, and which of it is of the minute it cut."""

from __future__ import annotations

import json
from typing import Any

from infra.cli.demo import Heard
from infra.cli.demo_market import CutMinute
from tests.support.builders import NINE_THIRTY

MINUTE = 60_000_000
CUT = CutMinute(symbol="SIM007", minute=NINE_THIRTY + 3 * MINUTE, zone="UTC")


def notice(kind: str = "gap", first: int = 3, end: int = 4, provider: str = "yahoo") -> dict[str, Any]:
    """Return a notice about some minutes."""
    stream = f"bars.1m:{provider}:SIM007"
    return {
        "t": kind,
        "stream": stream,
        "from": NINE_THIRTY + first * MINUTE,
        "to": NINE_THIRTY + end * MINUTE,
    }


def test_only_what_is_of_the_minute_and_its_provider_counts() -> None:
    """Whatever else is missing at the same time; a longer gap that holds it does, and the first one is told."""
    heard = Heard()
    heard.take(json.dumps([notice(first=2, end=3), notice(first=4, end=9), notice(provider="finnhub")]))
    assert heard.of(CUT, "gap") is None
    heard.take(json.dumps([{"t": "hb", "subs": []}, notice(first=1, end=7)]))
    heard.take(json.dumps([notice(), notice("gap_fill")]))

    assert heard.of(CUT, "gap") == notice(first=1, end=7)
    assert heard.of(CUT, "gap_fill") == notice("gap_fill")


def test_it_is_subscribed_when_that_was_confirmed() -> None:
    """Nothing is cut before somebody listens."""
    heard = Heard()
    heard.take(json.dumps([{"t": "hello"}]))
    assert not heard.subscribed.is_set()
    heard.take(json.dumps([{"t": "subscribed", "results": []}]))
    assert heard.subscribed.is_set()

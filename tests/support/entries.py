"""Events of entries: corporate actions and observations of macro series, as vendors' parsers give them; and who gives such."""

from __future__ import annotations

from datetime import date
from typing import Any

from schemas.clocks import day_of
from schemas.deriving import event_fields
from schemas.providers.built_in import BUILT_IN
from schemas.providers.capabilities import Capabilities
from schemas.providers.facts import ProviderFacts
from schemas.records import Event
from schemas.streams import ACTION_STREAM, MACRO_STREAM, Stream

GIVING = {
    "acts": Capabilities(action_symbols_per_request=5),
    "alpaca": Capabilities(action_symbols_per_request=2),
    "yahoo": Capabilities(action_symbols_per_request=1, intervals=("1m",)),
    "fred": Capabilities(macro=True),
    "ecb": Capabilities(macro=True),
    "treasury": Capabilities(macro=True),
}
KNOWN = {
    **BUILT_IN,
    **{
        name: ProviderFacts(name=name, title=name, capabilities=given, base_url="https://x.example")
        for name, given in GIVING.items()
    },
}
SAID = 1_402_286_400_000_000  # 2014-06-09 00:00 in New York


def an_action(**changes: Any) -> Event:
    """Return Apple's split of 2014 with changes."""
    known = {
        "symbol": "AAPL", "event_time": SAID, "action_id": "split:2014-06-09", "type": "split",
        "ex_date": day_of(date(2014, 6, 9)), "ratio_to": 7.0, "ratio_from": 1.0,
    }  # fmt: skip
    return _event(ACTION_STREAM, known | changes)


def an_observation(**changes: Any) -> Event:
    """Return the first print of real GDP of the second quarter of 2016, with changes."""
    known = {
        "symbol": "FRED:GDPC1", "event_time": SAID, "period_start": day_of(date(2016, 4, 1)),
        "period_end": day_of(date(2016, 7, 1)), "vintage_start": day_of(date(2016, 7, 29)), "value": 16575.1,
        "frequency": "Q",
    }  # fmt: skip
    return _event(MACRO_STREAM, known | changes)


def _event(stream: Stream, given: dict[str, Any]) -> Event:
    return {field.name: given.get(field.name, field.default) for field in event_fields(stream)}

"""Values of any declared stream: a plain event, and hypothesis strategies of events and of whole blocks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from hypothesis import strategies as st

from schemas.deriving import Field, declared_fields, event_fields
from schemas.fields import CLOCK
from schemas.streams import STREAMS, Stream

NINE_THIRTY = 1_381_152_600_000_000  # 2013-10-07 09:30 in New York, µs
PLAIN = {"string": "SPY", "long": 0, "int": 0, "double": 167.4, "boolean": False, "date": 16_230}
# Of entries, which are judged as a whole.
TOGETHER: Mapping[str, Mapping[str, Any]] = {
    "actions": {"ratio_to": 7.0, "ratio_from": 1.0},
    "macro": {"period_start": 17_105, "period_end": 17_136, "vintage_start": 17_140},
    "options": {"root": "SPY", "expiry": 16_251},
}
TEXTS = st.text(max_size=70)
TIMES = st.integers(min_value=NINE_THIRTY, max_value=NINE_THIRTY * 2) | st.integers(-(2**63), 2**63 - 1)
LONGS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3) | st.integers(-5, 2**40)

_declared = cache(declared_fields)  # of the items of a list: asked for each event


def an_event(stream: Stream, **given: Any) -> dict[str, Any]:
    """Return a parsed event as a producer puts it into a raw block: as given, else by default, else plain."""
    plain = {field.name: _plain(field) for field in event_fields(stream)}
    return plain | TOGETHER.get(stream.name, {}) | given


def _plain(field: Field) -> Any:
    if not field.required and field.items is None:
        return field.default
    if CLOCK in field.roles:
        return NINE_THIRTY
    if field.items is not None:
        return [{each.name: _plain(each) for each in _declared(field.items)}]
    return field.symbols[0] if field.symbols else PLAIN[field.kind]


def _values(field: Field) -> st.SearchStrategy[Any]:
    if field.items is not None:
        members = {each.name: _values(each) for each in _declared(field.items)}
        return st.lists(st.fixed_dictionaries(members), max_size=3)
    by_kind: Mapping[str, st.SearchStrategy[Any]] = {
        "string": TEXTS,
        "long": TIMES if CLOCK in field.roles else LONGS,
        "int": st.integers(-5, 20_000) | st.integers(-(2**31), 2**31 - 1),
        "date": st.integers(-135_140, 84_005) | st.integers(-(2**31), 2**31 - 1),
        "double": st.floats(width=64),
        "boolean": st.booleans(),
        "enum": st.sampled_from(field.symbols) if field.symbols else st.nothing(),
    }
    return st.none() | by_kind[field.kind] if field.nullable else by_kind[field.kind]


def events_of(stream: Stream) -> st.SearchStrategy[dict[str, Any]]:
    """Draw events of a stream: whatever its schema can spell, possible or not."""
    return st.fixed_dictionaries({field.name: _values(field) for field in event_fields(stream)})


BLOCKS = st.one_of(
    *(st.tuples(st.just(stream), st.lists(events_of(stream), max_size=4)) for stream in STREAMS)
)
"""Draw (stream, events of one block)."""

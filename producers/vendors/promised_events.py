"""Promises that the events of a response keep: their fields, their order, their values; pure."""

from __future__ import annotations

from producers.raw.blocks import encoded
from producers.vendors.answers import Response
from schemas.chain_slices import MAX_LEGS
from schemas.deriving import event_fields, prices
from schemas.errors import MarketDataError
from schemas.records import Event, RawBlock
from schemas.streams import BAR_STREAM, STREAMS
from schemas.symbols.instruments import may_be_negative


def bad_events(response: Response) -> list[str]:
    """Return what is wrong with the events of a response: their fields, their order, their number."""
    events = list(response.answer.events)
    if not events:
        return ["it holds no events, so nothing is proven by it"]
    said = set(events[0])
    if "legs" in said and (broken := _bad_slices(events)):
        return broken
    stream = next((s for s in STREAMS if {field.name for field in event_fields(s)} == said), None)
    if stream is None:
        return [f"an event has the fields of no stream: {' '.join(sorted(said))}"]
    topic = stream.raw_topic
    block = RawBlock(
        provider="contract",
        endpoint=response.endpoint,
        route="primary",
        received_time=response.received_time,
        events=events,
    )
    try:
        encoded(topic, block)
    except MarketDataError as error:
        return [f"an event does not fit {topic}: {error}"]
    zeros = {
        name
        for event in events
        for name in prices(stream)
        if event[name] == 0 and not may_be_negative(event["symbol"])
    }
    broken = [f"{name} is 0, which says that there is none" for name in sorted(zeros)]
    return [*broken, *(_bad_bars(events) if stream is BAR_STREAM else [])]


def _bad_slices(events: list[Event]) -> list[str]:
    names = [(event["symbol"], event["root"], event["expiry"]) for event in events]
    broken = ["two slices are of one root and expiry"] if len(set(names)) != len(names) else []
    for event in events:
        legs = [(leg["strike"], leg["right"]) for leg in event["legs"]]
        if legs != sorted(set(legs)):
            broken.append("legs are not by strike, calls first, each once")
        if not 0 < len(legs) <= MAX_LEGS:
            broken.append(f"a slice has {len(legs)} legs; it has 1 to {MAX_LEGS}")
    return sorted(set(broken))


def _bad_bars(events: list[Event]) -> list[str]:
    starts = [event["event_time"] for event in events]
    broken = []
    if starts != sorted(set(starts)):
        broken.append("bars are not oldest first, each once")
    if any(not event["low"] <= event["close"] <= event["high"] for event in events):
        broken.append("a close lies outside its bar")
    return broken

"""Items of a subscribe command: streams a client asks for, where each begins, and how it is served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from gateway.live.streams import BEST, InvalidStream, LiveStream, parse_stream
from gateway.websocket import answers
from gateway.websocket.subscription import StreamPosition
from schemas.clocks import CanonicalOffset

MAX_ITEMS = 500  # of one subscribe command
MAX_ID_CHARS = 64
MAX_OFFSET = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Since:
    """Begin with what the broker appended since a moment, µs since the Unix epoch."""

    time_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One stream a client asks for. `start` None: a snapshot; "live": nothing but what comes.

    `greeks`: volatilities and greeks follow its slices.
    """

    stream: LiveStream
    start: StreamPosition | Since | str | None
    conflate: bool
    greeks: bool = False


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """One item that cannot be subscribed, as its result says."""

    result: Mapping[str, Any]


def streams_in(command: Any) -> int:
    """Return how many streams a decoded command asks for, without reading any of them; 0 of another command."""
    items = command.get("items") if isinstance(command, dict) and command.get("t") == "subscribe" else None
    if not isinstance(items, list):
        return 0
    return sum(
        max(1, len(symbols)) if isinstance(symbols := _symbols_of(item), list) else 1 for item in items
    )


def _symbols_of(item: Any) -> Any:
    return item.get("symbols") if isinstance(item, dict) and "stream" not in item else None


def parse_item(item: Any) -> list[Wanted | RejectedItem]:
    """Return what one item of a subscribe command asks for, or its refusals."""
    if not isinstance(item, dict):
        text = 'an item is an object such as {"stream": "quotes:best:AAPL"}'
        return [RejectedItem(answers.refused(str(item)[:MAX_ID_CHARS], "bad_message", text))]
    if "stream" in item:
        return [_parse_wanted(item["stream"], item)]
    symbols = item.get("symbols")
    if not isinstance(symbols, list):
        text = "an item names a stream, or a channel and symbols"
        return [RejectedItem(answers.refused("", "bad_message", text))]
    scope = item.get("provider", BEST)
    return [_parse_wanted(f"{item.get('channel')}:{scope}:{symbol}", item) for symbol in symbols]


def _parse_wanted(name: Any, item: Mapping[str, Any]) -> Wanted | RejectedItem:
    text = str(name)[: 2 * MAX_ID_CHARS]
    try:
        stream = parse_stream(text)
        conflate = parse_conflate(item.get("conflate"), stream)
        greeks = _parse_greeks(item.get("greeks"), stream)
        return Wanted(stream=stream, start=_parse_start(item.get("from")), conflate=conflate, greeks=greeks)
    except InvalidStream as problem:
        return RejectedItem(answers.refused(text, problem.slug, str(problem)))


def parse_conflate(value: Any, stream: LiveStream) -> bool:
    """Return whether records of a stream may give way to newer ones; raise InvalidStream where `value` does not say."""
    if value is None:
        return stream.may_conflate
    mode = value.get("mode") if isinstance(value, dict) else None
    if mode == "none":
        return False
    if mode == "latest" and stream.may_conflate:
        return True
    modes = "latest or none" if stream.may_conflate else f"none: {stream.channel} is never conflated"
    raise InvalidStream("bad_message", f'conflate is {{"mode": …}} with mode {modes}')


def _parse_greeks(value: Any, stream: LiveStream) -> bool:
    if value is None:
        return stream.has_greeks
    if not isinstance(value, bool):
        raise InvalidStream("bad_message", "greeks is true or false")
    if value and not stream.has_greeks:
        raise InvalidStream("bad_message", f"{stream.channel} has no greeks; they are of channel options")
    return value


def _parse_start(value: Any) -> StreamPosition | Since | str | None:
    if value is None or value == "snapshot":
        return None
    if value == "live":
        return "live"
    if isinstance(value, dict):
        epoch, offset, start = value.get("epoch"), value.get("offset"), value.get("start")
        if isinstance(epoch, str) and _is_whole(offset, -1):
            return StreamPosition(epoch=epoch, offset=CanonicalOffset(offset))
        if _is_whole(start, 0):
            return Since(start)
    forms = '"snapshot", "live", {"epoch": …, "offset": …} or {"start": microseconds}'
    raise InvalidStream("bad_message", f"from is {forms}")


def _is_whole(value: Any, least: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_OFFSET

"""Streams of the WebSocket protocol: their names, their place in the log, and their records on the wire.

A stream is `channel:scope:symbol`: `quotes:best:AAPL`, `trades:finnhub:AAPL`, `bars.1m:best:AAPL`, `gaps:best:AAPL`.
Scope `best` is every record but those of shadow providers, in the order of the log; any other scope is one provider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.market.gaps import GAP_COLUMNS
from schemas.clocks import CanonicalOffset, iso_day
from schemas.deriving import Field, days, items, lists, shown, shown_where_set
from schemas.errors import PermanentError, UnknownSymbol
from schemas.identity import event_id, stream_name
from schemas.intervals import INTERVALS
from schemas.macro_keys import is_series_key, series_key
from schemas.streams import BY_TOPIC, MACRO_STREAM, OPTION_STREAM, STREAMS
from schemas.symbols.names import is_provider_name, is_symbol
from schemas.topics import CANONICAL_TOPICS, EVIDENCE, GAPS, PROVIDER_HEALTH

Item = tuple[str | int, ...]
"""What, within its stream, a record is the newest of: root and expiry of a slice; nothing more of any other."""
BEST = "best"
# The last two are no streams: they say what is missing of them, and who serves them.
LIVE_TOPICS = (*CANONICAL_TOPICS, GAPS, EVIDENCE, PROVIDER_HEALTH)
DEFAULT_INTERVAL = "1m"
# What /ws/{symbol} subscribes to: not to option chains, of which a snapshot alone takes hundreds of kilobytes.
DEFAULT_CHANNELS = (
    *(s.channel(DEFAULT_INTERVAL) for s in STREAMS if s.of_instruments and s is not OPTION_STREAM),
    "gaps",
)
OPTION_CHANNEL = OPTION_STREAM.channel("")  # what /ws/options/{symbol} subscribes to
CHANNEL_TOPICS: Mapping[str, str] = {
    **{stream.name: stream.topic for stream in STREAMS if not stream.by_interval},
    "gaps": GAPS,
    **{s.channel(interval): s.topic for s in STREAMS if s.by_interval for interval in INTERVALS},
}
CAPABILITY_CHANNELS: Mapping[str, str] = {
    stream.capability(interval): stream.channel(interval)
    for stream in STREAMS
    for interval in (INTERVALS if stream.by_interval else ("",))
}
"""The channel that each capability of providers fills."""
# A record is worthless once a newer one of the same item exists.
CONFLATED_CHANNELS = frozenset(
    (*(stream.name for stream in STREAMS if stream.versions == "latest"), OPTION_CHANNEL)
)
NO_ITEM: Item = ()
# Values of several items, each with a newest record of its own: of a chain the slices, by root and expiry.
_ITEMS: Mapping[str, tuple[str, ...]] = {OPTION_STREAM.topic: items(OPTION_STREAM)}

# `symbol` and `interval` are said by the stream; `raw_offset` and `index` by the event_id.
_VALUES: Mapping[str, tuple[str, ...]] = {
    **{stream.topic: shown(stream) for stream in STREAMS},
    GAPS: tuple(column.name for column in GAP_COLUMNS if column.name != "symbol"),
}  # fmt: skip
_WHERE_SET: Mapping[str, tuple[str, ...]] = {
    **{stream.topic: shown_where_set(stream) for stream in STREAMS},
    GAPS: (),
}
_DAYS: Mapping[str, frozenset[str]] = {stream.topic: frozenset(days(stream)) for stream in STREAMS}


_LISTS: Mapping[str, Mapping[str, tuple[Field, ...]]] = {
    stream.topic: found for stream in STREAMS if (found := lists(stream))
}


class InvalidStream(PermanentError):
    """A stream name that names nothing; `slug` is the protocol's word for what is wrong with it."""

    def __init__(self, slug: str, message: str) -> None:
        super().__init__(message)
        self.slug = slug


@dataclass(frozen=True, slots=True)
class LiveStream:
    """One stream: a channel of a symbol as one scope sees it."""

    channel: str
    scope: str
    symbol: str

    def __str__(self) -> str:
        return stream_name(self.channel, self.scope, self.symbol)

    @property
    def topic(self) -> str:
        """Return the canonical topic the stream is a part of."""
        return CHANNEL_TOPICS[self.channel]

    @property
    def feed(self) -> tuple[str, str]:
        """Return the (channel, symbol) that all scopes of the stream share."""
        return self.channel, self.symbol

    @property
    def may_conflate(self) -> bool:
        """Whether an unsent record may give way to a newer one."""
        return self.channel in CONFLATED_CHANNELS

    @property
    def of_items(self) -> bool:
        """Whether a record gives way to a newer one of its own item alone."""
        return self.topic in _ITEMS

    @property
    def has_greeks(self) -> bool:
        """Whether volatilities and greeks are computed of its records."""
        return self.channel == OPTION_CHANNEL

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Whether a canonical record of the stream's topic is one of its records."""
        if fields["symbol"] != self.symbol or channel_of(self.topic, fields) != self.channel:
            return False
        return not is_shadow(fields) if self.scope == BEST else fields["provider"] == self.scope


def parse_stream(text: str) -> LiveStream:
    """Return the stream that `text` names; raise InvalidStream saying which part is wrong and what would be right."""
    channel, _, rest = text.partition(":")
    scope, _, symbol = rest.partition(":")
    if channel not in CHANNEL_TOPICS:
        raise InvalidStream(
            "unknown_channel", f"channel {channel[:40]!r} is unknown; use {' '.join(CHANNEL_TOPICS)}"
        )
    if not is_provider_name(scope):
        raise InvalidStream("bad_message", f"scope {scope[:40]!r} is no provider; write channel:best:SYMBOL")
    if CHANNEL_TOPICS[channel] == MACRO_STREAM.topic:
        _check_series(symbol)
    elif not is_symbol(symbol):
        raise InvalidStream(
            "unknown_symbol", f"symbol {symbol[:40]!r} is not one; use capitals as in AAPL or BRK.B"
        )
    return LiveStream(channel, scope, symbol)


def _check_series(text: str) -> None:
    """Raise InvalidStream for what is no key of a macro series, with what may have been meant: keys are longer than symbols."""
    if is_series_key(text):
        return
    try:
        told = (
            f"{text[:40]!r} is no key of a macro series; write {series_key(text)}, the key that it stands for"
        )
    except UnknownSymbol as error:
        told = str(error)
    raise InvalidStream("unknown_symbol", told)


def channel_of(topic: str, fields: Mapping[str, Any]) -> str:
    """Return the channel a canonical record of `topic` belongs to."""
    stream = BY_TOPIC.get(topic)
    return topic.partition(".")[0] if stream is None else stream.channel(fields.get("interval", ""))


def item_of(topic: str, fields: Mapping[str, Any]) -> Item:
    """Return what a canonical record of `topic` is the newest of, where it is."""
    named = _ITEMS.get(topic)
    return NO_ITEM if named is None else tuple(fields[name] for name in named)


def without_lists(topic: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a canonical record of `topic` says of itself: decoded legs take five times what their text takes."""
    named = _LISTS.get(topic)
    return fields if named is None else {name: fields[name] for name in fields if name not in named}


def is_shadow(fields: Mapping[str, Any]) -> bool:
    """Whether the record came from a provider that is watched and not served as best."""
    return fields.get("route") == "shadow"


def wire_record(topic: str, partition: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record as a client sees it: its event_id, then only fields that carry something.

    Times are integer microseconds since the Unix epoch, UTC; days are ISO dates; prices and sizes are numbers; legs are
    parallel lists by field.
    """
    record: dict[str, Any] = {}
    if topic != GAPS:
        record["event_id"] = event_id(
            topic, fields["symbol"], fields["event_time"], partition, fields["raw_offset"], fields["index"]
        )
    for name in _VALUES[topic]:
        value = fields[name]
        if value is not None and value != "":
            record[name] = value
    for name in _WHERE_SET[topic]:
        if fields[name]:
            record[name] = fields[name]
    for name in _DAYS.get(topic, ()):
        if name in record:
            record[name] = iso_day(record[name])
    for name, members in _LISTS.get(topic, {}).items():
        record[name] = _by_field(members, fields[name])
    return record


def _by_field(members: Sequence[Field], held: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return a list of records as one list a field, without fields that say nothing of any of them."""
    found = {}
    for member in members:
        values = [each[member.name] for each in held]
        if any(value is not None for value in values):
            is_day = member.kind == "date"
            found[member.name] = [iso_day(v) if is_day and v is not None else v for v in values]
    return found


def encode_entry(topic: str, partition: int, offset: CanonicalOffset, fields: Mapping[str, Any]) -> bytes:
    """Return `[offset, record]` as JSON: encoded once, shared by every client of the stream."""
    return b"[%d,%b]" % (offset, orjson.dumps(wire_record(topic, partition, fields)))

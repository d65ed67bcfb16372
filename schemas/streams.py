"""The streams of market data, each declared once: its record field by field, its topics, ids and retention.

Everything that lists a stream's fields follows from here (`schemas.deriving`): Avro, columns, keys, contents, wire names,
tables, readers and reference pages. A published schema never changes: a changed declaration needs a new id.

Clocks (all integer microseconds since the Unix epoch, UTC; never substituted for one another): `event_time` is the
venue's or vendor's stamp (for bars the START), `received_time` when our poller saw the response, `known_from` the
running maximum, per raw partition, of the broker's append time. The docstring of a record is its schema's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Literal, NamedTuple, get_args

from schemas.chain_slices import ChainSlice
from schemas.clocks import Day, EventTime
from schemas.entries import CorporateAction, MacroObservation
from schemas.errors import ConfigurationError
from schemas.fields import AMOUNT, ASIDE, CLOCK, DAYS, FLAG, INT32, KEY, PRICE, US, VALUE, Versions
from schemas.known import Currency, Known, Simulated, Stamp, Symbol

Session = Literal["pre", "regular", "post", "closed"]
AdjustmentState = Literal["raw", "split", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote(Known):
    """One version of a quote."""

    symbol: Symbol
    event_time: Stamp
    bid: Annotated[float | None, AMOUNT, PRICE, "best bid"] = None
    ask: Annotated[float | None, AMOUNT, PRICE, "best ask"] = None
    bid_size: Annotated[float | None, AMOUNT, "size at the bid, shares"] = None
    ask_size: Annotated[float | None, AMOUNT, "size at the ask, shares"] = None
    last: Annotated[float | None, AMOUNT, PRICE, "last traded price"] = None
    last_size: Annotated[float | None, AMOUNT, "size of the last trade"] = None
    volume: Annotated[float | None, AMOUNT, "volume of the session so far"] = None
    previous_close: Annotated[float | None, AMOUNT, PRICE, "official close of the previous session"] = None
    currency: Currency = ""
    market_state: Annotated[
        str, VALUE, "pre, regular, post or closed as the vendor says; empty where it does not"
    ] = ""
    delay_s: Annotated[int, INT32, VALUE, FLAG, "delay the vendor declares, seconds"] = 0
    simulated: Simulated = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade(Known):
    """One trade as the vendor reported it: an occurrence, never deduplicated by content."""

    symbol: Symbol
    event_time: Stamp
    price: Annotated[float, AMOUNT, PRICE, "price"]
    size: Annotated[float, AMOUNT, "shares"]
    trade_id: Annotated[str | None, VALUE, "the vendor's id where it is unique"] = None
    conditions: Annotated[str, VALUE, "the vendor's condition codes, comma separated, in its order"] = ""
    venue: Annotated[str, VALUE, "exchange code as the vendor gives it"] = ""
    simulated: Simulated = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar(Known):
    """One version of a bar."""

    symbol: Symbol
    interval: Annotated[str, KEY, "1m 5m 15m 30m 1h 1d 1wk 1mo"]
    event_time: Annotated[EventTime, CLOCK, "START of the bar" + US]
    open: Annotated[float, AMOUNT, PRICE, "first price"]
    high: Annotated[float, AMOUNT, PRICE, "highest price"]
    low: Annotated[float, AMOUNT, PRICE, "lowest price"]
    close: Annotated[float, AMOUNT, PRICE, "last price"]
    volume: Annotated[float, AMOUNT, "shares"]
    vwap: Annotated[float | None, AMOUNT, PRICE, "volume weighted average price"] = None
    trade_count: Annotated[int | None, AMOUNT, "number of trades"] = None
    final: Annotated[bool, VALUE, "false while the bar is still forming"]
    session: Annotated[Session, VALUE, "session the start falls in"] = "regular"
    adjustment_state: Annotated[AdjustmentState, VALUE, "what the vendor already applied to the prices"] = (
        "raw"
    )
    currency: Currency = ""
    simulated: Simulated = False
    adjusted_through: Annotated[
        Day | None,
        ASIDE,
        FLAG,
        "day of the venue's calendar in whose shares adjusted prices are"
        + DAYS
        + "; null where they are raw",
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The vendor's frame an event of a pushed stream came in; no canonical record keeps it."""

    frame_sequence: Annotated[int, "ordinal of the vendor frame on its connection"]
    frame_hash: Annotated[int, "64-bit hash of the frame's bytes: equal bytes on one connection are a repeat"]


CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")  # where a word begins in a record's name
StreamName = Literal["bars", "quotes", "trades", "actions", "macro", "options"]
STREAM_NAMES: tuple[StreamName, ...] = get_args(StreamName)


class StreamId(NamedTuple):
    """One series of one provider: the stream it is of, its interval ("" where the stream has none), who gives it, of what.

    Its text is `channel:provider:symbol` (`schemas.identity`).
    """

    name: StreamName
    interval: str
    provider: str
    symbol: str

    @property
    def channel(self) -> str:
        """The channel of the series, such as `bars.1m` or `quotes`."""
        return f"{self.name}.{self.interval}" if self.interval else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One declared stream; its name is its channel's, its table's and its topic's."""

    name: StreamName
    record: type[Known]
    letter: str  # begins the event_id of its records
    versions: Versions
    raw_doc: str  # of one raw block
    raw_id: int  # pinned id of the raw block's schema
    canonical_id: int  # ... and of the record's
    raw_retention_days: int = 14
    retention_days: int = 14
    frame: type[Frame] | None = None  # what an event says beyond its record
    of_instruments: bool = True  # or of series that nobody trades
    for_good: bool = False  # stored for ever: few values, which nothing replaces
    version: int = 1  # of topics and schemas
    schema_version: int = 0  # of schemas that went on within the same topics; 0: as `version`
    by_interval: bool = field(init=False)  # whether each interval is a series of its own

    def __post_init__(self) -> None:
        """Look once whether the record has an interval."""
        object.__setattr__(self, "by_interval", "interval" in {each.name for each in fields(self.record)})

    @property
    def topic(self) -> str:
        """The topic of its canonical records."""
        return f"{self.name}.v{self.version}"

    @property
    def raw_topic(self) -> str:
        """The topic of what vendors answered."""
        return f"raw.{self.topic}"

    @property
    def schema(self) -> str:
        """The name of the record's schema file."""
        return f"{CAPITAL.sub('_', self.record.__name__).lower()}.v{self.schema_version or self.version}"

    @property
    def raw_schema(self) -> str:
        """The name of the raw block's schema file."""
        return f"raw_{self.name}.v{self.schema_version or self.version}"

    def channel(self, interval: str) -> str:
        """Return the channel of one interval, such as `bars.1m`; of a stream without intervals its name."""
        return f"{self.name}.{interval}" if self.by_interval else self.name

    def capability(self, interval: str) -> str:
        """Return what a provider must be able to give, such as `bars:1m` or `quotes`."""
        return f"{self.name}:{interval}" if self.by_interval else self.name


QUOTE_STREAM = Stream(
    name="quotes",
    record=Quote,
    letter="q",
    versions="latest",
    raw_doc="One vendor response of quotes, the part of one partition.",
    raw_id=1,
    canonical_id=4,
)
TRADE_STREAM = Stream(
    name="trades",
    record=Trade,
    letter="t",
    versions="occurrences",
    raw_doc="What a stream of trades held in at most 50 ms or 500 events, the part of one partition.",
    raw_id=2,
    canonical_id=5,
    frame=Frame,
)
BAR_STREAM = Stream(
    name="bars",
    record=Bar,
    letter="b",
    versions="slots",
    raw_doc="One vendor response of bars, the part of one partition.",
    raw_id=25,
    canonical_id=26,
    retention_days=30,
    schema_version=2,
)
ACTION_STREAM = Stream(
    name="actions",
    record=CorporateAction,
    letter="a",
    versions="entries",
    raw_doc="One vendor response of corporate actions, the part of one partition.",
    raw_id=21,
    canonical_id=22,
    retention_days=3_650,
    for_good=True,
)
MACRO_STREAM = Stream(
    name="macro",
    record=MacroObservation,
    letter="m",
    versions="entries",
    raw_doc="One vendor response of a macro series, which lies in one partition, or a part of it.",
    raw_id=23,
    canonical_id=24,
    retention_days=3_650,
    of_instruments=False,
    for_good=True,
)
OPTION_STREAM = Stream(
    name="options",
    record=ChainSlice,
    letter="o",
    versions="entries",
    raw_doc="One vendor response of option chains, the part of one partition, or some of its slices.",
    raw_id=27,
    canonical_id=28,
    retention_days=30,
)
STREAMS = (QUOTE_STREAM, TRADE_STREAM, BAR_STREAM, ACTION_STREAM, MACRO_STREAM, OPTION_STREAM)
INSTRUMENT_STREAMS: tuple[StreamName, ...] = tuple(
    name for name in STREAM_NAMES if next(each for each in STREAMS if each.name == name).of_instruments
)
"""Streams that a symbol of the universe takes part in."""
BY_TOPIC: Mapping[str, Stream] = {stream.topic: stream for stream in STREAMS}
BY_RAW_TOPIC: Mapping[str, Stream] = {stream.raw_topic: stream for stream in STREAMS}
BY_RECORD: Mapping[type[Known], Stream] = {stream.record: stream for stream in STREAMS}


def refuse_unimplemented(service: str, missing: Mapping[str, Sequence[str]]) -> None:
    """Raise ConfigurationError naming each stream a service lacks parts of; `missing` is by the stream's name."""
    lacking = [f"{name} has no {', no '.join(parts)}" for name, parts in missing.items() if parts]
    if lacking:
        raise ConfigurationError(
            f"{service}: declared and not implemented: {'; '.join(lacking)}",
            remedy="implement what is missing, or take the declaration out of schemas/streams.py",
        )

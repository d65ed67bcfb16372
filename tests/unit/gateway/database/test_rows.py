"""Rows of the compact tables read back as the records that were stored."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from gateway.database.rows import bits_of, packed_field, read_columns, record_maker, row_reader
from gateway.database.versions import BarBasis
from schemas.clocks import Day
from schemas.deriving import key, lists
from schemas.streams import BAR_STREAM, QUOTE_STREAM, STREAMS, TRADE_STREAM, Stream
from tests.support.builders import a_bar, a_quote, a_trade, an_action, an_observation
from tests.support.stored_rows import stored_row

RECORDS: dict[str, list[Any]] = {
    "bars": [
        a_bar(
            session="post", adjustment_state="all", route="backfill", simulated=True, vwap=None, index=65_535
        ),
        a_bar(adjustment_state="split", adjusted_through=16_230),
        a_bar(session="pre", final=False, raw_offset=(1 << 47) - 1),
    ],
    "quotes": [
        a_quote(route="shadow", delay_s=900, bid=None),
        a_quote(market_state="closed", simulated=True),
    ],
    "actions": [
        an_action(
            type="delisting", state="cancelled", published_precision="time", published_at=7, pay_date=0
        ),
        an_action(type="rename", new_symbol="META", amount_basis="split_adjusted", ratio_to=None),
    ],
    "macro": [
        an_observation(frequency="A", rights="restricted", vintage_start=None, value=None),
        an_observation(event_time=-5, published_at=-5, published_precision="date", index=9),
    ],
    "trades": [a_trade(trade_id="naïve€", conditions="@,T", venue="Q"), a_trade(event_time=-5, index=7)],
}


FLAT = [stream for stream in STREAMS if not lists(stream)]
"""Whatever holds lists is read by statements of its own."""


@pytest.mark.parametrize("stream", FLAT, ids=lambda stream: stream.name)
def test_what_was_stored_is_what_is_read(stream: Stream) -> None:
    """Every field of every record, those packed into bits and the place in our log among them."""
    read = row_reader(stream, stream.record)
    for record in RECORDS[stream.name]:
        stored = stored_row(stream, asdict(record))
        row = ["of the statement", *(stored[column.name] for column in read_columns(stream))]

        assert read(row, *(getattr(record, name) for name in key(stream))) == record


def test_the_number_of_the_series_is_not_read() -> None:
    """The reader knows it by then."""
    assert "stream_id" not in {column.name for column in read_columns(TRADE_STREAM)}


def test_bits_say_one_symbol_among_others() -> None:
    """So that a statement can ask for a route or a session without unpacking."""
    assert bits_of(QUOTE_STREAM, "route", "shadow") == 2
    assert bits_of(BAR_STREAM, "session", "regular") == 2
    assert packed_field(BAR_STREAM, "session").mask == 14


def test_a_record_that_is_made_slot_by_slot_is_what_its_constructor_makes() -> None:
    """With the defaults of what is not said; equal, of equal hash, and frozen."""
    make = record_maker(
        BarBasis, ("day", "far"), {"days": "(day, day)", "shares_of": "(far, top)"}, {"top": 9}
    )
    made, said = make(1, 2), BarBasis(days=(Day(1), Day(1)), shares_of=(Day(2), Day(9)))

    assert (made, hash(made)) == (said, hash(said))
    assert (made.mixed, made.uncertain) == (False, False)
    with pytest.raises(AttributeError, match="days"):
        made.days = (3, 3)


@dataclass(frozen=True)
class Roomy:
    """A record with room for more than its fields."""

    number: int = 0


@dataclass(frozen=True, slots=True)
class Careful:
    """A record that looks at itself when it is made."""

    number: int = 0

    def __post_init__(self) -> None:
        """Refuse nothing."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A record each of which has a list of its own."""

    numbers: list[int] = field(default_factory=list)


@pytest.mark.parametrize(
    ("record", "why"), [(Roomy, "slots"), (Careful, "slots"), (Listing, "numbers"), (BarBasis, "days")]
)
def test_a_record_whose_constructor_does_more_is_not_made_without_it(record: type[Any], why: str) -> None:
    """Nor one of which something is missing: when the maker is made, not for a row."""
    with pytest.raises(TypeError, match=why):
        record_maker(record, (), {}, {})

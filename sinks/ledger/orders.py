"""Orders for the gaps that open: what is to be fetched again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.backfill import BackfillOrder, order_of_gap
from schemas.errors import InvalidRecord
from schemas.identity import stream_of
from schemas.records import Gap
from schemas.streams import StreamId
from schemas.universe import Tier
from sinks.ledger.gaps import Revision

SOURCE = "sink"
UNLISTED: Tier = "T2"  # of a symbol that no universe names


def open_gaps(revisions: Iterable[tuple[int, Revision]]) -> list[Gap]:
    """Return the gaps that are written open; what is of a whole partition names no series to ask for."""
    return [
        gap for _, revision in revisions for gap in revision.written if gap.state == "open" and gap.symbol
    ]


def gap_orders(gaps: Iterable[Gap], tiers: Mapping[str, Tier]) -> list[BackfillOrder]:
    """Return the orders that fill gaps; `tiers` by symbol."""
    return [
        order_of_gap(gap, series, tiers.get(gap.symbol, UNLISTED), source=SOURCE)
        for gap in gaps
        if (series := declared(gap.stream)) is not None
    ]


def declared(stream: str) -> StreamId | None:
    """Return the series a text names; None where its stream is not declared any more."""
    try:
        return stream_of(stream)
    except InvalidRecord:
        return None

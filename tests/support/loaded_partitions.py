"""Load for topics of many partitions: symbols that live in each, and blocks of quotes of them."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.partitions import partition_of
from schemas.records import RawBlock
from tests.support.builders import NINE_THIRTY, a_quote_event


def symbols_at_home(partitions: int, each: int) -> list[list[str]]:
    """Return `each` symbols of every partition."""
    homes: list[list[str]] = [[] for _ in range(partitions)]
    number = 0
    while any(len(home) < each for home in homes):
        name = f"SIM{number}"
        home = homes[partition_of(name, partitions)]
        if len(home) < each:
            home.append(name)
        number += 1
    return homes


def block_of_quotes(symbols: Sequence[str], number: int, events: int) -> RawBlock:
    """Return the `number`-th block of quotes, every event another value."""
    return RawBlock(
        provider="bench",
        endpoint="quote",
        route="primary",
        received_time=NINE_THIRTY,
        events=[
            a_quote_event(
                symbol=symbols[(number * events + place) % len(symbols)],
                event_time=NINE_THIRTY + number * 1_000 + place,
                bid=100 + place / 100,
                last_size=float(number),
            )
            for place in range(events)
        ],
    )

"""Topics of another number of partitions than declared, and processes that believe it.

python -m tests.support.many_partitions 64 stream_processors
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from infra.runtime.kafka.topics import ensure_topics
from schemas import topics
from schemas.partitions import partition_of
from schemas.records import RawBlock
from schemas.streams import Stream
from schemas.topics import Catalogue
from tests.support.builders import NINE_THIRTY, a_quote_event

_declared = topics.catalogue_of


@contextmanager
def declared(partitions: int) -> Iterator[None]:
    """Have the catalogue declare this count inside."""

    def catalogue_of(streams: Sequence[Stream]) -> Catalogue:
        made = _declared(streams)
        ours = {
            name: replace(topic, partitions=partitions if topic.partitions == made.partitions else 1)
            for name, topic in made.topics.items()
        }
        return replace(made, topics=ours, partitions=partitions)

    topics.catalogue_of = catalogue_of
    topics.catalogue.cache_clear()
    try:
        yield
    finally:
        topics.catalogue_of = _declared
        topics.catalogue.cache_clear()


def make_topics(bootstrap: str, prefix: str, partitions: int) -> None:
    """Create every declared topic under `prefix` with this count."""
    with declared(partitions):
        ensure_topics(bootstrap, prefix=prefix)


def command(module: str, partitions: int) -> list[str]:
    """Return what runs a service on topics of this count."""
    return [sys.executable, "-m", "tests.support.many_partitions", str(partitions), module]


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


if __name__ == "__main__":
    count, module = int(sys.argv[1]), sys.argv[2]
    sys.argv = [module, *sys.argv[3:]]
    with declared(count):
        runpy.run_module(module, run_name="__main__", alter_sys=True)

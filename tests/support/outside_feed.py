"""A feed outside of this system: the polls that cadences ask for, as jobs; it is what the sweeper steps back for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.jobs import VERSION, by_partition, poll_job_id
from schemas.records import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """Symbols that are polled in one request, every `every_us` of market time."""

    capability: str
    symbols: Sequence[str]
    every_us: int


def jobs_between(
    cadences: Sequence[Cadence],
    start: int,
    end: int,
    *,
    source: str,
    created_time: int,
    lifetime_us: int,
    partitions: int,
) -> Iterator[Job]:
    """Yield the polls the cadences ask for in slots of [start, end), market time µs, in order of slots.

    One job for each partition; the ids are those the local sweeper gives to the same polls. They live for
    `lifetime_us` from `created_time`, wall µs.
    """
    due = [
        (slot, cadence)
        for cadence in cadences
        for slot in range(-(-start // cadence.every_us) * cadence.every_us, end, cadence.every_us)
    ]
    for slot, cadence in sorted(due, key=lambda each: each[0]):
        for symbols in by_partition(cadence.symbols, partitions).values():
            yield Job(
                version=VERSION,
                job_id=poll_job_id(cadence.capability, symbols, slot),
                type="poll",
                source=source,
                created_time=created_time,
                deadline=created_time + lifetime_us,
                capability=cadence.capability,
                symbols=tuple(symbols),
                slot=slot,
            )

"""Generations of the configuration on Kafka: announcing one, and finding the newest.

Announcers share one transactional id: taking it fences whoever held it, so "read the newest, compare, append the
next" is atomic among all processes and machines, and numbers are dense.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from infra.runtime.clock import monotonic_s
from infra.runtime.configuration import reading
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import LogReader, newest
from infra.runtime.kafka.transactions import Contended, FencedWriter
from schemas.calendar.history import AnnouncedOverlay
from schemas.calendar.overlay import NO_OVERLAY, CalendarOverlay
from schemas.clocks import WallTime
from schemas.configuration.generation import (
    CALENDARS_KEY,
    KEY,
    PARTITION,
    Generation,
    Origin,
    decode_calendars,
    decode_generation,
    encode_calendars,
    encode_generation,
    following,
)
from schemas.errors import BrokerUnavailable, ConfigurationError, Fenced, MalformedPayload
from schemas.topics import CONFIGURATION

log = logging.getLogger(__name__)

TAIL_RECORDS = 8  # a generation and its transaction's end are two; compaction leaves few of either
TRANSACTION_TIMEOUT_MS = 15_000
STEP_TIMEOUT_S = 10.0  # one Kafka call
ANNOUNCE_WITHIN_S = 30.0
LOOK_AGAIN_S = 0.02
TAKE_TURNS_S = 0.2  # after another announcer fenced us, at most; random, so that they part


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGeneration:
    """A generation in the log; `appended` is the broker's time, µs."""

    generation: Generation
    offset: int
    appended: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """The newest generation after an announcement; `is_new` False where its text was the newest already."""

    generation: Generation
    is_new: bool


def newest_in(reader: LogReader, prefix: str) -> tuple[StoredGeneration | None, int]:
    """Return the newest generation (None: there is none) and where reading goes on; blocking.

    Raises BrokerUnavailable. A record that is no generation is skipped and logged.
    """
    return newest(reader, prefix + CONFIGURATION, PARTITION, stored_in, window=TAIL_RECORDS)


def calendars_in(message: Message) -> AnnouncedOverlay | None:
    """Return what a message keeps of a generation's calendars; None where it is another record, logged where broken."""
    if not (message.key() or b"").startswith(CALENDARS_KEY):
        return None
    try:
        number, overlay = decode_calendars(message.value())
    except MalformedPayload as error:
        log.warning("foreign_record_skipped", extra={"offset": message.offset(), "error": str(error)})
        return None
    return AnnouncedOverlay(number, WallTime(message.timestamp()[1] * 1_000), overlay)


def stored_in(message: Message) -> StoredGeneration | None:
    """Return the generation in a message; None, logged where it should be one, where it holds none."""
    if (message.key() or b"").startswith(CALENDARS_KEY):
        return None
    try:
        generation = decode_generation(message.value())
    except MalformedPayload as error:
        log.warning("foreign_record_skipped", extra={"offset": message.offset(), "error": str(error)})
        return None
    appended = message.timestamp()[1] * 1_000
    return StoredGeneration(generation=generation, offset=message.offset() or 0, appended=appended)


def newest_generation(bootstrap: str, *, prefix: str) -> StoredGeneration | None:
    """Return the newest generation, None where there is none yet; blocking. Raises BrokerUnavailable."""
    with LogReader(bootstrap, f"{prefix}configuration-reader") as reader:
        return newest_in(reader, prefix)[0]


def announce(bootstrap: str, read: Callable[[], str], origin: Origin, *, prefix: str) -> Announced:
    """Append what `read` returns as the next generation, unless it is the newest's text; blocking.

    Of the newest's text nothing is appended but its calendars, where an older version announced it and did not keep them.

    `read` returns a *validated* text and is called with every other announcer fenced off: of two that read a file
    while it changes, the one that reads last appends last. Whoever reads after this returned sees it. What it raises
    passes through; BrokerUnavailable where Kafka does not confirm within ANNOUNCE_WITHIN_S.
    """
    deadline_s = monotonic_s() + ANNOUNCE_WITHIN_S
    while True:
        try:
            return _announce_once(bootstrap, read, origin, prefix)
        except (Fenced, Contended) as error:
            if monotonic_s() > deadline_s:
                raise BrokerUnavailable(f"the configuration was not announced: {error}") from error
            time.sleep(random.uniform(0.0, TAKE_TURNS_S))  # noqa: S311 - jitter


def _announce_once(bootstrap: str, read: Callable[[], str], origin: Origin, prefix: str) -> Announced:
    writer = FencedWriter(bootstrap, f"{prefix}configuration", timeout_ms=TRANSACTION_TIMEOUT_MS, linger_ms=0)
    writer.take_over(STEP_TIMEOUT_S)
    stored = newest_generation(bootstrap, prefix=prefix)
    before = None if stored is None else stored.generation
    changed = following(before, read(), origin)
    generation = changed or before
    assert generation is not None  # noqa: S101 - only a newest text can be repeated
    records = _calendars(bootstrap, prefix, before, generation)
    if changed is not None:
        records.append((KEY, encode_generation(changed)))
    if records:
        writer.begin()
        writer.write(prefix + CONFIGURATION, PARTITION, records, within_s=STEP_TIMEOUT_S)
        writer.commit(STEP_TIMEOUT_S)
    if changed is not None:
        _wait_until_seen(bootstrap, prefix, changed.generation)
        log.info(
            "configuration_announced",
            extra={"generation": changed.generation, "sha256": changed.sha256, "origin": origin},
        )
    return Announced(generation=generation, is_new=changed is not None)


def _wait_until_seen(bootstrap: str, prefix: str, number: int) -> None:
    """Return once readers see a generation: a broker confirms a commit before the log lets its records be read."""
    deadline_s = monotonic_s() + STEP_TIMEOUT_S
    while (
        stored := newest_generation(bootstrap, prefix=prefix)
    ) is None or stored.generation.generation < number:
        if monotonic_s() > deadline_s:
            raise BrokerUnavailable(
                f"generation {number} is committed, but no reader sees it yet; look again"
            )
        time.sleep(LOOK_AGAIN_S)


def keep_calendars(bootstrap: str, generation: Generation, *, prefix: str) -> None:
    """Keep the calendars of the newest generation where an older version announced it and did not; blocking.

    Raises BrokerUnavailable.
    """
    kept = _kept(bootstrap, prefix)
    if kept is not None and kept.overlay == _overlay(generation):
        return

    def newest_text() -> str:
        stored = newest_generation(bootstrap, prefix=prefix)
        return (generation if stored is None else stored.generation).text

    announce(bootstrap, newest_text, "start", prefix=prefix)


def _calendars(
    bootstrap: str, prefix: str, before: Generation | None, generation: Generation
) -> list[tuple[bytes, bytes]]:
    """Return the records that keep what the newest generation says of the calendars: none where nothing changes.

    The first of all keeps those of the generation before it, too, which was announced by a version that did not.
    """
    kept = _kept(bootstrap, prefix)
    overlays = {generation.generation: _overlay(generation)}
    if kept is None and before is not None:
        overlays[before.generation] = _overlay(before)
    if kept is not None and kept.overlay == overlays[generation.generation]:
        return []
    return [encode_calendars(number, overlays[number]) for number in sorted(overlays)]


def _kept(bootstrap: str, prefix: str) -> AnnouncedOverlay | None:
    """Return the newest calendars that are kept."""
    with LogReader(bootstrap, f"{prefix}configuration-reader") as reader:
        return newest(reader, prefix + CONFIGURATION, PARTITION, calendars_in, window=TAIL_RECORDS)[0]


def _overlay(generation: Generation) -> CalendarOverlay:
    """Return what a generation says of the calendars; nothing where this version cannot read it."""
    try:
        return reading.parse(generation.text, source=f"generation {generation.generation}").calendar_overlay()
    except ConfigurationError:
        return NO_OVERLAY

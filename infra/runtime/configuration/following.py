"""Following the configuration: each newest generation is parsed, handed to the service whole, or refused whole.

A service gives one callable; where it raises ConfigurationError the last good configuration stays in force and the
reason is in /readyz, in /health and in `config_reload_total`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from infra.runtime import metrics
from infra.runtime.backoff import RETRY_S
from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.configuration import reading
from infra.runtime.configuration.announcing import (
    TAIL_RECORDS,
    StoredGeneration,
    calendars_in,
    newest_generation,
    newest_in,
    stored_in,
)
from infra.runtime.kafka.logs import LogEvent, LogReader, event_of
from infra.runtime.lifecycle import Health, Process
from infra.runtime.settings import MdsSettings
from schemas.calendar.history import CalendarHistory
from schemas.calendar.sessions import put_in_force
from schemas.configuration.difference import Difference, difference
from schemas.configuration.generation import PARTITION, Generation
from schemas.configuration.model import Configuration
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.partitions import TopicPartition
from schemas.topics import CONFIGURATION

log = logging.getLogger(__name__)

PART = "configuration"
POLL_S = 0.5
REPORT_EVERY_S = 1.0
HISTORY_WITHIN_S = 5.0
CHECK_END_EVERY_S = 1.0  # of the log, by who keeps a history of the calendars
MAX_ERROR_CHARS = 2_000  # of a refusal in the health documents
MAX_LOGGED_CHANGES = 20

Apply = Callable[[Configuration], Awaitable[None]]


class Follower:
    """Keeps a service on the newest generation it can apply; `health` gets the part `configuration`."""

    def __init__(
        self,
        bootstrap: str,
        *,
        prefix: str,
        service: str,
        health: Health,
        history: CalendarHistory | None = None,
    ) -> None:
        """Connect when `run`; nothing is in force until then, or until `begin`. All calendars are taken into `history`."""
        self._bootstrap, self._prefix, self._service, self._health = bootstrap, prefix, service, health
        self._history = history
        self._in_force: Generation | None = None
        self._configuration: Configuration | None = None
        self._last_error = ""
        self._newest: Generation | None = None  # read and not yet looked at: only the newest counts
        self._arrived = asyncio.Event()
        self._closed = threading.Event()
        self._report()

    @property
    def generation(self) -> int:
        """The number of the generation in force, 0 before the first."""
        return 0 if self._in_force is None else self._in_force.generation

    @property
    def configuration(self) -> Configuration | None:
        """The configuration in force."""
        return self._configuration

    def begin(self, generation: Generation, configuration: Configuration) -> None:
        """State that the service starts with this generation."""
        self._in_force, self._configuration = generation, configuration
        put_in_force(configuration.calendar_overlay())
        self._report()

    def refused(self, error: ConfigurationError) -> None:
        """Note a configuration that was not taken; what is in force stays."""
        self._last_error = str(error)[:MAX_ERROR_CHARS]
        metrics.CONFIG_RELOADS.labels("refused").inc()
        log.warning("configuration_refused", extra={"in_force": self.generation, "error": self._last_error})
        self._report()

    def unchanged(self) -> None:
        """Note a reload that changed nothing; an earlier refusal is mended by it."""
        self._last_error = ""
        metrics.CONFIG_RELOADS.labels("unchanged").inc()
        self._report()

    async def run(self, apply: Apply) -> None:
        """Hand every newest generation to `apply`, in the loop's thread; for ever."""
        loop = asyncio.get_running_loop()
        reader = threading.Thread(target=self._read, args=(loop,), name="configuration", daemon=True)
        reader.start()
        try:
            while True:
                try:
                    async with asyncio.timeout(REPORT_EVERY_S):
                        await self._arrived.wait()
                except TimeoutError:
                    pass
                self._arrived.clear()
                newest, self._newest = self._newest, None
                if newest is not None and newest != self._in_force:
                    await self._load(newest, apply)
                self._report()
        finally:
            self._closed.set()

    async def _load(self, generation: Generation, apply: Apply) -> None:
        source = f"generation {generation.generation}"
        try:
            if self._in_force is None or generation.sha256 != self._in_force.sha256:
                parsed, changes = await asyncio.to_thread(self._parsed, generation.text, source)
                await apply(parsed)
                await asyncio.to_thread(put_in_force, parsed.calendar_overlay())
                self._configuration = parsed
                log.info("configuration_applied", extra=_logged(generation, changes))
        except ConfigurationError as error:
            self.refused(error)
            return
        self._in_force, self._last_error = generation, ""
        metrics.CONFIG_RELOADS.labels("applied").inc()

    def _parsed(self, text: str, source: str) -> tuple[Configuration, Difference]:
        parsed = reading.parse(text, source=source)
        return parsed, difference(self._configuration, parsed)

    def _report(self) -> None:
        in_force = self._in_force
        metrics.CONFIG_GENERATION.labels(self._service).set(self.generation)
        self._health.report(
            PART,
            ready=True,  # the last good one is in force, whatever was refused since
            generation=self.generation,
            sha256="" if in_force is None else in_force.sha256,
            origin="" if in_force is None else in_force.origin,
            last_error=self._last_error,
        )

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver generations to the loop until closed; anything wrong with the log begins anew at its end."""
        while not self._closed.is_set():
            reader = LogReader(self._bootstrap, f"{self._prefix}configuration-{self._service}")
            try:
                self._read_on(reader, loop)
            except (BrokerUnavailable, ConfigurationError) as error:
                log.warning("configuration_unreadable", extra={"error": str(error)})
            except RuntimeError:
                return  # the loop is closed
            finally:
                reader.close()
            self._closed.wait(RETRY_S)

    def _read_on(self, reader: LogReader, loop: asyncio.AbstractEventLoop) -> None:
        newest, position = newest_in(reader, self._prefix)
        if self._history is not None:
            read_calendars(reader, self._prefix, self._history)
        reader.assign({TopicPartition(self._prefix + CONFIGURATION, PARTITION): position})
        checked_s = monotonic_s()
        while not self._closed.is_set():
            if newest is not None:
                loop.call_soon_threadsafe(self._deliver, newest)
            newest, position = self._next(reader, position)
            if self._history is not None and monotonic_s() - checked_s > CHECK_END_EVERY_S:
                checked_s = monotonic_s()
                _note_end(reader, self._prefix, position, self._history)

    def _next(self, reader: LogReader, position: int) -> tuple[StoredGeneration | None, int]:
        """Return the newest generation that has arrived, if any, and where reading goes on."""
        newest, overlays = None, []
        for message in reader.fetch(TAIL_RECORDS, within_s=POLL_S):
            offset = message.offset() or 0
            if (error := message.error()) is None:
                newest, position = stored_in(message) or newest, offset + 1
                if (announced := calendars_in(message)) is not None:
                    overlays.append(announced)
            elif (event := event_of(error)) is LogEvent.END:
                position = offset
            elif event is not LogEvent.PASSING:
                raise BrokerUnavailable(f"{CONFIGURATION}: {error.str()}; reading begins anew")
        if self._history is not None and overlays:
            self._history.take(overlays)
        return newest, position

    def _deliver(self, stored: StoredGeneration) -> None:
        self._newest = stored.generation
        self._arrived.set()


def read_calendars(reader: LogReader, prefix: str, history: CalendarHistory) -> None:
    """Take all calendars there are into a history; blocking. Raises BrokerUnavailable."""
    asked, topic = wall_us(), prefix + CONFIGURATION
    start, end = reader.bounds(topic, PARTITION)
    found = (calendars_in(message) for message in reader.read(topic, PARTITION, start, end))
    history.take([each for each in found if each is not None])
    history.read_through(asked)


def begin_history(shared: MdsSettings, history: CalendarHistory) -> None:
    """Take up all calendars before a past moment is answered; blocking, some seconds at most.

    Where no broker tells, what is in force answers for every moment, and nothing is settled until one does.
    """
    if shared.configuration_path is None:
        history.settle()
        return
    try:
        with LogReader(
            shared.bootstrap_servers, f"{shared.topic_prefix}configuration-reader", within_s=HISTORY_WITHIN_S
        ) as reader:
            read_calendars(reader, shared.topic_prefix, history)
    except BrokerUnavailable as error:
        log.warning("calendars_without_history", extra={"error": str(error)})


def _note_end(reader: LogReader, prefix: str, position: int, history: CalendarHistory) -> None:
    asked = wall_us()
    if position >= reader.bounds(prefix + CONFIGURATION, PARTITION)[1]:
        history.read_through(asked)


def replay_calendars(shared: MdsSettings) -> None:
    """Put the calendars of a replay in force: of a broker that is named as `begin_calendars` does, else the file's."""
    if shared.kafka:
        begin_calendars(shared)
    elif shared.configuration_path is not None:
        put_in_force(reading.load(shared.configuration_path).calendar_overlay())


def begin_calendars(shared: MdsSettings) -> Configuration | None:
    """Put the calendars of the newest generation in force before anything is judged; blocking, some seconds at most.

    Where there is none yet, or no broker that tells, the file's on this disk are, until a generation is read. Returns the
    configuration they are of; None where none is named, or none can be used.
    """
    if shared.configuration_path is None:
        return None
    try:
        configuration = _newest_configuration(shared, shared.configuration_path)
    except ConfigurationError as error:
        log.warning("calendars_without_configuration", extra={"error": str(error)})
        return None
    put_in_force(configuration.calendar_overlay())
    return configuration


def _newest_configuration(shared: MdsSettings, path: Path) -> Configuration:
    try:
        stored = newest_generation(shared.bootstrap_servers, prefix=shared.topic_prefix)
    except BrokerUnavailable as error:
        log.warning("configuration_unreadable", extra={"error": str(error), "instead": str(path)})
        stored = None
    if stored is None:
        return reading.load(path)
    source = f"generation {stored.generation.generation}"
    return reading.parse(stored.generation.text, source=source)


async def _take(_: Configuration) -> None:
    """Take any: it could be parsed, and no more than the calendars follows from it."""


async def show_generation(shared: MdsSettings, process: Process, take: Apply = _take) -> None:
    """Follow for a service that the calendars of the file concern, and what `take` does with it: it judges by them from then on."""
    if shared.configuration_path is not None:
        follower = Follower(
            shared.bootstrap_servers, prefix=shared.topic_prefix, service=process.name, health=process.health
        )
        await follower.run(take)


def _logged(generation: Generation, changes: Difference) -> dict[str, object]:
    return {
        "generation": generation.generation,
        "sha256": generation.sha256,
        "origin": generation.origin,
        "changes": [change.document() for change in changes.changes[:MAX_LOGGED_CHANGES]],
        "changes_in_all": len(changes.changes),
    }

"""Reloading: the text of a changed file becomes a generation that every process loads, also upon SIGHUP.

The directory is watched, not the file: editors rename a new file over the old one, and Kubernetes swaps a symbolic
link beside it. What no event tells (a network file system, a link into elsewhere) a look every few seconds does.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from watchfiles import Change, awatch

from infra.runtime.backoff import RETRY_S
from infra.runtime.clock import monotonic_s
from infra.runtime.configuration import reading
from infra.runtime.configuration.announcing import (
    StoredGeneration,
    announce,
    keep_calendars,
    newest_generation,
)
from infra.runtime.configuration.following import Apply, Follower
from infra.runtime.threads import in_daemon_thread
from schemas.clocks import WallTime
from schemas.configuration.generation import Generation, Origin, sha256_of
from schemas.configuration.model import Configuration, read_text
from schemas.errors import BrokerUnavailable, ConfigurationError

LOOK_EVERY_MS = 5_000  # where no event comes
DEBOUNCE_MS = 1_000
STEP_MS = 50
SETTLED_S = 0.2  # a file that changed within this is still being written: half of a list is a list, too
SETTLES_WITHIN_S = 5.0
START_WITHIN_S = 15.0  # for a broken file: is there a last good one on the broker?

Signature = tuple[int, int, int, int]

log = logging.getLogger(__name__)
logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it says "1 change detected" of every one


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationFile:
    """The file on this machine's disk, and where its generations go."""

    path: Path
    bootstrap: str
    prefix: str

    def read(self) -> str:
        """Return its validated text; raise ConfigurationError with all that is wrong in it."""
        text = read_text(self.path)
        reading.parse(text, source=str(self.path))
        return text

    def signature(self) -> Signature | None:
        """Return what differs after any change; None where there is no file just now."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def changed_time(self) -> WallTime:
        """Return when it came to be what it is on this disk; 0 where it is gone again."""
        signature = self.signature()
        return WallTime(0 if signature is None else signature[-1] // 1_000)

    def announce(self, origin: Origin) -> tuple[Generation, bool]:
        """Make its text the newest generation; return that and whether it is a new one. Blocking; raises like `read`."""
        announced = announce(self.bootstrap, self.read, origin, prefix=self.prefix)
        return announced.generation, announced.is_new


def first_generation(file: ConfigurationFile) -> tuple[Generation, Configuration]:
    """Return what a starting process collects by: the newer of the file and the newest generation; blocking.

    A broken file is passed over for the last good generation, so that a crash after a bad edit is no outage; the
    file's own error is raised where there is none. Raises BrokerUnavailable.
    """
    newest = newest_generation(file.bootstrap, prefix=file.prefix)
    try:
        digest = sha256_of(file.read())
    except ConfigurationError:
        if newest is None:
            raise
        return _parsed(newest.generation)
    if newest is None or (newest.generation.sha256 != digest and file.changed_time() > newest.appended):
        return _parsed(file.announce("start")[0])
    if newest.generation.sha256 == digest:
        keep_calendars(file.bootstrap, newest.generation, prefix=file.prefix)
    else:
        log.warning("configuration_file_older", extra=_older(file, newest))
    return _parsed(newest.generation)


def _older(file: ConfigurationFile, newest: StoredGeneration) -> dict[str, object]:
    remedy = "touch the file, send SIGHUP or POST /ops/reload to make it the newest"
    return {"path": str(file.path), "generation": newest.generation.generation, "remedy": remedy}


def _parsed(generation: Generation) -> tuple[Generation, Configuration]:
    return generation, reading.parse(generation.text, source=f"generation {generation.generation}")


class Reloading:
    """Announces the file whenever it changes or SIGHUP comes, and applies whatever generation is newest."""

    def __init__(self, file: ConfigurationFile, follower: Follower) -> None:
        """`follower` is this process's; its health part also says why a file was not taken."""
        self._file = file
        self._follower = follower
        self._asked = asyncio.Event()
        self._turn = asyncio.Lock()
        self._seen: Signature | None = None
        self._offered = ""  # hash of the text last read from the file, good or bad

    @property
    def generation(self) -> int:
        """The number of the generation in force, 0 before the first."""
        return self._follower.generation

    async def begin(self, topics_ready: Callable[[], Awaitable[object]]) -> Configuration:
        """Return the configuration to start with, once the broker answers; from now on SIGHUP means reload.

        Raises ConfigurationError where the file is broken and no last good generation is to be had in time.
        """
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._asked.set)
        self._seen = self._file.signature()
        broken = await asyncio.to_thread(self._fault)
        try:
            async with asyncio.timeout(None if broken is None else START_WITHIN_S):
                await topics_ready()
                first = await self._first()
        except TimeoutError:
            if broken is not None:
                raise broken from None
            raise
        self._follower.begin(*first)
        if broken is not None:
            self._follower.refused(broken)
        self._offered = await asyncio.to_thread(self._digest)
        return first[1]

    async def _first(self) -> tuple[Generation, Configuration]:
        while True:
            try:
                return await in_daemon_thread(
                    partial(first_generation, self._file), name="configuration-start"
                )
            except BrokerUnavailable as error:
                log.warning("waiting", extra={"error": str(error)})
                await asyncio.sleep(RETRY_S)

    def _fault(self) -> ConfigurationError | None:
        try:
            self._file.read()
        except ConfigurationError as error:
            return error
        return None

    async def run(self, apply: Apply) -> None:
        """Follow, watch and listen for SIGHUP until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follower.run(apply), name="configuration-follow")
                tasks.create_task(self._watch(), name="configuration-watch")
                while True:
                    await self._asked.wait()
                    self._asked.clear()
                    await self._offer("signal")
        finally:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)

    async def _watch(self) -> None:
        async for _ in _changes(self._file.path):
            if self._file.signature() != self._seen:
                await self._offer("watch")

    async def _offer(self, origin: Origin) -> None:
        """Announce the file's text; a watch that finds the text it offered before says nothing."""
        async with self._turn:
            self._seen = await self._settled()
            digest = await asyncio.to_thread(self._digest)
            if origin == "watch" and digest == self._offered:
                return
            self._offered = digest
            await self._announce(origin)

    async def _announce(self, origin: Origin) -> None:
        while True:
            try:
                await asyncio.to_thread(self._file.read)  # a broken file is said without asking the broker
                work = partial(self._file.announce, origin)
                _, is_new = await in_daemon_thread(work, name="configuration-announce")
            except ConfigurationError as error:
                self._follower.refused(error)
                return
            except BrokerUnavailable as error:  # the change must not be lost: the file is read again then
                log.warning("waiting", extra={"error": str(error)})
                await asyncio.sleep(RETRY_S)
            else:
                if not is_new:
                    self._follower.unchanged()
                return

    async def _settled(self) -> Signature | None:
        """Return the file's signature once it has stood still; a rename's moment without a file passes, too."""
        deadline_s = monotonic_s() + SETTLES_WITHIN_S
        before = self._file.signature()
        while monotonic_s() < deadline_s:
            await asyncio.sleep(SETTLED_S)
            now = self._file.signature()
            if now is not None and now == before:
                return now
            before = now
        return before

    def _digest(self) -> str:
        try:
            return sha256_of(read_text(self._file.path))
        except ConfigurationError as error:
            return str(error)  # as good as a text: the same trouble is told once


async def _changes(path: Path) -> AsyncIterator[None]:
    """Yield when something of the file's name comes or goes, and every LOOK_EVERY_MS; an absent folder is waited for.

    Kubernetes swaps `..data` beside it; a log that grows in the same folder is none of our business.
    """
    folder = path.parent

    def concerns(_: Change, changed: str) -> bool:
        name = Path(changed).name
        return name == path.name or name.startswith("..")

    while True:
        try:
            async for _ in awatch(
                folder,
                watch_filter=concerns,
                debounce=DEBOUNCE_MS,
                step=STEP_MS,
                rust_timeout=LOOK_EVERY_MS,
                yield_on_timeout=True,
                recursive=False,
            ):
                yield
        except (OSError, RuntimeError) as error:  # RuntimeError is how the watcher's native half fails
            log.warning("configuration_watch_restarted", extra={"folder": str(folder), "error": str(error)})
        await asyncio.sleep(RETRY_S)
        yield

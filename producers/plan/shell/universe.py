"""Follows the database's universe: the newest members while it answers, the last known ones while it does not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from infra.runtime.backoff import STARTING_RETRY_S
from infra.runtime.lifecycle import Health
from infra.runtime.postgres import pool as postgres
from infra.runtime.postgres.universe import UniverseStore
from schemas.configuration.model import FROM_DATABASE, Configuration
from schemas.errors import ConfigurationError, StoreUnavailable
from schemas.universe import Member, Universe

PART = "universe"
LOOK_EVERY_S = 2.0
POOL_SIZE = 1

log = logging.getLogger(__name__)

Changed = Callable[[Universe], Awaitable[None]]


class UniverseFollower:
    """Keeps a producer on the newest universe; `health` gets the part `universe`."""

    def __init__(self, dsn: str, changed: Changed, *, health: Health) -> None:
        """Tell `changed`, in the loop's thread, every version that is not in force yet; nothing is read before `begin`.

        Where `changed` raises ConfigurationError what is in force stays, with the reason, until the next version.
        """
        self._dsn, self._changed, self._health = dsn, changed, health
        self._seen: int | None = None
        self._members = 0
        self._refusal = ""

    async def begin(self) -> Universe:
        """Return the universe, in force without `changed` being told; waits, saying why, until the database answers."""
        async with postgres.pool(self._dsn, service=PART, size=POOL_SIZE) as pool:
            universe = await self._first(UniverseStore(pool))
        self._in_force(universe)
        return universe

    async def run(self) -> None:
        """Look for a newer version every two seconds, and begin with the first where `begin` was not called; for ever."""
        async with postgres.pool(self._dsn, service=PART, size=POOL_SIZE) as pool:
            store = UniverseStore(pool)
            if self._seen is None:
                await self._take(await self._first(store))
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                await self._look(store)

    async def _first(self, store: UniverseStore) -> Universe:
        while True:
            try:
                return await store.read()
            except StoreUnavailable as error:
                self._health.report(PART, ready=False, waiting_for=str(error))
                await asyncio.sleep(STARTING_RETRY_S)

    async def _look(self, store: UniverseStore) -> None:
        try:
            if await store.version() == self._seen:
                self._report("")
                return
            universe = await store.read()
        except StoreUnavailable as error:
            self._report(str(error))
        else:
            await self._take(universe)

    async def _take(self, universe: Universe) -> None:
        try:
            await self._changed(universe)
        except ConfigurationError as error:
            self._seen, self._refusal = universe.version, str(error)
            log.warning("universe_refused", extra={"version": universe.version, "error": str(error)})
            self._report("")
        else:
            self._in_force(universe)

    def _in_force(self, universe: Universe) -> None:
        self._seen, self._members, self._refusal = universe.version, len(universe.members), ""
        log.info("universe_in_force", extra={"version": universe.version, "members": len(universe.members)})
        self._report("")

    def _report(self, unreachable: str) -> None:
        self._health.report(
            PART,
            ready=True,  # the last known members are collected, whatever is wrong since
            version=self._seen,
            members=self._members,
            last_error=unreachable or self._refusal,
        )


class Membership:
    """Reads and follows the universe for a collection; used from one event loop."""

    def __init__(self, dsn: str, *, health: Health, changed: Callable[[], Awaitable[None]]) -> None:
        """Call `changed` after every new version of the universe; it raises ConfigurationError to refuse one."""
        self._dsn, self._health, self._changed = dsn, health, changed
        self._tasks: asyncio.TaskGroup | None = None
        self._universe: Universe | None = None
        self._follower: UniverseFollower | None = None
        self._following: asyncio.Task[None] | None = None

    async def members(self, configuration: Configuration, *, within_s: float | None) -> Sequence[Member]:
        """Return the members in force; waits for the database as long as that takes (None), or at most `within_s`.

        Raises ConfigurationError where it does not answer in time.
        """
        if configuration.universe != FROM_DATABASE:
            return configuration.members()
        if self._universe is None:
            self._follower = UniverseFollower(self._dsn, self._take, health=self._health)
            try:
                async with asyncio.timeout(within_s):
                    self._universe = await self._follower.begin()
            except TimeoutError:
                self._health.forget(PART)
                raise ConfigurationError(
                    "the universe cannot be read: the database does not answer",
                    remedy="start the database, or list `symbols` in the file",
                ) from None
        return self._universe.members

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Follow in these tasks."""
        self._tasks = tasks

    async def follow(self, configuration: Configuration) -> None:
        """Follow the universe from now on where `configuration` asks for it, and no more where it does not."""
        if configuration.universe == FROM_DATABASE:
            if self._following is None and self._follower is not None and self._tasks is not None:
                self._following = self._tasks.create_task(self._follower.run(), name="universe")
        elif self._universe is not None:
            self._universe, following, self._following = None, self._following, None
            if following is not None:
                following.cancel()
                await asyncio.wait([following])
            self._health.forget(PART)

    async def _take(self, universe: Universe) -> None:
        before, self._universe = self._universe, universe
        try:
            await self._changed()
        except ConfigurationError:
            self._universe = before
            raise

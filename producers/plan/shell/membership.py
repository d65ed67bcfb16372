"""Whose symbols are collected: those of the file, or the database's universe, which is followed while it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from infra.runtime.lifecycle import Health
from producers.plan.shell.universe import PART, UniverseFollower
from schemas.configuration.model import FROM_DATABASE, Configuration
from schemas.errors import ConfigurationError
from schemas.universe import Member, Universe


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

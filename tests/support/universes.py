"""Universes in a database of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from infra.runtime.postgres import pool as postgres
from infra.runtime.postgres.universe import Edit, UniverseStore
from schemas.universe import Member, merged


@asynccontextmanager
async def store_of(dsn: str) -> AsyncIterator[UniverseStore]:
    """Open a store on a database."""
    async with postgres.pool(dsn, service="test", size=2) as pool:
        yield UniverseStore(pool)


def adding(*members: Member) -> Edit:
    """Return an edit that adds or changes members."""
    return lambda before: merged(before, members)

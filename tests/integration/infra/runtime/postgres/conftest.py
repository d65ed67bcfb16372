"""A database of a test alone with nothing in it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from tests.support.databases import execute, with_database


@pytest.fixture
async def empty(postgres_admin: str) -> AsyncIterator[str]:
    """DSN of a database of this test alone with nothing in it."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    await execute(postgres_admin, f"CREATE DATABASE {name}")
    yield with_database(postgres_admin, name)
    await execute(postgres_admin, f"DROP DATABASE {name} WITH (FORCE)")

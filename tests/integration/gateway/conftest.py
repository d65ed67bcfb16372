"""One large database for all tests that only read it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from tests.conftest import TEMPLATE
from tests.support.databases import execute, with_database
from tests.support.filled_market import fill


@pytest.fixture(scope="session")
def large_database(postgres_admin: str) -> Iterator[str]:
    """DSN of a database with some 600,000 rows in many series and partitions; not to be changed."""
    name = f"large_{os.getpid()}"
    asyncio.run(execute(postgres_admin, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}_{os.getpid()}"))
    asyncio.run(fill(with_database(postgres_admin, name)))
    yield with_database(postgres_admin, name)
    asyncio.run(execute(postgres_admin, f"DROP DATABASE {name} WITH (FORCE)"))

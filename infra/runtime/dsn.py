"""Addresses of databases, as settings and commands are given them; they hold passwords, so none is ever shown."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, SecretStr

from schemas.errors import ConfigurationError

SCHEMES = ("postgresql", "postgres")
MAX_PORT = 65_535
WRITTEN = "write it like postgresql://user:password@host:5432/database"


def checked_dsn(dsn: str) -> str:
    """Return a DSN of PostgreSQL, which may name several hosts; raise ValueError saying what is wrong; and how one is written."""
    try:
        parts = urlsplit(dsn)
    except ValueError:
        raise ValueError(f"it is no address; {WRITTEN}") from None
    if parts.scheme not in SCHEMES:
        raise ValueError(f"it is no DSN of PostgreSQL; {WRITTEN}")
    for host in parts.netloc.rpartition("@")[2].split(","):
        _, colon, port = host.rpartition("]")[2].rpartition(":")
        port = unquote(port) if colon else ""
        if port and not (port.isascii() and port.isdecimal() and 1 <= int(port) <= MAX_PORT):
            raise ValueError(f"its port is none of 1 to {MAX_PORT}; {WRITTEN}")
    return dsn


def named_dsn(given: str, name: str) -> str:
    """Return a DSN that was given by `name`; raise ConfigurationError where it is none."""
    try:
        return checked_dsn(given)
    except ValueError as error:
        problem, _, remedy = str(error).partition("; ")
        raise ConfigurationError(f"{name}: {problem}", remedy=remedy) from None


def _checked(secret: SecretStr) -> SecretStr:
    if given := secret.get_secret_value():
        checked_dsn(given)
    return secret


Dsn = Annotated[SecretStr, AfterValidator(_checked)]
"""A setting that names a database; empty: none is named."""

"""Addresses of databases: what PostgreSQL's own clients take is taken, and what is refused is never shown."""

from __future__ import annotations

import pytest

from infra.runtime.dsn import checked_dsn, named_dsn
from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError
from sinks.settings import SinkSettings


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:p%40:w@h:5432/d?sslmode=require",
        "postgres://h",
        "postgresql:///d?host=/run/postgresql",
        "postgresql://u@[::1]:5433/d",
        "postgresql://u@[::1]/d",
        "postgresql://u:p@h1:5432,h2:5433/d?target_session_attrs=primary",
    ],
)
def test_what_is_one_is_taken_as_it_is(dsn: str) -> None:
    """Several hosts and sockets among them."""
    assert checked_dsn(dsn) == dsn
    assert MdsSettings.from_env({"MDS_POSTGRES_DSN": dsn}).dsn == dsn


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("host=h password=canary", "no DSN of PostgreSQL"),
        ("mysql://u:canary@h/d", "no DSN of PostgreSQL"),
        ("postgresql://u:canary@[::1/d", "no address"),
        ("postgresql://u:canary@h:port/d", "port is none of 1 to 65535"),
        ("postgresql://u:canary@h:99999/d", "port is none of 1 to 65535"),
        ("postgresql://u:canary@h1:5432,h2:0/d", "port is none of 1 to 65535"),
    ],
)
def test_what_is_none_is_refused_by_the_name_it_was_given(dsn: str, said: str) -> None:
    """With how one is written, and without the password in it."""
    remedy = "write it like postgresql://user:password@host:5432/database"
    for refused in (
        lambda: named_dsn(dsn, "--into database"),
        lambda: MdsSettings.from_env({"MDS_POSTGRES_DSN": dsn}),
        lambda: SinkSettings.from_env({"SINKS_REPLAY_DSN": dsn}),
    ):
        with pytest.raises(ConfigurationError, match=said) as caught:
            refused()
        assert remedy in str(caught.value)
        assert "canary" not in str(caught.value)

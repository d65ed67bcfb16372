"""The home folder refuses what would lose data, with the way to move on."""

from __future__ import annotations

import os
import shutil
import stat
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.embedded.home import LAYOUT_VERSION, MIN_FREE_BYTES, Home, make_traversable
from schemas.errors import ConfigurationError

Usage = namedtuple("Usage", "total used free")


def test_a_new_home_gets_the_layout_version(tmp_path: Path) -> None:
    """A later version can tell who wrote it."""
    home = Home.open(tmp_path / "home")
    assert (home.root / "VERSION").read_text().strip() == str(LAYOUT_VERSION)
    assert Home.open(tmp_path / "home") == home


def test_a_home_may_be_opened_by_several_at_once(tmp_path: Path) -> None:
    """Nobody ever reads half a version: broker and database open their home at the same moment."""
    with ThreadPoolExecutor(8) as pool:
        for number in range(50):
            folder = tmp_path / str(number)
            assert len(set(pool.map(Home.open, [folder] * 8))) == 1
            assert [path.name for path in folder.glob(".*")] == []


def test_a_home_of_another_layout_says_how_to_move_on(tmp_path: Path) -> None:
    """The sentence names the folder and the command that sets it aside."""
    (tmp_path / "VERSION").write_text("999\n")
    with pytest.raises(ConfigurationError, match=r"layout 999.*mv .*\.old"):
        Home.open(tmp_path)


def test_data_without_a_version_is_another_layout(tmp_path: Path) -> None:
    """Data that nobody signed is not guessed at."""
    (tmp_path / "kafka").mkdir()
    with pytest.raises(ConfigurationError, match="layout unknown"):
        Home.open(tmp_path)


def test_a_nearly_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Better not to start than to stop in the middle of a write."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, MIN_FREE_BYTES - 1))
    with pytest.raises(ConfigurationError, match=r"524 MB are free.*MDS_HOME"):
        Home.open(tmp_path)


def test_an_unwritable_home_names_the_setting(tmp_path: Path) -> None:
    """A file in the way is the simplest unwritable place, also for root."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="MDS_HOME"):
        Home.open(tmp_path / "file" / "home")


def test_only_one_command_holds_the_home(tmp_path: Path) -> None:
    """The second is told who the first is; afterwards the home is free."""
    home = Home.open(tmp_path)
    assert home.holder("run") is None
    with home.exclusive("run"):
        assert home.holder("run") == os.getpid()
        with pytest.raises(ConfigurationError, match=rf"pid {os.getpid()}.*mds down"), home.exclusive("run"):
            pass
    assert home.holder("run") is None


def test_another_user_is_let_through_and_nothing_more(tmp_path: Path) -> None:
    """Only the right to pass is added, and only above the path."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "outer").chmod(0o700)
    inner.chmod(0o700)
    make_traversable(inner)
    assert stat.S_IMODE((tmp_path / "outer").stat().st_mode) == 0o701
    assert stat.S_IMODE(inner.stat().st_mode) == 0o700

"""Who may write an archive, and the room that is left to others."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from schemas.errors import ArchiveUnavailable, Fenced
from sinks.archive.shell import disk as disks
from sinks.archive.shell.disk import OWNER, Disk, Ownership, locked

DISK = Disk(keep_free_bytes=0)


def test_whoever_comes_later_owns_the_archive(tmp_path: Path) -> None:
    """However often, and over restarts; the earlier is told who took it."""
    owners = [Ownership.take(tmp_path / "new", DISK) for _ in range(3)]

    assert [owner.epoch for owner in owners] == [1, 2, 3]
    for owner in owners[:2]:
        with pytest.raises(Fenced, match=r"process \d+ on .* took over the archive"), owner.held():
            raise AssertionError("a step was taken")
    with owners[2].held():
        pass


def test_nobody_takes_over_within_a_step(tmp_path: Path) -> None:
    """The later one waits until the step is done; the step is whole."""
    first = Ownership.take(tmp_path, DISK)
    taken = threading.Event()

    def take_over() -> None:
        Ownership.take(tmp_path, DISK)
        taken.set()

    with first.held():
        other = threading.Thread(target=take_over)
        other.start()
        assert not taken.wait(0.3)
    other.join(10)

    assert taken.is_set()
    with pytest.raises(Fenced):
        first.check()


def test_a_step_that_never_ends_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process frozen in it holds the lock: it is not passed by, but told."""
    monkeypatch.setattr(disks, "LOCKED_WITHIN_S", 0.1)
    Ownership.take(tmp_path, DISK)

    with locked(tmp_path), pytest.raises(ArchiveUnavailable, match=r"process \d+ on .* seems frozen"):
        Ownership.take(tmp_path, DISK)


def test_an_owner_that_cannot_be_read_is_nobody_else(tmp_path: Path) -> None:
    """Counting from 1 again would let an old owner in."""
    Ownership.take(tmp_path, DISK)
    (tmp_path / OWNER).write_text("{", "utf-8")

    with pytest.raises(ArchiveUnavailable, match="cannot be read"):
        Ownership.take(tmp_path, DISK)


def test_a_disk_that_was_taken_away_is_no_new_owner(tmp_path: Path) -> None:
    """It may come back."""
    owner = Ownership.take(tmp_path / "archive", DISK)
    (tmp_path / "archive").rename(tmp_path / "away")
    with pytest.raises(ArchiveUnavailable, match="cannot be opened"), owner.held():
        raise AssertionError("a step was taken")
    with pytest.raises(ArchiveUnavailable, match="taken away"):
        owner.check()

    (tmp_path / "away").rename(tmp_path / "archive")

    with owner.held():
        pass


def test_room_is_left_to_others(tmp_path: Path) -> None:
    """The broker may live on the same disk."""
    DISK.require_room(tmp_path, 1_000)
    with pytest.raises(ArchiveUnavailable, match="SINKS_ARCHIVE_KEEP_FREE_MB"):
        Disk(keep_free_bytes=2**60).require_room(tmp_path, 1_000)
    with pytest.raises(ArchiveUnavailable, match="cannot be looked at"):
        DISK.require_room(tmp_path / "absent", 1_000)


def test_a_file_that_fails_is_gone(tmp_path: Path) -> None:
    """Its room is free at once."""
    with (
        pytest.raises(ArchiveUnavailable, match=r"file cannot be written: .*"),
        DISK.new_file(tmp_path / "file") as out,
    ):
        out.write(b"half")
        raise OSError("full")

    assert list(tmp_path.iterdir()) == []

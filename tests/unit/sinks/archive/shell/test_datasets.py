"""A dataset's folder: killed at whatever moment, no file stands under its name without a line, and none with one is lost."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from schemas.archive.datasets import Dataset, Publication, walk
from schemas.archive.manifest import MANIFEST
from schemas.clocks import KnowledgeTime, WallTime
from schemas.errors import ArchiveUnavailable, ConfigurationError
from schemas.streams import BAR_STREAM
from sinks.archive.shell import disk as disks
from sinks.archive.shell.datasets import DatasetFolder, opened, verified
from sinks.archive.shell.disk import Disk
from tests.support.archives import NOON_US, DyingDisk, Killed, files_at_most, raise_killed

MINUTES = Dataset(stream=BAR_STREAM, interval="1m")
DISK = Disk(keep_free_bytes=0)
DAY = "2025-11-27"
NOW = WallTime(NOON_US)


def content_of(day: str, as_of: int) -> bytes:
    """Return what is written of a day as of a moment."""
    return f"PAR1 {day} {as_of}".encode() * 30


def publish(folder: DatasetFolder, as_of: int, day: str = DAY) -> Publication:
    """Publish a day."""
    content = content_of(day, as_of)

    def write(out: BinaryIO) -> tuple[int, int, str]:
        out.write(content)
        return 3, len(content), hashlib.sha256(content).hexdigest()

    return folder.publish(day, KnowledgeTime(as_of), write, now_us=NOW)


def lines_of(root: Path) -> list[Publication]:
    """Return the whole lines of the manifest."""
    manifest = root / MINUTES.folder / MANIFEST
    return [line for line, _ in walk(manifest.read_bytes())] if manifest.exists() else []


def seen(root: Path) -> set[str]:
    """Return the files a reader finds who goes by names."""
    path = root / MINUTES.folder
    return {str(each.relative_to(path)) for each in path.glob("**/*.parquet")}


def test_publications_of_a_day_stand_side_by_side(tmp_path: Path) -> None:
    """The earlier one as it was, byte for byte."""
    for as_of in (NOON_US, NOON_US + 5):
        with opened(tmp_path, MINUTES, DISK) as folder:
            publish(folder, as_of)
            publish(folder, as_of, "2025-11-26")
    with opened(tmp_path, MINUTES, DISK) as folder:
        newest = folder.newest(DAY)
        assert newest is not None and newest.as_of_us == NOON_US + 5
        assert folder.newest("2025-11-25") is None

    assert seen(tmp_path) == {line.path for line in lines_of(tmp_path)}
    for line in lines_of(tmp_path):
        content = (tmp_path / MINUTES.folder / line.path).read_bytes()
        assert content == content_of(line.day, line.as_of_us)
        assert hashlib.sha256(content).hexdigest() == line.sha256


@pytest.mark.parametrize("moment", range(1, 9))
def test_killed_at_any_step_no_file_has_its_name_without_its_line(tmp_path: Path, moment: int) -> None:
    """And the next who opens the folder ends what has a line, and clears away what has none."""
    with opened(tmp_path, MINUTES, DISK) as folder:
        publish(folder, NOON_US)
    killed = False
    try:
        with opened(tmp_path, MINUTES, DyingDisk(moment, raise_killed)) as folder:
            publish(folder, NOON_US + 5)
    except Killed:
        killed = True
    told = {line.path for line in lines_of(tmp_path)}

    assert seen(tmp_path) <= told
    assert killed
    with opened(tmp_path, MINUTES, DISK) as folder:
        newest = folder.newest(DAY)
        assert newest is not None
        assert seen(tmp_path) == {line.path for line in lines_of(tmp_path)} == told
        if newest.as_of_us == NOON_US:
            publish(folder, NOON_US + 5)
    assert [line.as_of_us for line in lines_of(tmp_path)] == [NOON_US, NOON_US + 5]
    for line in lines_of(tmp_path):
        assert (tmp_path / MINUTES.folder / line.path).read_bytes() == content_of(DAY, line.as_of_us)
    assert list((tmp_path / MINUTES.folder).glob(".*")) == []


def test_every_moment_of_a_publication_was_tried(tmp_path: Path) -> None:
    """As many as the test before names."""
    disk = DyingDisk(None, raise_killed)
    with opened(tmp_path, MINUTES, disk) as folder:
        publish(folder, NOON_US)
    assert disk.moments == 8


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """Neither a line nor a part of a file."""
    with opened(tmp_path, MINUTES, DISK) as folder:
        publish(folder, NOON_US)
        before = seen(tmp_path)
        with files_at_most(100), pytest.raises(ArchiveUnavailable):
            publish(folder, NOON_US + 5)
    assert seen(tmp_path) == before == {line.path for line in lines_of(tmp_path)}
    assert list((tmp_path / MINUTES.folder).glob(".*")) == []


def test_what_cannot_be_written_is_not_published(tmp_path: Path) -> None:
    """The error of whoever makes the rows comes out as it is."""

    def failing(out: BinaryIO) -> tuple[int, int, str]:
        out.write(b"PAR1")
        raise LookupError("the database is gone")

    with opened(tmp_path, MINUTES, DISK) as folder, pytest.raises(LookupError, match="is gone"):
        folder.publish(DAY, KnowledgeTime(NOON_US), failing, now_us=NOW)
    assert (seen(tmp_path), lines_of(tmp_path)) == (set(), [])


def test_a_file_that_somebody_took_away_is_said(tmp_path: Path) -> None:
    """It is not taken for one that waits for its name."""
    with opened(tmp_path, MINUTES, DISK) as folder:
        line = publish(folder, NOON_US)
    (tmp_path / MINUTES.folder / line.path).unlink()

    with pytest.raises(ConfigurationError, match="restore it from a copy"), opened(tmp_path, MINUTES, DISK):
        pass


def test_two_do_not_publish_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is told so, after a while."""
    monkeypatch.setattr(disks, "LOCKED_WITHIN_S", 0.1)
    refused: list[str] = []

    def second() -> None:
        try:
            with opened(tmp_path, MINUTES, DISK):
                pass
        except ArchiveUnavailable as error:
            refused.append(str(error))

    with opened(tmp_path, MINUTES, DISK):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(refused) == 1 and "another publication of it goes on" in refused[0]
    second()
    assert len(refused) == 1


def test_what_is_not_as_it_was_published_is_named(tmp_path: Path) -> None:
    """A flipped bit, a file that is gone, one that no line knows, a line that was changed."""
    with opened(tmp_path, MINUTES, DISK) as folder:
        lines = [publish(folder, NOON_US + late) for late in range(3)]
    assert list(verified(tmp_path)) == []
    paths = [tmp_path / MINUTES.folder / line.path for line in lines]
    content = bytearray(paths[0].read_bytes())
    content[7] ^= 1
    paths[0].write_bytes(content)
    paths[1].unlink()
    stray = paths[2].parent.with_name("as_of=20990101T000000000000Z")
    stray.mkdir()
    (stray / "bars.parquet").write_bytes(b"PAR1")

    assert [wrong.removeprefix(f"{MINUTES.folder}/") for wrong in verified(tmp_path)] == [
        f"{lines[0].path}: it is not as it was published",
        f"{lines[1].path}: it is not there",
        f"{stray.parent.name}/{stray.name}/bars.parquet: no line of the manifest knows it",
    ]
    manifest = tmp_path / MINUTES.folder / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b'"rows":3', b'"rows":4', 1))
    (wrong,) = verified(tmp_path)
    assert "line 1 of" in wrong and "not as it was written" in wrong

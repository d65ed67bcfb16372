"""A partition's folder: whatever happens to its writer at whatever moment, what is archived is one truth."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.archive.manifest import Lost, Pruned
from schemas.clocks import WallTime
from schemas.errors import ArchiveUnavailable, ConfigurationError, Fenced
from sinks.archive.shell import folder as folders
from sinks.archive.shell.disk import Disk, Ownership
from sinks.archive.shell.folder import Folder, files_of, prune
from sinks.archive.shell.inspection import read_folder, verify
from tests.support.archives import (
    NOON_US,
    DyingDisk,
    Killed,
    a_row,
    begun,
    files_at_most,
    manifest_of,
    opened,
    raise_killed,
    rows_of,
    stored_rows,
)

DISK = Disk(keep_free_bytes=0)
NOW = WallTime(NOON_US)


def faults(folder: Folder) -> list[str]:
    """Return all that is wrong with a folder."""
    return [str(fault) for fault in verify(read_folder(folder.path), None, None, prefix="")]


ACTS = st.one_of(
    st.tuples(st.just("keep"), st.integers(1, 4)),
    st.tuples(st.just("lose"), st.integers(1, 3)),
    st.tuples(st.just("prune"), st.integers(1, 2)),
)


def act(root: Path, folder: Folder, what: str, count: int) -> None:
    """Do something to a folder, as the archive or its command does it."""
    at = folder.tail.next_offset
    if what == "keep":
        folder.keep(rows_of(a_row(at + n) for n in range(count)), leader_epoch=1)
    elif what == "lose":
        folder.lose(at, at + count, now_us=NOW)
    elif files := read_folder(folder.path).files[:count]:
        prune(root, folder.path, files, DISK, now_us=NOW, lossy=False)


@pytest.mark.slow
@settings(max_examples=25)
@given(story=st.lists(st.tuples(ACTS, st.integers(0, 14)), max_size=8))
def test_any_sequence_of_lines_and_kills_is_one_truth(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[tuple[str, int], int]]
) -> None:
    """Each act may be cut short at any moment of it and is done again by a successor, from where the manifest ends."""
    root = tmp_path_factory.mktemp("archive")
    for (what, count), moment in story:
        before = opened(root).tail
        try:
            act(root, opened(root, DyingDisk(moment, raise_killed)), what, count)
        except Killed:
            folder = opened(root)
            if folder.tail.next_offset == before.next_offset and what != "prune":
                act(root, folder, what, count)

        folder = opened(root)
        assert faults(folder) == []
        if what != "prune":
            assert folder.tail.next_offset == before.next_offset + count

    folder = opened(root)
    part = read_folder(folder.path)
    gone = {
        offset
        for line in part.lines
        if isinstance(line, Lost | Pruned)
        for offset in range(line.start, line.end)
    }
    wanted = [offset for offset in range(folder.tail.next_offset) if offset not in gone]
    assert stored_rows(folder.path) == [a_row(offset) for offset in wanted]
    assert files_of(folder.path) == [line.path for line in part.files]
    assert not list(folder.path.glob(".*"))


def test_a_torn_line_and_a_file_without_one_are_cleared_away(tmp_path: Path) -> None:
    """Both were left by a kill; what they held is read again."""
    folder = opened(tmp_path, start=5)
    folder.keep(rows_of([a_row(5), a_row(8)]), leader_epoch=1)
    whole = manifest_of(folder).read_bytes()
    (orphan := folder.path / "date=2025-11-28" / f"{9:017d}-{12:017d}.parquet").write_bytes(b"PAR1")
    (folder.path / ".00000000000000009.1.tmp").write_bytes(b"PAR1")
    with manifest_of(folder).open("ab") as file:
        file.write(b'{"kind":"file","start":9,"en')

    again = opened(tmp_path, start=99)

    assert manifest_of(again).read_bytes() == whole
    assert again.tail.next_offset == 9
    assert not orphan.exists()
    assert not list(folder.path.glob(".*"))
    assert stored_rows(folder.path) == [a_row(5), a_row(8)]


@pytest.mark.parametrize("lines", [0, 1, 2])
def test_an_older_manifest_deletes_nothing(tmp_path: Path, lines: int) -> None:
    """Files that no kill leaves behind mean that lines are missing: an operator decides."""
    folder = opened(tmp_path)
    for at in range(4):
        folder.keep(rows_of([a_row(at)]), leader_epoch=1)
    kept = manifest_of(folder).read_bytes().splitlines(keepends=True)
    manifest_of(folder).write_bytes(b"".join(kept[:lines]))

    with pytest.raises(ConfigurationError, match="no line of"):
        opened(tmp_path)

    assert sum((folder.path / f"date=2025-11-28/{n:017d}-{n:017d}.parquet").exists() for n in range(4)) >= 3


def test_a_changed_manifest_is_not_written_on(tmp_path: Path) -> None:
    """Its line is named."""
    folder = opened(tmp_path)
    folder.keep(rows_of([a_row(0)]), leader_epoch=1)
    changed = manifest_of(folder).read_bytes().replace(b'"rows":1', b'"rows":2')
    manifest_of(folder).write_bytes(changed)

    with pytest.raises(ConfigurationError, match=r"line 2 of .*manifest\.jsonl: it is not as it was written"):
        opened(tmp_path)


def test_a_folder_in_another_place_is_refused(tmp_path: Path) -> None:
    """Its offsets are of another log."""
    folder = opened(tmp_path)
    folder.keep(rows_of([a_row(0)]), leader_epoch=1)
    folder.path.rename(folder.path.with_name("partition=9"))
    other = replace(begun(), partition=9)

    with pytest.raises(ConfigurationError, match="partition=3; move the folder back"):
        Folder(tmp_path, other, disk=DISK, ownership=Ownership.take(tmp_path, DISK))

    moved = read_folder(folder.path.with_name("partition=9"))
    assert ["partition=3" in str(fault) for fault in verify(moved, None, None, prefix="")] == [True]


def test_the_earlier_of_two_writers_changes_nothing_more(tmp_path: Path) -> None:
    """Neither where it begins a file nor where it had written all of it but the name."""
    disk = DyingDisk(None, raise_killed)
    first = opened(tmp_path, disk)
    first.keep(rows_of([a_row(0)]), leader_epoch=1)
    steps = disk.moments

    class TakenOver(Disk):
        """Somebody takes over while the file is being written."""

        def require_room(self, folder: Path, size_bytes: int) -> None:
            super().require_room(folder, size_bytes)
            seconds.append(opened(tmp_path))

    seconds: list[Folder] = []
    slow = Folder(
        tmp_path, begun(), disk=TakenOver(keep_free_bytes=0), ownership=Ownership.take(tmp_path, DISK)
    )
    with pytest.raises(Fenced, match="took over the archive"):
        slow.keep(rows_of([a_row(1)]), leader_epoch=1)
    (second,) = seconds
    second.keep(rows_of([a_row(1), a_row(2)]), leader_epoch=1)
    before = sorted(path for path in tmp_path.rglob("*") if path.suffix == ".parquet")
    for late in (first, slow):
        with pytest.raises(Fenced):
            late.keep(rows_of([a_row(1)]), leader_epoch=1)
        with pytest.raises(Fenced):
            late.lose(1, 2, now_us=NOW)

    assert disk.moments == steps
    assert not list(second.path.glob(".*"))
    assert sorted(path for path in tmp_path.rglob("*") if path.suffix == ".parquet") == before
    assert stored_rows(second.path) == [a_row(0), a_row(1), a_row(2)]
    assert faults(opened(tmp_path)) == []


def test_pruning_beside_the_writer_leaves_it_writing(tmp_path: Path) -> None:
    """Each finds the other's line."""
    folder = opened(tmp_path)
    for at in range(3):
        folder.keep(rows_of([a_row(at)]), leader_epoch=1)
    files = read_folder(folder.path).files

    prune(tmp_path, folder.path, files[:2], DISK, now_us=NOW, lossy=True)
    folder.keep(rows_of([a_row(3)]), leader_epoch=1)

    assert stored_rows(folder.path) == [a_row(2), a_row(3)]
    assert faults(folder) == []
    with pytest.raises(ConfigurationError, match="pruned meanwhile"):
        prune(tmp_path, folder.path, files[:1], DISK, now_us=NOW, lossy=True)
    assert [line for line in read_folder(folder.path).missing if isinstance(line, Pruned)] == [
        Pruned(start=0, end=2, at_us=NOW, lossy=True)
    ]


@pytest.mark.parametrize("room_bytes", [0, 3, 300, 2_000, 60_000])
def test_a_full_disk_costs_nothing_but_time(tmp_path: Path, room_bytes: int) -> None:
    """Whatever the write that finds it full: it is said, the room is given back, and the same rows are taken later."""
    folder = opened(tmp_path)
    folder.keep(rows_of([a_row(0)]), leader_epoch=1)
    rows = [a_row(at, size=2_000) for at in range(1, 50)]

    with files_at_most(room_bytes), pytest.raises(ArchiveUnavailable, match=r"File too large"):
        folder.keep(rows_of(rows), leader_epoch=1)

    assert not list(folder.path.glob(".*"))
    assert faults(folder) == []
    folder.keep(rows_of(rows), leader_epoch=1)
    assert stored_rows(folder.path) == [a_row(0), *rows]
    assert faults(opened(tmp_path)) == []


@pytest.mark.parametrize("torn_bytes", [0, 40])
def test_a_line_that_finds_the_disk_full_takes_its_file_back(tmp_path: Path, torn_bytes: int) -> None:
    """The file had its name already; another range is written next, and no start stumbles over the first."""

    class FullForLines(Disk):
        """Takes files, and of a line nothing or a part."""

        full = False

        def append(self, path: Path, data: bytes) -> None:
            if self.full:
                with path.open("ab") as file:
                    file.write(data[:torn_bytes])
                raise ArchiveUnavailable("no room")
            super().append(path, data)

    disk = FullForLines(keep_free_bytes=0)
    folder = opened(tmp_path, disk)
    disk.full = True
    for count in (1, 3):
        with pytest.raises(ArchiveUnavailable):
            folder.keep(rows_of(a_row(at) for at in range(count)), leader_epoch=1)
    disk.full = False
    folder.keep(rows_of([a_row(0), a_row(1)]), leader_epoch=1)
    folder.keep(rows_of([a_row(2)]), leader_epoch=1)

    assert stored_rows(folder.path) == [a_row(at) for at in range(3)]
    assert faults(folder) == []
    assert files_of(opened(tmp_path).path) == files_of(folder.path)
    assert len(files_of(folder.path)) == 2


def test_a_line_that_was_taken_after_all_is_not_written_twice(tmp_path: Path) -> None:
    """The disk said no, and the line is there: it counts, and reading goes on behind it."""

    class Liar(Disk):
        """Appends and says that it did not."""

        lies = True

        def append(self, path: Path, data: bytes) -> None:
            super().append(path, data)
            if self.lies and b'"kind":"file"' in data:
                self.lies = False
                raise ArchiveUnavailable("cannot be brought to the disk")

    folder = opened(tmp_path, Liar(keep_free_bytes=0))
    for _ in range(2):
        with pytest.raises(ArchiveUnavailable):
            folder.keep(rows_of([a_row(0), a_row(1)]), leader_epoch=1)

    assert folder.tail.next_offset == 2
    folder.keep(rows_of([a_row(2)]), leader_epoch=1)
    assert stored_rows(folder.path) == [a_row(at) for at in range(3)]
    assert faults(opened(tmp_path)) == []


def test_what_cannot_be_read_is_no_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails says so; nothing is reported lost for it."""
    assert folders.found(tmp_path / "absent") is None

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "open", broken)
    with pytest.raises(ArchiveUnavailable, match="Input/output error"):
        folders.found(tmp_path / "absent")

"""The folder as the gateway reads it: what manifests name, and nothing else, whatever else lies there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.archive.shell.reading import ArchiveFolder, RawPartition
from gateway.http.problems import Problem
from schemas.archive.manifest import MANIFEST, append
from tests.support.archive_files import HOUR_US, filled, keep_hours, pruned_to, publish
from tests.support.archives import INCARNATION, NOON_US, a_file, begun
from tests.support.growth import assert_linear

FOLDER = f"raw.trades.v1/{INCARNATION}/partition=3"


def reading(root: Path) -> ArchiveFolder:
    return ArchiveFolder(root, setting="GATEWAY_ARCHIVE")


def content_of(folder: ArchiveFolder, path: str) -> bytes:
    opened = folder.open(path)
    with os.fdopen(opened.descriptor, "rb") as file:
        return file.read()


def only(folder: ArchiveFolder) -> RawPartition:
    (part,) = folder.partitions()
    return part


def test_every_file_of_a_manifest_is_opened_and_is_what_its_line_says(tmp_path: Path) -> None:
    """A raw one and a published one."""
    _, kept = filled(tmp_path, 30)
    line = publish(tmp_path, "bars/interval=1m", "2025-11-27", b"PAR1 day PAR1")
    folder = reading(tmp_path)

    assert [part.folder for part in folder.partitions()] == [FOLDER]
    for each in kept:
        opened = folder.open(f"{FOLDER}/{each.path}")
        assert (opened.size_bytes, opened.sha256) == (each.file_bytes, each.sha256)
        os.close(opened.descriptor)
        assert content_of(folder, f"{FOLDER}/{each.path}") == (tmp_path / FOLDER / each.path).read_bytes()
    assert content_of(folder, f"bars/interval=1m/{line.path}") == b"PAR1 day PAR1"
    assert [dataset.folder for dataset, _ in folder.datasets()] == ["bars/interval=1m"]


def test_what_no_manifest_names_is_never_opened(tmp_path: Path) -> None:
    """Neither the archive's own files, nor what lies elsewhere, nor what was put there."""
    filled(tmp_path / "archive", 1)
    root = tmp_path / "archive"
    (tmp_path / "secret").write_text("key")
    day = next((root / FOLDER).glob("date=*"))
    (day / f"{7:017d}-{8:017d}.parquet").write_bytes(b"PAR1")
    (root / FOLDER / ".00000000000000005.1.tmp").write_bytes(b"PAR1")
    folder = reading(root)
    names = [
        "lock", "owner.json", MANIFEST, f"{FOLDER}/{MANIFEST}", FOLDER, f"{FOLDER}/", f"{FOLDER}/{day.name}",
        f"{FOLDER}/{day.name}/{7:017d}-{8:017d}.parquet", f"{FOLDER}/.00000000000000005.1.tmp",
        "../secret", f"{FOLDER}/../../../../secret", f"{FOLDER}/{day.name}/../../../../../secret", "/etc/passwd",
        f"./{FOLDER}/{day.name}/{0:017d}-{4:017d}.parquet", f"{FOLDER}//{day.name}/{0:017d}-{4:017d}.parquet",
        f"{FOLDER}/{day.name}/{0:017d}-{4:017d}.parquet/", f"{FOLDER}/{day.name}/{0:017d}-{4:017d}.parquet\0",
        f"{FOLDER}/{day.name}/{0:017d}-{4:017d}.parquet\n", f"{FOLDER}/date=2025-11-29/{0:017d}-{4:017d}.parquet",
        "", ".", "..", "date=", "/date=", "bars/interval=1m/date=2025-11-27/as_of=x/bars.parquet", "ä/date=ö",
    ]  # fmt: skip
    for name in names:
        with pytest.raises(Problem) as raised:
            folder.open(name)
        assert raised.value.code == "unknown_file", name
        assert "GET /archive" in raised.value.detail
    assert content_of(folder, f"{FOLDER}/{day.name}/{0:017d}-{4:017d}.parquet")


@pytest.mark.parametrize("what", ["file", "day", "partition", "incarnation", "topic"])
def test_nothing_is_opened_through_a_link(tmp_path: Path, what: str) -> None:
    """Wherever in the path it stands, though what it leads to is named and the same."""
    root = tmp_path / "archive"
    _, (kept, *_) = filled(root, 1)
    path = root / FOLDER / kept.path
    place = {"file": path, "day": path.parent, "partition": root / FOLDER, "incarnation": (root / FOLDER).parent,
             "topic": (root / FOLDER).parent.parent}[what]  # fmt: skip
    before = reading(root)
    assert content_of(before, f"{FOLDER}/{kept.path}")
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")

    for folder in (before, reading(root)):
        with pytest.raises(Problem) as raised:
            folder.open(f"{FOLDER}/{kept.path}")
        assert raised.value.code == "unknown_file"
    if what in ("partition", "incarnation", "topic"):
        assert reading(root).partitions() == []


def test_a_pipe_in_place_of_a_file_does_not_hang(tmp_path: Path) -> None:
    """Nor is it opened."""
    _, (kept, *_) = filled(tmp_path, 1)
    path = tmp_path / FOLDER / kept.path
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(Problem, match="mds archive verify"):
        reading(tmp_path).open(f"{FOLDER}/{kept.path}")


def test_a_pruned_file_is_gone_and_one_that_never_was_is_unknown(tmp_path: Path) -> None:
    """Whether the manifest was read before it was pruned or after; an open one is read to its end."""
    archive, kept = filled(tmp_path, 4)
    folder = reading(tmp_path)
    opened = folder.open(f"{FOLDER}/{kept[0].path}")
    content = (tmp_path / FOLDER / kept[0].path).read_bytes()
    pruned_to(tmp_path, archive, kept[:2])

    with os.fdopen(opened.descriptor, "rb") as file:
        assert file.read() == content
    for each in (folder, reading(tmp_path)):
        for line in kept[:2]:
            with pytest.raises(Problem) as raised:
                each.open(f"{FOLDER}/{line.path}")
            assert (raised.value.code, raised.value.status) == ("file_pruned", 410)
        assert content_of(each, f"{FOLDER}/{kept[2].path}")


def test_a_file_that_was_cut_is_not_served(tmp_path: Path) -> None:
    """Its length says so before a byte of it is sent."""
    _, (kept, *_) = filled(tmp_path, 1)
    path = tmp_path / FOLDER / kept.path
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(Problem) as raised:
        reading(tmp_path).open(f"{FOLDER}/{kept.path}")
    assert raised.value.code == "archive_damaged"


def test_what_is_archived_meanwhile_is_seen_and_a_restored_manifest_is_read_anew(tmp_path: Path) -> None:
    """Each look reads on; another file under the name is another manifest."""
    archive, _ = filled(tmp_path, 2)
    folder = reading(tmp_path)
    assert sum(day.kept(0).files for day in only(folder).contents.days.values()) == 2
    keep_hours(archive, 3)
    assert sum(day.kept(0).files for day in only(folder).contents.days.values()) == 5
    manifest = tmp_path / FOLDER / MANIFEST
    lines = manifest.read_bytes().splitlines(keepends=True)
    copy = manifest.with_name("copy")
    copy.write_bytes(b"".join(lines[:3]))
    copy.rename(manifest)
    assert sum(day.kept(0).files for day in only(folder).contents.days.values()) == 2
    manifest.write_bytes(b"".join([*lines[:4], b"{}\n"]))
    assert "line 5" in only(folder).contents.damage
    filled(tmp_path / "another", 9, size=50)
    # longer than what was read, and not its continuation
    (tmp_path / "another" / FOLDER / MANIFEST).rename(manifest)
    assert only(folder).contents.damage == ""
    assert sum(day.kept(0).files for day in only(folder).contents.days.values()) == 9


def test_where_no_archive_is_the_setting_is_named(tmp_path: Path) -> None:
    """For the listing and for a file."""
    for ask in (ArchiveFolder.partitions, ArchiveFolder.datasets, lambda folder: folder.open("x")):
        with pytest.raises(Problem, match="set GATEWAY_ARCHIVE to its folder, or start `mds archive run`"):
            ask(reading(tmp_path / "nowhere"))


def test_reading_a_manifest_takes_time_in_proportion(tmp_path: Path) -> None:
    """And an open file costs its day, not the archive."""

    def prepare(hours: int) -> Callable[[], object]:
        root = tmp_path / str(uuid4())
        tail, data = None, b""
        lines = (a_file(n * 10, n * 10 + 10, append_us=NOON_US + n * HOUR_US) for n in range(hours))
        for line in (begun(), *lines):
            text, tail = append(tail, line)
            data += text
        (root / FOLDER).mkdir(parents=True)
        (root / FOLDER / MANIFEST).write_bytes(data)
        return lambda: only(reading(root))

    assert_linear(prepare, 500)


def test_a_file_is_found_by_the_lines_of_its_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred hours those of twelve, at most of a day."""
    _, kept = filled(tmp_path, 100)
    folder = reading(tmp_path)
    only(folder)
    read: list[int] = []
    bytes_of = ArchiveFolder._bytes  # noqa: SLF001 - what it reads of the disk

    def counting(self: ArchiveFolder, name: str, start: int, end: int) -> bytes:
        read.append(end - start)
        return bytes_of(self, name, start, end)

    monkeypatch.setattr(ArchiveFolder, "_bytes", counting)
    os.close(folder.open(f"{FOLDER}/{kept[50].path}").descriptor)

    size_bytes = (tmp_path / FOLDER / MANIFEST).stat().st_size
    assert sum(read) < size_bytes * 25 / 100

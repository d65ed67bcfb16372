"""Archives from elsewhere: taken in whole or not at all, whoever dies when, and nothing that is here is changed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from schemas.archive.manifest import MANIFEST, append
from schemas.errors import ConfigurationError
from sinks.archive.shell.commands import FOREVER
from sinks.archive.shell.disk import Disk, Ownership
from sinks.archive.shell.importing import Taken, take_in
from sinks.archive.shell.inspection import archived, cat, replayed, verify
from tests.support.archive_files import filled, keep_hours, pruned_to
from tests.support.archives import INCARNATION, DyingDisk, Killed, begun, raise_killed

DISK = Disk(keep_free_bytes=0)
FOLDER = f"raw.trades.v1/{INCARNATION}/partition=3"


def prepared(root: Path) -> Path:
    """Return an archive to be that somebody owns."""
    Ownership.take(root, DISK)
    return root


def stream_of(root: Path) -> bytes:
    """Return the record stream of an archive."""
    parts, out = list(archived(root)), io.BytesIO()
    list(cat(parts, replayed(parts, ()), FOREVER, out))
    return out.getvalue()


def faults(root: Path) -> list[str]:
    """Return all that is wrong with an archive."""
    return [str(each) for part in archived(root) for each in verify(part, None, None, prefix="")]


def contents(root: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("hours", [1, 10, 40])
def test_what_is_taken_in_replays_the_same(tmp_path: Path, hours: int) -> None:
    """With what was pruned, and what was archived goes on from where it ended."""
    source, root = tmp_path / "source", prepared(tmp_path / "archive")
    folder, kept = filled(source, hours)
    if hours > 1:
        pruned_to(source, folder, kept[:1])

    (taken,) = take_in(root, source, DISK)

    assert taken.is_here and f"took in {hours - (hours > 1)} files" in taken.text
    assert stream_of(root) == stream_of(source)
    assert faults(root) == []
    assert contents(root / FOLDER) == contents(source / FOLDER)
    again, _ = filled(root, 2)
    assert again.tail.next_offset == (hours + 2) * 5
    assert list(take_in(root, source, DISK)) == [Taken(True, f"{FOLDER}: it is here already")]
    assert faults(root) == []


@pytest.mark.parametrize("moment", range(1, 20))
def test_killed_at_any_step_it_is_here_whole_or_not_at_all(tmp_path: Path, moment: int) -> None:
    """And the next import does it."""
    source, root = tmp_path / "source", prepared(tmp_path / "archive")
    filled(source, 3)
    try:
        list(take_in(root, source, DyingDisk(moment, raise_killed)))
    except Killed:
        pass

    assert [part.path for part in archived(root)] in ([], [root / FOLDER])
    assert faults(root) == []
    (taken,) = take_in(root, source, DISK)
    assert taken.is_here
    assert stream_of(root) == stream_of(source)
    assert list((root / FOLDER).parent.glob(".*")) == []


def test_a_file_that_is_not_what_its_line_says_keeps_its_partition_out(tmp_path: Path) -> None:
    """Flipped, cut or gone; nothing of it is left behind."""
    for number, harm in enumerate((lambda data: data[:-1], lambda data: data[:9] + b"x" + data[10:], None)):
        source, root = tmp_path / f"source{number}", prepared(tmp_path / f"archive{number}")
        _, kept = filled(source, 3)
        path = source / FOLDER / kept[1].path
        if harm is None:
            path.unlink()
        else:
            path.write_bytes(harm(path.read_bytes()))
        before = contents(root)

        (taken,) = take_in(root, source, DISK)

        assert not taken.is_here and kept[1].path in taken.text
        assert contents(root) == before
        assert list(archived(root)) == []


def test_what_is_here_is_never_changed(tmp_path: Path) -> None:
    """Neither by an archive that went on further, nor by another of the same log."""
    source, root = tmp_path / "source", prepared(tmp_path / "archive")
    folder, _ = filled(source, 2)
    list(take_in(root, source, DISK))
    before = contents(root)
    keep_hours(folder, 1)

    (further,) = take_in(root, source, DISK)
    filled(tmp_path / "other", 2, size=50)
    (other,) = take_in(root, tmp_path / "other", DISK)

    assert not further.is_here and not other.is_here
    assert "another archive of it is here" in other.text
    assert contents(root) == before


def test_a_manifest_is_no_path(tmp_path: Path) -> None:
    """One that says it lies elsewhere is refused, wherever that would be."""
    source, root = tmp_path / "source", prepared(tmp_path / "archive")
    for number, topic in enumerate(("raw.bars.v1", "../../elsewhere", "raw.trades.v1")):
        path = source / f"raw.trades.v1/x{number}/partition=3"
        path.mkdir(parents=True)
        line = begun()
        text, _ = append(
            None, type(line)(topic=topic, topic_id=line.topic_id, partition=3, start=0, at_us=line.at_us)
        )
        (path / MANIFEST).write_bytes(text)

    assert [taken.is_here for taken in take_in(root, source, DISK)] == [False, False, False]
    assert not (tmp_path / "elsewhere").exists()
    assert list(archived(root)) == []


def test_damage_is_said_and_no_archive_too(tmp_path: Path) -> None:
    """A manifest that was changed keeps its partition out."""
    source, root = tmp_path / "source", prepared(tmp_path / "archive")
    filled(source, 1)
    manifest = source / FOLDER / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b"raw.trades", b"raw.tradez", 1))

    (taken,) = take_in(root, source, DISK)
    assert taken == Taken(False, f"{FOLDER}: its manifest is damaged")
    with pytest.raises(ConfigurationError, match="there is no archive at"):
        list(take_in(root, tmp_path / "nowhere", DISK))

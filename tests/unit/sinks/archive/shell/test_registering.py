"""Archived files in an Iceberg catalog: the same files, their rows exactly once, whoever dies or comes in between."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.runtime.settings import MdsSettings
from schemas.archive.datasets import Dataset, Publication
from schemas.archive.manifest import Begun
from schemas.clocks import KnowledgeTime, WallTime
from schemas.errors import CatalogUnavailable, ConfigurationError
from schemas.streams import BAR_STREAM, STREAMS
from sinks.archive.shell.catalog_place import FOLDER, marked
from sinks.archive.shell.datasets import opened as opened_dataset
from sinks.archive.shell.disk import LOCK, Disk, Ownership
from sinks.archive.shell.folder import Folder
from sinks.archive.shell.parquet import write_dataset
from sinks.archive.shell.registering import command
from tests.support.archive_files import filled, keep_hours, pruned_to
from tests.support.archives import NOON_US, Killed, a_row, begun, raise_killed, rows_of, stored_rows
from tests.support.catalogs import next_offset, offsets, one_table, registered, require_iceberg, tables
from tests.support.sink_records import ROOT

DISK = Disk(keep_free_bytes=0)
IMPL = {"py-io-impl": "tests.support.dying_catalog.DyingIO"}
DAY = "2025-11-28"


def shared(home: Path, **env: str) -> MdsSettings:
    """Return settings of a system in a folder."""
    return MdsSettings.from_env({"MDS_HOME": str(home), **env})


@pytest.fixture(autouse=True)
def _extra() -> None:
    require_iceberg()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The archive's folder."""
    return tmp_path / "archive"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of the catalog and its metadata."""
    return tmp_path / "home"


def three(count: int, *, start: int = 0) -> list[tuple[int, int]]:
    """Return partition 3 and so many offsets."""
    return [(3, start + n) for n in range(count)]


def own_summary(snapshot: Any) -> dict[str, str]:
    """Return what a snapshot says of ours."""
    return {
        name: value for name, value in snapshot.summary.additional_properties.items() if name[:4] == "mds."
    }


def with_moments(at: int, act: Callable[[], None]) -> Any:
    """Count the moments of the next commits, and act at one of them."""
    from tests.support.dying_catalog import Moments

    Moments.begin(at, act)
    return Moments


def test_the_files_of_the_archive_are_those_of_the_table(root: Path, home: Path) -> None:
    """Not copies; one commit each, in the order of their offsets, which says where the partition goes on."""
    folder, files = filled(root, 3)

    (caught,) = registered(root, home)

    table = one_table(home)
    assert not caught.is_refused
    assert [each["file_path"] for each in table.inspect.files().sort_by("file_path").to_pylist()] == [
        f"file://{folder.path / file.path}" for file in files
    ]
    assert [own_summary(each)["mds.next-offset.3"] for each in table.snapshots()] == ["5", "10", "15"]
    assert not list((home / FOLDER).rglob("*.parquet"))
    kept = table.scan().to_arrow().sort_by("offset").to_pylist()
    assert [(row["offset"], row["value"]) for row in kept] == [
        (row.offset, row.value) for row in stored_rows(folder.path)
    ]


def test_what_is_registered_is_not_registered_again(root: Path, home: Path) -> None:
    """A second pass takes what came since; one without any commits nothing."""
    folder, _ = filled(root, 2)
    registered(root, home)
    registered(root, home)
    assert len(one_table(home).snapshots()) == 2

    keep_hours(folder, 1)
    registered(root, home)

    assert offsets(home) == three(15)


def test_partitions_of_a_topic_share_a_table(root: Path, home: Path) -> None:
    """Each snapshot says of each of them where it goes on."""
    ownership = Ownership.take(root, DISK)
    for partition in (1, 12):
        first = Begun(
            topic="raw.trades.v1", topic_id="one", partition=partition, start=0, at_us=WallTime(NOON_US)
        )
        keep_hours(Folder(root, first, disk=DISK, ownership=ownership), 1)

    registered(root, home)

    said = own_summary(one_table(home).current_snapshot())
    assert (said["mds.next-offset.1"], said["mds.next-offset.12"]) == ("5", "5")


def test_a_topic_made_anew_has_a_table_of_its_own(root: Path, home: Path) -> None:
    """Offsets of two logs do not mix."""
    ownership = Ownership.take(root, DISK)
    for topic_id, hours in (("one", 1), ("two", 2)):
        keep_hours(Folder(root, begun(topic_id=topic_id), disk=DISK, ownership=ownership), hours)

    registered(root, home)

    found = {each.properties["mds.of"]: each.scan().count() for each in tables(home).values()}
    assert found == {"raw.trades.v1/one": 5, "raw.trades.v1/two": 10}


def test_what_was_lost_is_no_row(root: Path, home: Path) -> None:
    """The next file moves on over it."""
    folder, _ = filled(root, 1)
    folder.lose(5, 9, now_us=WallTime(NOON_US))
    folder.keep(rows_of([a_row(9)]), leader_epoch=1)

    registered(root, home)

    assert offsets(home) == [*three(5), (3, 9)]
    assert next_offset(home) == 10


def test_what_was_pruned_before_is_not_registered(root: Path, home: Path) -> None:
    """Its file is gone."""
    folder, files = filled(root, 3)
    pruned_to(root, folder, files[:2])

    registered(root, home)

    assert offsets(home) == three(5, start=10)


@pytest.mark.slow
def test_killed_at_any_moment_rows_are_there_once(root: Path, home: Path, tmp_path: Path) -> None:
    """Between file and commit, in the metadata, behind the commit: the next pass ends what this one began."""
    filled(root, 2)
    moments = with_moments(0, raise_killed)
    registered(root, home, more=IMPL)
    count = moments.count
    assert count > 12

    for at in range(1, count + 1):
        place = tmp_path / f"killed-{at}"
        shutil.rmtree(root / FOLDER)
        with_moments(at, raise_killed)
        with pytest.raises(Killed):
            registered(root, place, more=IMPL)
        registered(root, place)
        assert offsets(place) == three(10), at
        assert next_offset(place) == 10


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["12", "13"])
def test_a_process_killed_in_a_commit_left_nothing_twice(root: Path, home: Path, moment: str) -> None:
    """By the operating system: with all of the commit on the disk before the catalog is told, and behind it."""
    filled(root, 2)
    command = [sys.executable, "-m", "tests.support.dying_catalog", str(root), str(home)]

    died = subprocess.run([*command, moment], cwd=ROOT, check=False, timeout=60)
    assert died.returncode == -9
    registered(root, home)

    assert offsets(home) == three(10)


@pytest.mark.slow
def test_another_registrar_may_commit_at_any_moment(root: Path, home: Path, tmp_path: Path) -> None:
    """Of two commits one is taken; the other reads anew, and finds the rows there."""
    filled(root, 2)
    moments = with_moments(0, raise_killed)
    registered(root, home, more=IMPL)

    for at in range(1, moments.count + 1):
        place = tmp_path / f"met-{at}"
        shutil.rmtree(root / FOLDER)

        def other(home: Path = place) -> None:
            (root / FOLDER / LOCK).unlink()  # as it is where the lock is not shared
            registered(root, home)

        with_moments(at, other)
        registered(root, place, more=IMPL)
        assert offsets(place) == three(10), at


def test_the_snapshot_decides_where_it_goes_on(root: Path, home: Path) -> None:
    """A table that was set back takes what it lacks, one that was dropped takes all; what others commit says nothing."""
    filled(root, 3)
    registered(root, home)
    table = one_table(home)
    table.manage_snapshots().rollback_to_snapshot(table.snapshots()[0].snapshot_id).commit()
    registered(root, home)
    assert offsets(home) == three(15)

    one_table(home).delete("offset = 7")
    registered(root, home)
    assert offsets(home) == [each for each in three(15) if each != (3, 7)]

    table.catalog.drop_table(table.name())
    registered(root, home)
    assert offsets(home) == three(15)


def test_a_table_that_no_longer_says_how_far_it_is_is_refused(root: Path, home: Path) -> None:
    """Registering all again could double it."""
    filled(root, 1)
    registered(root, home)
    table = one_table(home)
    table.delete("offset = 2")
    table.maintenance.expire_snapshots().by_id(table.snapshots()[0].snapshot_id).commit()

    (caught,) = registered(root, home)

    assert caught.is_refused
    assert "drop the table" in caught.text
    assert offsets(home) == [each for each in three(5) if each != (3, 2)]


def test_a_table_tries_each_commit_once(root: Path, home: Path) -> None:
    """Where somebody set that back it is set again before the next: a second try would double the file."""
    folder, _ = filled(root, 1)
    registered(root, home)
    with one_table(home).transaction() as transaction:
        transaction.remove_properties("commit.retry.num-retries")
    keep_hours(folder, 1)

    registered(root, home)

    assert one_table(home).properties["commit.retry.num-retries"] == "0"
    assert offsets(home) == three(10)


def test_a_log_that_was_replaced_is_refused_and_others_go_on(root: Path, home: Path, tmp_path: Path) -> None:
    """The same partition of the same topic, archived anew: its offsets may name other records."""
    folder, _ = filled(root, 2)
    registered(root, home)
    folder.path.rename(tmp_path / "moved")
    filled(root, 3, size=41)
    keep_hours(Folder(root, begun(topic_id="zwei"), disk=DISK, ownership=Ownership.take(root, DISK)), 1)

    first, second = registered(root, home)

    assert first.is_refused
    assert "another manifest" in first.text
    assert not second.is_refused
    assert len(tables(home)) == 2


@pytest.mark.parametrize("fault", ["gone", "short", "manifest"])
def test_what_is_damaged_is_refused(root: Path, home: Path, fault: str) -> None:
    """A file that is not there, or not as long as its line says, and a manifest that was changed."""
    folder, files = filled(root, 2)
    second = folder.path / files[1].path
    if fault == "gone":
        second.unlink()
    elif fault == "short":
        second.write_bytes(second.read_bytes()[:-1])
    else:
        manifest = folder.path / "manifest.jsonl"
        manifest.write_bytes(manifest.read_bytes().replace(b'"rows":5', b'"rows":6'))

    (caught,) = registered(root, home)

    assert caught.is_refused
    assert {"gone": "is not there", "short": "not as it was written", "manifest": "line 2"}[
        fault
    ] in caught.text
    assert len(one_table(home).snapshots() if tables(home) else []) == (0 if fault == "manifest" else 1)


MINUTES = Dataset(stream=BAR_STREAM, interval="1m")
VALUES = {
    "text": "SPY",
    "int8": 7,
    "int4": 7,
    "int2": 7,
    "float8": 1.5,
    "bool": True,
    "timestamptz": NOON_US,
    "date": 16_230,
    "float8[]": [1.5, None],
    "timestamptz[]": [NOON_US],
    "date[]": [],
    "char[]": ["C", "P"],
}


def publish(root: Path, as_of: int, rows: int, *, dataset: Dataset = MINUTES, day: str = DAY) -> Publication:
    """Publish so many rows of a day."""
    values = [tuple(VALUES[column.type] for column in dataset.columns) for _ in range(rows)]
    with opened_dataset(root, dataset, DISK) as folder:
        return folder.publish(
            day,
            KnowledgeTime(NOON_US + as_of),
            lambda out: write_dataset(out, dataset.columns, [values] if values else [], {}),
            now_us=WallTime(NOON_US),
        )


@pytest.mark.parametrize("stream", STREAMS, ids=lambda each: each.name)
def test_a_published_day_is_of_a_table(root: Path, home: Path, stream: Any) -> None:
    """With the columns and types of its declaration, by day of event time."""
    dataset = Dataset(stream=stream, interval="1m" if stream.by_interval else "")
    publish(root, 1, 3, dataset=dataset)

    registered(root, home)

    (name,) = tables(home)
    rows = one_table(home).scan().to_arrow()
    assert name == (f"{stream.name}_1m" if stream.by_interval else stream.name)
    assert rows.column_names == [column.name for column in dataset.columns]
    assert rows.num_rows == 3
    assert [str(each.partition) for each in (task.file for task in one_table(home).scan().plan_files())]


def test_a_day_published_again_takes_the_place_of_the_earlier(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, in one snapshot; the one before still has what was known then, however many there are."""
    from sinks.archive.shell import iceberg

    monkeypatch.setattr(iceberg, "KEPT_SNAPSHOTS", 1)
    for as_of, rows in ((1, 3), (2, 4)):
        publish(root, as_of, rows)
    publish(root, 3, 2, day="2025-11-29")

    registered(root, home)

    table = one_table(home)
    assert table.scan().count() == 6
    said = {own_summary(each)["mds.as-of-us"]: each.snapshot_id for each in table.snapshots()}
    assert list(said) == [str(NOON_US + n) for n in (1, 2, 3)]
    assert table.scan(snapshot_id=said[str(NOON_US + 1)]).count() == 3
    assert table.scan(snapshot_id=said[str(NOON_US + 2)]).count() == 4


@pytest.mark.slow
def test_killed_while_a_day_is_exchanged_rows_are_there_once(root: Path, home: Path, tmp_path: Path) -> None:
    """The old or the new, never both nor neither."""
    publish(root, 1, 3)
    publish(root, 2, 4)
    moments = with_moments(0, raise_killed)
    registered(root, home, more=IMPL)

    for at in range(1, moments.count + 1):
        place = tmp_path / f"killed-{at}"
        shutil.rmtree(root / FOLDER)
        with_moments(at, raise_killed)
        with pytest.raises(Killed):
            registered(root, place, more=IMPL)
        if tables(place):
            assert one_table(place).scan().count() in (0, 3, 4)
        registered(root, place)
        assert one_table(place).scan().count() == 4, at


def test_a_day_without_a_row_is_no_file_of_the_table(root: Path, home: Path) -> None:
    """Published again with rows it is."""
    publish(root, 1, 0)
    registered(root, home)
    assert one_table(home).snapshots() == []

    publish(root, 2, 2)
    registered(root, home)

    assert one_table(home).scan().count() == 2


def test_a_publication_that_waits_for_its_name_is_awaited(root: Path, home: Path) -> None:
    """It has its line; the next publication gives it its name."""
    publish(root, 1, 1)
    line = publish(root, 2, 2)
    final = root / MINUTES.folder / line.path
    final.rename(tmp := root / MINUTES.folder / ".waits")

    (caught,) = registered(root, home)
    assert not caught.is_refused
    assert one_table(home).scan().count() == 1

    tmp.rename(final)
    registered(root, home)
    assert one_table(home).scan().count() == 2


def test_the_command_says_what_it_did(root: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Table by table; a log that is refused makes it fail, and is named."""
    folder, _ = filled(root, 2)
    publish(root, 1, 1_234)

    assert [command(root, shared(home), DISK) for _ in range(2)] == [0, 0]

    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first.endswith(f": 2 files of {folder.path.relative_to(root)}, 10 rows")
    assert second == "mds.bars_1m: 1 files of bars/interval=1m, 1,234 rows"
    assert all("nothing new of" in line for line in rest)
    (folder.path / "manifest.jsonl").write_bytes(b"{}\n")
    assert command(root, shared(home), DISK) == 1
    assert capsys.readouterr().out.startswith("refused: raw.trades.v1/")


def test_where_nothing_is_archived_nothing_is_made(
    root: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is not there is a wrong name; an empty one has nothing yet."""
    with pytest.raises(ConfigurationError, match="there is no archive at"):
        command(root, shared(home), DISK)
    assert not root.exists()

    root.mkdir()

    assert command(root, shared(home), DISK) == 0
    assert capsys.readouterr().out.startswith("nothing is archived in")
    assert list(root.iterdir()) == []


def test_a_catalog_that_does_not_answer_is_not_the_archives(root: Path, home: Path) -> None:
    """Where its address was wrong the right one may be named next; before that nothing of it is in the archive."""
    filled(root, 1)
    with pytest.raises(CatalogUnavailable):
        command(root, shared(home, MDS_ICEBERG_CATALOG_URI="postgresql://127.0.0.1:1/lake"), DISK)
    assert marked(root) is None

    assert command(root, shared(home), DISK) == 0

    with pytest.raises(ConfigurationError, match=r"files of .* are registered in sqlite"):
        command(root, shared(home, MDS_ICEBERG_CATALOG_URI="postgresql://127.0.0.1:1/lake"), DISK)


def test_polars_and_duckdb_read_it_too(root: Path, home: Path) -> None:
    """Over the scan of pyiceberg, without a download."""
    filled(root, 2)
    registered(root, home)
    scan = one_table(home).scan(row_filter="offset >= 4")

    duckdb = scan.to_duckdb("raw")

    assert scan.to_polars()["offset"].sort().to_list() == [4, 5, 6, 7, 8, 9]
    assert duckdb.sql('SELECT count(*), max("offset") FROM raw').fetchall() == [(6, 9)]

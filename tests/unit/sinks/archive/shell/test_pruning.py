"""Pruning, where files are in an Iceberg catalog: they leave it before they go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.runtime.settings import MdsSettings
from schemas.archive.manifest import KeptFile
from schemas.clocks import WallTime
from schemas.errors import ArchiveUnavailable, ConfigurationError
from sinks.archive.shell import disk as disks
from sinks.archive.shell.catalog_place import FOLDER, MARK, lock_folder, place_in_use
from sinks.archive.shell.disk import locked
from sinks.archive.shell.folder import Folder
from sinks.archive.shell.inspection import read_folder
from sinks.archive.shell.pruning import pruned
from tests.support.archive_files import filled, keep_hours
from tests.support.archives import NOON_US, Killed, raise_killed
from tests.support.catalogs import offsets, one_table, registered, require_iceberg

IMPL = {"py-io-impl": "tests.support.dying_catalog.DyingIO"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The archive's folder."""
    return tmp_path / "archive"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of the catalog."""
    return tmp_path / "home"


def prune(
    root: Path, home: Path, folder: Folder, files: list[KeptFile], more: Mapping[str, str] | None = None
) -> list[str]:
    """Prune files and return what is said."""
    used = place_in_use(root, MdsSettings.from_env({"MDS_HOME": str(home)}))
    chosen = None if used is None else replace(used, properties={**used.properties, **(more or {})})
    return list(pruned(root, chosen, [(read_folder(folder.path), files)], (), WallTime(NOON_US)))


def on_disk(root: Path) -> int:
    """Return how many files there are."""
    return len(list(root.rglob("*.parquet")))


def test_pruned_files_have_left_the_catalog(root: Path, home: Path) -> None:
    """Rows and snapshots of it are those of files that are there; what comes after is registered as ever."""
    require_iceberg()
    folder, files = filled(root, 4)
    registered(root, home)

    (said,) = prune(root, home, folder, files[:2])
    folder = Folder(
        root,
        folder.tail.begun,
        disk=disks.Disk(keep_free_bytes=0),
        ownership=disks.Ownership.take(root, disks.Disk()),
    )
    keep_hours(folder, 1)
    registered(root, home)

    assert "2 of them left the Iceberg catalog before" in said
    assert offsets(home) == [(3, n) for n in range(10, 25)]
    assert on_disk(root) == 3
    paths = one_table(home).inspect.all_data_files()["file_path"].to_pylist()
    assert all(Path(path.removeprefix("file://")).exists() for path in paths)


@pytest.mark.slow
def test_killed_while_pruning_no_row_is_of_a_file_that_is_gone(
    tmp_path: Path,
) -> None:
    """At whatever moment; pruning again ends it, and a pass in between registers nothing that left."""
    require_iceberg()
    from tests.support.dying_catalog import Moments

    at, is_done = 0, False
    while not is_done:
        at += 1
        here, place = tmp_path / f"archive-{at}", tmp_path / f"home-{at}"
        folder, files = filled(here, 3)
        registered(here, place)
        Moments.begin(at, raise_killed)
        try:
            prune(here, place, folder, files[:2], IMPL)
            is_done = True
        except Killed:
            assert on_disk(here) == 3, at
        registered(here, place)
        assert offsets(place) in ([(3, n) for n in range(15)], [(3, n) for n in range(10, 15)]), at
        if not is_done:
            prune(here, place, folder, files[:2])
        assert offsets(place) == [(3, n) for n in range(10, 15)], at
        assert on_disk(here) == 1
    assert at > 10


def test_what_was_never_registered_is_pruned_without_the_extra(root: Path, home: Path) -> None:
    """Nobody needs it who has no catalog."""
    folder, files = filled(root, 2)

    (said,) = prune(root, home, folder, files[:1])

    assert said.endswith("pruned 1 files, offsets up to 4")
    assert on_disk(root) == 1


def test_files_in_a_catalog_that_settings_do_not_name_stay(root: Path, home: Path) -> None:
    """It would point to files that are gone."""
    folder, files = filled(root, 2)
    (root / FOLDER).mkdir()
    (root / FOLDER / MARK).write_text(json.dumps({"catalog": "postgresql://db/lake", "namespace": "mds"}))

    with pytest.raises(
        ConfigurationError, match=r"registered in postgresql://db/lake.*set MDS_ICEBERG_CATALOG_URI"
    ):
        prune(root, home, folder, files[:1])

    assert on_disk(root) == 2


def test_nothing_is_pruned_while_files_are_registered(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the other way round: a file could be registered that is being deleted."""
    require_iceberg()
    folder, files = filled(root, 2)
    registered(root, home)
    monkeypatch.setattr(disks, "LOCKED_WITHIN_S", 0.0)

    acts: list[Any] = [lambda: prune(root, home, folder, files[:1]), lambda: registered(root, home)]
    for act in acts:
        with (
            locked(lock_folder(root)),
            pytest.raises(ArchiveUnavailable, match="files of it are registered or pruned"),
        ):
            act()

    assert on_disk(root) == 2

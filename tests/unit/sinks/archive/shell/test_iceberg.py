"""The catalog and its tables: what is refused, what is taken out, and what does not grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.runtime.settings import MdsSettings
from schemas.errors import CatalogUnavailable, ConfigurationError
from sinks.archive.registration import Outrun, table_of_topic
from sinks.archive.shell.catalog_place import location_of, place_of
from tests.support.archive_files import filled, keep_hours
from tests.support.archives import begun
from tests.support.catalogs import (
    next_offset,
    offsets,
    one_table,
    opened_catalog,
    registered,
    require_iceberg,
)


@pytest.fixture(autouse=True)
def _extra() -> None:
    require_iceberg()


def opened(**env: str) -> Any:
    """Open the catalog that settings name."""
    from sinks.archive.shell.iceberg import Catalog

    return Catalog(place_of(MdsSettings.from_env(env)))


def table_at(root: Path, home: Path) -> Any:
    """Return the table of raw trades, as a registrar has it."""
    return opened_catalog(root, home).table(table_of_topic(begun()), location_of(root))


def metadata_files(home: Path) -> set[str]:
    """Return all that lies in the warehouse."""
    return {path.name for path in (home / "iceberg" / "warehouse").rglob("*.*") if path.is_file()}


def test_a_database_that_does_not_answer_is_said_without_its_password() -> None:
    """To be tried again."""
    with pytest.raises(
        CatalogUnavailable, match=r"postgresql://127\.0\.0\.1:1/lake does not take it now"
    ) as caught:
        opened(MDS_ICEBERG_CATALOG_URI="postgresql://mds:hunter2@127.0.0.1:1/lake")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("uri", ["postgresql+nodriver://db/lake", "sqlite+nodriver:////x"])
def test_a_driver_that_is_none_is_refused(uri: str) -> None:
    """With the setting and what may stand in it."""
    with pytest.raises(
        ConfigurationError, match=r"MDS_ICEBERG_CATALOG_URI: .* is no catalog.*write postgresql://"
    ):
        opened(MDS_ICEBERG_CATALOG_URI=uri)


def test_the_table_of_another_archive_is_refused(tmp_path: Path) -> None:
    """The same topic, archived twice: their files would be mixed."""
    home = tmp_path / "home"
    for name in ("one", "two"):
        filled(tmp_path / name, 1)
    registered(tmp_path / "one", home)

    (caught,) = registered(tmp_path / "two", home)

    assert caught.is_refused
    assert "MDS_ICEBERG_NAMESPACE" in caught.text
    assert len(offsets(home)) == 5


def test_what_is_read_too_early_is_outrun(tmp_path: Path) -> None:
    """Of two who read the same snapshot one commits; the other one's metadata is cleared away."""
    root, home = tmp_path / "archive", tmp_path / "home"
    folder, (first, second) = filled(root, 2)
    one, other = table_at(root, home), table_at(root, home)
    one.register(f"file://{folder.path / first.path}", {"mds.next-offset.3": "5"})
    before = metadata_files(home)

    with pytest.raises(Outrun):
        other.register(f"file://{folder.path / second.path}", {"mds.next-offset.3": "10"})

    assert metadata_files(home) == before
    other.reload()
    assert other.said() == {"mds.next-offset.3": "5"}


def test_a_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    """With what to do."""
    root, home = tmp_path / "archive", tmp_path / "home"
    filled(root, 1)
    registered(root, home)
    with one_table(home).update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("value")
    table = table_at(root, home)

    with pytest.raises(ConfigurationError, match=r"does not fit the table mds\.raw_trades.*drop the table"):
        table.register(next(f"file://{path}" for path in root.rglob("*.parquet")), {})


def test_files_are_taken_out_with_every_snapshot_that_has_them(tmp_path: Path) -> None:
    """Nothing in the catalog points to them any more; how far the table is stays as it was. Again it is nothing."""
    root, home = tmp_path / "archive", tmp_path / "home"
    folder, files = filled(root, 4)
    registered(root, home)
    table, gone = table_at(root, home), [f"file://{folder.path / each.path}" for each in files[:3]]

    assert table.forget(gone) == 3
    assert table.forget(gone) == 0

    there = one_table(home)
    assert there.inspect.all_data_files()["file_path"].to_pylist() == [
        f"file://{folder.path / files[3].path}"
    ]
    assert len(there.snapshots()) == 1
    assert offsets(home) == [(3, n) for n in range(15, 20)]
    assert table_at(root, home).said()["mds.next-offset.3"] == "20"


def test_a_tag_keeps_what_it_names(tmp_path: Path) -> None:
    """Taking files out is refused before anything is changed."""
    root, home = tmp_path / "archive", tmp_path / "home"
    folder, (first, _) = filled(root, 2)
    registered(root, home)
    there = one_table(home)
    there.manage_snapshots().create_tag(there.snapshots()[0].snapshot_id, "audit").commit()

    with pytest.raises(ConfigurationError, match="branches or tags audit"):
        table_at(root, home).forget([f"file://{folder.path / first.path}"])

    assert len(offsets(home)) == 10


def test_snapshots_and_their_metadata_do_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many as are kept and the oldest go, with what only they had; every row stays."""
    from sinks.archive.shell import iceberg

    monkeypatch.setattr(iceberg, "KEPT_SNAPSHOTS", 3)
    monkeypatch.setitem(iceberg.BOUNDED, "write.metadata.previous-versions-max", "3")
    root, home = tmp_path / "archive", tmp_path / "home"
    folder, _ = filled(root, 7)
    registered(root, home)
    assert 3 <= len(one_table(home).snapshots()) < 6
    count = len(metadata_files(home))

    for _ in range(4):
        keep_hours(folder, 3)
        registered(root, home)

    assert 3 <= len(one_table(home).snapshots()) < 6
    assert next_offset(home) == 95
    assert offsets(home) == [(3, n) for n in range(95)]
    lists = [name for name in metadata_files(home) if name.startswith("snap-")]
    assert len(lists) == len(one_table(home).snapshots())
    assert len([name for name in metadata_files(home) if name.endswith(".json")]) <= 5
    assert count <= len(metadata_files(home)) < 60

"""The catalog that settings name, and the mark in an archive whose files are in one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from infra.runtime.settings import MdsSettings
from schemas.errors import ArchiveUnavailable, ConfigurationError
from sinks.archive.shell.catalog_place import (
    FOLDER,
    MARK,
    CatalogPlace,
    location_of,
    mark,
    marked,
    place_in_use,
    place_of,
    require_extra,
)
from sinks.archive.shell.disk import Disk

DISK = Disk(keep_free_bytes=0)


def named(uri: str = "", **more: str) -> CatalogPlace:
    """Return the place that these settings name."""
    return place_of(MdsSettings.from_env({"MDS_ICEBERG_CATALOG_URI": uri, "MDS_HOME": "/srv/mds", **more}))


def test_without_settings_it_is_a_file_in_the_home() -> None:
    """As is the metadata of its tables."""
    assert named().properties == {
        "type": "sql",
        "uri": "sqlite:////srv/mds/iceberg/catalog.db",
        "warehouse": "file:///srv/mds/iceberg/warehouse",
    }


def test_a_database_or_a_service_may_be_named() -> None:
    """A service has a warehouse of its own, unless one is named."""
    database = named("postgres://mds:pw@db:5433/lake", MDS_ICEBERG_WAREHOUSE="s3://lake/mds")
    service = named("https://lake.example/catalog", MDS_ICEBERG_TOKEN="tok")

    assert database.properties == {
        "type": "sql",
        "uri": "postgresql+psycopg2://mds:pw@db:5433/lake",
        "warehouse": "s3://lake/mds",
    }
    assert service.properties == {"type": "rest", "uri": "https://lake.example/catalog", "token": "tok"}


def test_no_secret_is_shown() -> None:
    """Not where it is named, not in what the catalog says, not in its own words for itself."""
    database = named("postgresql://mds:hunter2@db:5433/lake?sslpassword=x")
    service = named("https://lake.example", MDS_ICEBERG_CREDENTIAL="id:s3cret", MDS_ICEBERG_TOKEN="t0ken")

    assert database.shown == "postgresql://db:5433/lake"
    assert "hunter2" not in repr(database)
    assert database.without_secrets(OSError("refused hunter2\nat db")) == "refused ***"
    assert service.without_secrets(OSError("t0ken or id:s3cret")) == "*** or id:***"
    assert service.without_secrets(OSError()) == "OSError"


@pytest.mark.parametrize(
    "uri", ["mysql://db/lake", "lake", "postgresql://db:port/lake", "thrift://hive:9083"]
)
def test_what_is_no_catalog_is_refused(uri: str) -> None:
    """With the setting and what may stand in it."""
    with pytest.raises(ConfigurationError, match=r"MDS_ICEBERG_CATALOG_URI.*write postgresql://"):
        named(uri)


def test_a_namespace_is_a_name() -> None:
    """Of one level, as every engine takes it."""
    with pytest.raises(ConfigurationError, match="MDS_ICEBERG_NAMESPACE"):
        named(MDS_ICEBERG_NAMESPACE="a.b")


def test_a_path_that_no_location_can_have_is_refused(tmp_path: Path) -> None:
    """Rather than registered under another name."""
    assert location_of(tmp_path / "a b=c") == f"file://{tmp_path}/a b=c"
    with pytest.raises(ConfigurationError, match=r"# \? %"):
        location_of(tmp_path / "a#b")


def test_the_mark_names_one_catalog(tmp_path: Path) -> None:
    """Another one is refused, with what to do."""
    root, home = tmp_path / "archive", tmp_path / "home"
    place = named(MDS_HOME=str(home))
    assert marked(root) is None

    for _ in range(2):
        mark(root, place, DISK)

    assert marked(root) == {"catalog": place.shown, "namespace": "mds"}
    with pytest.raises(
        ConfigurationError, match=r"namespace mds; settings name .*namespace lake.*MDS_ICEBERG_NAMESPACE"
    ):
        mark(root, named(MDS_HOME=str(home), MDS_ICEBERG_NAMESPACE="lake"), DISK)


def test_a_mark_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    """Pruning would leave the catalog with files that are gone."""
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / MARK).write_text("{")

    with pytest.raises(ArchiveUnavailable, match="cannot be read"):
        marked(tmp_path)


@pytest.mark.parametrize("missing", ["pyiceberg", "pyiceberg_core", "pyarrow"])
def test_without_the_extra_one_is_told_how_to_get_it(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by pruning, where files are registered; where none is nobody needs it."""
    monkeypatch.setitem(sys.modules, missing, None)
    shared = MdsSettings.from_env({"MDS_HOME": str(tmp_path)})
    assert place_in_use(tmp_path, shared) is None

    mark(tmp_path, place_of(shared), DISK)

    with pytest.raises(ConfigurationError, match="market-data-service\\[iceberg\\]"):
        require_extra()
    with pytest.raises(ConfigurationError, match="market-data-service\\[iceberg\\]"):
        place_in_use(tmp_path, shared)

"""Archived files in catalogs of other processes: a PostgreSQL database, and a server of the REST protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.runtime.settings import MdsSettings
from schemas.errors import CatalogUnavailable, ConfigurationError
from sinks.archive.shell.disk import Disk, Ownership
from sinks.archive.shell.folder import Folder
from sinks.archive.shell.registering import command
from tests.support.archive_files import filled, keep_hours
from tests.support.archives import begun
from tests.support.catalogs import require_iceberg
from tests.support.sink_records import ROOT

if TYPE_CHECKING:
    from tests.support.rest_catalog import RestServer

DISK = Disk(keep_free_bytes=0)


@pytest.fixture(autouse=True)
def _extra() -> None:
    require_iceberg()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestServer]:
    """A REST catalog."""
    from tests.support.rest_catalog import serving

    with serving(tmp_path / "lake") as served:
        yield served


def offsets(table: Any) -> list[int]:
    """Return the offsets of a table's rows, in their order."""
    return sorted(table.scan().to_arrow()["offset"].to_pylist())


def test_two_processes_register_in_postgresql_at_once(tmp_path: Path, database: str) -> None:
    """Neither fails, and every row is there once; the catalog's own tables are made on the way."""
    from pyiceberg.catalog import load_catalog

    root, home = tmp_path / "archive", tmp_path / "home"
    ownership = Ownership.take(root, DISK)
    for topic_id in ("one", "two", "three"):
        keep_hours(Folder(root, begun(topic_id=topic_id), disk=DISK, ownership=ownership), 3)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MDS_", "SINKS_"))}
    env |= {"MDS_HOME": str(home), "SINKS_ARCHIVE": str(root), "MDS_ICEBERG_CATALOG_URI": database}
    call = [sys.executable, "-m", "sinks", "archive", "iceberg"]

    both = [
        subprocess.Popen(call, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=90) for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert [err for _, err in said] == ["", ""]
    catalog = load_catalog(
        "mds", uri=database.replace("postgresql:", "postgresql+psycopg2:"), warehouse=f"file://{home}"
    )
    tables = [catalog.load_table(name) for name in catalog.list_tables("mds")]
    assert [offsets(table) for table in tables] == [list(range(15))] * 3
    assert [len(table.snapshots()) for table in tables] == [3, 3, 3]


def settings(server: RestServer, token: str | None = None) -> MdsSettings:
    """Return settings that name a REST catalog."""
    from tests.support.rest_catalog import TOKEN

    return MdsSettings.from_env(
        {"MDS_ICEBERG_CATALOG_URI": server.uri, "MDS_ICEBERG_TOKEN": TOKEN if token is None else token}
    )


def rest_offsets(server: RestServer) -> list[int]:
    """Return the offsets of the only table's rows."""
    (name,) = server.catalog.list_tables("mds")
    return offsets(server.catalog.load_table(name))


def test_a_rest_catalog_takes_files_once(tmp_path: Path, server: RestServer) -> None:
    """One commit each; again there is nothing to commit."""
    root = tmp_path / "archive"
    filled(root, 3)

    assert [command(root, settings(server), DISK) for _ in range(2)] == [0, 0]

    assert rest_offsets(server) == list(range(15))
    assert server.commits == 3


def test_a_commit_of_which_nobody_knows_is_looked_for(tmp_path: Path, server: RestServer) -> None:
    """Taken, and answered with a failure: at once where it says so, by the next run where it does not answer at all."""
    root = tmp_path / "archive"
    filled(root, 3)
    server.failing = [503, 500]  # the last is the first

    with pytest.raises(CatalogUnavailable, match="does not take it now"):
        command(root, settings(server), DISK)
    assert command(root, settings(server), DISK) == 0

    assert rest_offsets(server) == list(range(15))
    assert server.commits == 3


def test_a_token_that_is_refused_is_named(tmp_path: Path, server: RestServer) -> None:
    """By its setting, not by its value."""
    filled(tmp_path / "archive", 1)

    with pytest.raises(ConfigurationError, match="set MDS_ICEBERG_TOKEN") as caught:
        command(tmp_path / "archive", settings(server, "t0p-secret"), DISK)

    assert "t0p-secret" not in str(caught.value)

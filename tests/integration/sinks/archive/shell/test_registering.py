"""Archived files in a catalog behind a server of the REST protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.runtime.settings import MdsSettings
from schemas.errors import CatalogUnavailable, ConfigurationError
from sinks.archive.shell.disk import Disk
from sinks.archive.shell.registering import command
from tests.support.archive_files import filled
from tests.support.catalogs import require_iceberg

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

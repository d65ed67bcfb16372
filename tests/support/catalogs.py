"""Iceberg catalogs of tests, and an archive's rows as they are read through one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError
from sinks.archive.shell.catalog_place import FOLDER, CatalogPlace, mark, place_of, require_extra
from sinks.archive.shell.disk import Disk
from sinks.archive.shell.registering import Caught, register
from tests.support.requirements import absent

if TYPE_CHECKING:
    from sinks.archive.shell.iceberg import Catalog


def require_iceberg() -> None:
    """Leave the test out where the extra is not installed, and fail it where everything is required."""
    try:
        require_extra()
    except ConfigurationError as error:
        absent(str(error))


def place(home: Path, *, namespace: str = "mds", more: Mapping[str, str] | None = None) -> CatalogPlace:
    """Return a catalog in SQLite below a folder, with more properties for pyiceberg."""
    named = place_of(MdsSettings.from_env({"MDS_HOME": str(home), "MDS_ICEBERG_NAMESPACE": namespace}))
    return replace(named, properties={**named.properties, **(more or {})})


def opened_catalog(root: Path, home: Path, *, more: Mapping[str, str] | None = None) -> Catalog:
    """Open a catalog for an archive, which is marked."""
    require_iceberg()
    from sinks.archive.shell.iceberg import Catalog

    chosen = place(home, more=more)
    (home / FOLDER).mkdir(parents=True, exist_ok=True)
    mark(root, chosen, Disk(keep_free_bytes=0))
    return Catalog(chosen)


def registered(root: Path, home: Path, *, more: Mapping[str, str] | None = None) -> list[Caught]:
    """Register an archive once, as a process of its own would."""
    return list(register(root, opened_catalog(root, home, more=more)))


def tables(home: Path, namespace: str = "mds") -> dict[str, Any]:
    """Return the tables of a catalog by their names, as any reader has them."""
    require_iceberg()
    from pyiceberg.catalog import load_catalog

    catalog = load_catalog("mds", **place(home).properties)
    names = [name for _, name in catalog.list_tables(namespace)] if catalog.list_namespaces() else []
    return {name: catalog.load_table(f"{namespace}.{name}") for name in names}


def one_table(home: Path) -> Any:
    """Return the only table of a catalog."""
    (table,) = tables(home).values()
    return table


def offsets(home: Path) -> list[tuple[int, int]]:
    """Return partition and offset of every row of the only table, in their order."""
    rows = one_table(home).scan().to_arrow().select(["partition", "offset"]).to_pylist()
    return sorted((row["partition"], row["offset"]) for row in rows)


def next_offset(home: Path, partition: int = 3) -> int:
    """Return from where on the current snapshot says the partition is not registered."""
    return int(
        one_table(home).current_snapshot().summary.additional_properties[f"mds.next-offset.{partition}"]
    )

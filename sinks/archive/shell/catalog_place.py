"""Place of the Iceberg catalog, by settings; and the mark in an archive by which others know that files of it are in one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.runtime.settings import MdsSettings
from schemas.errors import ArchiveUnavailable, ConfigurationError
from sinks.archive.shell.disk import Disk

CATALOG = "mds"  # the name under which an SQL catalog files its tables
FOLDER, MARK = "iceberg", "catalog.json"
A_URI = "write postgresql://USER:PASSWORD@HOST/DATABASE, sqlite:////PATH, or https://… of a REST catalog"
NOT_INSTALLED = ConfigurationError(
    "the extra [iceberg] is not installed",
    remedy="install 'market-data-service[iceberg]'; in a checkout `make setup EXTRA=iceberg` does it",
)
WITHOUT_DRIVER = re.compile(r"^postgres(?:ql)?://")
IN_NO_LOCATION = frozenset("#?%")  # pyiceberg reads locations as URLs, and takes these for something else


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPlace:
    """A catalog: how pyiceberg opens it, and how it is shown, without passwords."""

    properties: Mapping[str, str] = field(repr=False)
    namespace: str
    shown: str
    secrets: frozenset[str] = field(repr=False)
    home: Path | None  # the folder of what is not named by settings

    def without_secrets(self, error: Exception) -> str:
        """Return the first line of what an error says, or what it is."""
        text = (str(error).splitlines() or [""])[0].strip() or type(error).__name__
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def place_of(shared: MdsSettings) -> CatalogPlace:
    """Return the catalog that settings name; raise ConfigurationError where they name none that we can open."""
    home = shared.home.absolute() / FOLDER
    uri = shared.iceberg_catalog_uri.get_secret_value() or f"sqlite:///{home / 'catalog.db'}"
    # the driver that the extra brings: which one is meant without a name depends on the version of SQLAlchemy
    uri = WITHOUT_DRIVER.sub("postgresql+psycopg2://", uri)
    shown = _shown(uri)
    is_rest = uri.startswith(("http://", "https://"))
    token, credential = (
        each.get_secret_value() for each in (shared.iceberg_token, shared.iceberg_credential)
    )
    properties = {
        "type": "rest" if is_rest else "sql",
        "uri": uri,
        "warehouse": shared.iceberg_warehouse or ("" if is_rest else f"file://{home / 'warehouse'}"),
        "token": token,
        "credential": credential,
    }
    parts = urlsplit(uri)
    secrets = (uri if parts.password else "", parts.password, token, credential.partition(":")[2])
    return CatalogPlace(
        properties={name: value for name, value in properties.items() if value},
        namespace=shared.iceberg_namespace,
        shown=shown,
        secrets=frozenset(filter(None, secrets)),
        home=None if is_rest else home,
    )


def _shown(uri: str) -> str:
    """Return a catalog's URI without user, password and parameters."""
    try:
        parts = urlsplit(uri)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme.partition("+")[0] not in ("sqlite", "postgresql", "http", "https"):
        raise ConfigurationError(
            f"MDS_ICEBERG_CATALOG_URI begins with {parts.scheme or 'nothing'!r}, which is no catalog we can use",
            remedy=A_URI,
        )
    return f"{parts.scheme.partition('+')[0]}://{parts.hostname or ''}{port}{parts.path}"


def require_extra() -> None:
    """Raise ConfigurationError where pyiceberg, or what it needs for partitions by day, is not installed."""
    if find_spec("pyiceberg") is None or find_spec("pyiceberg_core") is None or find_spec("pyarrow") is None:
        raise NOT_INSTALLED


def location_of(root: Path) -> str:
    """Return an archive's folder as tables name it."""
    path = str(root.absolute())
    if IN_NO_LOCATION & set(path):
        raise ConfigurationError(
            f"the archive {path} has one of the characters # ? % in its path, which a location in Iceberg cannot have",
            remedy="move it to a folder without them",
        )
    return f"file://{path}"


def lock_folder(root: Path) -> Path:
    """Return the folder whose lock is held by who registers or takes files out."""
    return root / FOLDER


def mark(root: Path, place: CatalogPlace, disk: Disk) -> None:
    """Note in an archive in which catalog its files are, before the first; raise ConfigurationError where that is another."""
    there = marked(root)
    if there is not None:
        _require_same(root, there, place)
        return
    disk.make_folder(lock_folder(root))
    path = lock_folder(root) / MARK
    temporary = path.with_suffix(".tmp")
    with disk.new_file(temporary) as file:
        file.write(json.dumps(_told(place)).encode() + b"\n")
    disk.rename(temporary, path)


def marked(root: Path) -> dict[str, Any] | None:
    """Return what the mark says, None where no file was ever registered; raises ArchiveUnavailable."""
    path = lock_folder(root) / MARK
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise ArchiveUnavailable(f"{path} cannot be read: {error}") from error


def place_in_use(root: Path, shared: MdsSettings) -> CatalogPlace | None:
    """Return the catalog in which files of an archive are, None where none is.

    Raises ConfigurationError where settings name another, or files cannot be taken out of it here.
    """
    there = marked(root)
    if there is None:
        return None
    place = place_of(shared)
    _require_same(root, there, place)
    require_extra()
    return place


def _told(place: CatalogPlace) -> dict[str, str]:
    return {"catalog": place.shown, "namespace": place.namespace}


def _require_same(root: Path, there: Mapping[str, Any], place: CatalogPlace) -> None:
    if there != _told(place):
        raise ConfigurationError(
            f"files of {root} are registered in {there.get('catalog')}, namespace {there.get('namespace')}; "
            f"settings name {place.shown}, namespace {place.namespace}",
            remedy="set MDS_ICEBERG_CATALOG_URI and MDS_ICEBERG_NAMESPACE to those, or drop that namespace's tables and "
            f"delete {lock_folder(root) / MARK}",
        )

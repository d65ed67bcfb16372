"""The archive's routes alone, on a folder and without a database: what is sent follows from the disk."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import aiohttp
from aiohttp.test_utils import TestServer
from yarl import URL

from gateway.archive.shell.archive import Archive
from gateway.archive.shell.reading import ArchiveFolder
from gateway.database.shell.snapshot import Snapshots
from gateway.http.access import Access
from gateway.http.shell.app import application
from gateway.operations.shell.configuration import Configured
from tests.support.declared import check_declared


class Sent(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """Return its body as JSON."""
        return json.loads(self.body)


@dataclass
class ArchiveGateway:
    """A running gateway of the archive."""

    url: str
    session: aiohttp.ClientSession

    async def ask(self, path: str, method: str = "GET", **headers: str) -> Sent:
        """Return the answer to a request for a path as it stands, which a client that tidies paths would not send."""
        url = URL(f"{self.url}/archive{path}", encoded=True)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, url, headers=named) as response:
            sent = Sent(response.status, await response.read(), response.headers)
            is_json = "json" in response.content_type and sent.body
            check_declared(
                method, "/archive" + path, sent.status, response.content_type, sent.json if is_json else ""
            )
            return sent


@asynccontextmanager
async def archive_gateway(root: Path, *, partitions: int = 1) -> AsyncIterator[ArchiveGateway]:
    """Serve an archive inside; a listing of one day would need the database."""
    folder = ArchiveFolder(root, setting="GATEWAY_ARCHIVE")
    archive = Archive(folder, cast("Snapshots", None), Configured(None, frozenset()), partitions)
    app = application([archive], Access([], required=False))
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield ArchiveGateway(url=f"http://127.0.0.1:{server.port}", session=session)

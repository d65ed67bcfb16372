"""A REST catalog: the protocol of Iceberg's specification, as far as registering needs it, over pyiceberg's own SQL catalog."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
from pyiceberg.catalog.rest import CreateTableRequest, TableResponse
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.table import CommitTableRequest

TOKEN = "tok-1"
STATUS = {
    NoSuchTableError: 404, NoSuchNamespaceError: 404, TableAlreadyExistsError: 409, NamespaceAlreadyExistsError: 409,
    CommitFailedException: 409,
}  # fmt: skip


class RestServer(ThreadingHTTPServer):
    """The server; `failing` are statuses that the next commits are answered with although they were taken."""

    daemon_threads = True

    def __init__(self, home: Path) -> None:
        """Keep tables and metadata in a folder."""
        super().__init__(("127.0.0.1", 0), _Handler)
        home.mkdir(parents=True, exist_ok=True)
        self.catalog = SqlCatalog(
            "behind", uri=f"sqlite:///{home}/c.db", warehouse=f"file://{home}/warehouse"
        )
        self.failing: list[int] = []
        self.commits = 0
        self.turn = threading.Lock()

    @property
    def uri(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: RestServer

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: str = "") -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _table(self, table: Any) -> str:
        return TableResponse(
            metadata=table.metadata, **{"metadata-location": table.metadata_location}
        ).model_dump_json()

    def _fault(self, status: int, kind: str) -> None:
        self._answer(status, f'{{"error": {{"message": "{kind}", "type": "{kind}", "code": {status}}}}}')

    def _served(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._fault(401, "NotAuthorizedException")
            return
        try:
            with self.server.turn:
                self._routed(self.path.strip("/").split("/")[1:], body)
        except tuple(STATUS) as error:
            self._fault(STATUS[type(error)], type(error).__name__)

    do_GET = do_POST = do_HEAD = _served  # noqa: N815 - the names are the library's

    def _routed(self, parts: list[str], body: bytes) -> None:
        catalog = self.server.catalog
        match self.command, parts:
            case "GET", ["config"]:
                self._answer(200, '{"defaults": {}, "overrides": {}}')
            case "POST", ["namespaces"]:
                catalog.create_namespace("mds")
                self._answer(200, '{"namespace": ["mds"], "properties": {}}')
            case "POST", ["namespaces", namespace, "tables"]:
                left_out = {"location": None, "write-order": None, "partition-spec": None}
                asked = CreateTableRequest.model_validate(left_out | orjson.loads(body))
                made = catalog.create_table(
                    f"{namespace}.{asked.name}",
                    asked.table_schema,
                    partition_spec=asked.partition_spec,
                    properties=asked.properties,
                )
                self._answer(200, self._table(made))
            case "GET", ["namespaces", namespace, "tables", name]:
                self._answer(200, self._table(catalog.load_table(f"{namespace}.{name}")))
            case "POST", ["namespaces", namespace, "tables", name]:
                changes = CommitTableRequest.model_validate_json(body)
                done = catalog.commit_table(
                    catalog.load_table(f"{namespace}.{name}"), changes.requirements, changes.updates
                )
                self.server.commits += 1
                if self.server.failing:
                    self._fault(self.server.failing.pop(), "InternalServerError")
                else:
                    self._answer(200, done.model_dump_json())
            case _:
                self._fault(404, "NoSuchRoute")


@contextmanager
def serving(home: Path) -> Iterator[RestServer]:
    """Serve a catalog, on a port of its own."""
    with RestServer(home) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

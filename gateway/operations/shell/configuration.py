"""`POST /ops/validate` and `POST /ops/reload`: try a configuration, and ask every process to load the file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.http.parameters import Parameters
from gateway.http.problems import Problem
from gateway.http.shell.answers import REQUEST_ID, Endpoint, document
from infra.runtime.configuration import reading
from infra.runtime.configuration.announcing import Announced, announce
from infra.runtime.configuration.following import Follower
from infra.runtime.settings import MdsSettings
from infra.runtime.threads import in_daemon_thread
from schemas.configuration.difference import difference
from schemas.configuration.model import (
    MAX_FILE_BYTES,
    Configuration,
    read_text,
    text_of,
)
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.located_yaml import faults_of

BODY_WITHIN_S = 30.0
MAX_AT_ONCE = 4  # each may hold a text of 4 MiB and a second of a core
BUSY_RETRY_S = 2
BROKER_RETRY_S = 5
CANDIDATE = "candidate"

log = logging.getLogger(__name__)


class Configured:
    """The symbols the configuration names, which a client may subscribe to before their first record.

    `path` None: the simulator's own offer is collected, and nobody knows its symbols before they speak.
    """

    def __init__(self, path: Path | None, symbols: frozenset[str]) -> None:
        self.path = path
        self.symbols = symbols

    async def apply(self, configuration: Configuration) -> None:
        """Know the symbols of another configuration instead."""
        self.know(configuration)

    def know(self, configuration: Configuration) -> None:
        """Know the symbols of a configuration."""
        self.symbols = frozenset(entry.symbol for entry in configuration.symbols)


def configured_at_start(shared: MdsSettings) -> Configured:
    """Return what the file says until a generation is read; a file that is broken or elsewhere says nothing."""
    path = shared.configuration_path
    configured = Configured(path, frozenset())
    if path is None:
        return configured
    try:
        configured.know(reading.load(path))
    except ConfigurationError as error:
        log.warning("configuration_refused", extra={"error": str(error), "instead": "the newest generation"})
    return configured


class ConfigurationRoutes:
    """Answers both; what is in force is the follower's."""

    def __init__(self, configured: Configured, follower: Follower, bootstrap: str, prefix: str) -> None:
        """Announce on the broker at `bootstrap`."""
        self._configured, self._follower = configured, follower
        self._bootstrap, self._prefix = bootstrap, prefix
        self._at_work = 0

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        return [
            Endpoint(method="POST", path="/ops/validate", scope="admin", handler=self.validate),
            Endpoint(method="POST", path="/ops/reload", scope="admin", handler=self.reload),
        ]

    async def validate(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/validate: the body, or the file where it is empty, against what is in force; changes nothing."""
        Parameters(request.query.items(), ()).check()
        with self._one_of_few():
            body = await _body(request)
            return document(await asyncio.to_thread(self._verdict, body))

    async def reload(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/reload: the file's text as the next generation, for every process; 202, or 422 with all faults."""
        Parameters(request.query.items(), ()).check()
        with self._one_of_few():
            if await _body(request):
                detail = "reload takes no body: it loads the file; try a candidate with POST /ops/validate"
                raise Problem(status=422, code="body_not_allowed", detail=detail)
            path = self._file()
            before = self._follower.configuration
            try:
                await asyncio.to_thread(_validated, path)  # a broken file is said without asking the broker
                work = partial(
                    announce, self._bootstrap, partial(_validated, path), "api", prefix=self._prefix
                )
                announced = await in_daemon_thread(work, name="configuration-announce")
            except ConfigurationError as error:
                self._follower.refused(error)
                raise _invalid(error) from error
            except BrokerUnavailable as error:
                raise Problem(
                    status=503, code="broker_unavailable", detail=str(error), retry_after_s=BROKER_RETRY_S
                ) from error
            body = await asyncio.to_thread(_announced, announced, before)
        if not announced.is_new:
            self._follower.unchanged()
        return document({**body, "request_id": request[REQUEST_ID]}, status=202)

    def _file(self) -> Path:
        if self._configured.path is None:
            detail = (
                "no file is in force: the simulator's own symbols are collected; set MDS_CONFIG and restart"
            )
            raise Problem(status=409, code="no_configuration_file", detail=detail)
        return self._configured.path

    def _verdict(self, body: bytes) -> dict[str, Any]:
        try:
            if body:
                candidate = reading.parse(text_of(body, source=CANDIDATE), source=CANDIDATE)
            else:
                candidate = reading.load(self._configured.path)
        except ConfigurationError as error:
            errors = [fault.document() for fault in faults_of(error)]
            return {"valid": False, "errors": errors, "diff": None}
        changes = difference(self._follower.configuration, candidate)
        return {"valid": True, "errors": [], "diff": changes.document()}

    @contextmanager
    def _one_of_few(self) -> Iterator[None]:
        if self._at_work >= MAX_AT_ONCE:
            detail = f"{MAX_AT_ONCE} configurations are being read already; come again"
            raise Problem(status=503, code="busy", detail=detail, retry_after_s=BUSY_RETRY_S)
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1


def _validated(path: Path) -> str:
    text = read_text(path)
    reading.parse(text, source=str(path))
    return text


def _announced(announced: Announced, before: Configuration | None) -> dict[str, Any]:
    generation = announced.generation
    candidate = reading.parse(generation.text, source=f"generation {generation.generation}")
    return {
        "generation": generation.generation,
        "sha256": generation.sha256,
        "status": "announced" if announced.is_new else "unchanged",
        "diff": difference(before, candidate).document(),
    }


def _invalid(error: ConfigurationError) -> Problem:
    """Return the problem whose errors have the fields of every problem and those of a validation."""
    faults = faults_of(error)
    errors = [
        {**fault.document(), "param": fault.path, "code": "invalid_configuration", "detail": str(fault)}
        for fault in faults
    ]
    detail = f"the file has {len(faults)} faults and is not loaded; the last good one stays in force"
    return Problem(status=422, code="invalid_configuration", detail=detail, extra={"errors": errors})


async def _body(request: web.Request) -> bytes:
    """Return the whole body, which may be larger here than elsewhere; raise the Problem of one too large or too slow."""
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.content.iter_any():
                data += chunk
                if len(data) > MAX_FILE_BYTES:
                    detail = f"the body is larger than {MAX_FILE_BYTES} bytes; list fewer symbols"
                    headers = {"Connection": "close"}
                    raise Problem(status=413, code="body_too_large", detail=detail, headers=headers)
    except TimeoutError:
        detail = f"the body did not come within {BODY_WITHIN_S:.0f} s; send it whole"
        raise Problem(
            status=408, code="request_timeout", detail=detail, headers={"Connection": "close"}
        ) from None
    return bytes(data)

"""`POST /ops/validate` and `POST /ops/reload`: try a configuration, and ask every process to load the file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from aiohttp import web

from gateway.http.columns import (
    ANYTHING,
    FLAG,
    TEXT,
    WHOLE,
    Column,
    by_name,
    or_null,
    record,
    rows,
    words_of,
)
from gateway.http.endpoints import Answer, Body, Endpoint, Query
from gateway.http.problems import Problem
from gateway.http.shell.answers import GRANT, REQUEST_ID, Serves, body_of, document
from infra.runtime.configuration import reading
from infra.runtime.configuration.announcing import Announced, announce
from infra.runtime.configuration.following import Follower
from infra.runtime.settings import MdsSettings
from infra.runtime.threads import in_daemon_thread
from schemas.calendar.sessions import put_in_force
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

_FAULT = (
    Column("path", TEXT, "Dotted path in the file."),
    Column("line", or_null(WHOLE), "Line from 1; null: nowhere in particular."),
    Column("message", TEXT, "What is wrong."),
    Column("remedy", TEXT, "What would be right."),
)
_CHANGE = (
    Column("change", words_of(("added", "removed", "changed")), "What becomes of it."),
    Column("path", TEXT, "Where in the file."),
    Column("before", ANYTHING, "As in force.", always=False),
    Column("after", ANYTHING, "As in the candidate.", always=False),
)
_DIFF = record(
    Column("changes", rows(record(*_CHANGE)), "The first of them."),
    Column("not_shown", WHOLE, "How many more there are."),
    Column("counts", by_name(by_name(WHOLE)), "By area and kind of change."),
    Column("takes_effect", TEXT, "When."),
    Column("needs_restart", rows(TEXT), "Processes that must be restarted."),
    Column("not_in_the_file", ANYTHING, "What is set elsewhere and needs a restart."),
)
_UNAVAILABLE = ("request_timeout", "body_too_large", "busy")
VALIDATE = Endpoint(
    method="POST",
    path="/ops/validate",
    scope="admin",
    topic="Operations",
    summary="Whether a configuration could be loaded, and what it would change; changes nothing.",
    query=Query,
    body=Body(
        words="The candidate; the file in force where empty.",
        schema=TEXT,
        media="application/yaml",
        required=False,
    ),
    answers={
        200: (
            Answer(
                words="The verdict, good or bad.",
                schema=record(
                    Column("valid", FLAG, "It could be loaded."),
                    Column("errors", rows(record(*_FAULT)), "All faults."),
                    Column("diff", or_null(_DIFF), "Against what is in force; null where it is not valid."),
                ),
            ),
        )
    },
    problems=(*_UNAVAILABLE, "no_configuration_file"),
)
RELOAD = Endpoint(
    method="POST",
    path="/ops/reload",
    scope="admin",
    topic="Operations",
    summary="Announce the file's text as the next generation to every process.",
    query=Query,
    answers={
        202: (
            Answer(
                words="Announced, or unchanged.",
                schema=record(
                    Column("generation", WHOLE, "Its number."),
                    Column("sha256", TEXT, "Of the text."),
                    Column("status", words_of(("announced", "unchanged")), "Whether it is new."),
                    Column("diff", _DIFF, "Against what was in force."),
                    Column("request_id", TEXT, "Id of the request, for reports."),
                ),
            ),
        )
    },
    problems=(
        *_UNAVAILABLE,
        "body_not_allowed",
        "no_configuration_file",
        "invalid_configuration",
        "broker_unavailable",
    ),
)


class Configured:
    """The configuration in force, and the symbols it names: a client may subscribe to them before their first record.

    `path` None: the simulator's own offer is collected, and nobody knows its symbols before they speak.
    """

    def __init__(self, path: Path | None, symbols: frozenset[str]) -> None:
        self.path = path
        self.symbols = symbols
        self.configuration: Configuration | None = None  # None: none was read yet, or there is none

    async def apply(self, configuration: Configuration) -> None:
        """Know the symbols of another configuration instead."""
        self.know(configuration)

    def know(self, configuration: Configuration) -> None:
        """Know a configuration and its symbols."""
        self.configuration = configuration
        self.symbols = frozenset(entry.symbol for entry in configuration.symbols)


def configured_at_start(shared: MdsSettings) -> Configured:
    """Return what the file says until a generation is read; a file that is broken or elsewhere says nothing."""
    path = shared.configuration_path
    configured = Configured(path, frozenset())
    if path is None:
        return configured
    try:
        configuration = reading.load(path)
        configured.know(configuration)
        put_in_force(configuration.calendar_overlay())
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

    async def validate(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/validate: the body, or the file where it is empty, against what is in force; changes nothing."""
        VALIDATE.parse(request.query.items())
        with self._one_of_few():
            body = await body_of(
                request, most_bytes=MAX_FILE_BYTES, within_s=BODY_WITHIN_S, refusal=_too_large
            )
            return document(await asyncio.to_thread(self._verdict, body))

    async def reload(self, request: web.Request) -> web.StreamResponse:
        """POST /ops/reload: the file's text as the next generation, for every process; 202, or 422 with all faults."""
        RELOAD.parse(request.query.items())
        with self._one_of_few():
            if await body_of(request, most_bytes=MAX_FILE_BYTES, within_s=BODY_WITHIN_S, refusal=_too_large):
                detail = "reload takes no body: it loads the file; try a candidate with POST /ops/validate"
                raise Problem(code="body_not_allowed", detail=detail)
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
                    code="broker_unavailable", detail=str(error), retry_after_s=BROKER_RETRY_S
                ) from error
            body = await asyncio.to_thread(_announced, announced, before)
        if not announced.is_new:
            self._follower.unchanged()
        grant = request.get(GRANT)
        log.info(
            "configuration_announced",
            extra={
                "key": grant.key_id if grant else "",
                "generation": body["generation"],
                "status": body["status"],
            },
        )
        return document({**body, "request_id": request[REQUEST_ID]}, status=202)

    def _file(self) -> Path:
        if self._configured.path is None:
            detail = (
                "no file is in force: the simulator's own symbols are collected; set MDS_CONFIG and restart"
            )
            raise Problem(code="no_configuration_file", detail=detail)
        return self._configured.path

    def _verdict(self, body: bytes) -> dict[str, Any]:
        try:
            if body:
                candidate = reading.parse(text_of(body, source=CANDIDATE), source=CANDIDATE)
            else:
                candidate = reading.load(self._file())
        except ConfigurationError as error:
            errors = [fault.document() for fault in faults_of(error)]
            return {"valid": False, "errors": errors, "diff": None}
        changes = difference(self._follower.configuration, candidate)
        return {"valid": True, "errors": [], "diff": changes.document()}

    serves: ClassVar[Serves] = ((VALIDATE, validate), (RELOAD, reload))

    @contextmanager
    def _one_of_few(self) -> Iterator[None]:
        if self._at_work >= MAX_AT_ONCE:
            detail = f"{MAX_AT_ONCE} configurations are being read already; come again"
            raise Problem(code="busy", detail=detail, retry_after_s=BUSY_RETRY_S)
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
    return Problem(code="invalid_configuration", detail=detail, extra={"errors": errors})


def _too_large() -> Problem:
    detail = f"the body is larger than {MAX_FILE_BYTES} bytes; list fewer symbols"
    return Problem(code="body_too_large", detail=detail, headers={"Connection": "close"})

"""The read-only subset of the Confluent Schema Registry API that stock clients need to read the topics."""

from __future__ import annotations

from functools import wraps
from typing import ClassVar

from aiohttp import web

from gateway.http.shell.answers import Handler, Serves, body_of, document
from gateway.http.shell.whole import WholeAnswer
from gateway.operations.schema_endpoints import (
    CONFIG,
    CONTENT_TYPE,
    LOOKUP,
    MODE_ENDPOINT,
    REGISTER,
    SCHEMA,
    SCHEMA_SUBJECTS,
    SCHEMA_TEXT,
    SCHEMA_VERSIONS,
    SUBJECT_CONFIG,
    SUBJECT_MODE,
    SUBJECTS,
    TYPES,
    VERSION,
    VERSION_TEXT,
    VERSIONS,
)
from gateway.operations.schema_subjects import COMPATIBILITY, MODE, RegistryError, SchemaSubjects
from schemas.topics import catalogue
from schemas.wire.codec import schema_text

READ_ONLY = 42205


def packaged_registry(prefix: str) -> SchemaSubjects:
    """Return the registry of the packaged schemas; subjects carry the topic prefix in force."""
    declared = catalogue()
    topics = {prefix + name: topic.schema for name, topic in declared.topics.items()}
    texts = {name: schema_text(name) for name in declared.schema_ids.values()}
    return SchemaSubjects(topics, declared.schema_ids, texts)


def _json(body: object) -> web.Response:
    return document(body, content_type=CONTENT_TYPE)


def _answering(handler: Handler) -> Handler:
    """Answer errors in Confluent's words."""

    @wraps(handler)
    async def answer(self: object, request: web.Request) -> web.StreamResponse:
        try:
            return await handler(self, request)
        except RegistryError as error:
            body = {"error_code": error.error_code, "message": error.message}
            return document(body, status=error.status, content_type=CONTENT_TYPE)

    return answer


class SchemaRegistry:
    """Answers in Confluent's words, errors included."""

    def __init__(self, registry: SchemaSubjects) -> None:
        """Serve `registry`."""
        self._registry = registry

    @_answering
    async def types(self, _: web.Request) -> web.StreamResponse:
        """GET /schemas/types."""
        return _json(["AVRO"])

    @_answering
    async def schema(self, request: web.Request) -> web.StreamResponse:
        """GET /schemas/ids/{id}."""
        return _json({"schema": self._registry.schema(request.match_info["id"])})

    @_answering
    async def schema_text(self, request: web.Request) -> web.StreamResponse:
        """GET /schemas/ids/{id}/schema: the bare schema."""
        return WholeAnswer(text=self._registry.schema(request.match_info["id"]), content_type=CONTENT_TYPE)

    @_answering
    async def subjects_of_schema(self, request: web.Request) -> web.StreamResponse:
        """GET /schemas/ids/{id}/subjects."""
        return _json([entry.subject for entry in self._registry.users(request.match_info["id"])])

    @_answering
    async def versions_of_schema(self, request: web.Request) -> web.StreamResponse:
        """GET /schemas/ids/{id}/versions."""
        users = self._registry.users(request.match_info["id"])
        return _json([{"subject": entry.subject, "version": entry.version} for entry in users])

    @_answering
    async def subjects(self, request: web.Request) -> web.StreamResponse:
        """GET /subjects."""
        return _json(self._registry.subjects(request.query.get("subjectPrefix", "")))

    @_answering
    async def versions(self, request: web.Request) -> web.StreamResponse:
        """GET /subjects/{subject}/versions."""
        return _json([entry.version for entry in self._registry.versions(request.match_info["subject"])])

    @_answering
    async def version(self, request: web.Request) -> web.StreamResponse:
        """GET /subjects/{subject}/versions/{version}: a number, or latest."""
        found = self._registry.version(request.match_info["subject"], request.match_info["version"])
        return _json(found.document())

    @_answering
    async def version_text(self, request: web.Request) -> web.StreamResponse:
        """GET /subjects/{subject}/versions/{version}/schema: the bare schema."""
        found = self._registry.version(request.match_info["subject"], request.match_info["version"])
        return WholeAnswer(text=found.schema, content_type=CONTENT_TYPE)

    @_answering
    async def lookup(self, request: web.Request) -> web.StreamResponse:
        """POST /subjects/{subject}: is this schema registered, and as what."""
        found = self._registry.lookup(request.match_info["subject"], await body_of(request))
        return _json(found.document())

    @_answering
    async def register(self, request: web.Request) -> web.StreamResponse:
        """POST /subjects/{subject}/versions: the id of a schema that is here; a new one is refused."""
        try:
            found = self._registry.lookup(request.match_info["subject"], await body_of(request))
        except RegistryError as error:
            if error.error_code == 42201:
                raise
            subject = request.match_info["subject"]
            message = (
                f"Subject {subject} is in read-only mode; schemas are added in schemas/avro and released"
            )
            raise RegistryError(READ_ONLY, message) from error
        return _json({"id": found.id})

    @_answering
    async def config(self, request: web.Request) -> web.StreamResponse:
        """GET /config and /config/{subject}."""
        if subject := request.match_info.get("subject"):
            self._registry.versions(subject)
        return _json({"compatibilityLevel": COMPATIBILITY})

    @_answering
    async def mode(self, request: web.Request) -> web.StreamResponse:
        """GET /mode and /mode/{subject}."""
        if subject := request.match_info.get("subject"):
            self._registry.versions(subject)
        return _json({"mode": MODE})

    serves: ClassVar[Serves] = (
        (TYPES, types),
        (SCHEMA, schema),
        (SCHEMA_TEXT, schema_text),
        (SCHEMA_SUBJECTS, subjects_of_schema),
        (SCHEMA_VERSIONS, versions_of_schema),
        (SUBJECTS, subjects),
        (VERSIONS, versions),
        (VERSION, version),
        (VERSION_TEXT, version_text),
        (CONFIG, config),
        (SUBJECT_CONFIG, config),
        (MODE_ENDPOINT, mode),
        (SUBJECT_MODE, mode),
        (LOOKUP, lookup),
        (REGISTER, register),
    )

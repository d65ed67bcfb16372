"""The read-only subset of the Confluent Schema Registry API that stock clients need to read the topics."""

from __future__ import annotations

from aiohttp import web

from gateway.http.problems import Problem
from gateway.http.shell.answers import Endpoint, Handler, body_of, document
from gateway.operations.schema_subjects import COMPATIBILITY, MODE, Registry, RegistryError
from schemas.topics import catalogue
from schemas.wire.codec import schema_text

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
READ_ONLY = 42205


def packaged_registry(prefix: str) -> Registry:
    """Return the registry of the packaged schemas; subjects carry the topic prefix in force."""
    declared = catalogue()
    topics = {prefix + name: topic.schema for name, topic in declared.topics.items()}
    texts = {name: schema_text(name) for name in declared.schema_ids.values()}
    return Registry(topics, declared.schema_ids, texts)


class SchemaRegistry:
    """Answers in Confluent's words, errors included."""

    def __init__(self, registry: Registry) -> None:
        """Serve `registry`."""
        self._registry = registry

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        reads: dict[str, Handler] = {
            "/schemas/types": self.types,
            "/schemas/ids/{id}": self.schema,
            "/schemas/ids/{id}/schema": self.schema_text,
            "/schemas/ids/{id}/subjects": self.subjects_of_schema,
            "/schemas/ids/{id}/versions": self.versions_of_schema,
            "/subjects": self.subjects,
            "/subjects/{subject}/versions": self.versions,
            "/subjects/{subject}/versions/{version}": self.version,
            "/subjects/{subject}/versions/{version}/schema": self.version_text,
            "/config": self.config,
            "/config/{subject}": self.config,
            "/mode": self.mode,
            "/mode/{subject}": self.mode,
        }
        posts: dict[str, Handler] = {
            "/subjects/{subject}": self.lookup,
            "/subjects/{subject}/versions": self.register,
        }
        return [
            *(
                Endpoint(method="GET", path=path, scope="read", handler=_answering(h))
                for path, h in reads.items()
            ),
            *(
                Endpoint(method="POST", path=path, scope="read", handler=_answering(h))
                for path, h in posts.items()
            ),
        ]

    async def types(self, _: web.Request) -> web.StreamResponse:
        """GET /schemas/types."""
        return _json(["AVRO"])

    async def schema(self, request: web.Request) -> web.StreamResponse:
        """GET /schemas/ids/{id}."""
        return _json({"schema": self._registry.schema(request.match_info["id"])})

    async def schema_text(self, request: web.Request) -> web.StreamResponse:
        """GET /schemas/ids/{id}/schema: the bare schema."""
        return web.Response(text=self._registry.schema(request.match_info["id"]), content_type=CONTENT_TYPE)

    async def subjects_of_schema(self, request: web.Request) -> web.StreamResponse:
        """GET /schemas/ids/{id}/subjects."""
        return _json([entry.subject for entry in self._registry.users(request.match_info["id"])])

    async def versions_of_schema(self, request: web.Request) -> web.StreamResponse:
        """GET /schemas/ids/{id}/versions."""
        users = self._registry.users(request.match_info["id"])
        return _json([{"subject": entry.subject, "version": entry.version} for entry in users])

    async def subjects(self, request: web.Request) -> web.StreamResponse:
        """GET /subjects."""
        return _json(self._registry.subjects(request.query.get("subjectPrefix", "")))

    async def versions(self, request: web.Request) -> web.StreamResponse:
        """GET /subjects/{subject}/versions."""
        return _json([entry.version for entry in self._registry.versions(request.match_info["subject"])])

    async def version(self, request: web.Request) -> web.StreamResponse:
        """GET /subjects/{subject}/versions/{version}: a number, or latest."""
        found = self._registry.version(request.match_info["subject"], request.match_info["version"])
        return _json(found.document())

    async def version_text(self, request: web.Request) -> web.StreamResponse:
        """GET /subjects/{subject}/versions/{version}/schema: the bare schema."""
        found = self._registry.version(request.match_info["subject"], request.match_info["version"])
        return web.Response(text=found.schema, content_type=CONTENT_TYPE)

    async def lookup(self, request: web.Request) -> web.StreamResponse:
        """POST /subjects/{subject}: is this schema registered, and as what."""
        found = self._registry.lookup(request.match_info["subject"], await body_of(request))
        return _json(found.document())

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

    async def config(self, request: web.Request) -> web.StreamResponse:
        """GET /config and /config/{subject}."""
        if subject := request.match_info.get("subject"):
            self._registry.versions(subject)
        return _json({"compatibilityLevel": COMPATIBILITY})

    async def mode(self, request: web.Request) -> web.StreamResponse:
        """GET /mode and /mode/{subject}."""
        if subject := request.match_info.get("subject"):
            self._registry.versions(subject)
        return _json({"mode": MODE})


def _json(body: object) -> web.Response:
    return document(body, content_type=CONTENT_TYPE)


def _answering(handler: Handler) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except RegistryError as error:
            body = {"error_code": error.error_code, "message": error.message}
            return document(body, status=error.status, content_type=CONTENT_TYPE)
        except Problem as error:
            body = {"error_code": error.status, "message": error.detail}
            return document(body, status=error.status, content_type=CONTENT_TYPE)

    return answer

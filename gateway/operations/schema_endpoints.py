"""The endpoints of the Confluent Schema Registry that are served here; its errors are Confluent's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.http.columns import TEXT, WHOLE, Column, record, rows, words_of
from gateway.http.endpoints import Answer, Body, Endpoint, ErrorForm, Parameter, Query, parameter
from gateway.http.parameters import AnyText, Schema
from gateway.operations.schema_subjects import COMPATIBILITY, MODE

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
ERROR = record(
    Column("error_code", WHOLE, "Confluent's; its first three digits are the HTTP status."),
    Column("message", TEXT, "What is wrong."),
)
VERSION_OF_SUBJECT = record(
    Column("subject", TEXT, "The subject."),
    Column("version", WHOLE, "From 1."),
    Column("id", WHOLE, "Id of the schema, as in the records."),
    Column("schemaType", words_of(("AVRO",)), "AVRO."),
    Column("schema", TEXT, "The Avro schema as text."),
)
_PATH: Mapping[str, Parameter] = {
    "id": Parameter(kind=AnyText(), words="Id of a schema, as in the first bytes of a record."),
    "subject": Parameter(kind=AnyText(), words="A topic and `-value`."),
    "version": Parameter(kind=AnyText(), words="A number from 1, or latest."),
}
REFUSED = ErrorForm(
    media=CONTENT_TYPE, document=lambda problem: {"error_code": problem.status, "message": problem.detail}
)
_ALWAYS = (401, 403, 429, 500)
_WORDS = {
    401: "No key, or a wrong one; Basic is read too, the password being the key.",
    403: "Not allowed.",
    429: "Too much.",
    500: "Internal error.",
    404: "Unknown.",
    422: "It cannot be read.",
    408: "The body came too slowly.",
    413: "The body is too large.",
}


@dataclass(frozen=True, kw_only=True)
class SubjectsQuery(Query):
    """Query of `GET /subjects`."""

    subjectPrefix: str = parameter(AnyText(), "Subjects that begin so.", default="")  # noqa: N815 - Confluent's name


def _endpoint(
    path: str,
    summary: str,
    schema: Schema,
    *errors: int,
    method: Literal["GET", "POST"] = "GET",
    query: type[Query] = Query,
) -> Endpoint[Query]:
    always = {
        status: (Answer(words=_WORDS[status], media=CONTENT_TYPE, schema={"type": "object"}),)
        for status in _ALWAYS
    }
    refusals = {
        status: (Answer(words=_WORDS[status], media=CONTENT_TYPE, schema=ERROR),)
        for status in (*errors, *((408, 413) if method == "POST" else ()))
    }
    body = Body(
        words="The schema.",
        schema={
            "type": "object",
            "properties": {"schema": {"type": "string"}, "schemaType": {"type": "string", "enum": ["AVRO"]}},
            "required": ["schema"],
        },
        media=CONTENT_TYPE,
    )
    return Endpoint(
        method=method,
        path=path,
        scope="read",
        topic="Schema registry",
        summary=summary,
        query=query,
        lenient=True,
        takes_basic=True,
        errors=REFUSED,
        path_parameters={name: declared for name, declared in _PATH.items() if f"{{{name}}}" in path},
        body=body if method == "POST" else None,
        answers={200: (Answer(words="Found.", media=CONTENT_TYPE, schema=schema),), **always, **refusals},
    )


_COMPATIBILITY = record(Column("compatibilityLevel", words_of((COMPATIBILITY,)), "Of all subjects."))
_MODE = record(Column("mode", words_of((MODE,)), "Of all subjects."))
_USE = record(Column("subject", TEXT, "The subject."), Column("version", WHOLE, "Its version."))
_ANY_SCHEMA: Schema = {"description": "An Avro schema."}

TYPES = _endpoint("/schemas/types", "The kinds of schema.", rows(TEXT))
SCHEMA = _endpoint(
    "/schemas/ids/{id}", "A schema.", record(Column("schema", TEXT, "The Avro schema as text.")), 404
)
SCHEMA_TEXT = _endpoint("/schemas/ids/{id}/schema", "A schema, bare.", _ANY_SCHEMA, 404)
SCHEMA_SUBJECTS = _endpoint("/schemas/ids/{id}/subjects", "Subjects that use a schema.", rows(TEXT), 404)
SCHEMA_VERSIONS = _endpoint("/schemas/ids/{id}/versions", "Versions that use a schema.", rows(_USE), 404)
SUBJECTS = _endpoint("/subjects", "All subjects.", rows(TEXT), query=SubjectsQuery)
VERSIONS = _endpoint("/subjects/{subject}/versions", "Versions of a subject.", rows(WHOLE), 404)
VERSION = _endpoint(
    "/subjects/{subject}/versions/{version}", "One version of a subject.", VERSION_OF_SUBJECT, 404, 422
)
VERSION_TEXT = _endpoint(
    "/subjects/{subject}/versions/{version}/schema", "The schema of a version, bare.", _ANY_SCHEMA, 404, 422
)
CONFIG = _endpoint("/config", "The compatibility all schemas have.", _COMPATIBILITY)
SUBJECT_CONFIG = _endpoint("/config/{subject}", "The compatibility of a subject.", _COMPATIBILITY, 404)
MODE_ENDPOINT = _endpoint("/mode", "That schemas can only be read.", _MODE)
SUBJECT_MODE = _endpoint("/mode/{subject}", "That a subject can only be read.", _MODE, 404)
LOOKUP = _endpoint(
    "/subjects/{subject}",
    "The version of a subject that has a schema.",
    VERSION_OF_SUBJECT,
    404,
    422,
    method="POST",
)
REGISTER = _endpoint(
    "/subjects/{subject}/versions",
    "The id of a schema that is here already; a new one is refused.",
    record(Column("id", WHOLE, "Id of the schema.")),
    404,
    422,
    method="POST",
)

"""The packaged Avro schemas as a Confluent Schema Registry sees them: subjects, versions, ids; read only."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SUBJECT_SUFFIX = "-value"
COMPATIBILITY = "BACKWARD_TRANSITIVE"
MODE = "READONLY"
LATEST = ("latest", "-1")


class RegistryError(Exception):
    """A registry answer that is an error; `error_code` is Confluent's, its first three digits the HTTP status."""

    def __init__(self, error_code: int, message: str) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.message = message

    @property
    def status(self) -> int:
        """HTTP status."""
        return int(str(self.error_code)[:3])


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """One version of one subject."""

    subject: str
    version: int
    id: int
    schema: str

    def document(self) -> dict[str, Any]:
        """Return the registry's JSON of it."""
        return {
            "subject": self.subject,
            "version": self.version,
            "id": self.id,
            "schemaType": "AVRO",
            "schema": self.schema,
        }


class SchemaSubjects:
    """Subjects `<topic>-value`; version n of a subject is file `<name>.v<n>` of the topic's schema."""

    def __init__(self, topics: Mapping[str, str], ids: Mapping[int, str], texts: Mapping[str, str]) -> None:
        """Take topic (as the broker names it) → newest schema name, id → schema name, schema name → text."""
        self._texts = {number: texts[name] for number, name in ids.items()}
        self._subjects: dict[str, list[Registered]] = {}
        for topic, newest in topics.items():
            subject, family = f"{topic}{SUBJECT_SUFFIX}", newest.rpartition(".v")[0]
            versions = [
                Registered(
                    subject=subject, version=int(name.rpartition(".v")[2]), id=number, schema=texts[name]
                )
                for number, name in ids.items()
                if name.rpartition(".v")[0] == family
            ]
            self._subjects[subject] = sorted(versions, key=lambda entry: entry.version)

    def subjects(self, prefix: str = "") -> list[str]:
        """Return all subjects that begin with `prefix`."""
        return sorted(name for name in self._subjects if name.startswith(prefix))

    def schema(self, text: str) -> str:
        """Return the schema with the id in `text`."""
        number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1
        if number not in self._texts:
            raise RegistryError(
                40403, f"Schema {text} not found; ids in use are {min(self._texts)} to {max(self._texts)}"
            )
        return self._texts[number]

    def users(self, text: str) -> list[Registered]:
        """Return every subject version that has the id in `text`."""
        self.schema(text)
        return [entry for name in self.subjects() for entry in self._subjects[name] if entry.id == int(text)]

    def versions(self, subject: str) -> Sequence[Registered]:
        """Return the versions of a subject, oldest first."""
        if subject not in self._subjects:
            raise RegistryError(40401, f"Subject '{subject}' not found; GET /subjects lists them")
        return self._subjects[subject]

    def version(self, subject: str, text: str) -> Registered:
        """Return one version of a subject: a number, or `latest`."""
        versions = self.versions(subject)
        if text in LATEST:
            return versions[-1]
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
            raise RegistryError(
                42202, f"The specified version '{text}' is not valid; use a number from 1, or latest"
            )
        for entry in versions:
            if entry.version == int(text):
                return entry
        raise RegistryError(40402, f"Version {text} not found; the newest is {versions[-1].version}")

    def lookup(self, subject: str, body: bytes) -> Registered:
        """Return the version of `subject` whose schema the body holds; whitespace and key order do not matter."""
        versions = self.versions(subject)
        wanted = _schema_in(body)
        for entry in reversed(versions):
            if json.loads(entry.schema) == wanted:
                return entry
        raise RegistryError(40403, f"Schema not found under subject '{subject}'; this registry is read-only")


def _schema_in(body: bytes) -> Any:
    try:
        document = json.loads(body)
        if document.get("schemaType", "AVRO") != "AVRO":
            raise RegistryError(42201, "only schemaType AVRO is served here")
        return json.loads(document["schema"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RegistryError(42201, 'Invalid schema; send {"schema": "<Avro schema as text>"}') from error

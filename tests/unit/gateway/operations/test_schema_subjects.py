"""The packaged schemas as a registry."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.operations.schema_subjects import RegistryError, SchemaSubjects

V1 = '{"type": "record", "name": "A", "fields": []}'
V2 = '{"type": "record", "name": "A", "fields": [{"name": "x", "type": ["null", "int"], "default": null}]}'
OTHER = '{"type": "record", "name": "B", "fields": []}'
REGISTRY = SchemaSubjects(
    {"as.v1": "a.v2", "as.v1.dead": "b.v1"},
    {7: "a.v1", 9: "a.v2", 8: "b.v1"},
    {"a.v1": V1, "a.v2": V2, "b.v1": OTHER},
)


def code(call: object, *arguments: object) -> int:
    assert callable(call)
    with pytest.raises(RegistryError) as error:
        call(*arguments)
    assert error.value.status in (404, 422)
    return error.value.error_code


def test_a_subject_has_every_version_of_its_family() -> None:
    """The id of each is the pinned one."""
    assert REGISTRY.subjects() == ["as.v1-value", "as.v1.dead-value"]
    assert [(v.version, v.id) for v in REGISTRY.versions("as.v1-value")] == [(1, 7), (2, 9)]
    assert REGISTRY.version("as.v1-value", "latest").schema == V2
    assert REGISTRY.version("as.v1-value", "1").id == 7
    assert [user.subject for user in REGISTRY.users("8")] == ["as.v1.dead-value"]
    assert REGISTRY.subjects("as.v1.") == ["as.v1.dead-value"]


def test_a_schema_is_found_whatever_its_spacing() -> None:
    """As stock serializers send it."""
    body = json.dumps({"schema": json.dumps(json.loads(V1), indent=3)}).encode()
    assert REGISTRY.lookup("as.v1-value", body).id == 7


def test_what_is_not_there_has_confluents_code() -> None:
    """Clients tell these apart."""
    assert code(REGISTRY.schema, "99") == 40403
    assert code(REGISTRY.schema, "x") == 40403
    assert code(REGISTRY.versions, "nope") == 40401
    assert code(REGISTRY.version, "as.v1-value", "3") == 40402
    assert code(REGISTRY.version, "as.v1-value", "0") == 42202
    assert code(REGISTRY.lookup, "as.v1-value", json.dumps({"schema": OTHER}).encode()) == 40403


@given(
    st.binary()
    | st.sampled_from([b"[]", b'{"schema": 3}', b'{"schema": "{"}', b'{"schemaType": "JSON"}', b"[" * 99_999])
)
def test_any_body_is_an_invalid_schema(body: bytes) -> None:
    """Never anything but a registry error."""
    assert code(REGISTRY.lookup, "as.v1-value", body) == 42201

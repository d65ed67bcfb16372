"""Stock Schema Registry clients read our schemas from the gateway."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from confluent_kafka import schema_registry as sr
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas.topics import BARS, catalogue
from schemas.wire.codec import encode, schema_text
from tests.support.builders import a_bar
from tests.support.gateway_rest import rest


async def test_the_stock_client_finds_every_schema_by_id_subject_and_text(database: str) -> None:
    """The ids are those in the topics' bytes."""
    async with rest(database) as gateway:
        url = gateway.url

        def use() -> None:
            client = sr.SchemaRegistryClient({"url": url})
            declared = catalogue()
            assert set(client.get_subjects()) == {f"{topic}-value" for topic in declared.topics}
            for number, name in declared.schema_ids.items():
                assert json.loads(client.get_schema(number).schema_str or "") == json.loads(schema_text(name))
            for topic in declared.topics.values():
                latest = client.get_latest_version(f"{topic.name}-value")
                assert latest.schema_id == topic.schema_id
                found = client.lookup_schema(
                    f"{topic.name}-value", sr.Schema(schema_text(topic.schema), "AVRO")
                )
                assert (found.schema_id, found.version) == (topic.schema_id, latest.version)
                assert client.get_versions(f"{topic.name}-value")[-1] == latest.version
            assert client.get_compatibility() == "BACKWARD_TRANSITIVE"
            assert client.get_mode("bars.v1-value") == "READONLY"
            with pytest.raises(sr.SchemaRegistryError) as error:
                client.get_latest_version("nope-value")
            assert (error.value.http_status_code, error.value.error_code) == (404, 40401)
            with pytest.raises(sr.SchemaRegistryError) as error:
                client.register_schema("bars.v1-value", sr.Schema('{"type": "string"}', "AVRO"))
            assert error.value.error_code == 42205

        await asyncio.to_thread(use)


async def test_the_stock_deserializer_reads_our_bytes(database: str) -> None:
    """A bar of ours is the same bar there."""
    async with rest(database) as gateway:
        url = gateway.url

        def read() -> Any:
            deserialize = AvroDeserializer(sr.SchemaRegistryClient({"url": url}))
            return deserialize(encode(BARS, a_bar()), SerializationContext(BARS, MessageField.VALUE))

        value = await asyncio.to_thread(read)
        assert (value["symbol"], value["close"], value["known_from"]) == ("SPY", 167.3, a_bar().known_from)


async def test_every_registry_path_answers_in_confluents_words(database: str) -> None:
    """What the stock client does not call."""
    async with rest(database) as gateway:
        for path, expected in (
            ("/schemas/types", ["AVRO"]),
            ("/schemas/ids/6/subjects", ["bars.v1-value"]),
            ("/schemas/ids/6/versions", [{"subject": "bars.v1-value", "version": 1}]),
            ("/subjects?subjectPrefix=bars.v1-", ["bars.v1-value"]),
            ("/config", {"compatibilityLevel": "BACKWARD_TRANSITIVE"}),
            ("/config/bars.v1-value", {"compatibilityLevel": "BACKWARD_TRANSITIVE"}),
            ("/mode", {"mode": "READONLY"}),
        ):
            status, headers, body = await gateway.ask("GET", path)
            assert (status, body) == (200, expected)
            assert headers["Content-Type"] == "application/vnd.schemaregistry.v1+json"
        for path, code in (
            ("/schemas/ids/99", 40403),
            ("/subjects/nope/versions", 40401),
            ("/subjects/bars.v1-value/versions/9", 40402),
            ("/subjects/bars.v1-value/versions/x", 42202),
            ("/config/nope", 40401),
        ):
            status, _, body = await gateway.ask("GET", path)
            assert (status, body["error_code"]) == (code // 100, code)
        body = {"schema": schema_text("bar.v1")}
        status, _, answer = await gateway.ask("POST", "/subjects/bars.v1-value/versions", json=body)
        assert (status, answer) == (200, {"id": 6})
        status, _, answer = await gateway.ask("POST", "/subjects/bars.v1-value", data=b"{")
        assert (status, answer["error_code"]) == (422, 42201)

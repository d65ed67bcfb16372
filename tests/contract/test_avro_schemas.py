"""Published Avro files: they never change, every version reads all its earlier ones, and records have their fields."""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, fields
from pathlib import Path

import avro.schema
import pytest
import yaml
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from schemas.configuration.generation import Generation
from schemas.journals import CadenceSample, ProviderHealth
from schemas.records import (
    Bar,
    DeadLetter,
    Gap,
    Job,
    JobResult,
    Progress,
    Quote,
    RawBlock,
    Trade,
)
from schemas.topics import catalogue
from schemas.wire.codec import parsed_schema, schema_text

PUBLISHED = yaml.safe_load((Path(__file__).parent / "published_schemas.yaml").read_text("utf-8"))
RECORDS = {
    "quote.v1": Quote, "trade.v1": Trade, "bar.v1": Bar, "gap.v1": Gap, "progress.v2": Progress,
    "dead_letter.v1": DeadLetter, "provider_health.v1": ProviderHealth, "cadence.v1": CadenceSample, "raw_quotes.v1": RawBlock, "raw_trades.v1": RawBlock, "raw_bars.v1": RawBlock,
    "configuration.v1": Generation, "job.v1": Job, "job_result.v1": JobResult,
}  # fmt: skip


def test_a_published_file_and_its_id_never_change() -> None:
    """What is on somebody's disk in this format stays readable; a change is a new version."""
    current = {
        name: {"id": number, "sha256": hashlib.sha256(schema_text(name).encode()).hexdigest()}
        for number, name in catalogue().schema_ids.items()
    }

    assert {name: current[name] for name in PUBLISHED} == PUBLISHED
    assert set(current) == set(PUBLISHED), "publish the new file: add it to published_schemas.yaml"


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_version_reads_all_its_earlier_ones(name: str) -> None:
    """BACKWARD_TRANSITIVE, judged by Avro's own checker."""
    family, _, version = name.rpartition(".v")
    reader = avro.schema.parse(schema_text(name))
    for earlier in range(1, int(version) + 1):
        writer = avro.schema.parse(schema_text(f"{family}.v{earlier}"))
        verdict = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)

        assert verdict.compatibility is SchemaCompatibilityType.compatible


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_a_record_has_the_fields_of_its_schema(name: str) -> None:
    """Names and which of them have a default agree; order on the wire is the file's."""
    parsed = parsed_schema(name)
    assert isinstance(parsed, dict)
    schema_fields = {field["name"] for field in parsed["fields"]}
    record_fields = {field.name for field in fields(RECORDS[name])}
    required = {
        f.name for f in fields(RECORDS[name]) if f.default is MISSING and f.default_factory is MISSING
    }

    assert record_fields == schema_fields
    assert required <= schema_fields


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_every_field_says_what_it_means(name: str) -> None:
    """Units and clocks are documented in the file itself."""

    def undocumented(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [field["name"] for field in node.get("fields", []) if not field.get("doc")]
            return own + [name for value in node.values() for name in undocumented(value)]
        return [name for value in node for name in undocumented(value)] if isinstance(node, list) else []

    assert undocumented(json.loads(schema_text(name))) == []

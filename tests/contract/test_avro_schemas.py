"""Published Avro files: they never change, every version reads all its earlier ones, and records have their fields."""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, asdict, dataclass, fields, replace
from io import BytesIO
from pathlib import Path
from struct import pack
from typing import Annotated

import avro.schema
import fastavro
import pytest
import yaml
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from schemas.configuration.generation import Generation
from schemas.deriving import raw_schema, record_schema
from schemas.fields import AMOUNT, VALUE
from schemas.journals import CadenceSample, ProviderHealth
from schemas.known import Known, Simulated, Stamp, Symbol
from schemas.records import DeadLetter, Evidence, Gap, Job, JobResult, Progress, RawBlock, Watched
from schemas.streams import STREAMS, TRADE_STREAM, Bar, Quote, Trade
from schemas.topics import BARS, RAW_BARS, catalogue
from schemas.wire.codec import HEADER_BYTES, decode, encode, encode_value, parsed_schema, schema_text
from schemas.wire.splicing import decode_block_events
from tests.support.builders import a_bar, a_bar_event, a_block

STREAM_SCHEMAS = {stream.schema: record_schema(stream) for stream in STREAMS} | {
    stream.raw_schema: raw_schema(stream) for stream in STREAMS
}
PUBLISHED = yaml.safe_load((Path(__file__).parent / "published_schemas.yaml").read_text("utf-8"))
RECORDS = {
    "quote.v1": Quote, "trade.v1": Trade, "bar.v2": Bar, "gap.v1": Gap, "evidence.v1": Evidence, "watched.v1": Watched, "progress.v3": Progress,
    "dead_letter.v1": DeadLetter, "provider_health.v2": ProviderHealth, "cadence.v1": CadenceSample, "raw_quotes.v1": RawBlock, "raw_trades.v1": RawBlock, "raw_bars.v2": RawBlock,
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


@pytest.mark.parametrize("name", sorted(STREAM_SCHEMAS))
def test_a_published_file_is_what_the_declaration_says(name: str) -> None:
    """Byte for byte: a changed declaration is a new version, under a new id and in a new file."""
    assert name in PUBLISHED
    assert json.dumps(STREAM_SCHEMAS[name], indent=1) + "\n" == schema_text(name), (
        f"schemas/streams.py no longer says what {name} published; declare the change as a new version"
    )


def test_a_changed_declaration_does_not_pass_for_the_published_one() -> None:
    """Not even a changed default, unit or text: whoever reads the schema would be told something else."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Changed(Known):
        symbol: Symbol
        event_time: Stamp
        price: Annotated[float, AMOUNT, "price"]
        size: Annotated[float, AMOUNT, "contracts"]
        trade_id: Annotated[str | None, VALUE, "the vendor's id where it is unique"] = None
        conditions: Annotated[str, VALUE, "the vendor's condition codes, comma separated, in its order"] = ""
        venue: Annotated[str, VALUE, "exchange code as the vendor gives it"] = ""
        simulated: Simulated = False

    published = json.loads(schema_text(TRADE_STREAM.schema))
    derived = record_schema(replace(TRADE_STREAM, record=Changed))

    assert [f["name"] for f in derived["fields"]] == [f["name"] for f in published["fields"]]
    assert derived["fields"] != published["fields"]


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_version_reads_all_its_earlier_ones(name: str) -> None:
    """BACKWARD_TRANSITIVE, judged by Avro's own checker."""
    family, _, version = name.rpartition(".v")
    reader = avro.schema.parse(schema_text(name))
    for earlier in range(1, int(version) + 1):
        writer = avro.schema.parse(schema_text(f"{family}.v{earlier}"))
        verdict = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)

        assert verdict.compatibility is SchemaCompatibilityType.compatible


def as_version(name: str, value: object) -> bytes:
    """Return a value as a writer of an earlier schema framed it."""
    (number,) = (number for number, each in catalogue().schema_ids.items() if each == name)
    out = BytesIO()
    fastavro.schemaless_writer(out, parsed_schema(name), value)
    return pack(">bI", 0, number) + out.getvalue()


def test_a_bar_of_version_1_is_read_with_no_day_its_prices_are_adjusted_through() -> None:
    """A record and a raw block: what was written before stays what it was, and the rest of it is untouched."""
    bar, event = a_bar(adjustment_state="split"), a_bar_event(adjustment_state="split")
    block = {name: getattr(a_block(event), name) for name in RawBlock.__slots__}

    assert decode(BARS, as_version("bar.v1", asdict(bar)), Bar) == bar
    read, heads = decode_block_events(RAW_BARS, as_version("raw_bars.v1", block))
    assert read == a_block(event, events=[event])
    assert event["adjusted_through"] is bar.adjusted_through is None
    assert heads == decode_block_events(RAW_BARS, encode_value(RAW_BARS, block))[1]


def test_a_reader_of_version_1_takes_bars_of_version_2() -> None:
    """A stock reader resolves by name and leaves out what it does not know."""
    bar = a_bar(adjustment_state="split", adjusted_through=16_230)
    data = BytesIO(encode(BARS, bar)[HEADER_BYTES:])

    read = fastavro.schemaless_reader(data, parsed_schema("bar.v2"), parsed_schema("bar.v1"))

    assert read == {name: value for name, value in asdict(bar).items() if name != "adjusted_through"}
    assert decode(BARS, encode(BARS, bar), Bar).adjusted_through == 16_230


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

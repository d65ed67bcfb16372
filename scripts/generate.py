"""Every generated file, and what writes it: `make docs`. A test fails where a file is not what this would write.

A new page is one more line in FILES. A published Avro file is never written over: a changed declaration needs a new one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from gateway.features import ENDPOINTS
from gateway.http.reference import rest_page
from gateway.websocket.reference import errors_page, websocket_page
from infra.monitoring.grafana.backfill import BACKFILL
from infra.monitoring.grafana.ingestion import INGESTION
from infra.monitoring.grafana.kafka_sink import KAFKA_SINK
from infra.monitoring.grafana.market import MARKET
from infra.monitoring.grafana.overview import OVERVIEW
from infra.monitoring.grafana.providers import PROVIDERS
from infra.monitoring.grafana.websocket import WEBSOCKET
from infra.runtime import metrics_reference
from schemas.configuration.reference import configuration_page, json_schema_text
from schemas.deriving import raw_schema, record_schema
from schemas.providers import reference as providers
from schemas.streams import STREAMS, Stream
from schemas.tables import create_tables
from scripts.cli_page import cli_page
from scripts.event_readers import readers_source
from scripts.reference_pages import INDEX, archive_rules, records_page, topics_page
from scripts.retention_page import retention_page
from scripts.scaling_page import scaling_page
from scripts.settings_page import settings_page
from scripts.summary_pages import file_tree_page, summary_page

ROOT = Path(__file__).parent.parent
CHART = "infra/helm/market-data-service"
RULES = ("alerts-extra", "alerts-slo", "recording")  # written by hand
BOARDS = (OVERVIEW, PROVIDERS, INGESTION, BACKFILL, WEBSOCKET, KAFKA_SINK, MARKET)


def _rules(name: str) -> Callable[[], str]:
    return lambda: (ROOT / f"infra/monitoring/{name}.yaml").read_text("utf-8")


FILES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "config/mds.schema.json": json_schema_text,
        "docs/CLI.md": cli_page,
        "docs/COMPLETE_SUMMARY.md": lambda: summary_page(BOARDS),
        "docs/CONFIGURATION.md": configuration_page,
        "docs/FILE_TREE.md": file_tree_page,
        "docs/PROVIDERS.md": providers.page,
        "docs/reference/README.md": lambda: INDEX,
        "docs/SCALING.md": scaling_page,
        "docs/reference/errors.md": errors_page,
        "docs/reference/metrics.md": metrics_reference.text,
        "docs/reference/records.md": records_page,
        "docs/reference/retention.md": retention_page,
        "docs/reference/rest.md": lambda: rest_page(ENDPOINTS),
        "docs/reference/settings.md": settings_page,
        "docs/reference/topics.md": topics_page,
        "docs/reference/websocket.md": websocket_page,
        "infra/monitoring/alerts-archive.yaml": archive_rules,
        **{f"infra/monitoring/dashboards/{board.uid}.json": board.text for board in BOARDS},
        # a chart cannot read what lies outside of it, nor be pulled from elsewhere with links in it
        **{f"{CHART}/files/dashboards/{board.uid}.json": board.text for board in BOARDS},
        **{f"{CHART}/files/rules/{name}.yaml": _rules(name) for name in RULES},
        f"{CHART}/files/rules/alerts-archive.yaml": archive_rules,
        "schemas/wire/generated_readers.py": lambda: readers_source(STREAMS),
    }
)


def avro_files(stream: Stream) -> dict[str, str]:
    """Return the two Avro files of a stream, by path from the root of the checkout."""
    schemas = {stream.raw_schema: raw_schema(stream), stream.schema: record_schema(stream)}
    return {f"schemas/avro/{name}.avsc": json.dumps(s, indent=1) + "\n" for name, s in schemas.items()}


def write_avro(root: Path, stream: Stream) -> None:
    """Write the Avro files a new stream lacks; raise ValueError where one is there and says something else."""
    for name, text in avro_files(stream).items():
        path = root / name
        if not path.exists():
            path.write_text(text, "utf-8")
        elif path.read_text("utf-8") != text:
            raise ValueError(
                f"{name} is published and says something else; raise the stream's schema_version"
            )


def main(arguments: Sequence[str]) -> int:
    """Write all files; with `tables NAME` print the SQL a migration needs for a stream instead."""
    parser = argparse.ArgumentParser(prog="python -m scripts.generate", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("files", "tables"), default="files")
    parser.add_argument("stream", nargs="?", choices=[stream.name for stream in STREAMS])
    options = parser.parse_args(arguments)
    if options.what == "tables":
        chosen = [stream for stream in STREAMS if options.stream in (None, stream.name)]
        sys.stdout.write("\n".join(create_tables(stream) for stream in chosen))
        return 0
    for stream in STREAMS:
        write_avro(ROOT, stream)
    for name, text in FILES.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

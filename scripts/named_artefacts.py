"""Names under which parts of such a service are looked for, and where ours are: the rows of docs/FILE_TREE.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Artefact:
    """A name, and the places where ours is."""

    named: str
    places: tuple[str, ...]


def _is(named: str, *places: str) -> Artefact:
    return Artefact(named, places)


def _document(name: str, *more: str) -> Artefact:
    """Return the document of that name, and what else it stands for."""
    return Artefact(name, (f"docs/{name}.md", *more))


DOCUMENTS = (
    _document("QUICKSTART"),
    _document("DEPLOYMENT_GUIDE"),
    _document("IMPLEMENTATION", "ARCHITECTURE.md"),
    _document("ENHANCEMENTS"),
    _is("ENHANCEMENTS_SUMMARY", "docs/ENHANCEMENTS.md#summary"),
    _document("COMPLETE_SUMMARY"),
    _document("INTEGRATION_GUIDE"),
    _document("MANUAL_PATCHES", "docs/UPGRADING.md"),
    _document("RELEASE_NOTES", "CHANGELOG.md"),
    _document("FILE_TREE"),
    _is("README of the scripts", "scripts/README.md", "scripts/pre_deploy.py", "scripts/ci"),
    _is("runbooks that alerts link to", "docs/runbooks/README.md"),
)
CODE = (
    _is("`app/main.py`", "gateway/__main__.py", "gateway/features.py"),
    _is("`app/core/config.py`, hot reload", "schemas/configuration", "infra/runtime/configuration"),
    _is("`app/circuit_breaker.py`", "producers/http/shell/breaker.py"),
    _is("providers: registry, base", "schemas/providers/built_in.py", "producers/vendors/shell/provider.py"),
    _is("providers: finnhub, yahoo", "producers/vendors/finnhub", "producers/vendors/yahoo"),
    _is(
        "`services/data_collector.py`: jobs, sweeper, gaps, backfill",
        "producers/jobs", "producers/polling", "stream_processors/gaps.py", "producers/backfill",
    ),
    _is("`services/database.py`", "sinks/store", "gateway/database"),
    _is("`services/market_data.py`", "gateway/market", "gateway/live"),
    _is("`services/market_calendar.py`", "schemas/calendar"),
    _is("`services/slo_monitor.py`", "gateway/objectives"),
    _is("`services/ops_admin.py`, the interface of dead letters", "gateway/dead_events", "gateway/backfill"),
    _is("`services/websocket.py`", "gateway/websocket"),
    _is("`services/macro_data_service.py`", "gateway/entries/shell/macro.py", "gateway/refreshes"),
    _is("`services/options_service.py`", "gateway/options", "analytics"),
    _is("`observability/metrics.py`", "infra/runtime/metrics.py", "infra/runtime/objective_metrics.py"),
    _is("`observability/trace.py`, VizTracer", "infra/runtime/call_traces.py", "infra/runtime/tracing.py"),
    _is("`schemas/jobs.py`", "schemas/jobs.py", "schemas/avro/job.v1.avsc"),
    _is("`db/migrations`, market data core", "infra/migrations"),
    _is("`db/migrations`, TimescaleDB", "infra/migrations/timescale"),
    _is("`deploy/monitoring/prometheus-config.yaml`", "infra/monitoring/prometheus-config.yaml"),
    _is(
        "`servicemonitor-market-data.yaml`, `servicemonitor-blackbox.yaml`",
        "infra/monitoring/servicemonitors.yaml",
    ),
    _is("`alerts-slo.yaml`", "infra/monitoring/alerts-slo.yaml"),
    _is("`deploy/blackbox-exporter/values.yaml`", "infra/blackbox-exporter/values.yaml"),
    _is("Grafana dashboards", "infra/monitoring/dashboards"),
)  # fmt: skip
ROUTES = (
    _is(
        "health, metrics, `/ops/…`, `/stats/…`, `/stocks/…`, `/options/…`, `/factors/…`",
        "docs/reference/rest.md",
    ),
    _is("`/ws/{symbol}`, `/ws/options/{symbol}`", "docs/reference/websocket.md"),
    _is("commands of the quick start", "docs/COMPLETE_SUMMARY.md#quick-commands"),
    _is("objectives and their targets", "docs/concepts/objectives.md"),
)
TESTS = (
    _is("`test_config_validation`", "tests/unit/schemas/test_config_validation.py"),
    _is("`test_job_schemas`", "tests/unit/schemas/test_job_schemas.py"),
    _is("`test_slo_monitor`", "tests/integration/gateway/objectives/shell/test_slo_monitor.py"),
    _is("failover", "tests/integration/producers/routing/test_failover.py"),
    _is("a gap and its backfill", "tests/integration/producers/backfill/test_healing.py"),
    _is("hot reload", "tests/integration/infra/runtime/configuration/test_following.py"),
    _is("WebSocket", "tests/integration/gateway/websocket/shell/test_connection.py"),
    _is("objectives over REST", "tests/integration/gateway/objectives/shell/test_slo.py"),
    _is("load on a price", "benchmarks/rest.py"),
)

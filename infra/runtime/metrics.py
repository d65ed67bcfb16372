"""Every Prometheus metric of the service in one table; names and labels are a published contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import nan

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics import MetricWrapperBase

# When a series began is on nobody's dashboard, and would be a series more for each of a counter and a histogram.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry(auto_describe=True)
CADENCE_SECONDS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
LATENCY_MS_BUCKETS = (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)

PROVIDER_ERRORS = Counter(
    "provider_errors",
    "Failed vendor requests and frames; `banned` begins at 0 for every endpoint. What we did not send is none.",
    ["provider", "endpoint", "code"], registry=REGISTRY,
)  # fmt: skip
PROVIDER_HELD_BACK = Counter(
    "mds_provider_held_back_total",
    "Requests not sent because of a brake of ours: the `budget`, a `pause` in force, an open `circuit`.",
    ["provider", "endpoint", "reason"], registry=REGISTRY,
)  # fmt: skip
PROVIDER_LATENCY_MS = Histogram(
    "provider_latency_ms", "Vendor request duration.", ["provider", "endpoint"],
    buckets=LATENCY_MS_BUCKETS, registry=REGISTRY,
)  # fmt: skip
CIRCUIT_STATE = Gauge("circuit_state", "0 closed, 1 half-open, 2 open.", ["provider"], registry=REGISTRY)
ENDPOINT_CIRCUIT_STATE = Gauge(
    "mds_endpoint_circuit_state",
    "0 closed, 1 half-open, 2 open; `circuit_state` is that of the worst of them.",
    ["provider", "endpoint"], registry=REGISTRY,
)  # fmt: skip
PROVIDER_SELECTED = Counter(
    "provider_selected", "Times a provider became the one that serves a capability.",
    ["capability", "provider"], registry=REGISTRY,
)  # fmt: skip
PROVIDER_HEALTH_SCORE = Gauge(
    "provider_health_score", "Health in [0, 1].", ["capability", "provider"], registry=REGISTRY
)
UNSERVED_SYMBOLS = Gauge(
    "mds_unserved_symbols",
    "Symbols that no provider gives, though they are asked for.",
    ["capability"], registry=REGISTRY,
)  # fmt: skip
JOBS_PROCESSED = Counter(
    "jobs_processed",
    "Jobs that came to an end, and polls the sweeper did by itself; provider `routed` where none was named.",
    ["type", "provider"], registry=REGISTRY,
)  # fmt: skip
GAPS_FOUND = Counter(
    "gaps_found",
    "Gaps that processors published, each once. `interval` is a bar's, or `quotes` or `trades`.",
    ["interval"], registry=REGISTRY,
)  # fmt: skip
BACKFILL_JOBS_ENQUEUED = Counter(
    "backfill_jobs_enqueued", "Jobs added to the backfill queue.", ["tier"], registry=REGISTRY
)
BACKFILL_JOBS_COMPLETED = Counter(
    "backfill_jobs_completed",
    "Backfill jobs that came to an end, as `done`, `empty`, `unrecoverable` or `dead`; each begins at 0.",
    ["tier", "status"], registry=REGISTRY,
)  # fmt: skip
BACKFILL_GAPS_DEFERRED = Counter(
    "mds_backfill_gaps_deferred_total",
    "Gaps that were not queued when they opened, since their tier had no room; they are when it has.",
    ["tier"], registry=REGISTRY,
)  # fmt: skip
BACKFILL_QUEUE_DEPTH = Gauge(
    "backfill_queue_depth", registry=REGISTRY,
    documentation="Jobs that wait or are under way, of each tier counted up to the largest cap. The same from every sink.",
)  # fmt: skip
BACKFILL_QUEUE_LIMIT = Gauge(
    "mds_backfill_queue_limit", registry=REGISTRY,
    documentation="Most jobs the queue takes, the caps of all tiers together. The same from every sink.",
)  # fmt: skip
BACKFILL_OLDEST_AGE_SECONDS = Gauge(
    "backfill_oldest_age_seconds", registry=REGISTRY,
    documentation="Wall time since the oldest T0 job that is not over was added; 0 where there is none. The same from every sink.",
)  # fmt: skip
DLQ_DEPTH = Gauge(
    "dlq_depth",
    "What died and waits for somebody: until it is published again or discarded, or its letter expires. `kind` is the topic "
    "letters died in, of whoever wrote them; or `backfills`: jobs that failed too often. The same from every sink.",
    ["kind"], registry=REGISTRY,
)  # fmt: skip
WRITE_BATCH_MS = Histogram(
    "write_batch_ms", "One sink transaction, begin to commit.", buckets=LATENCY_MS_BUCKETS, registry=REGISTRY
)
INGESTION_LAG_SECONDS = Gauge(
    "ingestion_lag_seconds",
    "Market time since the newest stored row (a bar's end), of the calendar furthest behind; 0 while all are closed. "
    "`interval` is a bar's, or `quotes` or `trades`; a healthy lag grows up to an interval's length.",
    ["interval"], registry=REGISTRY,
)  # fmt: skip
CONFIG_RELOADS = Counter(
    "config_reload", "Configurations offered to this process: applied, refused or unchanged.", ["status"],
    registry=REGISTRY,
)  # fmt: skip
WS_CLIENTS = Gauge("ws_clients_gauge", "Connected WebSocket clients.", registry=REGISTRY)
WS_PUBLISH_LATENCY_MS = Histogram(
    "ws_publish_latency_ms", "Append time of the canonical record to the frame's hand-over to the socket.",
    buckets=LATENCY_MS_BUCKETS, registry=REGISTRY,
)  # fmt: skip
WS_GREEKS_MS = Histogram(
    "mds_ws_greeks_ms", "Knowledge time of an option slice that is watched to its greeks being computed.",
    buckets=LATENCY_MS_BUCKETS, registry=REGISTRY,
)  # fmt: skip
WS_DROPPED_MESSAGES = Counter(
    "ws_dropped_messages", "Messages lost with the connection of a client that was too slow; conflation is no loss.",
    registry=REGISTRY,
)  # fmt: skip
WS_CONFLATED_MESSAGES = Counter(
    "mds_ws_conflated_total", "Messages that a newer one of the same conflated stream stood for.", registry=REGISTRY
)  # fmt: skip

BUILD_INFO = Gauge(
    "mds_build_info", "Version of the running code; always 1.", ["service", "version"], registry=REGISTRY
)
CONFIG_GENERATION = Gauge(
    "mds_config_generation",
    "Generation of the configuration in force; 0 before the first.",
    ["service"], registry=REGISTRY,
)  # fmt: skip
PROVIDER_BUDGET_USED_RATIO = Gauge(
    "mds_provider_budget_used_ratio",
    "Requests that count now, of the limit in force.",
    ["provider", "window"], registry=REGISTRY,
)  # fmt: skip
PROVIDER_PAUSED_SECONDS = Gauge(
    "mds_provider_paused_seconds",
    "How much longer a provider is left alone because it asked to be.",
    ["provider"], registry=REGISTRY,
)  # fmt: skip
PROVIDER_BANS = Gauge(
    "mds_provider_bans", "Hard bans of today and yesterday, over restarts.", ["provider"], registry=REGISTRY
)
SYMBOLS_REFUSED = Gauge(
    "mds_symbols_refused",
    "Symbols that a provider's socket was asked for and, by its own words, may not send.",
    ["provider"], registry=REGISTRY,
)  # fmt: skip
JOB_LEASE = Gauge(
    "mds_job_lease",
    "Who decides what this process polls: 1 the job feed, 0 the sweeper.",
    ["partition"], registry=REGISTRY,
)  # fmt: skip
JOB_RESULTS_DROPPED = Counter(
    "mds_job_results_dropped_total", registry=REGISTRY,
    documentation="Results of the sweeper's own polls given up because the broker took none for too long.",
)  # fmt: skip
RAW_BLOCKS = Counter(
    "mds_raw_blocks_total", "Raw blocks delivered to Kafka.", ["provider", "topic"], registry=REGISTRY
)
RAW_EVENTS = Counter(
    "mds_raw_events_total", "Events in delivered raw blocks.", ["provider", "topic"], registry=REGISTRY
)
CADENCE_ERROR_SECONDS = Histogram(
    "mds_cadence_error_seconds", "How much later than due polls began, wall time.", ["capability", "tier"],
    buckets=CADENCE_SECONDS_BUCKETS, registry=REGISTRY,
)  # fmt: skip
CADENCE_WINDOWS_DROPPED = Counter(
    "mds_cadence_windows_dropped_total", "Windows of cadence given up because the broker was away for long.",
    registry=REGISTRY,
)  # fmt: skip
BLOCKS_PROCESSED = Counter(
    "mds_blocks_processed_total", "Raw blocks processed.", ["topic"], registry=REGISTRY
)
EVENTS_PROCESSED = Counter(
    "mds_events_processed_total", "Events in processed blocks.", ["topic"], registry=REGISTRY
)
EVENTS_REPEATED = Counter(
    "mds_events_repeated_total", "Events that changed nothing and were dropped.", ["topic"], registry=REGISTRY
)
TRANSACTION_MS = Histogram(
    "mds_transaction_ms", "One processor transaction.", buckets=LATENCY_MS_BUCKETS, registry=REGISTRY
)
KNOWLEDGE_AHEAD_SECONDS = Gauge(
    "mds_knowledge_ahead_seconds",
    "How far the newest knowledge time of a raw partition lies ahead of our clock: a broker's clock is fast, or ours slow.",
    ["topic", "partition"], registry=REGISTRY,
)  # fmt: skip
DEAD_LETTERS = Counter(
    "mds_dead_letters_total", "Dead letters written.", ["stage", "reason"], registry=REGISTRY
)
DEAD_LETTERS_SPARED = Counter(
    "mds_dead_letters_spared_total",
    "Whole answers of vendors that were of no use like one that is a dead letter already: counted, and not written again.",
    ["provider", "endpoint"], registry=REGISTRY,
)  # fmt: skip
ROWS_WRITTEN = Counter("mds_rows_written_total", "Rows committed.", ["table", "path"], registry=REGISTRY)
ROWS_UNCHANGED = Counter(
    "mds_rows_unchanged_total", "Rows the guard found already stored.", ["table"], registry=REGISTRY
)
SINK_FENCED = Counter(
    "mds_sink_fenced_total", registry=REGISTRY,
    documentation="Transactions rolled back because a newer owner holds the partition.",
)  # fmt: skip
WATERMARK_LAG_SECONDS = Gauge(
    "mds_watermark_lag_seconds",
    "Wall time minus the watermark; small while the market is closed, too: ticks move it.",
    ["topic", "partition"], registry=REGISTRY,
)  # fmt: skip
WATERMARK_TIMESTAMP_SECONDS = Gauge(
    "mds_watermark_timestamp_seconds",
    "The watermark: everything known before it is stored. Since the epoch.",
    ["topic", "partition"], registry=REGISTRY,
)  # fmt: skip
SESSION_OPEN = Gauge(
    "mds_session_open",
    "1 while the regular session of the calendar is open on the market clock, else 0; of stored symbols.",
    ["calendar"], registry=REGISTRY,
)  # fmt: skip
CALENDAR_HORIZON_DAYS = Gauge(
    "mds_calendar_horizon_days",
    "Days of 24 h until the calendar is no longer known, on wall time; of those this process has used. Nothing is expected "
    "beyond: below 60 it is time to update.",
    ["calendar"], registry=REGISTRY,
)  # fmt: skip
ARCHIVE_NEXT_OFFSET = Gauge(
    "mds_archive_next_offset",
    "Offset of a raw partition from which on nothing is archived yet.",
    ["topic", "partition"], registry=REGISTRY,
)  # fmt: skip
ARCHIVE_AGE_SECONDS = Gauge(
    "mds_archive_age_seconds",
    "Wall time since the moment up to which all of a raw partition is archived; up to an hour and some minutes.",
    ["topic", "partition"], registry=REGISTRY,
)  # fmt: skip
ARCHIVE_BYTES = Counter("mds_archive_bytes_total", "Bytes of archived files.", ["topic"], registry=REGISTRY)
HTTP_REQUESTS = Counter("mds_http_requests_total", "REST requests.", ["route", "status"], registry=REGISTRY)
HTTP_SECONDS = Histogram("mds_http_request_seconds", "REST request duration.", ["route"], registry=REGISTRY)
HTTP_UNREADABLE = Counter("mds_http_unreadable_total", "Requests that are no HTTP.", registry=REGISTRY)
WS_SENT_MESSAGES = Counter("mds_ws_sent_messages_total", "Messages handed to sockets.", registry=REGISTRY)
WS_SLOW_CLOSES = Counter("mds_ws_slow_closes_total", "Clients closed with 4008.", registry=REGISTRY)
WS_CATCH_UPS = Counter(
    "mds_ws_catch_ups_total", "Times a client fell behind memory and read from Kafka.", registry=REGISTRY
)
WS_PAST_READS = Counter("mds_ws_past_reads_total", "Blocks of the log read for clients.", registry=REGISTRY)
WS_RESUMES = Counter(
    "mds_ws_resumes_total",
    "Resumed streams by where they came from, or why they could not.",
    ["result"], registry=REGISTRY,
)  # fmt: skip
WS_UNREADABLE_RECORDS = Counter(
    "mds_ws_unreadable_records_total",
    "Canonical records no stream could carry; skipped.",
    ["topic"], registry=REGISTRY,
)  # fmt: skip
SPANS_EXPORTED = Counter("mds_spans_exported_total", "Spans the OTLP receiver took.", registry=REGISTRY)
SPANS_DROPPED = Counter(
    "mds_spans_dropped_total", "Spans lost: `queue_full`, or `not_taken` by the OTLP receiver.", ["reason"], registry=REGISTRY
)  # fmt: skip


def compute_at_scrape(gauge: Gauge, value: Callable[[], float]) -> None:
    """Show what `value` returns at each scrape; NaN where it raises, so that one gauge never takes the page with it."""

    def computed() -> float:
        try:
            return value()
        except Exception:  # noqa: BLE001 - whatever it is, the other metrics must be seen
            return nan

    gauge.set_function(computed)


def forget_provider(provider: str) -> None:
    """Take back everything said of a provider that is asked no more."""
    for metric in globals().values():
        if isinstance(metric, MetricWrapperBase) and "provider" in metric._labelnames:  # noqa: SLF001 - as below
            metric.remove_by_labels({"provider": provider})


def render() -> tuple[bytes, str]:
    """Return the exposition and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST


def declared(*more: object) -> Iterator[tuple[str, str, tuple[str, ...], str, tuple[float, ...]]]:
    """Yield (name as scraped, type, labels, meaning, finite bucket edges) of every metric of this module and `more`."""
    for metric in (each for module in (globals(), *map(vars, more)) for each in module.values()):
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = tuple(metric._labelnames)  # noqa: SLF001 - prometheus_client says it nowhere else
            edges = metric._upper_bounds[:-1] if isinstance(metric, Histogram) else ()  # noqa: SLF001
            yield name, family.type, labels, family.documentation, tuple(edges)

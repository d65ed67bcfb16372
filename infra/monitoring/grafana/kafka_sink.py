"""The dashboard of Kafka and the sink: blocks, transactions, rows, and the watermark."""

from __future__ import annotations

from infra.monitoring.grafana.boards import Board, PanelRow
from infra.monitoring.grafana.panels import Lines, Panel, at_most
from infra.monitoring.grafana.promql import grown, highest, lowest, per_second, quantile

PIPELINE = PanelRow(
    "Kafka",
    (
        Panel(
            title="Raw blocks in and processed",
            description="Blocks delivered by producers and processed by processors, per second; the two lines of a topic lie on each other.",
            unit="ops",
            queries=(
                Lines(per_second("mds_raw_blocks_total", "topic"), "{{topic}} delivered"),
                Lines(per_second("mds_blocks_processed_total", "topic"), "{{topic}} processed"),
            ),
        ),
        Panel(
            title="Transactions of processors",
            description="Time of one transaction: canonical records, evidence, dead letters, state and progress.",
            unit="ms",
            queries=(
                Lines(quantile(0.5, "mds_transaction_ms"), "p50"),
                Lines(quantile(0.99, "mds_transaction_ms"), "p99"),
            ),
        ),
        Panel(
            title="Events processed",
            description="Events in processed blocks, per second.",
            unit="ops",
            queries=(Lines(per_second("mds_events_processed_total", "topic"), "{{topic}}"),),
        ),
    ),
)
STORE = PanelRow(
    "Sink",
    (
        Panel(
            title="Transactions of the sink",
            description="Time of one transaction, begin to commit; a p99 above a second for ten minutes is an alert.",
            unit="ms",
            queries=(
                Lines(quantile(0.5, "write_batch_ms"), "p50"),
                Lines(quantile(0.99, "write_batch_ms"), "p99"),
            ),
            levels=at_most(1_000),
            alert="MdsSinkSlow",
        ),
        Panel(
            title="Transactions per second",
            description="Batches that the sinks committed.",
            unit="ops",
            queries=(Lines(per_second("write_batch_ms_count"), "batches"),),
        ),
        Panel(
            title="Fenced",
            description="Transactions rolled back because a newer owner holds the partition: a few when replicas come or go.",
            unit="short",
            queries=(Lines(grown("mds_sink_fenced_total"), "rolled back"),),
        ),
        Panel(
            title="Rows written",
            description="Rows committed per second, by table and by the way they took.",
            unit="wps",
            queries=(Lines(per_second("mds_rows_written_total", "table", "path"), "{{table}} {{path}}"),),
        ),
        Panel(
            title="Rows found as they were",
            description="Rows per second that the guard found already stored: a replay, or a value told again.",
            unit="ops",
            queries=(Lines(per_second("mds_rows_unchanged_total", "table"), "{{table}}"),),
        ),
        Panel(
            title="Age of the watermark",
            description="Wall time since the moment before which everything known is stored, of the partition furthest behind. Taken from "
            "the watermark itself, it grows where a sink has died and shows its last moment for ever.",
            unit="s",
            queries=(Lines(f"time() - {lowest('mds_watermark_timestamp_seconds', 'topic')}", "{{topic}}"),),
            levels=at_most(300),
            alert="MdsWatermarkStuck",
        ),
        Panel(
            title="Lag of the watermark, by partition",
            description="The same as each sink tells it, for each partition it holds.",
            unit="s",
            width=24,
            queries=(
                Lines(highest("mds_watermark_lag_seconds", "topic", "partition"), "{{topic}} {{partition}}"),
            ),
        ),
    ),
)
KAFKA_SINK = Board(
    uid="mds-kafka-sink",
    description="Blocks through Kafka, transactions of processors and sinks, rows, and the watermark.",
    rows=(PIPELINE, STORE),
    services=("producers", "processors", "sinks"),
)

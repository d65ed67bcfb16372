"""The dashboard of what comes in: how far the store is behind the market, what is missing of it, and the archive."""

from __future__ import annotations

from infra.monitoring.grafana.boards import Board, PanelRow
from infra.monitoring.grafana.panels import Lines, Panel, at_most
from infra.monitoring.grafana.promql import grown, highest, per_second

# half of the days the broker keeps raw records
ARCHIVED_WITHIN_S = 604_800
LAG = PanelRow(
    "How far ingestion is",
    (
        Panel(
            title="Lag of minute bars",
            description="Market time since the newest stored minute bar's end, of the calendar furthest behind; 0 while all are closed. "
            "Above three minutes while a market is open is an alert.",
            unit="s",
            queries=(Lines(highest("ingestion_lag_seconds", where='interval="1m"'), "1m"),),
            levels=at_most(180),
            alert="MdsIngestionLag",
        ),
        Panel(
            title="Lag of everything else",
            description="The same of other bars, quotes and trades; a healthy lag grows up to an interval's length.",
            unit="s",
            queries=(
                Lines(highest("ingestion_lag_seconds", "interval", where='interval!="1m"'), "{{interval}}"),
            ),
        ),
        Panel(
            title="Lag of the watermark",
            description="Wall time minus the watermark of the partition furthest behind, by topic; small while markets are closed, too.",
            unit="s",
            queries=(Lines(highest("mds_watermark_lag_seconds", "topic"), "{{topic}}"),),
            more="mds-kafka-sink",
        ),
        Panel(
            title="Raw events",
            description="Events in blocks delivered to Kafka, per second, by provider.",
            unit="ops",
            queries=(
                Lines(per_second("mds_raw_events_total", "provider", "topic"), "{{provider}} {{topic}}"),
            ),
        ),
        Panel(
            title="Events processed, and repeats among them",
            description="Events in processed blocks per second, and those that changed nothing and were dropped.",
            unit="ops",
            queries=(
                Lines(per_second("mds_events_processed_total", "topic"), "{{topic}}"),
                Lines(per_second("mds_events_repeated_total", "topic"), "{{topic}} repeated"),
            ),
        ),
        Panel(
            title="Raw topics ahead of our clock",
            description="How far the newest knowledge time of a raw topic lies ahead: a broker's clock is fast, or ours slow.",
            unit="s",
            queries=(Lines(highest("mds_knowledge_ahead_seconds", "topic"), "{{topic}}"),),
        ),
    ),
)
GAPS = PanelRow(
    "Gaps",
    (
        Panel(
            title="Missing bars",
            description="Share of the bars expected in the last three trading days that are neither stored nor proved not to exist; the "
            "objective is 0.5 %. A hole in a line: nobody knows.",
            unit="percentunit",
            queries=(Lines(highest("slo_gap_violation_rate", "tier", "interval"), "{{tier}} {{interval}}"),),
            levels=at_most(0.005),
            alert="MdsGapViolation",
        ),
        Panel(
            title="Gaps found",
            description="Gaps that processors published, each once, by interval of the bars, or quotes or trades.",
            unit="short",
            queries=(Lines(grown("gaps_found_total", "interval"), "{{interval}}"),),
            more="mds-backfill",
        ),
        Panel(
            title="Dead letters written",
            description="What could not be read or was impossible, by stage and reason.",
            unit="short",
            queries=(Lines(grown("mds_dead_letters_total", "stage", "reason"), "{{stage}} {{reason}}"),),
            more="mds-backfill",
        ),
    ),
)
ARCHIVE = PanelRow(
    "Archive of raw topics",
    (
        Panel(
            title="Not archived for",
            description="Wall time since the moment up to which all of a raw topic is archived; the broker deletes raw records after 14 "
            "days, and half of that is an alert.",
            unit="s",
            width=12,
            queries=(Lines(highest("mds_archive_age_seconds", "topic"), "{{topic}}"),),
            levels=at_most(ARCHIVED_WITHIN_S),
            alert="MdsArchiveBehind",
        ),
        Panel(
            title="Archived",
            description="Bytes of archived files per second.",
            unit="Bps",
            width=12,
            queries=(Lines(per_second("mds_archive_bytes_total", "topic"), "{{topic}}"),),
        ),
    ),
)
INGESTION = Board(
    uid="mds-ingestion",
    description="How far behind the market the store is, what is missing of it, and the archive.",
    rows=(LAG, GAPS, ARCHIVE),
)

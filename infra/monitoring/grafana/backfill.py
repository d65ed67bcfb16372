"""The dashboard of backfill and dead letters: what is fetched again, and what died."""

from __future__ import annotations

from infra.monitoring.grafana.boards import Board, PanelRow
from infra.monitoring.grafana.panels import Lines, Panel, at_most
from infra.monitoring.grafana.promql import grown, highest, per_second

ENDED = grown("backfill_jobs_completed_total", within="15m")
DIED = grown("backfill_jobs_completed_total", where='status="dead"', within="15m")

QUEUE = PanelRow(
    "Backfill queue",
    (
        Panel(
            title="Oldest T0 job",
            description="Wall time since the oldest T0 job that is not over was added; 15 minutes are the objective, 0 is none. It stays "
            "as it was while the database is away.",
            unit="s",
            queries=(Lines(highest("backfill_oldest_age_seconds"), "oldest"),),
            levels=at_most(900),
            alert="MdsBackfillDrainT0",
        ),
        Panel(
            title="Jobs that wait or are under way",
            description="Of each tier counted up to the largest cap, and four fifths of all caps together: above that for ten minutes is an "
            "alert. Both stay as they were while the database is away.",
            unit="short",
            queries=(
                Lines(highest("backfill_queue_depth"), "jobs"),
                Lines(f"0.8 * {highest('mds_backfill_queue_limit')}", "four fifths of the caps"),
            ),
            alert="MdsBackfillDepth",
        ),
        Panel(
            title="Share of jobs that die",
            description="Of the jobs that ended within a quarter of an hour, those that failed too often, where more than ten ended.",
            unit="percentunit",
            queries=(Lines(f"{DIED} / ({ENDED} > 10)", "dead"),),
            levels=at_most(0.1),
            alert="MdsBackfillFailures",
        ),
        Panel(
            title="Jobs added",
            description="Jobs added to the queue per second, by tier.",
            unit="ops",
            queries=(Lines(per_second("backfill_jobs_enqueued_total", "tier"), "{{tier}}"),),
        ),
        Panel(
            title="Jobs ended",
            description="Jobs that came to an end per second: done, empty (the vendor has none), unrecoverable, or dead.",
            unit="ops",
            queries=(
                Lines(per_second("backfill_jobs_completed_total", "tier", "status"), "{{tier}} {{status}}"),
            ),
        ),
        Panel(
            title="Gaps without room",
            description="Gaps that were not queued when they opened, since their tier had no room; they are when it has.",
            unit="short",
            queries=(Lines(grown("mds_backfill_gaps_deferred_total", "tier"), "{{tier}}"),),
        ),
    ),
)
DEAD = PanelRow(
    "Dead letters",
    (
        Panel(
            title="Waiting for somebody",
            description="What died and was neither published again nor discarded, by topic; backfills are jobs that failed too often. A "
            "hole in a line: nobody could count for two minutes.",
            unit="short",
            queries=(Lines(highest("dlq_depth", "kind"), "{{kind}}"),),
            alert="MdsDeadLetters",
        ),
        Panel(
            title="Written, by reason",
            description="Dead letters written, by the stage that found them and the reason.",
            unit="short",
            queries=(Lines(grown("mds_dead_letters_total", "stage", "reason"), "{{stage}} {{reason}}"),),
        ),
        Panel(
            title="Spared",
            description="Whole answers of vendors that were of no use like one that is a dead letter already: counted, not written again.",
            unit="short",
            queries=(
                Lines(
                    grown("mds_dead_letters_spared_total", "provider", "endpoint"),
                    "{{provider}} {{endpoint}}",
                ),
            ),
        ),
    ),
)
BACKFILL = Board(
    uid="mds-backfill",
    description="What is fetched again, how long it takes, and what died and waits for a decision.",
    rows=(QUEUE, DEAD),
    services=("producers", "processors", "sinks"),
)

"""The dashboard of the whole: the objectives, and whether every service runs, as configured and knowing its calendars."""

from __future__ import annotations

from infra.monitoring.grafana.boards import Board, PanelRow
from infra.monitoring.grafana.panels import (
    BAD,
    GOOD,
    NONE_ALLOWED,
    UNKNOWN,
    WARNING,
    Lines,
    Panel,
    at_least,
    at_most,
)
from infra.monitoring.grafana.promql import JOBS, grown, highest, in_sum, lowest, per_second, quantile

# windows of a pair, the burn rate beyond which both of them fire, and the alert that does
PAIRS = (
    ("1h|5m", 14.4, "an hour and five minutes", "MdsSloBurnFast"),
    ("6h|30m", 6.0, "six hours and half an hour", "MdsSloBurnSlow"),
)
STATES = {0: ("met", GOOD), 1: ("burning", WARNING), 2: ("violated", BAD), 3: ("nothing known", UNKNOWN)}


def _burning(windows: str, factor: float, words: str, alert: str) -> Panel:
    return Panel(
        title=f"Burn rates, {windows.replace('|', ' and ')}",
        description=f"How many times faster than it may each objective uses up what it is allowed to miss, over {words}. Both "
        f"above {factor:g} is an alert. A hole is a moment of which no gateway had read the ledger.",
        unit="none",
        queries=(
            Lines(
                highest("mds_slo_burn_rate", "objective", "window", where=f'window=~"{windows}"'),
                "{{objective}} {{window}}",
            ),
        ),
        levels=at_most(factor),
        alert=alert,
    )


OBJECTIVES = PanelRow(
    "Objectives",
    (
        Panel(
            title="State of each objective",
            description="As GET /stats/slo tells it, at each moment. Unknown: no gateway had a reading of the ledger of the last "
            "three minutes, which is not met.",
            unit="none",
            kind="state-timeline",
            queries=(Lines(highest("mds_slo_state", "objective"), "{{objective}}"),),
            words=STATES,
        ),
        Panel(
            title="Pairs of windows that fire",
            description="1 while the long and the short window of a pair both burn too fast, of all tiers and intervals together or "
            "of any one.",
            unit="none",
            kind="state-timeline",
            queries=(
                Lines(
                    highest("mds_slo_alert", "objective", "long", "short"), "{{objective}} {{long}}/{{short}}"
                ),
            ),
            words={0: ("quiet", GOOD), 1: ("fires", BAD)},
        ),
        Panel(
            title="Symbols",
            description="Symbols that are collected, covered by a value of their last three trading days, and needed: covered is "
            "to be no lower than needed.",
            unit="short",
            queries=(Lines(highest("mds_slo_symbols", "which"), "{{which}}"),),
            alert="MdsCoverageLow",
        ),
        *(_burning(*pair) for pair in PAIRS),
        Panel(
            title="Hard bans of today and yesterday",
            description="Times a provider shut us out, over restarts; the objective is none. The alert fires on new ones.",
            unit="short",
            queries=(Lines(highest("mds_provider_bans", "provider"), "{{provider}}"),),
            levels=NONE_ALLOWED,
            alert="MdsProviderBan",
            more="mds-providers",
        ),
        Panel(
            title="Missing bars",
            description="Share of the bars expected in the last three trading days that are neither stored nor proved not to exist, "
            "by tier and interval; the objective is 0.5 %. A hole in a line: nobody knows.",
            unit="percentunit",
            queries=(Lines(highest("slo_gap_violation_rate", "tier", "interval"), "{{tier}} {{interval}}"),),
            levels=at_most(0.005),
            alert="MdsGapViolation",
            more="mds-ingestion",
        ),
        Panel(
            title="Time to a WebSocket client, p99",
            description="From the append of a canonical record to its frame's hand-over to the socket; the objective is 250 ms. "
            "Nothing is drawn while no frame goes out.",
            unit="ms",
            queries=(Lines(quantile(0.99, "ws_publish_latency_ms"), "p99"),),
            levels=at_most(250),
            alert="MdsWsLatency",
            more="mds-websocket",
        ),
        Panel(
            title="Oldest T0 job",
            description="Wall time since the oldest T0 backfill that is not over was added; 15 minutes are the objective, 0 is none.",
            unit="s",
            queries=(Lines(highest("backfill_oldest_age_seconds"), "oldest"),),
            levels=at_most(900),
            alert="MdsBackfillDrainT0",
            more="mds-backfill",
        ),
    ),
)
PROCESSES = PanelRow(
    "Services",
    (
        Panel(
            title="Replicas that answer",
            description="Replicas of each service whose /metrics Prometheus reached at its last scrape.",
            unit="short",
            kind="stat",
            width=6,
            height=6,
            queries=(Lines(f"sum by (job) (up{{{JOBS}}})", "{{job}}"),),
            levels=at_least(1),
            alert="MdsDown",
        ),
        Panel(
            title="Versions",
            description="Replicas by the version of their code; more than one version is an update under way.",
            unit="short",
            kind="stat",
            width=6,
            height=6,
            queries=(Lines(in_sum("mds_build_info", "job", "version"), "{{job}} {{version}}"),),
        ),
        Panel(
            title="Generation of the configuration",
            description="The lowest and the highest that a replica has in force; they differ for a second after a change, and for longer "
            "where one of them refuses it. 0 is before the first.",
            unit="none",
            width=6,
            height=6,
            queries=(
                Lines(lowest("mds_config_generation", "job"), "{{job}} lowest"),
                Lines(highest("mds_config_generation", "job"), "{{job}} highest"),
            ),
            alert="MdsConfigGenerationsDiffer",
        ),
        Panel(
            title="Configurations offered",
            description="Configurations that processes applied, refused or found unchanged.",
            unit="short",
            width=6,
            height=6,
            queries=(Lines(grown("config_reload_total", "status"), "{{status}}"),),
        ),
        Panel(
            title="Markets",
            description="Whether the regular session of each calendar of stored symbols is open, on the market's clock.",
            unit="none",
            kind="state-timeline",
            queries=(Lines(highest("mds_session_open", "calendar"), "{{calendar}}"),),
            words={0: ("closed", UNKNOWN), 1: ("open", GOOD)},
        ),
        Panel(
            title="Days until a calendar ends",
            description="Days until each calendar in use is no longer known; nothing is expected beyond. Below 60 it is time to update.",
            unit="d",
            kind="stat",
            queries=(Lines(lowest("mds_calendar_horizon_days", "calendar"), "{{calendar}}"),),
            levels=at_least(60),
            alert="MdsCalendarHorizon",
        ),
        Panel(
            title="Ingestion lag",
            description="Market time since the newest stored row, by interval; a healthy lag grows up to an interval's length.",
            unit="s",
            queries=(Lines(highest("ingestion_lag_seconds", "interval"), "{{interval}}"),),
            more="mds-ingestion",
        ),
    ),
)
REST = PanelRow(
    "REST",
    (
        Panel(
            title="Requests by status",
            description="Answers of the gateway per second, by status.",
            unit="reqps",
            queries=(Lines(per_second("mds_http_requests_total", "status"), "{{status}}"),),
        ),
        Panel(
            title="Duration by route, p99",
            description="Time from a request to the end of its answer; nothing is drawn of a route that nobody asks.",
            unit="s",
            queries=(Lines(quantile(0.99, "mds_http_request_seconds", "route"), "{{route}}"),),
        ),
        Panel(
            title="Requests that are no HTTP",
            description="What reached the port and could not be read, per second.",
            unit="reqps",
            queries=(Lines(per_second("mds_http_unreadable_total"), "unreadable"),),
        ),
    ),
)
OVERVIEW = Board(
    uid="mds-overview",
    description="The objectives, the services behind them, and the REST interface. Start here.",
    rows=(OBJECTIVES, PROCESSES, REST),
)

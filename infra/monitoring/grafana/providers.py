"""The dashboard of providers: who serves what, what is asked of them, and what holds us back."""

from __future__ import annotations

from infra.monitoring.grafana.boards import Board, PanelRow
from infra.monitoring.grafana.panels import BAD, GOOD, NONE_ALLOWED, WARNING, Lines, Panel, at_most
from infra.monitoring.grafana.promql import grown, highest, in_sum, lowest, per_second, quantile, selected

CIRCUIT = {0: ("closed", GOOD), 1: ("half-open", WARNING), 2: ("open", BAD)}
ASKED = per_second("provider_latency_ms_count", "provider")
# a socket has failures and no requests
FAILED = per_second("provider_errors_total", "provider", where='endpoint!="socket"')

SELECTION = PanelRow(
    "Who serves",
    (
        Panel(
            title="Health by capability",
            description="Health of each provider for each capability, in [0, 1], as the replica sees it that sees it worst.",
            unit="percentunit",
            queries=(
                Lines(
                    lowest("provider_health_score", "capability", "provider"), "{{capability}} {{provider}}"
                ),
            ),
            top=1,
        ),
        Panel(
            title="Providers chosen",
            description="Times a provider became the one that serves a capability: a failover, or the way back.",
            unit="short",
            queries=(
                Lines(
                    grown("provider_selected_total", "capability", "provider"), "{{capability}} {{provider}}"
                ),
            ),
        ),
        Panel(
            title="Circuits",
            description="Each provider's circuit, that of the worst of its endpoints. An open one lets nothing through.",
            unit="none",
            kind="state-timeline",
            queries=(Lines(highest("circuit_state", "provider"), "{{provider}}"),),
            words=CIRCUIT,
            alert="MdsCircuitOpen",
        ),
        Panel(
            title="Circuits of endpoints",
            description="The same of each endpoint that has one.",
            unit="none",
            kind="state-timeline",
            queries=(
                Lines(
                    highest("mds_endpoint_circuit_state", "provider", "endpoint"), "{{provider}} {{endpoint}}"
                ),
            ),
            words=CIRCUIT,
        ),
        Panel(
            title="Symbols nobody gives",
            description="Symbols that are asked for and that no provider gives, by capability.",
            unit="short",
            queries=(Lines(in_sum("mds_unserved_symbols", "capability"), "{{capability}}"),),
        ),
        Panel(
            title="Symbols a socket refuses",
            description="Symbols that a provider's socket was asked for and, by its own words, may not send.",
            unit="short",
            queries=(Lines(in_sum("mds_symbols_refused", "provider"), "{{provider}}"),),
        ),
    ),
)
REQUESTS = PanelRow(
    "Requests",
    (
        Panel(
            title="Share of requests that fail",
            description="Failed requests of all, of providers that are asked at least once in 100 s; above a fifth for ten minutes is an alert.",
            unit="percentunit",
            queries=(Lines(f"{FAILED} / ({ASKED} > 0.01)", "{{provider}}"),),
            levels=at_most(0.2),
            alert="MdsProviderErrors",
        ),
        Panel(
            title="Failures by code",
            description="Failed requests and frames per second, by HTTP status or reason. What we held back ourselves is none.",
            unit="ops",
            queries=(
                Lines(per_second("provider_errors_total", "provider", "code"), "{{provider}} {{code}}"),
            ),
        ),
        Panel(
            title="New bans",
            description="Answers by which a provider shut us out. The objective is none.",
            unit="short",
            queries=(
                Lines(grown("provider_errors_total", "provider", where='code="banned"'), "{{provider}}"),
            ),
            levels=NONE_ALLOWED,
            alert="MdsProviderBan",
        ),
        Panel(
            title="Duration, p50 and p99",
            description="Time of a request to a provider; nothing is drawn of one that is not asked.",
            unit="ms",
            queries=(
                Lines(quantile(0.5, "provider_latency_ms", "provider"), "{{provider}} p50"),
                Lines(quantile(0.99, "provider_latency_ms", "provider"), "{{provider}} p99"),
            ),
        ),
        Panel(
            title="Jobs done",
            description="Jobs that came to an end, and polls by the schedule itself, per second; routed where no provider was named.",
            unit="ops",
            queries=(Lines(per_second("jobs_processed_total", "type", "provider"), "{{type}} {{provider}}"),),
        ),
        Panel(
            title="Lateness of polls, p99",
            description="How much later than due polls began, by capability and tier.",
            unit="s",
            queries=(
                Lines(
                    quantile(0.99, "mds_cadence_error_seconds", "capability", "tier"),
                    "{{capability}} {{tier}}",
                ),
            ),
        ),
    ),
)
BUDGETS = PanelRow(
    "Budgets and brakes",
    (
        Panel(
            title="Budget used",
            description="Requests that count now, of the limit in force, by window. At 100 % nothing more is sent.",
            unit="percentunit",
            queries=(
                Lines(
                    highest("mds_provider_budget_used_ratio", "provider", "window"), "{{provider}} {{window}}"
                ),
            ),
            levels=at_most(1, soon=0.9),
        ),
        Panel(
            title="Held back",
            description="Requests not sent because of a brake of ours: the budget, a pause in force, an open circuit.",
            unit="ops",
            queries=(
                Lines(
                    per_second("mds_provider_held_back_total", "provider", "reason"),
                    "{{provider}} {{reason}}",
                ),
            ),
        ),
        Panel(
            title="Pauses",
            description="How much longer each provider is left alone because it asked to be.",
            unit="s",
            queries=(Lines(highest("mds_provider_paused_seconds", "provider"), "{{provider}}"),),
        ),
        Panel(
            title="Bans of today and yesterday",
            description="Hard bans as they are remembered over restarts.",
            unit="short",
            queries=(Lines(highest("mds_provider_bans", "provider"), "{{provider}}"),),
            levels=NONE_ALLOWED,
            alert="MdsProviderBan",
        ),
        Panel(
            title="Partitions on the schedule",
            description="Partitions whose symbols a replica polls by its own schedule, since no job feed holds the lease.",
            unit="short",
            queries=(Lines(f"count({selected('mds_job_lease')} == 0) or vector(0)", "partitions"),),
            alert="MdsLeaseLost",
        ),
        Panel(
            title="Given up while the broker was away",
            description="Results of polls, and windows of cadence, that no broker took in time.",
            unit="short",
            queries=(
                Lines(grown("mds_job_results_dropped_total"), "results"),
                Lines(grown("mds_cadence_windows_dropped_total"), "windows"),
            ),
            levels=NONE_ALLOWED,
        ),
    ),
)
PROVIDERS = Board(
    uid="mds-providers",
    description="Who serves what and how well, what is asked of vendors, and what holds us back.",
    rows=(SELECTION, REQUESTS, BUDGETS),
    services=("producers",),
)

"""The dashboard of WebSocket clients: how soon they are told, and what slow ones lose."""

from __future__ import annotations

from infra.monitoring.grafana.boards import Board, PanelRow
from infra.monitoring.grafana.panels import NONE_ALLOWED, Lines, Panel, at_most
from infra.monitoring.grafana.promql import grown, in_sum, per_second, quantile

CLIENTS = PanelRow(
    "Clients",
    (
        Panel(
            title="Clients",
            description="Connected clients, of all gateways.",
            unit="short",
            queries=(Lines(in_sum("ws_clients_gauge"), "clients"),),
        ),
        Panel(
            title="Time to a client",
            description="From the append of a canonical record to its frame's hand-over to the socket; the objective is a p99 of 250 ms. "
            "Nothing is drawn while no frame goes out.",
            unit="ms",
            queries=(
                Lines(quantile(0.5, "ws_publish_latency_ms"), "p50"),
                Lines(quantile(0.95, "ws_publish_latency_ms"), "p95"),
                Lines(quantile(0.99, "ws_publish_latency_ms"), "p99"),
            ),
            levels=at_most(250),
            alert="MdsWsLatency",
        ),
        Panel(
            title="Messages lost",
            description="Messages lost with the connection of a client that was too slow; conflation is no loss.",
            unit="short",
            queries=(Lines(grown("ws_dropped_messages_total"), "lost"),),
            levels=NONE_ALLOWED,
            alert="MdsWsDrops",
        ),
        Panel(
            title="Messages",
            description="Messages handed to sockets, and those that a newer one of the same conflated stream stood for, per second.",
            unit="ops",
            queries=(
                Lines(per_second("mds_ws_sent_messages_total"), "sent"),
                Lines(per_second("mds_ws_conflated_total"), "conflated"),
            ),
        ),
        Panel(
            title="Slow clients",
            description="Clients closed with 4008, and times one fell behind memory and read from Kafka.",
            unit="short",
            queries=(
                Lines(grown("mds_ws_slow_closes_total"), "closed"),
                Lines(grown("mds_ws_catch_ups_total"), "caught up"),
            ),
        ),
        Panel(
            title="Resumed streams",
            description="Resumed streams by where they came from, or why they could not.",
            unit="short",
            queries=(Lines(grown("mds_ws_resumes_total", "result"), "{{result}}"),),
        ),
    ),
)
BEHIND_SOCKETS = PanelRow(
    "Behind the sockets",
    (
        Panel(
            title="Reads of the log's past",
            description="Blocks of the log read for clients, per second.",
            unit="ops",
            queries=(Lines(per_second("mds_ws_past_reads_total"), "blocks"),),
        ),
        Panel(
            title="Greeks of watched chains, p99",
            description="Knowledge time of an option slice that is watched to its greeks being computed.",
            unit="ms",
            queries=(Lines(quantile(0.99, "mds_ws_greeks_ms"), "p99"),),
        ),
        Panel(
            title="Records no stream could carry",
            description="Canonical records that were skipped because they could not be read, by topic.",
            unit="short",
            queries=(Lines(grown("mds_ws_unreadable_records_total", "topic"), "{{topic}}"),),
            levels=NONE_ALLOWED,
        ),
    ),
)
WEBSOCKET = Board(
    uid="mds-websocket",
    description="Clients of the gateways, how soon they are told, and what slow ones lose.",
    rows=(CLIENTS, BEHIND_SOCKETS),
    services=("gateway",),
)

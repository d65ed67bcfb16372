"""The dashboard of a symbol: price, bars with the holes in them, and what is covered, asked of the gateway's REST by Infinity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.monitoring.grafana.boards import Board, PanelRow, choice_variable, gateway_variable, text_variable
from infra.monitoring.grafana.panels import GOOD, INFINITY, UNKNOWN, Json, Kind, Lines, Panel
from infra.monitoring.grafana.promql import highest

INTERVALS = ("1m", "5m", "15m", "30m", "1h", "1d", "1wk", "1mo")
SYMBOL = "${symbol:percentencode}"
SHOWN = {"start": "${__from:date:iso}", "end": "${__to:date:iso}"}
# rows of the one page that is read: Infinity would follow at most five
MOST_BARS = "10000"
NUMBER, TEXT, TIME = "number", "string", "timestamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRequest:
    """A GET of the gateway; `members` of each row under `root` become columns of these types, some under other `names`."""

    path: str
    members: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    root: str = "data"

    def target(self, letter: str, kind: Kind) -> Json:
        """Return its JSON; the backend parser also works for alerts and shared dashboards."""
        return {
            "columns": [
                {"selector": member, "text": self.names.get(member, member), "type": type_}
                for member, type_ in self.members.items()
            ],
            "datasource": dict(INFINITY),
            "filters": [],
            "format": "dataframe" if kind == "candlestick" else "table",
            "parser": "backend",
            "refId": letter,
            "root_selector": self.root,
            "source": "url",
            "type": "json",
            "url": self.path,
            "url_options": {
                "data": "",
                "method": "GET",
                "params": [{"key": key, "value": value} for key, value in self.parameters.items()],
            },
        }


GAPS_SHOWN = {"symbol": "${symbol}", **SHOWN, "limit": "1000"}
HOLES: Json = {
    "datasource": dict(INFINITY),
    "enable": True,
    "iconColor": "red",
    "name": "Gaps",
    "target": GatewayRequest(
        path="/gaps",
        parameters=GAPS_SHOWN,
        members={"from_time": TIME, "to_time": TIME, "cause": TEXT, "state": TEXT},
        names={"from_time": "time", "to_time": "timeEnd", "cause": "title", "state": "text"},
    ).target("Anno", "table"),
}
PRICES = PanelRow(
    "$symbol",
    (
        Panel(
            title="Price",
            description="The newest price, its kind and source, and how much it is worth now: age_ms is market time since it was true.",
            unit="none",
            kind="table",
            width=24,
            height=4,
            queries=(
                GatewayRequest(
                    path=f"/stocks/{SYMBOL}/price",
                    members={
                        "price": NUMBER,
                        "price_type": TEXT,
                        "currency": TEXT,
                        "change": NUMBER,
                        "change_percent": NUMBER,
                        "bid": NUMBER,
                        "ask": NUMBER,
                        "volume": NUMBER,
                        "state": TEXT,
                        "age_ms": NUMBER,
                        "provider": TEXT,
                        "event_time": TIME,
                    },
                ),
            ),
        ),
        Panel(
            title="Bars of $interval",
            description="Bars of the range as they are known now, at most 10,000 from its begin on. Red stretches are gaps: nobody watched, "
            "or bars did not come. Times in which the market is closed are empty, too.",
            unit="none",
            kind="candlestick",
            width=24,
            height=14,
            queries=(
                GatewayRequest(
                    path=f"/stocks/{SYMBOL}/history",
                    parameters={"interval": "$interval", **SHOWN, "limit": MOST_BARS},
                    members={
                        "event_time": TIME,
                        "open": NUMBER,
                        "high": NUMBER,
                        "low": NUMBER,
                        "close": NUMBER,
                        "volume": NUMBER,
                    },
                    names={"event_time": "time"},
                ),
            ),
        ),
    ),
)
COVERAGE = PanelRow(
    "What is there, and what is not",
    (
        Panel(
            title="Gaps of $symbol",
            description="Each stretch of the range that was missing, by source and interval, why, and what became of it.",
            unit="none",
            kind="table",
            width=12,
            height=10,
            queries=(
                GatewayRequest(
                    path="/gaps",
                    parameters=GAPS_SHOWN,
                    members={
                        "interval": TEXT,
                        "provider": TEXT,
                        "from_time": TIME,
                        "to_time": TIME,
                        "state": TEXT,
                        "cause": TEXT,
                        "confidence": TEXT,
                        "expected": NUMBER,
                    },
                ),
            ),
            more="mds-ingestion",
        ),
        Panel(
            title="Days of $symbol",
            description="Whether the data of each stream and day is all there: expected bars, those stored, proved not to exist, missing and "
            "late. The range may be 100 days long.",
            unit="none",
            kind="table",
            width=12,
            height=10,
            queries=(
                GatewayRequest(
                    path="/stats/slo",
                    parameters={"symbol": "${symbol}", **SHOWN},
                    root="conditions",
                    members={
                        "day": TEXT,
                        "stream": TEXT,
                        "condition": TEXT,
                        "reason": TEXT,
                        "expected": NUMBER,
                        "stored": NUMBER,
                        "confirmed_empty": NUMBER,
                        "missing": NUMBER,
                        "late": NUMBER,
                    },
                ),
            ),
            more="mds-overview",
        ),
        Panel(
            title="Objectives",
            description="How the objectives of the whole stand, in the gateway's words.",
            unit="none",
            kind="table",
            width=12,
            queries=(
                GatewayRequest(
                    path="/stats/slo",
                    members={
                        "objective": TEXT,
                        "state": TEXT,
                        "value": NUMBER,
                        "target": NUMBER,
                        "unit": TEXT,
                        "reason": TEXT,
                        "words": TEXT,
                    },
                ),
            ),
            more="mds-overview",
        ),
        Panel(
            title="Ingestion lag",
            description="Market time since the newest stored row, of all symbols, by interval; 0 while all markets are closed.",
            unit="s",
            width=6,
            queries=(Lines(highest("ingestion_lag_seconds", "interval"), "{{interval}}"),),
            more="mds-ingestion",
        ),
        Panel(
            title="Markets",
            description="Whether the regular session of each calendar of stored symbols is open, on the market's clock.",
            unit="none",
            kind="state-timeline",
            width=6,
            queries=(Lines(highest("mds_session_open", "calendar"), "{{calendar}}"),),
            words={0: ("closed", UNKNOWN), 1: ("open", GOOD)},
        ),
    ),
)
MARKET = Board(
    uid="mds-market",
    description="A symbol's price and bars with the gaps in them, from the gateway; needs the data source Infinity and a key of scope read.",
    rows=(PRICES, COVERAGE),
    services=("sinks",),
    shown="now-1d",
    variables=(
        gateway_variable(),
        text_variable("symbol", "Symbol", "SIM001"),
        choice_variable("interval", "Interval", INTERVALS, "1m"),
    ),
    annotations=(HOLES,),
)

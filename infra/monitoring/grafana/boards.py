"""The frame of a dashboard: its name for ever, its variables, its links to the others, and the place of each panel."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from infra.monitoring.grafana.panels import INFINITY, PROMETHEUS, Json, Panel, address

# A uid is an address: alerts, runbooks and bookmarks lead to it.
TITLES: Mapping[str, str] = MappingProxyType(
    {
        "mds-overview": "MDS / Overview and objectives",
        "mds-providers": "MDS / Providers and budgets",
        "mds-ingestion": "MDS / Ingestion and gaps",
        "mds-backfill": "MDS / Backfill and dead letters",
        "mds-websocket": "MDS / WebSocket",
        "mds-kafka-sink": "MDS / Kafka and sink",
        "mds-market": "MDS / Market",
    }
)
SERVICES = ("producers", "processors", "sinks", "gateway")
TAG = "mds"
SCHEMA_VERSION = 41  # of Grafana 11.6, which the data source of the market needs
GRID_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class PanelRow:
    """Panels under one heading, side by side as far as the grid is wide."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One dashboard; `services` are those that have something on it."""

    uid: str
    description: str
    rows: Sequence[PanelRow]
    services: Sequence[str] = SERVICES
    shown: str = "now-6h"
    variables: Sequence[Json] = ()
    annotations: Sequence[Json] = ()

    def json(self) -> Json:
        """Return the dashboard as Grafana reads it."""
        return {
            "annotations": {"list": list(self.annotations)},
            "description": self.description,
            "editable": False,
            "graphTooltip": 1,
            "links": [_board_link(uid) for uid in TITLES if uid != self.uid],
            "panels": list(_placed(self.rows)),
            "refresh": "30s",
            "schemaVersion": SCHEMA_VERSION,
            "tags": [TAG],
            "templating": {"list": [*_common_variables(self.services), *self.variables]},
            "time": {"from": self.shown, "to": "now"},
            "timezone": "utc",
            "title": TITLES[self.uid],
            "uid": self.uid,
        }

    def text(self) -> str:
        """Return the file of the dashboard."""
        return json.dumps(self.json(), indent=1, ensure_ascii=False) + "\n"


def source_variable(name: str, label: str, source: Mapping[str, str]) -> Json:
    """Return the variable that chooses among the data sources of a kind."""
    return {"label": label, "name": name, "query": source["type"], "refresh": 1, "type": "datasource"}


def gateway_variable() -> Json:
    """Return the variable that chooses the gateway whose REST is asked."""
    return source_variable("gateway", "Gateway", INFINITY)


def text_variable(name: str, label: str, value: str) -> Json:
    """Return a variable that is typed in."""
    current = {"selected": True, "text": value, "value": value}
    return {
        "current": current,
        "label": label,
        "name": name,
        "options": [current],
        "query": value,
        "type": "textbox",
    }


def choice_variable(name: str, label: str, values: Sequence[str], chosen: str) -> Json:
    """Return a variable of which one value is chosen."""
    return {
        "current": {"selected": True, "text": chosen, "value": chosen},
        "label": label,
        "name": name,
        "options": [{"selected": value == chosen, "text": value, "value": value} for value in values],
        "query": ",".join(values),
        "type": "custom",
    }


def _common_variables(services: Sequence[str]) -> list[Json]:
    everyone = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return [
        source_variable("datasource", "Prometheus", PROMETHEUS),
        {
            **choice_variable("service", "Service", services, "$__all"),
            "allValue": ".*",
            "current": everyone,
            "includeAll": True,
            "multi": True,
        },
        text_variable("runbooks", "Runbooks at", "docs/runbooks"),
    ]


def _board_link(uid: str) -> Json:
    """Without the variable of services: those of one dashboard have nothing on another."""
    return {
        "asDropdown": False,
        "icon": "dashboard",
        "includeVars": False,
        "keepTime": True,
        "tags": [],
        "targetBlank": False,
        "title": TITLES[uid].removeprefix("MDS / "),
        "tooltip": "",
        "type": "link",
        "url": address(uid),
    }


def _placed(rows: Iterable[PanelRow]) -> Iterator[Json]:
    number, y = 1, 0
    for row in rows:
        place = {"h": 1, "w": GRID_COLUMNS, "x": 0, "y": y}
        yield {
            "collapsed": False,
            "gridPos": place,
            "id": number,
            "panels": [],
            "title": row.title,
            "type": "row",
        }
        number, x, y, height = number + 1, 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > GRID_COLUMNS:
                x, y, height = 0, y + height, 0
            yield panel.json(number, x, y)
            number, x, height = number + 1, x + panel.width, max(height, panel.height)
        y += height

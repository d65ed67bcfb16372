"""Panels of dashboards: what each shows, and the JSON that Grafana reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol

Json = dict[str, Any]
Kind = Literal["timeseries", "stat", "state-timeline", "table", "candlestick"]

PROMETHEUS = MappingProxyType({"type": "prometheus", "uid": "${datasource}"})
INFINITY = MappingProxyType({"type": "yesoreyeram-infinity-datasource", "uid": "${gateway}"})
GOOD, WARNING, BAD, UNKNOWN = "green", "orange", "red", "text"


class PanelQuery(Protocol):
    """One query of a panel."""

    def target(self, letter: str, kind: Kind) -> Json:
        """Return its JSON under a letter of its own."""


@dataclass(frozen=True, slots=True)
class Lines:
    """PromQL and the name of the lines it gives, made of their labels."""

    expression: str
    legend: str = ""

    def target(self, letter: str, kind: Kind) -> Json:
        """Return its JSON; a figure is of this moment: the last of a range would show a value that is unknown by now."""
        is_instant = kind == "stat"
        return {
            "datasource": dict(PROMETHEUS),
            "editorMode": "code",
            "expr": self.expression,
            "instant": is_instant,
            "legendFormat": self.legend or "__auto",
            "range": not is_instant,
            "refId": letter,
        }


@dataclass(frozen=True, slots=True)
class Levels:
    """Colours of values: `base` below the first step, then each step's from its value on."""

    base: str = GOOD
    steps: tuple[tuple[float, str], ...] = ()

    def json(self) -> Json:
        """Return its JSON."""
        steps = [{"color": self.base, "value": None}]
        return {
            "mode": "absolute",
            "steps": [*steps, *({"color": color, "value": value} for value, color in self.steps)],
        }


def at_most(bound: float, *, soon: float | None = None) -> Levels:
    """Return the levels of an objective that a value may reach; from `soon` on it is close."""
    return Levels(steps=((bound, BAD),) if soon is None else ((soon, WARNING), (bound, BAD)))


def at_least(bound: float) -> Levels:
    """Return the levels of an objective that a value must keep above."""
    return Levels(base=BAD, steps=((bound, GOOD),))


# Anything above 0: an estimated growth of one event may be less than 1.
NONE_ALLOWED = at_most(0.001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel; `alert` is the alert that fires on the same figure, `more` the uid of the dashboard that says more."""

    title: str
    description: str
    unit: str
    queries: Sequence[PanelQuery]
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    levels: Levels | None = None
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    alert: str = ""
    more: str = ""
    top: float | None = None

    def json(self, number: int, x: int, y: int) -> Json:
        """Return its JSON under a number and at a place of the grid."""
        queries = [query.target(chr(ord("A") + index), self.kind) for index, query in enumerate(self.queries)]
        return {
            "datasource": queries[0]["datasource"],
            "description": self.description,
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "id": number,
            "links": self._links(),
            "options": _options(self.kind),
            "targets": queries,
            "title": self.title,
            "type": self.kind,
        }

    def _defaults(self) -> Json:
        defaults: Json = {"mappings": self._mappings(), "noValue": "no data", "unit": self.unit}
        defaults["thresholds"] = (self.levels or Levels()).json()
        if self.kind in ("timeseries", "candlestick"):
            defaults["custom"] = {
                "fillOpacity": 0,
                "lineWidth": 1,
                "showPoints": "auto",
                # a hole in a line is a hole in what is known
                "spanNulls": False,
                "thresholdsStyle": {"mode": "off" if self.levels is None else "line"},
            }
            defaults["color"] = {"mode": "palette-classic"}
        if self.kind == "timeseries":
            defaults["min"] = 0
        if self.kind in ("stat", "state-timeline"):
            colored = self.levels is not None or self.words
            defaults["color"] = {"mode": "thresholds" if colored else "fixed", "fixedColor": UNKNOWN}
        if self.top is not None:
            defaults["max"] = self.top
        return defaults

    def _mappings(self) -> list[Json]:
        if self.kind not in ("stat", "state-timeline"):
            return []
        said = {
            str(value): {"text": text, "color": color, "index": index}
            for index, (value, (text, color)) in enumerate(self.words.items())
        }
        # NaN is said on purpose: nobody can tell now.
        unknown = {"match": "null+nan", "result": {"text": "unknown", "color": UNKNOWN, "index": len(said)}}
        values: list[Json] = [{"type": "value", "options": said}] if said else []
        return [*values, {"type": "special", "options": unknown}]

    def _links(self) -> list[Json]:
        links = []
        if self.alert:
            links.append(_link(f"Runbook of {self.alert}", f"${{runbooks}}/{self.alert}.md", is_new_tab=True))
        if self.more:
            links.append(_link("More", f"{address(self.more)}&${{__url_time_range}}"))
        return links


def address(uid: str) -> str:
    """Return the address of a dashboard that shows the same Prometheus."""
    return f"/d/{uid}?${{datasource:queryparam}}"


def _link(title: str, url: str, *, is_new_tab: bool = False) -> Json:
    return {"targetBlank": is_new_tab, "title": title, "url": url}


def _options(kind: Kind) -> Json:
    tooltip = {"mode": "multi", "sort": "desc"}
    legend = {
        "calcs": ["last", "max"],
        "displayMode": "table",
        "placement": "bottom",
        "showLegend": True,
    }
    if kind == "timeseries":
        return {"legend": legend, "tooltip": tooltip}
    if kind == "stat":
        return {
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["last"], "fields": "", "values": False},
            "textMode": "value_and_name",
        }
    if kind == "state-timeline":
        return {
            "alignValue": "left",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
            "mergeValues": True,
            "rowHeight": 0.8,
            "showValue": "auto",
            "tooltip": tooltip,
        }
    if kind == "candlestick":
        return {
            "candleStyle": "candles",
            "colorStrategy": "open-close",
            "colors": {"down": "red", "flat": "gray", "up": "green"},
            "fields": {name: name for name in ("open", "high", "low", "close", "volume")},
            "includeAllFields": False,
            "legend": {**legend, "calcs": [], "displayMode": "list"},
            "mode": "candles+volume",
            "tooltip": tooltip,
        }
    return {"cellHeight": "sm", "showHeader": True}

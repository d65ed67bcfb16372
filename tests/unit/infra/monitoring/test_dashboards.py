"""Dashboards as they are committed: whole, each at its address, and leading to one another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from infra.monitoring.grafana.boards import GRID_COLUMNS, TITLES
from infra.monitoring.grafana.panels import NONE_ALLOWED, Lines, Panel, at_least, at_most
from scripts.generate import BOARDS, ROOT
from tests.support.alert_rules import RUNBOOKS, alerts

FOLDER = ROOT / "infra" / "monitoring" / "dashboards"
READ = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.iterdir())}
# uids are in bookmarks, alerts and runbooks of others: one that changes is a broken link
UIDS = {
    "mds-overview", "mds-providers", "mds-ingestion", "mds-backfill", "mds-websocket", "mds-kafka-sink", "mds-market",
}  # fmt: skip
# what is not there, or seen from elsewhere, has no figure of the service's own
WITHOUT_A_FIGURE = {"MdsAbsent", "MdsArchiveGone", "MdsBlackboxFailing"}
RUNBOOK = "Runbook of "
# units as Grafana names them; one it does not know is shown as if it were a word
UNITS = {"none", "short", "s", "ms", "d", "percentunit", "ops", "reqps", "wps", "Bps"}
ADDRESS = re.compile(r"/d/([\w-]+)\?")
PANEL_ADDRESS = re.compile(r"/d/(?P<uid>[\w-]+)(?:\?viewPanel=(?P<panel>\d+))?")


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (uid, panel) of every panel that is no heading."""
    for uid, board in READ.items():
        yield from ((uid, panel) for panel in board["panels"] if panel["type"] != "row")


PANELS = [pytest.param(panel, id=f"{uid}: {panel['title']}") for uid, panel in panels()]


def test_the_committed_files_are_what_the_code_writes() -> None:
    """`make docs` after a change, and none is left of a dashboard that went."""
    written = {f"{board.uid}.json": board.text() for board in BOARDS}

    assert {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()} == written


def test_addresses_stay() -> None:
    """Each dashboard has one of its own, its file is named by it, and Grafana takes it."""
    assert set(READ) == UIDS == set(TITLES)
    for uid, board in READ.items():
        assert board["uid"] == uid
        assert len(uid) <= 40
        assert board["tags"] == ["mds"]
        assert board["title"] == TITLES[uid]
        assert board["description"]


@pytest.mark.parametrize("uid", sorted(UIDS))
def test_a_dashboard_lets_choose_prometheus_and_services(uid: str) -> None:
    """By the same two variables everywhere; no query names a data source by itself."""
    variables = {each["name"]: each for each in READ[uid]["templating"]["list"]}

    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    service = variables["service"]
    assert set(service["query"].split(",")) <= {"producers", "processors", "sinks", "gateway"}
    assert (service["multi"], service["includeAll"], service["allValue"]) == (True, True, ".*")


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    """Title, description, unit, and at least one query; each of a data source that is chosen."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"]["uid"] in ("${datasource}", "${gateway}")
        assert target["datasource"] == panel["datasource"]
    letters = [target["refId"] for target in panel["targets"]]
    assert len(set(letters)) == len(letters)


@pytest.mark.parametrize("uid", sorted(UIDS))
def test_panels_lie_side_by_side_on_the_grid(uid: str) -> None:
    """None over another, none over the edge, and each with a number of its own."""
    board = READ[uid]
    places = [(panel["title"], panel["gridPos"]) for panel in board["panels"]]

    for title, place in places:
        assert place["x"] >= 0, title
        assert place["x"] + place["w"] <= GRID_COLUMNS, title
    for (one, first), (other, second) in combinations(places, 2):
        beside = first["x"] + first["w"] <= second["x"] or second["x"] + second["w"] <= first["x"]
        below = first["y"] + first["h"] <= second["y"] or second["y"] + second["h"] <= first["y"]
        assert beside or below, (one, other)
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("uid", sorted(UIDS))
def test_a_dashboard_leads_to_all_others(uid: str) -> None:
    """And no link, of a dashboard or a panel, to one that is not there; Prometheus and the time go along."""
    board = READ[uid]
    links = [link["url"] for link in board["links"]]
    inner = [link["url"] for panel in board["panels"] for link in panel.get("links", ())]
    led = [ADDRESS.match(url) for url in (*links, *inner) if not url.startswith("${runbooks}/")]

    assert {found[1] for url in links if (found := ADDRESS.match(url))} == UIDS - {uid}
    assert None not in led
    assert {found[1] for found in led if found} <= UIDS
    assert all("${datasource:queryparam}" in url for url in (*links, *inner) if url.startswith("/d/"))
    assert all(link["keepTime"] for link in board["links"])


def test_every_alert_is_explained_beside_its_figure() -> None:
    """A panel that shows what an alert watches leads to the runbook of it."""
    led = {link["url"] for _, panel in panels() for link in panel["links"] if "runbooks" in link["url"]}

    assert led == {f"${{runbooks}}/{alert}.md" for alert in alerts().keys() - WITHOUT_A_FIGURE}
    assert all((RUNBOOKS / url.removeprefix("${runbooks}/")).is_file() for url in led)


def bounds() -> Iterator[tuple[str, float]]:
    """Yield (alert, bound) of every panel that an alert watches and that has one, but where nothing at all is allowed."""
    for _, panel in panels():
        bound = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
        if bound not in (None, NONE_ALLOWED.steps[-1][0]) and panel["title"] != "Replicas that answer":
            named = [link["title"] for link in panel["links"] if link["title"].startswith(RUNBOOK)]
            yield from ((title.removeprefix(RUNBOOK), bound) for title in named)


@pytest.mark.parametrize("name", sorted(alerts()))
def test_an_alert_leads_to_the_panel_that_shows_it(name: str) -> None:
    """By its number on a board, which changes with the panels before it; the panel leads back, where it has that figure."""
    found = PANEL_ADDRESS.fullmatch(alerts()[name]["annotations"]["dashboard_url"])

    assert found is not None
    board = READ[found["uid"]]
    if found["panel"] is None:
        assert name == "MdsBlackboxFailing"
        return
    (panel,) = (each for each in board["panels"] if each["id"] == int(found["panel"]))
    assert panel["type"] != "row"
    leads_back = f"{RUNBOOK}{name}" in [link["title"] for link in panel["links"]]
    assert leads_back == (name not in WITHOUT_A_FIGURE)


def test_a_panel_that_an_alert_watches_shows_its_bound() -> None:
    """The one its rule has, wherever the figure is shown."""
    found = list(bounds())

    assert {alert for alert, _ in found} == {
        "MdsGapViolation", "MdsWsLatency", "MdsBackfillDrainT0", "MdsBackfillFailures", "MdsProviderErrors",
        "MdsIngestionLag", "MdsSinkSlow", "MdsSloBurnFast", "MdsSloBurnSlow", "MdsWatermarkStuck",
        "MdsCalendarHorizon", "MdsArchiveBehind",
    }  # fmt: skip
    for alert, bound in found:
        expression = str(alerts()[alert]["expr"])
        assert bound in [float(number) for number in re.findall(r"[<>] (\d+(?:\.\d+)?)", expression)], alert


def test_figures_of_which_none_is_allowed_are_those_of_such_alerts() -> None:
    """Their rules fire on anything above 0."""
    none_allowed = {
        link["title"].removeprefix(RUNBOOK)
        for _, panel in panels()
        for link in panel["links"]
        if link["title"].startswith(RUNBOOK)
        and panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"] == NONE_ALLOWED.steps[-1][0]
    }

    assert none_allowed == {"MdsWsDrops", "MdsProviderBan"}
    assert all(str(alerts()[alert]["expr"]).endswith("> 0") for alert in none_allowed)


def test_a_figure_is_of_this_moment_and_says_when_nobody_knows() -> None:
    """The last value that is not NaN would be shown for ever."""
    figures = [panel for _, panel in panels() if panel["type"] == "stat"]

    assert figures
    for panel in figures:
        assert panel["options"]["reduceOptions"]["calcs"] == ["last"]
        assert all(target["instant"] and not target["range"] for target in panel["targets"])
        assert any(
            each["type"] == "special" and each["options"]["result"]["text"] == "unknown"
            for each in panel["fieldConfig"]["defaults"]["mappings"]
        )


def test_a_line_has_a_hole_where_nobody_knows() -> None:
    """It is not drawn across."""
    lines = [panel for _, panel in panels() if panel["type"] in ("timeseries", "candlestick")]

    assert lines
    assert all(panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False for panel in lines)


def test_levels_name_the_side_that_is_bad() -> None:
    """Above a bound that may be reached at most, below one that is to be kept."""
    assert [step["color"] for step in at_most(1, soon=0.5).json()["steps"]] == ["green", "orange", "red"]
    assert [step["color"] for step in at_least(60).json()["steps"]] == ["red", "green"]


def test_a_panel_without_a_bound_draws_none() -> None:
    """And one without links has none."""
    panel = Panel(title="T", description="D.", unit="s", queries=(Lines("time()"),)).json(3, 8, 2)

    assert panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"] == {"mode": "off"}
    assert (panel["id"], panel["gridPos"], panel["links"]) == (3, {"h": 8, "w": 8, "x": 8, "y": 2}, [])


def test_the_page_of_the_dashboards_names_each() -> None:
    """By its address."""
    page = (ROOT / "docs" / "DASHBOARDS.md").read_text("utf-8")

    assert [uid for uid in TITLES if f"`{uid}`" not in page] == []

"""What Grafana reads at its start: data sources and dashboards, addresses and the key from its environment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from infra.monitoring.grafana.panels import INFINITY, PROMETHEUS
from scripts.generate import ROOT

FOLDER = ROOT / "infra" / "monitoring" / "grafana" / "provisioning"
SOURCES = yaml.safe_load((FOLDER / "datasources" / "mds.yaml").read_text("utf-8"))
PROVIDERS = yaml.safe_load((FOLDER / "dashboards" / "mds.yaml").read_text("utf-8"))
OF_ENVIRONMENT = re.compile(r"\$__env\{([A-Z_]+)\}")
VARIABLES = {
    "GRAFANA_PROMETHEUS_URL", "GRAFANA_GATEWAY_URL", "GRAFANA_GATEWAY_KEY", "GRAFANA_MDS_DASHBOARDS",
}  # fmt: skip


def texts(document: Any) -> Iterator[str]:
    """Yield every text of a document."""
    if isinstance(document, dict):
        for value in document.values():
            yield from texts(value)
    elif isinstance(document, list):
        for value in document:
            yield from texts(value)
    elif isinstance(document, str):
        yield document


def test_both_data_sources_of_the_dashboards_are_there() -> None:
    """Of the types that the dashboards choose among."""
    by_type = {each["type"]: each for each in SOURCES["datasources"]}

    assert SOURCES["apiVersion"] == 1
    assert set(by_type) == {PROMETHEUS["type"], INFINITY["type"]}
    assert len({each["uid"] for each in by_type.values()}) == len(by_type)


def test_what_is_secret_or_an_address_is_in_the_environment() -> None:
    """Nothing of it is in a file, and every secret is one variable."""
    for source in SOURCES["datasources"]:
        assert OF_ENVIRONMENT.fullmatch(source["url"])
        for value in source.get("secureJsonData", {}).values():
            assert OF_ENVIRONMENT.fullmatch(value.removeprefix("Bearer "))
    assert not [text for text in (*texts(SOURCES), *texts(PROVIDERS)) if "://" in text]


def test_the_key_goes_to_the_gateway_alone() -> None:
    """As the header the gateway reads, to no other host."""
    (gateway,) = (each for each in SOURCES["datasources"] if each["type"] == INFINITY["type"])

    assert gateway["jsonData"]["httpHeaderName1"] == "Authorization"
    assert gateway["secureJsonData"]["httpHeaderValue1"].startswith("Bearer ")
    assert gateway["jsonData"]["allowedHosts"] == [gateway["url"]]


def test_dashboards_are_read_from_a_folder_and_stay_as_they_are() -> None:
    """What is changed by hand would be lost at the next start."""
    (provider,) = PROVIDERS["providers"]

    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
    assert OF_ENVIRONMENT.fullmatch(provider["options"]["path"])


def test_the_page_of_the_dashboards_names_every_variable() -> None:
    """And no name is of ours: services refuse settings they do not know."""
    used = {name for text in (*texts(SOURCES), *texts(PROVIDERS)) for name in OF_ENVIRONMENT.findall(text)}
    page = (ROOT / "docs" / "DASHBOARDS.md").read_text("utf-8")

    assert used == VARIABLES
    assert [name for name in used if name not in page] == []


@pytest.mark.parametrize("folder", ["datasources", "dashboards"])
def test_a_folder_holds_nothing_else(folder: str) -> None:
    """Grafana reads every file of it."""
    assert [path.name for path in (FOLDER / folder).iterdir()] == ["mds.yaml"]

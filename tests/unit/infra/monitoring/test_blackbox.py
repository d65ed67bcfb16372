"""Modules of the blackbox exporter: a WebSocket is asked by hand, and the chart has the same as the file."""

from __future__ import annotations

import re
from typing import Any

import yaml

from gateway.settings import GatewaySettings
from gateway.websocket.messages import SUBPROTOCOL
from tests.support.alert_rules import ROOT

BLACKBOX = ROOT / "infra" / "blackbox-exporter"
HOST = re.compile(r"Host: .+\r")


def modules() -> dict[str, Any]:
    """Return the modules of the file."""
    found: dict[str, Any] = yaml.safe_load((BLACKBOX / "blackbox.yml").read_text("utf-8"))["modules"]
    return found


def test_no_http_module_expects_101() -> None:
    """The prober waits for the end of a body that never comes, beyond its own timeout."""
    http = [module.get("http", {}) for module in modules().values() if module["prober"] == "http"]

    assert http
    assert [each for each in http if 101 in each.get("valid_status_codes", [])] == []


def test_the_handshake_is_one_that_the_gateway_takes() -> None:
    """Every line ends with CR, to which the exporter adds LF; the key is 16 bytes in base64."""
    module = modules()["ws_101"]
    *sent, expected = module["tcp"]["query_response"]
    lines = [each["send"] for each in sent]

    assert module["prober"] == "tcp"
    assert lines == [
        "GET /ws HTTP/1.1\r",
        f"Host: 127.0.0.1:{GatewaySettings().port}\r",
        "Connection: Upgrade\r",
        "Upgrade: websocket\r",
        "Sec-WebSocket-Version: 13\r",
        "Sec-WebSocket-Key: bWRzLWJsYWNrYm94LTEwMQ==\r",
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r",
        "\r",
    ]
    assert expected == {"expect": "^HTTP/1.1 101"}


def test_every_module_gives_up_before_it_is_scraped_again() -> None:
    """And before the scrape itself does, of which nobody would see why."""
    assert {module["timeout"] for module in modules().values()} == {"5s"}


def test_the_chart_has_the_modules_of_the_file() -> None:
    """But for the Host, which is the name clients use there."""
    values = yaml.safe_load((BLACKBOX / "values.yaml").read_text("utf-8"))
    there, here = values["config"]["modules"], modules()
    for each in (there, here):
        (host,) = (
            step for step in each["ws_101"]["tcp"]["query_response"] if HOST.fullmatch(step.get("send", ""))
        )
        host["send"] = "Host"

    assert there == here

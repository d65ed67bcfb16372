"""Where the other services' ops ports are."""

from __future__ import annotations

import pytest

from gateway.operations.shell.ops_ports import ops_urls
from schemas.errors import ConfigurationError


def test_on_one_machine_the_services_own_settings_say_where() -> None:
    """Their ports, else the published ones, on the address where all of them listen."""
    assert ops_urls("", {"SINKS_OPS_PORT": "9103", "PROCESSORS_OPS_PORT": ""}, "http://10.0.0.5") == {
        "producers": "http://10.0.0.5:8101",
        "stream_processors": "http://10.0.0.5:8102",
        "sinks": "http://10.0.0.5:9103",
    }


def test_elsewhere_they_are_listed() -> None:
    """Any number of them, by any name."""
    listed = "sinks-0=http://10.0.0.3:8103/, sinks-1=https://10.0.0.4:8103"
    assert ops_urls(listed, {}, "http://127.0.0.1") == {
        "sinks-0": "http://10.0.0.3:8103",
        "sinks-1": "https://10.0.0.4:8103",
    }


@pytest.mark.parametrize("listed", ["sinks", "=http://a", "sinks=ftp://a", "a=http://b,,"])
def test_a_wrong_list_does_not_start(listed: str) -> None:
    """It names the setting."""
    with pytest.raises(ConfigurationError, match="GATEWAY_SERVICES"):
        ops_urls(listed, {}, "http://127.0.0.1")

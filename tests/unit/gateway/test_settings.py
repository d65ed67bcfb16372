"""Settings of the gateway."""

from __future__ import annotations

import pytest

from gateway.settings import GatewaySettings
from schemas.errors import ConfigurationError


def test_the_defaults_are_for_one_machine() -> None:
    """Loopback, the published ports, no keys."""
    settings = GatewaySettings.from_env({})
    assert (settings.host, settings.port, settings.ops_port, settings.keys_file) == (
        "127.0.0.1",
        8001,
        8104,
        None,
    )


def test_origins_are_a_list_in_any_case() -> None:
    """As browsers send them: without a trailing slash."""
    settings = GatewaySettings.from_env({"GATEWAY_ORIGINS": "https://Desk.example/, https://b.example,"})
    assert settings.allowed_origins == {"https://desk.example", "https://b.example"}


def test_a_wrong_value_names_its_variable() -> None:
    """Before anything starts."""
    with pytest.raises(ConfigurationError, match="GATEWAY_PORT"):
        GatewaySettings.from_env({"GATEWAY_PORT": "http"})


def test_the_page_token_key_is_never_shown() -> None:
    """Not even in a traceback."""
    assert "geheim" not in repr(GatewaySettings.from_env({"GATEWAY_PAGE_TOKEN_KEY": "geheim" * 8}))


def test_each_of_several_processes_has_an_ops_port_of_its_own() -> None:
    """The first has that of a process alone."""
    ports = [
        GatewaySettings(ops_port=8104, processes=3, replica=number).own_ops_port for number in (None, 0, 1, 2)
    ]
    assert ports == [8104, 8104, 8204, 8304]

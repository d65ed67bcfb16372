"""`mds env` shows what is in force and keeps secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli.inspection import MASK, env_in_force
from infra.cli.system import System
from schemas.errors import ConfigurationError


def a_system(tmp_path: Path, **env: str) -> System:
    """Return a system with its home in the test's folder."""
    return System.from_env({"MDS_HOME": str(tmp_path / "home"), **env})


def test_secrets_are_masked_unless_asked_for(tmp_path: Path) -> None:
    """A DSN and a token are secrets; their being set is not."""
    system = a_system(tmp_path, PRODUCERS_FINNHUB_TOKEN="abc", MDS_POSTGRES_DSN="postgresql://u:pw@h/d")
    masked = env_in_force(system, show_secrets=False)
    assert masked["PRODUCERS_FINNHUB_TOKEN"] == masked["MDS_POSTGRES_DSN"] == MASK
    assert not any("pw" in value for value in masked.values())
    shown = env_in_force(system, show_secrets=True)
    assert shown["PRODUCERS_FINNHUB_TOKEN"] == "abc"
    assert shown["MDS_POSTGRES_DSN"] == "postgresql://u:pw@h/d"


def test_defaults_in_force_are_shown(tmp_path: Path) -> None:
    """What nobody set is shown with the value it has."""
    values = env_in_force(a_system(tmp_path), show_secrets=False)
    assert values["MDS_KAFKA"] == "127.0.0.1:19092"
    assert values["MDS_HOME"] == str(tmp_path / "home")
    assert values["PRODUCERS_OPS_PORT"] == "8101"
    assert values["GATEWAY_PORT"] == "8001"


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1"])
def test_a_port_that_is_none_names_the_setting(tmp_path: Path, text: str) -> None:
    """Mistyped ports stop the command with one sentence."""
    with pytest.raises(ConfigurationError, match="GATEWAY_PORT"):
        _ = a_system(tmp_path, GATEWAY_PORT=text).gateway_port

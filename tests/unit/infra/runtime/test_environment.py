"""Settings: a typo is an error, a value is a type."""

from __future__ import annotations

from typing import ClassVar

import pytest

from infra.runtime.environment import Settings
from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError


class ExampleSettings(Settings):
    """A service's settings."""

    prefix: ClassVar[str] = "GATEWAY_"
    flush_every_s: float = 0.5


def test_values_become_types() -> None:
    """Text from the environment is parsed once, at start-up."""
    assert ExampleSettings.from_env({"GATEWAY_FLUSH_EVERY_S": "2"}).flush_every_s == 2.0


def test_an_unknown_mds_name_refuses_to_start_and_suggests() -> None:
    """A typo never becomes a default in silence."""
    with pytest.raises(ConfigurationError, match=r"MDS_KAFKA_PROT.*did you mean MDS_KAFKA_PORT\?"):
        MdsSettings.from_env({"MDS_KAFKA_PROT": "1"})


def test_an_unknown_name_of_a_service_warns(capsys: pytest.CaptureFixture[str]) -> None:
    """Kubernetes puts its own names beside ours, so these cannot be fatal."""
    ExampleSettings.from_env({"GATEWAY_FLUSH_EVRY_S": "1", "GATEWAY_SERVICE_HOST": "10.0.0.1"})

    printed = capsys.readouterr().err
    assert "did you mean GATEWAY_FLUSH_EVERY_S?" in printed
    assert "SERVICE_HOST" not in printed

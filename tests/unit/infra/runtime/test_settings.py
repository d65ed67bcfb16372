"""What all processes share: a wrong value is named with its remedy, secrets are not shown."""

from __future__ import annotations

import pytest

from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError


def test_a_wrong_value_is_named_with_its_variable() -> None:
    """The message leads to the line to change, and never shows the value."""
    with pytest.raises(ConfigurationError, match="MDS_KAFKA_PORT") as caught:
        MdsSettings.from_env({"MDS_KAFKA_PORT": "s3cret"})

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("MDS_KAFKA_PORT", "soon", "in MDS_KAFKA_PORT, set it to a whole number"),
        ("MDS_KAFKA_PORT", "0", "in MDS_KAFKA_PORT, set it to 1 or more"),
        ("MDS_KAFKA_PORT", "70000", "in MDS_KAFKA_PORT, set it to 65535 or less"),
        ("MDS_LOG_LEVEL", "loud", "in MDS_LOG_LEVEL, use one of debug, info, warning, error"),
        ("MDS_OPS_HOST", "localhost", "in MDS_OPS_HOST, write an IP address, such as 127.0.0.1"),
        ("MDS_OPS_HOST", "10.0.0.256", "in MDS_OPS_HOST, write an IP address, such as 127.0.0.1"),
        ("MDS_TOPIC_PREFIX", "trial/", "in MDS_TOPIC_PREFIX, write one such as trial."),
        ("MDS_OTEL_ENDPOINT", "collector:4318", "in MDS_OTEL_ENDPOINT, write it like http://127.0.0.1:4318"),
        ("MDS_OTEL_ENDPOINT", "http://h:99999", "in MDS_OTEL_ENDPOINT, write it like http://127.0.0.1:4318"),
        ("MDS_OTEL_ENDPOINT", "http://h/?key=1", "in MDS_OTEL_ENDPOINT, write it like http://127.0.0.1:4318"),
        (
            "MDS_OTEL_ENDPOINT",
            "http://u:hunter2@h",
            "in MDS_OTEL_ENDPOINT, give that in OTEL_EXPORTER_OTLP_HEADERS",
        ),
        ("MDS_OTEL_RATIO", "1.5", "in MDS_OTEL_RATIO, set it to 1 or less"),
    ],
)
def test_a_wrong_value_is_answered_with_what_is_valid(variable: str, value: str, remedy: str) -> None:
    """Words, bounds, types: what to write instead."""
    with pytest.raises(ConfigurationError) as caught:
        MdsSettings.from_env({variable: value})

    assert caught.value.remedy == remedy


def test_a_password_is_not_shown() -> None:
    """A DSN does not leak through repr."""
    settings = MdsSettings.from_env({"MDS_POSTGRES_DSN": "postgresql://u:canary@h/d"})

    assert "canary" not in repr(settings)
    assert settings.dsn == "postgresql://u:canary@h/d"


def test_an_empty_value_means_the_default() -> None:
    """`MDS_KAFKA=` in a file is the embedded broker, not an empty address."""
    assert MdsSettings.from_env({"MDS_KAFKA": ""}).bootstrap_servers == "127.0.0.1:19092"


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("", "http://127.0.0.1"),
        ("0.0.0.0", "http://127.0.0.1"),
        ("::", "http://[::1]"),
        ("10.0.0.5", "http://10.0.0.5"),
        ("fd00::5", "http://[fd00::5]"),
    ],
)
def test_an_ops_port_is_asked_where_it_listens(host: str, asked: str) -> None:
    """Where all addresses listen, at that of this machine alone."""
    assert MdsSettings.from_env({"MDS_OPS_HOST": host}).ops_base_url == asked

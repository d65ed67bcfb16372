"""Keys come from the environment or from files, and are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.runtime.environment import MAX_SECRET_BYTES
from producers.settings import ProducersSettings
from schemas.errors import ConfigurationError

VARIABLES = (
    "PRODUCERS_FINNHUB_TOKEN",
    "PRODUCERS_ALPACA_KEY_ID",
    "PRODUCERS_ALPACA_SECRET_KEY",
    "PRODUCERS_POLYGON_KEY",
    "ACME_KEY",
)


def secret(variable: str, **env: str) -> str:
    return ProducersSettings.from_env(env).secret(variable, env).get_secret_value()


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_key_is_a_variable_or_a_file(variable: str, tmp_path: Path) -> None:
    """The variable goes first; a file's line end is not part of the key; neither is no key."""
    path = tmp_path / "key"
    path.write_text("from-file\n", "utf-8")

    assert secret(variable) == ""
    assert secret(variable, **{variable: "given"}) == "given"
    assert secret(variable, **{f"{variable}_FILE": str(path)}) == "from-file"
    assert secret(variable, **{variable: "given", f"{variable}_FILE": str(path)}) == "given"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two\nlines", b"\xff", b"x" * (MAX_SECRET_BYTES + 1)])
def test_a_file_without_a_key_names_its_variable(content: bytes | None, tmp_path: Path) -> None:
    """A mistake stops start-up; what the file holds is not shown."""
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigurationError, match="PRODUCERS_POLYGON_KEY_FILE") as caught:
        secret("PRODUCERS_POLYGON_KEY", PRODUCERS_POLYGON_KEY_FILE=str(path))

    assert "lines" not in str(caught.value)


def test_keys_are_not_shown() -> None:
    """Neither by repr nor by str."""
    settings = ProducersSettings.from_env(dict.fromkeys(VARIABLES, "canary"))

    assert "canary" not in repr(settings) + str(settings)


def test_what_is_no_secret_is_not_one() -> None:
    """A provider cannot name another setting as its credential."""
    with pytest.raises(ConfigurationError, match="no secret"):
        secret("PRODUCERS_OPS_PORT")

"""What a process says with the code it ends with."""

from __future__ import annotations

import asyncio

import pytest

from infra.runtime.exit_codes import exit_code
from schemas.errors import BrokerUnavailable, ConfigurationError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x", remedy="y"), 2),
        (BrokerUnavailable("x"), 70),
        (ValueError("x"), 70),
        (asyncio.CancelledError(), 0),
        (KeyboardInterrupt(), 0),
        (SystemExit(3), 3),
        (ExceptionGroup("g", [ConfigurationError("x", remedy="y")]), 2),
    ],
)
def test_the_code_says_who_must_do_something(error: BaseException, code: int) -> None:
    """0 asked to stop, 2 an operator must change something, 70 anything else."""
    assert exit_code(error) == code


def test_what_an_operator_can_act_on_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration's fault speaks for itself, an outage is named; of the unexpected the log tells."""
    for error in (ConfigurationError("x", remedy="y"), BrokerUnavailable("z"), ValueError("secret")):
        exit_code(error)

    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: x")
    assert second == "error: BrokerUnavailable: z"

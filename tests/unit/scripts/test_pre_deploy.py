"""The script is the command."""

from __future__ import annotations

import pytest

from scripts.pre_deploy import main


def test_the_script_takes_the_options_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """And ends with its exit code; an error is one sentence."""
    with pytest.raises(SystemExit) as caught:
        main(["--kafka-version", "latest"])

    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: 'latest' is no version of Kafka; write it like 4.2.2\n"

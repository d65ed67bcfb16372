"""What `mds run` says of the providers: what their process and its log say, not what the configuration hopes for."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infra.cli import system
from infra.cli.run import left_out, provider_lines, run_system
from infra.cli.system import System
from infra.runtime.installation import default_configuration
from schemas.errors import ConfigurationError

NO_KEY = "no key: set PRODUCERS_FINNHUB_TOKEN to collect from it"
BEGAN = "2026-11-20T15:00:00.000000Z"


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def disabled(provider: str, reason: str, *, ts: str = "2026-11-20T15:00:01.000000Z") -> str:
    """Return the producers' log line for a provider that cannot be used."""
    return json.dumps({"ts": ts, "event": "provider_disabled", "provider": provider, "reason": reason})


def test_providers_are_the_parts_with_a_breaker() -> None:
    """One is on, one fails with its reason, one is left out with its reason; other parts are none."""
    parts: dict[str, dict[str, Any]] = {
        "publishing": {"ready": True},
        "yahoo_polling": {"ready": True},
        "yahoo": {"breaker": "closed", "failing": False, "last_error": "an old one"},
        "polygon": {"breaker": "open", "failing": True, "last_error": "polygon answered 503"},
    }

    lines = provider_lines(parts, {"finnhub": NO_KEY})

    assert lines == [
        "  providers  polygon failing: polygon answered 503",
        "             yahoo on",
        f"             finnhub off: {NO_KEY}",
    ]


def test_a_provider_that_was_left_out_and_is_asked_again_is_on() -> None:
    """A key may come with a new configuration; the process has the last word."""
    assert provider_lines({"finnhub": {"breaker": "closed"}}, {"finnhub": NO_KEY}) == [
        "  providers  finnhub on"
    ]


def test_nothing_known_is_nothing_said() -> None:
    """No answer and no log yet: no line, and no error."""
    assert provider_lines({}, {}) == []
    assert left_out(Path("absent") / "producers.log", since=BEGAN) == {}


def test_only_this_runs_lines_of_the_log_count(tmp_path: Path) -> None:
    """The log goes on over runs; what else stands in it, broken lines too, is passed over."""
    log = tmp_path / "producers.log"
    log.write_text(
        "\n".join(
            [
                disabled("alpaca", "of an earlier run", ts="2026-11-20T14:59:59.000000Z"),
                "provider_disabled {not JSON",
                '["provider_disabled"]',
                json.dumps({"ts": BEGAN, "event": "poll_failed", "error": "provider_disabled"}),
                disabled("finnhub", "first"),
                disabled("finnhub", NO_KEY),
            ]
        ),
        "utf-8",
    )

    assert left_out(log, since=BEGAN) == {"finnhub": NO_KEY}


def test_a_live_run_of_what_nobody_says_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside a checkout there is no configuration at first: where it belongs and how to begin is said."""
    monkeypatch.setattr(system, "default_configuration", partial(default_configuration, in_checkout=False))
    home = tmp_path / "our home"

    with pytest.raises(ConfigurationError) as refused:
        run_system(System.from_env({"MDS_HOME": str(home)}), live=True, for_s=None)

    assert f"{home}/mds.yaml is not there" in str(refused.value)
    assert f"`mds example > '{home}/mds.yaml'`" in str(refused.value)

"""The suite third parties can run: ours and the example pass it, and those who break a promise do not."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.catalogue.shell.installed import built_in_providers, known_providers
from producers.sdk import (
    Answer,
    Capabilities,
    Provider,
    Response,
    broken_promises,
)
from tests.support.plugin_packages import ACME, install

OURS = built_in_providers()


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """The example package, installed."""
    monkeypatch.syspath_prepend(str(install(ACME, tmp_path / "site")))
    importlib.invalidate_caches()
    yield known_providers()["acme"]
    sys.modules.pop("acme_provider", None)


@pytest.mark.parametrize("provider", OURS.values(), ids=lambda provider: provider.name)
async def test_our_providers_keep_every_promise(provider: Provider) -> None:
    """The same suite that third parties run."""
    assert await broken_promises(provider) == []


async def test_the_example_keeps_every_promise(acme: Provider) -> None:
    """Found by its entry point, under its own name."""
    assert acme.facts.capabilities == Capabilities(intervals=("1m", "5m"), trades=True)
    assert await broken_promises(acme) == []


def test_the_example_imports_nothing_of_ours_but_the_sdk() -> None:
    """What else we move is none of a third party's business."""
    tree = ast.parse((ACME / "acme_provider.py").read_text("utf-8"))
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    found |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}

    assert found - {"__future__", "csv", "collections.abc", "functools"} == {"producers.sdk"}


async def test_the_examples_trades_are_checked_as_its_bars_are(acme: Provider) -> None:
    """What its parser makes of a good frame fits the topic; a line that is no trade costs itself."""
    parse = importlib.import_module("acme_provider").parse_frame
    asked = {"SPY": "SPY", "BRK/B": "BRK.B"}
    frame = parse(
        b"SPY 1381152600123 167.41 200\nIBM 1381152600124 1 1\nBRK/B 1381152600125 1 -1\nBRK/B 1381152600126 113.5 10",
        sequence=1,
        asked=asked,
        simulated=(),
    )
    good = Response(endpoint="socket", received_time=1, answer=frame.answer)

    assert [(event["symbol"], event["price"]) for event in frame.answer.events] == [
        ("SPY", 167.41),
        ("BRK.B", 113.5),
    ]
    assert len(frame.answer.rejected) == 2
    assert parse(b"#", sequence=2, asked=asked, simulated=()).kind == "ping"
    assert await broken_promises(acme, [good]) == []
    spoilt = Answer(events=[dict(frame.answer.events[0]) | {"price": "high"}])
    bad = Response(endpoint="socket", received_time=1, answer=spoilt)
    assert any("does not fit raw.trades" in fault for fault in await broken_promises(acme, [bad]))


@pytest.mark.parametrize("provider", OURS.values(), ids=lambda provider: provider.name)
def test_ours_declare_what_they_override(provider: Provider) -> None:
    """Capabilities name exactly the methods a provider has."""
    api = provider.open.__annotations__["return"]
    overridden = vars(getattr(importlib.import_module(provider.open.__module__), api))
    capabilities = provider.facts.capabilities

    assert bool(capabilities.intervals) == ("bars" in overridden)
    assert bool(capabilities.quotes_per_request) == ("quotes" in overridden)
    assert bool(capabilities.action_symbols_per_request) == ("actions" in overridden)
    assert bool(capabilities.option_chains) == ("option_chain" in overridden)
    assert (capabilities.option_chains == "expiries") == ("option_expiries" in overridden)
    assert capabilities.symbols == ("symbols" in overridden)
    assert capabilities.macro == ("macro" in overridden)

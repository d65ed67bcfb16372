"""The suite third parties can run: ours and the example pass it, and those who break a promise do not."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from producers.catalogue.shell.installed import built_in_providers, known_providers
from producers.sdk import (
    Answer,
    BarsRequest,
    Capabilities,
    Frame,
    MalformedPayload,
    Opening,
    Provider,
    ProviderFacts,
    ProviderRefused,
    Response,
    VendorApi,
    VendorSocket,
    broken_promises,
)
from producers.vendors.shell.contract import CANARY
from tests.support.builders import a_bar_event
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


@pytest.mark.parametrize("name", OURS)
def test_ours_are_declared_as_a_plug_in_is(name: str) -> None:
    """The same object, by the same path, under the name of its facts."""
    provider = known_providers()[name]

    assert isinstance(provider, Provider)
    assert provider.name == provider.facts.name == name
    assert provider.faults() == []


class _Careless(VendorApi):
    """Puts its key into the URL and its errors, and lets others' errors out."""

    provider = "careless"

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    async def bars(self, asked: BarsRequest) -> Response:
        key = self._opening.secret("CARELESS_KEY")
        answer = await self._opening.http.get(
            "bars", f"{self._opening.base_url}/{asked.symbol}?key={key}", refusals=(401,)
        )
        if answer.status == 401:
            raise ProviderRefused(f"refused {key}")
        return Response(endpoint="bars", received_time=1, answer=Answer(events=[{}["missing"]]))


class _CarelessSocket(VendorSocket):
    """Takes whatever comes for a trade of no value."""

    def parse(self, payload: bytes, **_: Any) -> Frame:
        if not payload:
            raise MalformedPayload("careless frame: nothing")
        return Frame(kind="other")


def _open_socket(opening: Opening) -> _CarelessSocket:
    return _CarelessSocket(CARELESS.facts, opening.session, gate=opening.http.gate, url=opening.socket_url)


CARELESS = Provider(
    facts=ProviderFacts(
        name="careless",
        title="Careless",
        capabilities=Capabilities(intervals=("1m",), trades=True),
        base_url="https://careless.example",
        socket_url="wss://careless.example",
        credentials=("CARELESS_KEY",),
    ),
    open=_Careless,
    open_socket=_open_socket,
)


async def test_a_careless_provider_is_found_out() -> None:
    """Every carelessness is named, and no key is in the report."""
    broken = await broken_promises(CARELESS)

    assert any("a credential travels in a URL" in fault for fault in broken)
    assert any("shows a credential" in fault for fault in broken)
    assert any("asked for as if they were live" in fault for fault in broken)
    assert any("raised KeyError, which is none of schemas.errors" in fault for fault in broken)
    assert "socket: parse takes bytes that are no frame for one" in broken
    assert CANARY not in "".join(broken)


async def test_samples_are_what_is_asked_for() -> None:
    """A provider without stocks is judged by what it has."""
    asked: list[str] = []

    class _Noting(VendorApi):
        provider = "coins"

        def __init__(self, opening: Opening) -> None:
            self._opening = opening

        async def bars(self, asked_for: BarsRequest) -> Response:
            asked.append(asked_for.symbol)
            raise ProviderRefused("no")

    facts = ProviderFacts(
        name="coins",
        title="Coins",
        capabilities=Capabilities(intervals=("1h",)),
        base_url="https://coins.example",
        samples=("BTC-USD",),
    )
    await broken_promises(Provider(facts=facts, open=_Noting))

    assert set(asked) == {"BTC-USD"}


@pytest.mark.parametrize(
    ("events", "words"),
    [
        pytest.param([], "no events", id="nothing"),
        pytest.param([a_bar_event(), a_bar_event()], "each once", id="twice"),
        pytest.param([a_bar_event(close=1_000.0)], "outside its bar", id="close"),
        pytest.param([a_bar_event(volume="many")], "does not fit", id="type"),
    ],
)
async def test_events_are_checked_too(events: list[dict[str, object]], words: str, acme: Provider) -> None:
    """Fields, order and number of what a good answer gave."""
    response = Response(endpoint="bars", received_time=1, answer=Answer(events=events))

    assert any(words in fault for fault in await broken_promises(acme, [response]))


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


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        pytest.param(replace(CARELESS, open_socket=None), "open_socket", id="no-socket"),
        pytest.param(
            replace(CARELESS, facts=replace(CARELESS.facts, name="Careless")), "lower-case", id="facts"
        ),
    ],
)
async def test_a_wrong_declaration_is_named(provider: Provider, words: str) -> None:
    """Before anything is opened."""
    (fault,) = await broken_promises(provider)

    assert fault.startswith("declaration: ")
    assert words in fault
    assert await broken_promises(object()) == ["declaration: it is a object, not a producers.sdk.Provider"]


@pytest.mark.parametrize("provider", OURS.values(), ids=lambda provider: provider.name)
def test_ours_declare_what_they_override(provider: Provider) -> None:
    """Capabilities name exactly the methods a provider has."""
    api = provider.open.__annotations__["return"]
    overridden = vars(getattr(importlib.import_module(provider.open.__module__), api))
    capabilities = provider.facts.capabilities

    assert bool(capabilities.intervals) == ("bars" in overridden)
    assert bool(capabilities.quotes_per_request) == ("quotes" in overridden)
    assert capabilities.symbols == ("symbols" in overridden)


BROKEN = """
[project]
name = "{name}"
version = "1.0"
[project.entry-points."mds.providers"]
{entry} = "{name}:PROVIDER"
"""


@pytest.mark.parametrize(
    ("entry", "module", "why"),
    [
        pytest.param("broken", "raise RuntimeError('no licence')", "cannot be loaded: RuntimeError: no licence", id="raises"),
        pytest.param("broken", "", "cannot be loaded: AttributeError", id="nothing-there"),
        pytest.param("broken", "PROVIDER = 5", "it is a int", id="no-provider"),
        pytest.param(
            "yahoo", "from producers.vendors.yahoo.shell.client import PROVIDER", "yahoo is already a provider", id="shadows-ours",
        ),
        pytest.param(
            "broken", "from producers.vendors.yahoo.shell.client import PROVIDER", "entry point is called broken", id="another-name",
        ),
        pytest.param(
            "broken",
            "from dataclasses import replace\nfrom producers.vendors.finnhub.shell.client import PROVIDER as FINNHUB\n"
            "PROVIDER = replace(FINNHUB, facts=replace(FINNHUB.facts, name='broken'), open_socket=None)",
            "trades need open_socket", id="trades-without-a-socket",
        ),
    ],
)  # fmt: skip
def test_a_broken_plug_in_is_named_and_survived(
    entry: str,
    module: str,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One error line says which package and why; everybody else is there."""
    name = f"plug_in_{abs(hash((entry, module))) % 10**9}"
    package = tmp_path / "package"
    package.mkdir()
    (package / "pyproject.toml").write_text(BROKEN.format(name=name, entry=entry), "utf-8")
    (package / f"{name}.py").write_text(module, "utf-8")
    monkeypatch.syspath_prepend(str(install(package, tmp_path / "site")))
    importlib.invalidate_caches()

    known = known_providers()

    assert set(known) == set(OURS)
    (line,) = [record for record in caplog.records if record.message == "provider_plugin_refused"]
    assert line.package == name  # type: ignore[attr-defined]
    assert why in line.reason  # type: ignore[attr-defined]

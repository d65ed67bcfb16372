"""The suite third parties can run: our four and the example pass it, and those who break a promise do not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from producers.catalogue.shell.installed import BUILT_IN, known_providers
from producers.vendors.answers import Answer, Response
from producers.vendors.capabilities import Capabilities
from producers.vendors.shell.contract import CANARY, broken_promises
from producers.vendors.shell.provider import Opening, Provider, VendorApi, faults_of
from schemas.errors import ProviderRefused
from tests.support.builders import a_bar_event
from tests.support.plugin_packages import ACME, install


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """The example package, installed."""
    monkeypatch.syspath_prepend(str(install(ACME, tmp_path / "site")))
    importlib.invalidate_caches()
    yield known_providers()["acme"]
    sys.modules.pop("acme_provider", None)


@pytest.mark.parametrize("provider", BUILT_IN, ids=lambda provider: provider.name)
async def test_our_providers_keep_every_promise(provider: Provider) -> None:
    """The same suite that third parties run."""
    assert await broken_promises(provider) == []


async def test_the_example_keeps_every_promise(acme: Provider) -> None:
    """Found by its entry point, under its own name."""
    assert acme.capabilities.intervals == ("1m", "5m")
    assert await broken_promises(acme) == []


class _Careless(VendorApi):
    """Puts its key into the URL and its errors, and lets others' errors out."""

    provider = "careless"

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    async def bars(self, *_: object, **__: object) -> Response:
        key = self._opening.secret("CARELESS_KEY")
        answer = await self._opening.http.get(
            "bars", f"{self._opening.base_url}/bars?key={key}", refusals=(401,)
        )
        if answer.status == 401:
            raise ProviderRefused(f"refused {key}")
        return Response(endpoint="bars", received_time=1, answer=Answer(events=[{}["missing"]]))


CARELESS = Provider(
    name="careless",
    capabilities=Capabilities(intervals=("1m",)),
    base_url="https://careless.example",
    open=_Careless,
    credentials=("CARELESS_KEY",),
)


async def test_a_careless_provider_is_found_out() -> None:
    """Every carelessness is named, and no key is in the report."""
    broken = await broken_promises(CARELESS)

    assert any("a credential travels in a URL" in fault for fault in broken)
    assert any("shows a credential" in fault for fault in broken)
    assert any("asked for as if they were live" in fault for fault in broken)
    assert any("raised KeyError, which is none of schemas.errors" in fault for fault in broken)
    assert CANARY not in "".join(broken)


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


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Acme"}, "lower-case"),
        ({"capabilities": Capabilities(intervals=("7m",))}, "'7m' is unknown"),
        ({"capabilities": Capabilities(quotes_per_request=10**6)}, "quotes_per_request"),
        ({"capabilities": Capabilities()}, "neither bars nor quotes"),
        ({"capabilities": Capabilities(trades=True)}, "open_socket"),
        ({"base_url": "ftp://acme.example"}, "base_url"),
        ({"credentials": ("acme key",)}, "no variable's name"),
    ],
)
def test_a_wrong_declaration_is_named(changes: dict[str, object], words: str) -> None:
    """Before anything is opened."""
    assert words in "; ".join(faults_of(replace(CARELESS, **changes)))
    assert faults_of(object()) == ["it is a object, not a producers.vendors.shell.provider.Provider"]


def test_ours_declare_what_they_override() -> None:
    """Capabilities name exactly the methods a provider has."""
    for provider in BUILT_IN:
        api = provider.open.__annotations__["return"]
        module = importlib.import_module(provider.open.__module__)
        overridden = vars(getattr(module, api))
        assert bool(provider.capabilities.intervals) == ("bars" in overridden)
        assert bool(provider.capabilities.quotes_per_request) == ("quotes" in overridden)
        assert provider.capabilities.symbols == ("symbols" in overridden)


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
            "yahoo", "from producers.vendors.yahoo.shell.client import YAHOO as PROVIDER", "yahoo is already a provider", id="shadows-ours",
        ),
        pytest.param(
            "broken", "from producers.vendors.yahoo.shell.client import YAHOO as PROVIDER", "entry point is called broken", id="another-name",
        ),
        pytest.param(
            "broken",
            "from dataclasses import replace\nfrom producers.vendors.finnhub.shell.client import FINNHUB\nPROVIDER = replace(FINNHUB, name='broken')",
            "trades of third parties", id="trades",
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

    assert set(known) == {"alpaca", "finnhub", "polygon", "yahoo"}
    (line,) = [record for record in caplog.records if record.message == "provider_plugin_refused"]
    assert line.package == name  # type: ignore[attr-defined]
    assert why in line.reason  # type: ignore[attr-defined]

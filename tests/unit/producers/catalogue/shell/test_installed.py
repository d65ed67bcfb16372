"""Providers there are: ours by their names, and those of installed packages that can be used."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from producers.catalogue.shell.installed import built_in_providers, known_providers
from producers.sdk import (
    Provider,
)
from schemas.providers.built_in import BUILT_IN
from tests.support.plugin_packages import ACME, install

OURS = built_in_providers()


@pytest.mark.parametrize("name", OURS)
def test_ours_are_declared_as_a_plug_in_is(name: str) -> None:
    """The same object, by the same path, under the name of its facts."""
    provider = known_providers()[name]

    assert isinstance(provider, Provider)
    assert provider.name == provider.facts.name == name
    assert provider.faults() == []


def test_ours_are_those_whose_facts_we_ship() -> None:
    """A vendor with facts and no client would be offered and could not be asked."""
    assert set(OURS) == set(BUILT_IN)
    assert {name: provider.facts for name, provider in OURS.items()} == dict(BUILT_IN)


def test_an_installed_package_adds_its_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its entry point, beside ours."""
    monkeypatch.syspath_prepend(str(install(ACME, tmp_path / "site")))
    importlib.invalidate_caches()
    known = known_providers()
    sys.modules.pop("acme_provider", None)

    assert set(known) == {*OURS, "acme"}
    assert known["acme"].facts.name == "acme"


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

"""Facts of plug-ins are known to every process that is installed beside them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.runtime.configuration import reading
from infra.runtime.providers import installed_providers, known_facts
from schemas.errors import ConfigurationError
from schemas.located_yaml import faults_of
from schemas.providers.built_in import BUILT_IN
from tests.support.plugin_packages import ACME, install

TRADES = "symbols: [SPY]\nstreams: {trades: {provider: acme}}"


@pytest.fixture
def _acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(install(ACME, tmp_path / "site")))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("acme_provider", None)


def test_without_packages_ours_are_known() -> None:
    """And a plug-in's name is refused with those that are."""
    assert known_facts() == BUILT_IN
    with pytest.raises(ConfigurationError) as caught:
        reading.parse(TRADES, source="f")
    (fault,) = faults_of(caught.value)
    assert (fault.line, fault.message) == (2, "is wrong: no provider is called acme")
    assert fault.remedy == f"known are {', '.join(sorted(BUILT_IN))}"


@pytest.mark.usefixtures("_acme")
def test_an_installed_package_is_judged_by_its_facts() -> None:
    """Whoever reads the configuration, the gateway as the producers: what it can serve, and what it cannot."""
    assert list(installed_providers()) == ["acme"]
    assert reading.parse(TRADES, source="f").named_providers() == {"acme"}
    with pytest.raises(ConfigurationError) as caught:
        reading.parse("symbols: [SPY]\nstreams: {quotes: {provider: acme}}", source="f")
    assert faults_of(caught.value)[0].message == "is acme, which has no quotes"


def test_a_file_is_read_as_a_text_is(tmp_path: Path) -> None:
    """With the same judge."""
    path = tmp_path / "mds.yaml"
    path.write_text("symbols: [SPY]\nproviders: {yahooo: {}}", "utf-8")

    with pytest.raises(ConfigurationError, match=r"did you mean yahoo\?"):
        reading.load(path)


def test_no_process_judges_a_configuration_by_other_facts() -> None:
    """All read it by way of the one module that knows the installed packages."""
    root = Path(reading.__file__).parents[3]
    homes = {Path(reading.__file__), *(root / "schemas" / "configuration").glob("*.py")}
    offenders = [
        path
        for folder in ("producers", "stream_processors", "sinks", "gateway", "infra", "schemas")
        for path in (root / folder).rglob("*.py")
        if path not in homes
        and any(name in path.read_text("utf-8") for name in ("parse_configuration", "load_configuration"))
    ]

    assert offenders == []

"""What a user sees once everything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli.system import System
from infra.cli.welcome import commands, first_symbol, source, urls


def a_system(tmp_path: Path, **env: str) -> System:
    """Return a system with its home in the test's folder."""
    return System.from_env({"MDS_HOME": str(tmp_path / "home"), **env})


def test_addresses_hold_no_secret_of_the_users(tmp_path: Path) -> None:
    """The password of a database of his own is left out; that of ours is told, for it opens nothing else."""
    his = "\n".join(urls(a_system(tmp_path, MDS_POSTGRES_DSN="postgresql://u:hidden@db:5432/m"), live=True))
    ours = "\n".join(urls(a_system(tmp_path), live=True))

    assert "postgresql://u@db:5432/m" in his
    assert "hidden" not in his
    assert "(password mds)" in ours


def test_the_simulator_is_named_where_it_is_the_market(tmp_path: Path) -> None:
    """Otherwise it does not run."""
    system = a_system(tmp_path, GATEWAY_PORT="9001")

    simulated, live = urls(system, live=False), urls(system, live=True)

    assert [line.split()[0] for line in simulated if line not in live] == ["simulator"]
    assert any("http://127.0.0.1:9001/health" in line for line in live)
    assert "simulator" in source(system, live=False)
    assert "vendors themselves" in source(system, live=True)


def test_commands_are_to_be_copied_as_they_stand(tmp_path: Path) -> None:
    """A symbol is escaped in an address and quoted in a shell."""
    text = "\n".join(commands(a_system(tmp_path), "^GSPC"))

    assert "/stocks/%5EGSPC/history" in text
    assert "/ws/%5EGSPC" in text
    assert "mds tail '^GSPC'" in text


@pytest.mark.parametrize(
    ("content", "symbol"),
    [
        pytest.param("symbols: [QQQ, SPY]", "QQQ", id="names"),
        pytest.param("symbols: [{symbol: IBM}]", "IBM", id="entries"),
        pytest.param("universe: database", "SPY", id="none-listed"),
        pytest.param("symbols: [", "SPY", id="broken"),
    ],
)
def test_the_first_symbol_configured_is_the_one_to_look_at(tmp_path: Path, content: str, symbol: str) -> None:
    """Where none is there is still one to try."""
    config = tmp_path / "mds.yaml"
    config.write_text(content, "utf-8")

    assert first_symbol(a_system(tmp_path, MDS_CONFIG=str(config)), live=True) == symbol

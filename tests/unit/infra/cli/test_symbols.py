"""`mds symbols resolve` on the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.__main__ import app
from schemas.providers.built_in import BUILT_IN


def run(*arguments: str, **env: str) -> tuple[int, str, str]:
    """Run the command in this process; return (exit code, stdout, stderr)."""
    ours: dict[str, str | None] = {name: None for name in os.environ if name.startswith("MDS_")}
    done = CliRunner().invoke(app, ["symbols", "resolve", *arguments], env={**ours, **env})
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def map_files(tmp_path: Path) -> str:
    """A folder with one rename."""
    (tmp_path / "meta.csv").write_text("20120518,fb,Q\n20220608,fb,Q\n20501231,meta,Q\n", "ascii")
    return str(tmp_path)


def test_a_symbol_is_told_with_every_vendor_name() -> None:
    """Spelling alone needs no map files and no running system."""
    code, out, _ = run("^GSPC", "--json")
    found = json.loads(out)

    assert code == 0
    assert (found["asset_class"], found["calendar"]) == ("index", "XNYS")
    assert found["vendors"].keys() == BUILT_IN.keys()
    assert [found["vendors"][name] for name in ("yahoo", "alpaca", "polygon")] == ["^GSPC", None, "I:SPX"]


def test_a_vendor_name_is_read_with_its_provider() -> None:
    """BRK-B is Yahoo's, and nobody else's."""
    assert json.loads(run("BRK-B", "--provider", "yahoo", "--json")[1])["symbol"] == "BRK.B"
    code, _, error = run("BRK-B", "--provider", "polygon")
    assert (code, "polygon" in error) == (1, True)


def test_a_former_name_is_told_by_the_day(map_files: str) -> None:
    """FB is META's former name: found on its days, and a no with a hint afterwards."""
    code, out, _ = run("FB", "--at", "2022-06-08", MDS_MAP_FILES=map_files)
    assert code == 0
    assert "FB@2012-05-18" in out
    assert "META from 2022-06-09 to now" in out
    code, _, error = run("FB", "--at", "2022-06-09", MDS_MAP_FILES=map_files)
    assert (code, "use META" in error) == (1, True)


def test_a_day_that_is_none_is_a_usage_error() -> None:
    """Exit 2, before anything is read."""
    assert run("SPY", "--at", "soon")[0] == 2

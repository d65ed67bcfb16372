"""`mds macro keys`: every name, its series, its source, and whether it is collected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.__main__ import app
from infra.cli.macro import listed
from schemas.configuration.model import parse_configuration
from schemas.macro_keys import ALIASES
from schemas.providers.built_in import BUILT_IN

TEXT = "symbols: [SPY]\nstreams: {macro: {keys: [cpi, 'FRED:TCU', ust_10y]}}\n"


def test_every_name_is_listed_and_what_is_collected_without_one() -> None:
    """Whatever is collected by a key alone comes last."""
    found = {entry["key"]: entry for entry in listed(parse_configuration(TEXT, source="f"), BUILT_IN)}

    assert set(found) == {*ALIASES.values(), "FRED:TCU"}
    assert list(found)[-1] == "FRED:TCU"
    assert {key for key, entry in found.items() if entry["collected"]} == {
        "FRED:CPIAUCSL", "FRED:TCU", "UST:10Y",
    }  # fmt: skip
    assert found["UST:10Y"]["alternative"] == "FRED:DGS10"
    assert found["FRED:TCU"]["alias"] is None
    assert {entry["provider"] for entry in found.values()} == {"fred", "ecb", "treasury"}


def test_without_a_file_nothing_is_said_of_what_is_collected() -> None:
    """The simulator's series are all collected where nothing says otherwise."""
    assert {entry["collected"] for entry in listed(None, BUILT_IN)} == {None}


def test_the_command_prints_a_table_or_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the file that is in force here."""
    path = tmp_path / "mds.yaml"
    path.write_text(TEXT, "utf-8")
    monkeypatch.setenv("MDS_CONFIG", str(path))

    shown = CliRunner().invoke(app, ["macro", "keys"])
    document = json.loads(CliRunner().invoke(app, ["macro", "keys", "--json"]).stdout)

    line = next(line for line in shown.stdout.splitlines() if "FRED:CPIAUCSL" in line)
    assert line.split() == ["cpi", "FRED:CPIAUCSL", "fred", "PRODUCERS_FRED_API_KEY", "yes", "-"]
    assert len(document) == len(ALIASES) + 1
    only = json.loads(CliRunner().invoke(app, ["macro", "keys", "--collected", "--json"]).stdout)
    assert {entry["key"] for entry in only} == {"FRED:CPIAUCSL", "FRED:TCU", "UST:10Y"}

"""`mds actions`: what is refused before anything is published."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.cli.actions import add_command, import_command
from infra.cli.system import System
from schemas.errors import ConfigurationError, InvalidRecord

SPLIT = {"symbol": "AAPL", "kind": "split", "ex_date": datetime(2014, 6, 9, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"kind": "divorce"}, "'divorce' is no action"),
        ({"symbol": "no symbol"}, "'no symbol' is not a symbol"),
        ({"ratio": "7 for 1"}, "'7 for 1' is no ratio"),
        ({"kind": "cash_dividend", "amount": "much"}, "'much' is no amount"),
        ({"kind": "spin_off", "other": "no symbol"}, "--other 'no symbol' is not a symbol"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_remedy(given: dict[str, str], told: str) -> None:
    """Nothing has to run for that."""
    with pytest.raises(ConfigurationError, match=told):
        add_command(**{**SPLIT, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [{}, {"ratio": "0:1"}, {"kind": "cash_dividend"}, {"kind": "rename"}],
)
def test_what_a_processor_would_refuse_is_not_published(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A split without a ratio, a dividend without cash, a rename without a name."""
    monkeypatch.setenv("MDS_HOME", str(tmp_path))
    monkeypatch.setattr(System, "reach_kafka", lambda _: pytest.fail("nothing is to be published"))

    with pytest.raises(InvalidRecord):
        add_command(**{**SPLIT, **given})  # type: ignore[arg-type]


def test_one_fault_in_the_files_and_nothing_is_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the file and the line."""
    monkeypatch.setattr(System, "reach_kafka", lambda _: pytest.fail("nothing is to be published"))
    good, bad = tmp_path / "aapl.csv", tmp_path / "ibm.csv"
    good.write_text("20140606,0.9,0.14285714,645.57\n20501231,1,1,0\n", "ascii")
    bad.write_text("20140606,0.9,zero,645.57\n20501231,1,1,0\n", "ascii")

    with pytest.raises(InvalidRecord, match=r"ibm\.csv:1: .* is no row"):
        import_command([good, bad])
    with pytest.raises(ConfigurationError, match=r"spy\.csv cannot be read"):
        import_command([tmp_path / "spy.csv"])

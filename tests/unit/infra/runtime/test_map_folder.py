"""The folder of map files is read whole, or refused with the file and line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from infra.runtime.map_folder import MAX_FILE_BYTES, load_symbology
from schemas.errors import ConfigurationError


def test_no_folder_is_spelling_alone() -> None:
    """The setting may stay empty."""
    assert load_symbology(None).resolve("FB", date(2026, 1, 2)).instrument_id == "FB"


def test_the_real_folder_gives_ids_and_venues(market_data: Path) -> None:
    """AAPL since 1998 at Nasdaq; what is not in the folder is resolved by its spelling."""
    known = load_symbology(market_data / "equity_daily" / "map_files")
    found = known.resolve("AAPL", date(2014, 6, 9))

    assert (found.instrument_id, found.venue, found.valid_to) == ("AAPL@1998-01-02", "XNAS", None)
    assert known.resolve("MSFT", date(2014, 6, 9)).instrument_id == "MSFT"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "holds 0 map files"),
        (b"20120518,fb\n", "fb.csv: 1 rows"),
        (b"20120518,fb\nsoon,fb\n", "fb.csv:2: 'soon' is no day"),
        (b"\xff\xfe", "ascii"),
        (b"20120518,fb\n" * (MAX_FILE_BYTES // 10), "larger than"),
    ],
)
def test_a_folder_that_cannot_be_read_says_where_and_what(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    """The message names the setting and ends with a remedy."""
    if content is not None:
        (tmp_path / "fb.csv").write_bytes(content)

    with pytest.raises(ConfigurationError, match=f"MDS_MAP_FILES: .*{words}.*; "):
        load_symbology(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A mistyped path is not an empty set of renames."""
    with pytest.raises(ConfigurationError, match="MDS_MAP_FILES"):
        load_symbology(tmp_path / "absent")

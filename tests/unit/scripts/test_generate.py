"""Generated files are what the declarations and models say, and a published one is never written over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from schemas.streams import STREAMS, Stream
from scripts.generate import FILES, ROOT, avro_files, main, write_avro
from tests.support.toy_stream import a_toy_stream


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_generated_file_is_in_step(name: str) -> None:
    """`make docs` after changing what it is written from."""
    assert (ROOT / name).read_text("utf-8") == FILES[name](), "run `make docs`"


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_the_avro_files_of_a_stream_are_those_published(stream: Stream) -> None:
    """Writing them again changes nothing."""
    for name, text in avro_files(stream).items():
        assert (ROOT / name).read_text("utf-8") == text


def test_a_new_stream_gets_its_avro_files(tmp_path: Path) -> None:
    """Whoever declares one need not write JSON."""
    (tmp_path / "schemas" / "avro").mkdir(parents=True)

    write_avro(tmp_path, a_toy_stream())
    write_avro(tmp_path, a_toy_stream())  # nothing to do

    written = sorted(path.name for path in (tmp_path / "schemas" / "avro").iterdir())
    assert written == ["raw_slices.v1.avsc", "slice.v1.avsc"]


def test_a_published_file_is_not_written_over(tmp_path: Path) -> None:
    """A changed declaration says so instead of changing what others have read."""
    (tmp_path / "schemas" / "avro").mkdir(parents=True)
    write_avro(tmp_path, a_toy_stream())

    with pytest.raises(ValueError, match="raise the stream's schema_version"):
        write_avro(tmp_path, replace(a_toy_stream(), raw_doc="Something else."))


def test_the_tables_of_a_stream_are_printed_for_its_migration(capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is written."""
    assert main(["tables", "bars"]) == 0

    assert "CREATE TABLE bars_superseded" in capsys.readouterr().out

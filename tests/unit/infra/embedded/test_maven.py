"""Names of Maven artifacts."""

from __future__ import annotations

import pytest

from infra.embedded.maven import MavenCoordinate


@pytest.mark.parametrize(
    ("text", "file_name"),
    [
        pytest.param("org.apache.kafka:kafka_2.13:4.3.0", "kafka_2.13-4.3.0.jar", id="plain"),
        pytest.param("g:a:1:linux-x86_64", "a-1-linux-x86_64.jar", id="classifier"),
    ],
)
def test_a_coordinate_reads_back_as_it_was_written(text: str, file_name: str) -> None:
    """Parsing loses nothing, and the file is named by Maven's rule."""
    coordinate = MavenCoordinate.parse(text)
    assert str(coordinate) == text
    assert coordinate.file_name == file_name


@pytest.mark.parametrize("text", ["", "g:a", "g::1", "g:a:1:c:x"])
def test_anything_else_is_refused(text: str) -> None:
    """A mistyped lock line fails where it is read."""
    with pytest.raises(ValueError, match="group:artifact:version"):
        MavenCoordinate.parse(text)

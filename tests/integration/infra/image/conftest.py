"""The image's tree, built once for all workers, and a root made of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.image_root import ImageRoot, built_once


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What build.sh lays out."""
    mine = tmp_path_factory.getbasetemp()
    return built_once(mine.parent if os.environ.get("PYTEST_XDIST_WORKER") else mine)


@pytest.fixture
def image(built: Path, tmp_path: Path) -> ImageRoot:
    """A root that holds it."""
    return ImageRoot(built, tmp_path)

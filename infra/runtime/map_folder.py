"""Reads the folder of map files that MDS_MAP_FILES names; every process that resolves symbols reads the same one."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import ConfigurationError, InvalidRecord
from schemas.symbology.map_files import NameHistory, parse_map_file
from schemas.symbology.naming import Symbology

MAX_FILES = 50_000  # LEAN's own set of US equities has about half
MAX_FILE_BYTES = 65_536
PATTERN = "*.csv"


def load_symbology(folder: Path | None) -> Symbology:
    """Return the symbology of the map files in `folder`, or of spelling alone for None.

    Raises ConfigurationError naming the file and line that cannot be read.
    """
    if folder is None:
        return Symbology()
    try:
        paths = sorted(folder.glob(PATTERN)) if folder.is_dir() else []
    except OSError as error:
        raise ConfigurationError(
            f"MDS_MAP_FILES: {folder} cannot be read: {error.strerror}", remedy="name a folder we may read"
        ) from error
    if not 0 < len(paths) <= MAX_FILES:
        raise ConfigurationError(
            f"MDS_MAP_FILES: {folder} holds {len(paths)} map files ({PATTERN})",
            remedy=f"name a folder of 1 to {MAX_FILES} LEAN map files, or leave the setting empty",
        )
    return Symbology(map(_history, paths))


def _history(path: Path) -> NameHistory:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidRecord(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        return parse_map_file(path.read_text("ascii"), source=str(path))
    except (OSError, UnicodeDecodeError, InvalidRecord) as error:
        raise ConfigurationError(
            f"MDS_MAP_FILES: {error}", remedy="correct the file or remove it from the folder"
        ) from error

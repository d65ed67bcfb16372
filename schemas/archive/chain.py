"""Lines of a manifest, chained: each says the hash of the one before and its own, so that a change anywhere is seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from schemas.errors import ConfigurationError

NO_HASH = "0" * 64  # before the first line


class ManifestDamaged(ConfigurationError):
    """A line that nobody of ours wrote so: changed, missing or in the wrong place."""

    def __init__(self, name: str, number: int, problem: str) -> None:
        super().__init__(
            f"line {number} of {name}: {problem}",
            remedy="restore the manifest from a copy; nothing is written to this folder before",
        )
        self.number = number


def chained(content: Mapping[str, Any], previous: str) -> tuple[bytes, str]:
    """Return a line as it is written after the one whose hash is `previous`, and its own hash."""
    line = {**content, "prev": previous}
    line["hash"] = _hash(line)
    return orjson.dumps(line) + b"\n", line["hash"]


def unchained(text: bytes, previous: str, name: str, number: int) -> tuple[dict[str, Any], str]:
    """Return what a line says, and its hash; raise ManifestDamaged where it was changed or follows another one."""
    try:
        content = orjson.loads(text)
        said = content.pop("hash")
        is_whole = said == _hash(content)
    except (ValueError, KeyError, AttributeError, TypeError):
        is_whole = False
    if not is_whole:
        raise ManifestDamaged(name, number, "it is not as it was written")
    if content.pop("prev", None) != previous:
        raise ManifestDamaged(name, number, "the chain is broken: the line before it is another one")
    return content, said


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()

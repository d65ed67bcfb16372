"""Migrations as files: in which order, around which rollout, in one transaction or statement by statement."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from schemas.errors import ConfigurationError

Phase = Literal["pre", "post"]
"""pre: before a version is rolled out, while the one before runs; post: when nothing of the one before runs any more."""

NON_TRANSACTIONAL = "-- non-transactional"
"""The first line of a file whose statements run one by one, each for itself, and which may be run again at any point."""

_NAME = re.compile(r"\d{4}_(pre|post)_\w+")
_TOKEN = re.compile(
    r"""
    --[^\n]*                        # a comment to the end of the line
    | /\*.*?\*/                     # ... or between marks
    | '(?:[^']|'')*'                # a text
    | "(?:[^"]|"")*"                # a name in quotes
    | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$  # the body of a function
    | ;
    | [^-/'"$;]+ | .                # what is between
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file."""

    name: str  # without its ending
    phase: Phase
    text: str

    @property
    def transactional(self) -> bool:
        """Whether it is one transaction."""
        return self.text.partition("\n")[0].strip() != NON_TRANSACTIONAL

    @property
    def unwrapped(self) -> str:
        """The text without the BEGIN and COMMIT that make it one transaction under plain `psql -f`."""
        found = list(statements(self.text))
        if len(found) > 1 and (_bare(found[0]), _bare(found[-1])) == ("BEGIN", "COMMIT"):
            return ";\n".join(found[1:-1])
        return self.text

    @property
    def sha256(self) -> str:
        """The digest it is known by once it was applied."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations(directory: Path) -> list[Migration]:
    """Return the files of a folder in order; raise ConfigurationError where a name does not say when it runs."""
    found = []
    for file in sorted(directory.glob("[0-9]*.sql")):
        name = _NAME.fullmatch(file.stem)
        if name is None:
            raise ConfigurationError(
                f"the name of migration {file.name} does not say when it runs",
                remedy="call it NNNN_pre_what.sql or NNNN_post_what.sql",
            )
        phase = cast("Phase", name[1])
        found.append(Migration(name=file.stem, phase=phase, text=file.read_text("utf-8")))
    return found


def statements(text: str) -> Iterator[str]:
    """Yield the statements of an SQL file as `psql` would send them, without those that are only comments."""
    told, something = "", False
    for token in _TOKEN.finditer(text):
        part = token[0]
        if part == ";":
            if something:
                yield told.strip()
            told, something = "", False
            continue
        told += part
        something = something or bool(_bare(part))
    if something:
        yield told.strip()


def _bare(statement: str) -> str:
    """Return a statement without its comments."""
    parts = (token[0] for token in _TOKEN.finditer(statement))
    return "".join(part for part in parts if not part.startswith(("--", "/*"))).strip().upper()


def due(pending: Sequence[Migration], phase: Phase | None) -> Sequence[Migration]:
    """Return which of the files that were not applied yet, in order, run now: of a phase, or all of both where it is None.

    Order is never changed: a file waits for those before it. Raises ConfigurationError where one of the other phase stands
    before all that is asked for.
    """
    if phase is None:
        return pending
    others = [index for index, each in enumerate(pending) if each.phase != phase]
    first = others[0] if others else len(pending)
    waiting = next((each for each in pending[first:] if each.phase == phase), None)
    if waiting is not None and phase == "pre":
        raise ConfigurationError(
            f"migration {waiting.name} comes after {pending[first].name}, which ends the rollout before",
            remedy="run `mds migrate post` once nothing of the old version runs, then `mds migrate pre` again",
        )
    if waiting is not None and not first:
        raise ConfigurationError(
            f"migration {waiting.name} comes after {pending[first].name}, which was not applied",
            remedy="run `mds migrate pre`, roll the new version out, then `mds migrate post`",
        )
    return pending[:first]

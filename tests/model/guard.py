"""The rule of the previous content: a value is a new version only where it differs from the one known before it.

PostgreSQL applies the same rule to staged rows with lag() (sinks/store/versions.py); this is what it must equal.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

Place = tuple[int, int]  # (raw_offset, index)


def new_versions(
    stored: Mapping[Place, Hashable], arriving: Iterable[tuple[Place, Hashable]]
) -> dict[Place, Hashable]:
    """Return which arriving contents of one key become versions, by position.

    The previous content of a row is that of the arriving row before it by position, else of the newest stored row
    with a smaller position. A position already stored is never stored again.
    """
    versions: dict[Place, Hashable] = {}
    previous_arrival: tuple[Hashable] | None = None
    for place, content in sorted(arriving, key=lambda row: row[0]):
        if previous_arrival is not None:
            previous: tuple[Hashable] | None = previous_arrival
        else:
            older = [at for at in stored if at < place]
            previous = (stored[max(older)],) if older else None
        if previous != (content,) and place not in stored:
            versions[place] = content
        previous_arrival = (content,)
    return versions

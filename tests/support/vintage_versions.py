"""The rule of vintages: what may be said again of a value, and takes the place of what was said, one telling after the other.

PostgreSQL applies the same rule to staged rows with windows (sinks/store/versions.py); this is what it must equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

NONE = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One telling of a vintage: its value (or all that is no stamp), how exactly its publication is known (0 none, 1 date, 2 scheduled, 3 time), when, and its end."""

    position: int
    value: object
    precision: int
    published: int | None
    end: int | None

    @property
    def content(self) -> tuple[object, ...]:
        """All that it says."""
        return self.value, self.precision, self.published, self.end


@dataclass(slots=True)
class _Standing:
    value: object
    precision: int
    contents: dict[int, tuple[object, ...]] = field(default_factory=dict)


def kept_versions(told: Iterable[Telling]) -> list[Telling]:
    """Return which tellings of one vintage are versions, in their order."""
    kept: list[Telling] = []
    standing: _Standing | None = None
    for each in told:
        if standing is None or each.value != standing.value:
            standing = _Standing(each.value, each.precision)
        elif each.precision != standing.precision:
            if standing.precision == NONE or each.precision < standing.precision:
                continue
            standing.precision = each.precision
        elif standing.contents.get(each.precision) == each.content:
            continue
        standing.contents[each.precision] = each.content
        kept.append(each)
    return kept

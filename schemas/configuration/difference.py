"""Changes from one configuration to another: typed, short, without secrets, for people and for logs.

Every process validates, shows and keeps a new configuration at once; what is collected follows within seconds: symbols,
streams, intervals, tiers, and the providers' addresses and limits. What is in the environment is never in a diff.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from schemas.configuration.model import Configuration

Area = Literal["symbols", "streams", "providers", "settings"]
Action = Literal["added", "removed", "changed"]
AREAS: tuple[Area, ...] = ("symbols", "streams", "providers", "settings")
AREA_OF: Mapping[str, Area] = {"streams": "streams", "tiers": "streams", "providers": "providers"}
MAX_CHANGES_SHOWN = 200  # in one document; the counts are of all
NEEDS_RESTART = "settings in the environment (PRODUCERS_, PROCESSORS_, SINKS_, GATEWAY_, MDS_)"

_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference; `before` is None where something was added, `after` where it was removed."""

    area: Area
    action: Action
    path: str
    before: Any = None
    after: Any = None

    def document(self) -> dict[str, Any]:
        """Return it as one short JSON line's fields."""
        line: dict[str, Any] = {"change": self.action, "path": self.path}
        if self.action != "added":
            line["before"] = _shown(self.before)
        if self.action != "removed":
            line["after"] = _shown(self.after)
        return line


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All that changes, symbols first."""

    changes: Sequence[Change]

    def of(self, area: Area, action: Action) -> list[Change]:
        """Return the changes of one kind."""
        return [change for change in self.changes if (change.area, change.action) == (area, action)]

    def document(self) -> dict[str, Any]:
        """Return counts, the first MAX_CHANGES_SHOWN changes, and when they take effect."""
        counts = {
            area: {action: len(self.of(area, action)) for action in ("added", "removed", "changed")}
            for area in AREAS
        }
        return {
            "changes": [change.document() for change in self.changes[:MAX_CHANGES_SHOWN]],
            "not_shown": max(0, len(self.changes) - MAX_CHANGES_SHOWN),
            "counts": counts,
            "takes_effect": "announced and validated at once; collected so within seconds",
            "needs_restart": [],
            "not_in_the_file": NEEDS_RESTART,
        }


def difference(before: Configuration | None, after: Configuration) -> Difference:
    """Return what changes from `before` (None: nothing was in force) to `after`."""
    old = {} if before is None else before.model_dump(mode="json")
    new = after.model_dump(mode="json")
    changes = [*_symbol_changes(old.pop("symbols", []), new.pop("symbols"))]
    for key in sorted(new.keys() | old.keys()):
        area = AREA_OF.get(key, "settings")
        changes += _changes(area, key, old.get(key, _ABSENT), new.get(key, _ABSENT))
    return Difference(changes=sorted(changes, key=lambda change: (AREAS.index(change.area), change.path)))


def _symbol_changes(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> Iterator[Change]:
    old = {entry["symbol"]: _rest(entry) for entry in before}
    new = {entry["symbol"]: _rest(entry) for entry in after}
    for symbol in old.keys() | new.keys():
        yield from _change("symbols", f"symbols.{symbol}", old.get(symbol, _ABSENT), new.get(symbol, _ABSENT))


def _rest(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "symbol"}


def _changes(area: Area, path: str, before: Any, after: Any) -> Iterator[Change]:
    """Yield changes down to single settings, but a part that appears or goes as one."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys()):
            yield from _changes(area, f"{path}.{key}", before.get(key, _ABSENT), after.get(key, _ABSENT))
    else:
        yield from _change(area, path, before, after)


def _change(area: Area, path: str, before: Any, after: Any) -> Iterator[Change]:
    gone, come = before is _ABSENT or before is None, after is _ABSENT or after is None
    if gone and come:
        return
    if gone:
        yield Change(area=area, action="added", path=path, after=after)
    elif come:
        yield Change(area=area, action="removed", path=path, before=before)
    elif before != after:
        yield Change(area=area, action="changed", path=path, before=before, after=after)


def _shown(value: Any) -> Any:
    """Return a value as it may be shown: an address loses whatever could be a secret in it."""
    if isinstance(value, Mapping):
        return {key: _shown(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(inner) for inner in value]
    if isinstance(value, str) and "://" in value:
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return value

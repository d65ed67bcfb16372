"""YAML (or JSON) text into values, with the line each came from; everything wrong with the text is told at once.

Stricter than YAML and safer: no anchors, aliases or tags (a few bytes of them can stand for gigabytes), no key
twice, bounded depth and count. Keys are text, and so is every scalar but YAML 1.2's null, booleans and numbers: a
symbol such as ON or a date stays what was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from schemas.errors import ConfigurationError

MAX_DEPTH = 16  # lists and mappings inside one another
MAX_VALUES = 500_000  # 20,000 symbols with room to spare
MAX_FAULTS = 100  # told at once; who has more starts with these
MAX_NUMBER_CHARS = 32
SHOWN_CHARS = 60

Path = tuple[str | int, ...]

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is fifteen times as fast


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong in a file: where (dotted path, line from 1, None: nowhere in particular), what, the cure."""

    path: str
    line: int | None
    message: str
    remedy: str
    is_of_value: bool = False  # of the value alone, which may be wrong because it could not be read

    def document(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {"path": self.path, "line": self.line, "message": self.message, "remedy": self.remedy}

    def __str__(self) -> str:
        return f"{self.path} {self.message}; {self.remedy}".lstrip()


@dataclass(slots=True, kw_only=True)
class Located:
    """A read text: its value, the line of every path in it, and what was wrong."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line_of(self, path: Path) -> int | None:
        """Return the line of a path, or of the nearest thing around it."""
        for end in range(len(path), -1, -1):
            if (line := self.lines.get(path[:end])) is not None:
                return line
        return None

    def fault(self, path: Path, message: str, remedy: str, *, is_of_value: bool = False) -> Fault:
        """Return a fault at a path."""
        return Fault(
            path=dotted(path),
            line=self.line_of(path),
            message=message,
            remedy=remedy,
            is_of_value=is_of_value,
        )


def dotted(path: Path) -> str:
    """Return a path as text: `streams.bars.every_s`; what is not printable ASCII is escaped, long keys are cut."""
    return ".".join(ascii(str(part))[1:-1][:SHOWN_CHARS] for part in path)


class _Unreadable(Exception):
    """Reading cannot go on: the fault noted last says why."""


def read_located(text: str, *, verbatim: Collection[tuple[str, ...]] = ()) -> Located:
    """Return the value in the text with its lines and faults; never raises, whatever the text is.

    At a path that matches one of `verbatim` ("*" is any key or place) a plain scalar stays the text it was written
    as: 005930 is a symbol there, not a number.
    """
    found = Located()
    try:
        _Reader(found, frozenset(verbatim)).read(_without_tabs(text))
    except _Unreadable:
        pass
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        problem = getattr(error, "problem", None) or "it holds a character YAML does not allow"
        found.faults.append(
            Fault(path="", line=line, message=f"is not YAML: {problem}", remedy="mend the YAML")
        )
    except UnicodeError:
        found.faults.append(Fault(path="", line=None, message="is not UTF-8 text", remedy="save it as UTF-8"))
    return found


def _without_tabs(text: str) -> str:
    """Return JSON with its tabs as spaces, which YAML needs; inside JSON's strings a tab cannot stand."""
    if "\t" not in text or not text.lstrip().startswith(("{", "[")):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


class _Reader:
    """One pass over the parser's events."""

    def __init__(self, found: Located, verbatim: frozenset[tuple[str, ...]]) -> None:
        self._found = found
        self._verbatim = verbatim
        self._values = 0

    def read(self, text: str) -> None:
        events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if self._found.lines:
                    line = _line(event)
                    self._refuse((), line, "holds a second document", "keep one; remove the line ---")
                    return
                self._found.value = self._node(next(events), events, ())

    def _node(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        line = _line(event)
        self._found.lines.setdefault(path, line)
        self._values += 1
        if self._values > MAX_VALUES:
            self._stop(path, line, f"is one value too many: {MAX_VALUES} are read", "list fewer symbols")
        if len(path) > MAX_DEPTH:
            self._stop(path, line, f"is nested deeper than {MAX_DEPTH}", "write it as `mds example` does")
        if isinstance(event, yaml.AliasEvent):
            self._refuse(path, line, "is an alias", "write the value out: anchors and aliases are not read")
            return None
        if event.anchor is not None:
            self._refuse(path, line, "has an anchor", "write the value out: anchors and aliases are not read")
        if event.tag is not None:
            self._refuse(path, line, "has a YAML tag", "remove the word that begins with !")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._scalar(event, path)

    def _mapping(self, events: Iterator[Any], path: Path) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                self._stop(path, line, "has a key that is no text", "use a name as the key")
            key = event.value
            place = (*path, key)
            if key == "<<":
                self._refuse(place, line, "is a merge key", "write the values out")
            if twice := key in value:
                first = self._found.lines[place]
                self._refuse(place, line, f"is given twice, first in line {first}", "keep one of them")
            self._found.lines.setdefault(place, line)
            given = self._node(next(events), events, place)
            if not twice:
                value[key] = given
        return value

    def _sequence(self, events: Iterator[Any], path: Path) -> list[Any]:
        value: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            value.append(self._node(event, events, (*path, len(value))))
        return value

    def _scalar(self, event: Any, path: Path) -> Any:
        text: str = event.value
        if not event.implicit[0] or len(text) > MAX_NUMBER_CHARS:
            return text
        if text in _NULL:
            return None
        if any(_matches(path, pattern) for pattern in self._verbatim):
            return text
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _INTEGER.match(text):
            return int(text)
        return float(text) if _FLOAT.match(text) else text

    def _refuse(self, path: Path, line: int, message: str, remedy: str) -> None:
        faults = self._found.faults
        faults.append(Fault(path=dotted(path), line=line, message=message, remedy=remedy))
        if len(faults) >= MAX_FAULTS:
            raise _Unreadable

    def _stop(self, path: Path, line: int, message: str, remedy: str) -> NoReturn:
        self._refuse(path, line, message, remedy)
        raise _Unreadable


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _matches(path: Path, pattern: tuple[str, ...]) -> bool:
    return len(path) == len(pattern) and all(
        wanted in ("*", part) for part, wanted in zip(path, pattern, strict=True)
    )


class InvalidConfiguration(ConfigurationError):
    """A configuration that is not to be applied; `faults` are all that is wrong with it, in the file's order."""

    def __init__(self, source: str, faults: Sequence[Fault]) -> None:
        shown = "\n".join(_sentence(source, fault) for fault in faults)
        super().__init__(shown.removesuffix(f"; {faults[-1].remedy}"), remedy=faults[-1].remedy)
        self.faults = tuple(faults)


def _sentence(source: str, fault: Fault) -> str:
    place = source if fault.line is None else f"{source}:{fault.line}"
    return f"{place}: {fault}"


def faults_of(error: ConfigurationError) -> list[Fault]:
    """Return all that an error says is wrong; one fault without a place where it is not about the text."""
    if isinstance(error, InvalidConfiguration):
        return list(error.faults)
    return [Fault(path="", line=None, message=error.problem, remedy=error.remedy)]


def sorted_faults(faults: Sequence[Fault]) -> list[Fault]:
    """Return the faults in the file's order, each path and message once, at most MAX_FAULTS with the rest counted."""
    unique = list({(fault.path, fault.message): fault for fault in faults}.values())
    unique.sort(key=lambda fault: (fault.line or 0, fault.path))
    if len(unique) <= MAX_FAULTS:
        return unique
    more = f"has {len(unique) - MAX_FAULTS} more faults"
    rest = Fault(path="", line=None, message=more, remedy="mend the first ones and try again")
    return [*unique[:MAX_FAULTS], rest]

"""An endpoint as data: what it takes, with units and words, what it answers, and what can go wrong.

The parser of its query, the OpenAPI document and the reference are derived from the one declaration. A query is a
frozen dataclass whose fields are made by `parameter`; every wrong parameter is named, all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from keyword import iskeyword
from typing import Any, ClassVar, Generic, TypeVar, cast

from gateway.http.access import Scope
from gateway.http.parameters import Complaint, Kind, Schema, unknown
from gateway.http.problems import FieldError, Problem, invalid

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
CSV = "text/csv"
REMEMBERED_QUERIES, REMEMBERED_CHARS = 4_096, 200
MOST_UNKNOWN = 20  # parameters that are told of, each with the name it may have meant: that takes its time

Pairs = Iterable[tuple[str, str]]
"""A query, decoded: (name, value)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a query or a path.

    `not_with` are those it must not be given together with: that is one complaint, and those of them that are read
    after it are not read. `after` names the moment this one has to lie behind.
    """

    kind: Kind
    words: str
    unit: str = ""
    not_with: tuple[str, ...] = ()
    after: str = ""


def parameter(
    kind: Kind,
    words: str,
    *,
    default: Any = None,
    unit: str = "",
    not_with: tuple[str, ...] = (),
    after: str = "",
) -> Any:
    """Return the field of a query; `default` is its value where the caller gives none."""
    declared = Parameter(kind=kind, words=words, unit=unit, not_with=not_with, after=after)
    return field(default=default, metadata={Parameter: declared})


@dataclass(frozen=True, kw_only=True)
class Query:
    """The query of an endpoint; this one takes no parameter. `given` is what the caller gave, by name."""

    reads_first: ClassVar[tuple[str, ...]] = ()
    """Parameters whose complaints come before those of the others, which come in the order of the fields."""

    given: Mapping[str, str] = field(default_factory=dict)

    def complaints(self) -> Iterable[FieldError]:
        """Yield what is wrong with the parameters together, each alone being right."""
        return ()


Q = TypeVar("Q", bound=Query)


_DECLARED: dict[type[Query], Mapping[str, Parameter]] = {}


def parameters_of(query: type[Query]) -> Mapping[str, Parameter]:
    """Return the parameters of a query by name, in the order they are listed."""
    if query not in _DECLARED:
        _DECLARED[query] = _declared(query)
    return _DECLARED[query]


def _declared(query: type[Query]) -> Mapping[str, Parameter]:
    return {
        _asked(each.name): each.metadata[Parameter] for each in fields(query) if Parameter in each.metadata
    }


def _asked(name: str) -> str:
    """Return what the caller calls a field: one that would be a word of Python ends with `_`."""
    return name.removesuffix("_") if iskeyword(name.removesuffix("_")) else name


def _field(name: str) -> str:
    return f"{name}_" if iskeyword(name) else name


def defaults_of(query: type[Query]) -> Mapping[str, Any]:
    """Return the value of each parameter where the caller gives none."""
    return {_asked(each.name): each.default for each in fields(query) if Parameter in each.metadata}


def parse(query: type[Q], pairs: Pairs, timezone: str = "UTC") -> Q:
    """Return the query the caller gave; raise the Problem (422) of everything wrong with it.

    A bare date is of `timezone`, the venue's.
    """
    given = tuple(pairs)
    if sum(len(name) + len(value) for name, value in given) > REMEMBERED_CHARS:
        return _Reading(query, given, timezone).query()
    return cast("Q", _read_before(query, given, timezone))  # type: ignore[arg-type]  # a class has a hash


@lru_cache(maxsize=REMEMBERED_QUERIES)
def _read_before(query: type[Query], given: tuple[tuple[str, str], ...], timezone: str) -> Query:
    """Read a query; callers ask the same ones again and again, and none is changed once it is read."""
    return _Reading(query, given, timezone).query()


class _Reading(Generic[Q]):
    """One query being read; complaints are collected."""

    def __init__(self, query: type[Q], pairs: Pairs, timezone: str) -> None:
        self._query, self._declared, self._timezone = query, parameters_of(query), timezone
        self._given: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._errors: list[FieldError] = []
        self._reached: list[str] = []
        self._conflicts: set[str] = set()
        strange = 0
        for name, value in pairs:
            if name not in self._declared or name in self._given:
                strange += 1
                if strange <= MOST_UNKNOWN:
                    self._strange(name)
            else:
                self._given[name] = value
        if strange > MOST_UNKNOWN:
            detail = f"{strange - MOST_UNKNOWN} more parameters are unknown or given twice; leave them out"
            self._wrong("", "unknown_parameter", detail)

    def query(self) -> Q:
        """Return the query; raise Problem."""
        first = [name for name in self._query.reads_first if name in self._declared]
        for name in [*first, *(name for name in self._declared if name not in first)]:
            if name in self._given and not self._ruled_out(name):
                self._read(name, self._declared[name])
        values = {_field(name): value for name, value in self._values.items()}
        query = self._query(given=dict(sorted(self._given.items())), **values)
        self._errors += query.complaints()
        if self._errors:
            raise invalid(*self._errors)
        return query

    def _strange(self, name: str) -> None:
        if name in self._declared:
            self._wrong(name, "repeated_parameter", f"{name} is given twice; give it once")
        else:
            detail = unknown(name, tuple(self._declared), "not a parameter here")
            self._wrong(name, "unknown_parameter", detail)

    def _ruled_out(self, name: str) -> bool:
        """Note the conflict `name` takes part in, if any; whether a parameter read before stands for it."""
        if any(name in self._declared[before].not_with for before in self._reached):
            return True
        self._reached.append(name)
        for other, declared in self._declared.items():
            rivals = [rival for rival in declared.not_with if rival in self._given]
            if other in self._given and rivals and name in (other, *rivals) and other not in self._conflicts:
                self._conflicts.add(other)
                text = f"{other} and {rivals[0]} say two ranges; use one of them"
                self._wrong(other, "conflict", text)
        return False

    def _read(self, name: str, declared: Parameter) -> None:
        try:
            value = declared.kind.read(name, self._given[name], self._timezone)
        except Complaint as complaint:
            self._wrong(name, complaint.code, str(complaint))
            return
        self._values[name] = value
        begin = self._values.get(declared.after)
        if begin is not None and value <= begin:
            text = f"{name} is not after {declared.after}; {name} is exclusive, so use one later than {declared.after}"
            self._wrong(name, "inverted_range", text)

    def _wrong(self, param: str, code: str, detail: str) -> None:
        self._errors.append(FieldError(param=param, code=code, detail=detail))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of an endpoint: what it says, its media type and its JSON schema; `headers` by name with words."""

    words: str
    media: str = JSON
    schema: Schema = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The body of a request."""

    words: str
    schema: Schema
    media: str = JSON
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorForm:
    """The form of refusals that stock clients of an endpoint expect, in place of a problem document."""

    media: str
    document: Callable[[Problem], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[Q]):
    """One route: there is none without a scope. `problems` are the codes beside those every endpoint has.

    `rest` names the last variable of the path where it takes all that follows, slashes included.

    `lenient`: unknown parameters are ignored, as stock clients of that API expect, and nothing is complained of; those may
    know no scheme but Basic (`takes_basic`), and no problem document (`errors`).

    `cost` is what a request costs its caller whatever it answers, in units.
    """

    method: str
    path: str
    scope: Scope
    topic: str
    summary: str
    query: type[Q]
    answers: Mapping[int, tuple[Answer, ...]]
    path_parameters: Mapping[str, Parameter] = field(default_factory=dict)
    request_headers: Mapping[str, Parameter] = field(default_factory=dict)
    body: Body | None = None
    problems: tuple[str, ...] = ()
    lenient: bool = False
    rest: str = ""
    takes_basic: bool = False
    errors: ErrorForm | None = None
    cost: int = 1

    @property
    def route(self) -> str:
        """The path as the application is told it."""
        return self.path.replace(f"{{{self.rest}}}", f"{{{self.rest}:.+}}") if self.rest else self.path

    def parse(self, pairs: Pairs, timezone: str = "UTC") -> Q:
        """Return the query the caller gave; raise the Problem (422) of everything wrong with it."""
        return parse(self.query, pairs, timezone)

"""Faults of a configuration, all of them at once: the model's complaints in our words, rules between keys, secrets.

Works on the plain value of the file, so that one wrong key hides no other; knows no model but the one it is given.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from schemas.configuration.cadence import tier_faults
from schemas.configuration.serving import provider_faults
from schemas.located_yaml import Fault, Located, Path, dotted
from schemas.providers.facts import ProviderFacts
from schemas.remedies import problem_of, remedy_of

EXAMPLE = "`mds example` prints one"
SHORTEST_BAR_S = 60.0
SHOWN_CHARS = 40
_SECRET_KEY = re.compile(
    r"(?i)(secret|token|passw|pwd|api[-_]?key|key[-_]?id|private[-_]?key|access[-_]?key|credential|bearer|dsn|^key$|^auth)"
)
_SECRET_VALUE = re.compile(r"[A-Za-z0-9+/_\-]{16,}|://")
_WORDS = {
    "tuple_type": "it takes a list",
    "model_type": "it takes a mapping of settings",
    "dict_type": "it takes a mapping",
    "too_short": "it takes at least one",
    "string_type": "it takes text; put quotes around it",
}


def faults_between(located: Located, known: Mapping[str, ProviderFacts]) -> Iterator[Fault]:
    """Yield what no single key shows: secrets, symbols listed twice, what the `known` providers cannot give."""
    document = located.value
    yield from _secrets(located, document, (), known)
    if isinstance(document, dict):
        yield from _source(located, document)
        yield from _twice(located, document.get("symbols"))
        yield from provider_faults(located, document, known)
        yield from tier_faults(located, document, known)


def explained(error: ValidationError, located: Located, model: type[BaseModel]) -> Iterator[Fault]:
    """Yield the model's complaints as faults; a misspelt key explains the one that is therefore missing."""
    errors = error.errors(include_url=False)
    unknown = [tuple(fault["loc"]) for fault in errors if fault["type"] == "extra_forbidden"]
    meant = {place for path in unknown if (place := _meant(path, model)) is not None}
    faulty = {tuple(fault["loc"][:end]) for fault in errors for end in range(len(fault["loc"]))}
    for fault in errors:
        path: Path = tuple(fault["loc"])
        if fault["type"] == "missing" and path in meant:
            continue
        if fault["type"] == "too_short" and path in faulty:
            continue  # it counts what is left when the wrong ones are gone
        if fault["type"] == "extra_forbidden":
            yield located.fault(path, "is not a setting", _hint(path, model))
        elif fault["type"] == "missing":
            yield located.fault(path, "is missing", f"add it; {EXAMPLE}")
        elif path or len(errors) == 1:
            problem = f"is wrong: {_problem(fault)}"
            yield located.fault(path, problem, remedy_of(fault), is_of_value=True)


def _problem(fault: Mapping[str, Any]) -> str:
    problem = _WORDS.get(fault["type"]) or problem_of(fault)
    given = fault["input"]
    if isinstance(given, (dict, list, tuple)):
        return problem
    text = ascii(given)
    # What stands in the wrong place may be a secret pasted there: show only what cannot be one.
    if _SECRET_VALUE.search(text):
        return problem.replace(str(given), "...")
    return f"{problem}, not {text[:SHOWN_CHARS]}"


def _meant(path: Path, model: type[BaseModel]) -> Path | None:
    close = difflib.get_close_matches(str(path[-1]), _keys_beside(path, model), n=1)
    return (*path[:-1], close[0]) if close else None


def _hint(path: Path, model: type[BaseModel]) -> str:
    meant = _meant(path, model)
    if meant is not None:
        return f"did you mean {dotted(meant)}?"
    known = _keys_beside(path, model)
    return f"use one of {', '.join(known)}" if known else "remove it"


def _keys_beside(path: Path, model: type[BaseModel]) -> list[str]:
    """Return the keys that are known where the last part of `path` was given; none where any key is."""
    here: type[BaseModel] | None = model
    mapped = False
    for part in path[:-1]:
        if isinstance(part, int):
            continue
        if mapped:
            mapped = False  # a provider's name: any is known here
            continue
        field = here.model_fields.get(part) if here is not None else None
        here = None if field is None else _model_in(field.annotation)
        mapped = field is not None and _is_mapping(field.annotation)
    return [] if here is None or mapped else list(here.model_fields)


def _is_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model an annotation such as `BarsStream | None` or `tuple[SymbolEntry, ...]` holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)


def _secrets(located: Located, value: Any, path: Path, known: Mapping[str, ProviderFacts]) -> Iterator[Fault]:
    """Yield every key that looks like a secret's, and every address that carries one; neither value is shown."""
    if isinstance(value, dict):
        for key, inner in value.items():
            place = (*path, key)
            if _SECRET_KEY.search(key):
                remedy = f"remove it from the file and set {_variable(place, known)} in the environment"
                yield located.fault(place, "looks like a secret, which this file never holds", remedy)
            else:
                yield from _secrets(located, inner, place, known)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _secrets(located, inner, (*path, number), known)
    elif isinstance(value, str) and "://" in value and _has_credentials(value):
        remedy = f"write the address alone and set {_variable(path, known)} in the environment"
        yield located.fault(path, "is an address with a name, password or key in it", remedy)


def _has_credentials(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "@" in url
    return "@" in parts.netloc or bool(parts.query)


def _variable(path: Path, known: Mapping[str, ProviderFacts]) -> str:
    """Return the environment variable for a secret at a path: the provider's, else one to take after."""
    names = [str(part) for part in path]
    if any(re.search(r"(?i)dsn|postgres|database", name) for name in names):
        return "MDS_POSTGRES_DSN"
    if len(names) > 1 and names[0] == "providers":
        provider = re.sub(r"[^A-Za-z0-9]", "_", names[1])[:SHOWN_CHARS]
        facts = known.get(names[1])
        return (facts.keys if facts is not None else "") or f"PRODUCERS_{provider.upper()}_TOKEN"
    alone = (facts.keys for facts in known.values() if len(facts.credentials) == 1)
    return next(alone, "the provider's variable")


def _source(located: Located, document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with where the symbols stand: in the file, or in the database."""
    if document.get("universe") == "database":
        if "symbols" in document:
            message = "is given, but the universe is the database's"
            remedy = "take it out after `mds universe import`, or set universe to file"
            yield located.fault(("symbols",), message, remedy)
    elif "symbols" not in document and not difflib.get_close_matches("symbols", map(str, document), n=1):
        yield located.fault(("symbols",), "is missing", f"add it, or set universe to database; {EXAMPLE}")


def _twice(located: Located, symbols: Any) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for number, entry in enumerate(symbols if isinstance(symbols, list) else []):
        symbol = entry.get("symbol") if isinstance(entry, dict) else entry
        if isinstance(symbol, str):
            before = first.setdefault(symbol, number)
            if before != number:
                line = located.line_of(("symbols", before))
                message = f"{ascii(symbol)[1:-1][:SHOWN_CHARS]} is listed twice, first in line {line}"
                yield located.fault(("symbols", number), message, "remove one of them")
        streams = entry.get("streams") if isinstance(entry, dict) else None
        if isinstance(streams, list):
            yield from _streams_of_symbol(located, ("symbols", number, "streams"), streams)


def _streams_of_symbol(located: Located, path: Path, streams: list[Any]) -> Iterator[Fault]:
    if not streams:
        yield located.fault(path, "is empty: the symbol takes part in nothing", "name a stream, or remove it")
    for number, name in enumerate(streams):
        if isinstance(name, str) and name in streams[:number]:
            yield located.fault((*path, number), "is listed twice", "remove one of them")

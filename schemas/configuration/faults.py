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

from schemas.configuration.cadence import is_number, tier_faults
from schemas.located_yaml import Fault, Located, Path, dotted

EXAMPLE = "config/mds.yaml is an example"
SHORTEST_BAR_S = 60.0
SHOWN_CHARS = 40
# What each vendor we ship can give; one that is not here (a plug-in) is judged where it is loaded.
CAPABILITIES: Mapping[str, frozenset[str]] = {
    "yahoo": frozenset({"bars", "quotes"}),
    "finnhub": frozenset({"bars", "quotes", "trades"}),
    "alpaca": frozenset({"bars", "quotes"}),
    "polygon": frozenset({"bars", "quotes"}),
}

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
_SECRET_VARIABLES = {
    "finnhub": "PRODUCERS_FINNHUB_TOKEN",
    "alpaca": "PRODUCERS_ALPACA_KEY_ID and PRODUCERS_ALPACA_SECRET_KEY",
    "polygon": "PRODUCERS_POLYGON_KEY",
}


def faults_between(located: Located) -> Iterator[Fault]:
    """Yield what no single key shows: secrets, symbols listed twice, streams their provider cannot serve."""
    document = located.value
    yield from _secrets(located, document, ())
    if isinstance(document, dict):
        yield from _source(located, document)
        yield from _twice(located, document.get("symbols"))
        yield from _streams(located, document)
        yield from tier_faults(located, document)


def explained(error: ValidationError, located: Located, model: type[BaseModel]) -> Iterator[Fault]:
    """Yield the model's complaints as faults; a misspelt key explains the one that is therefore missing."""
    errors = error.errors(include_url=False, include_context=False)
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
            yield located.fault(path, problem, "set it to a valid value", is_of_value=True)


def _problem(fault: Mapping[str, Any]) -> str:
    problem = _WORDS.get(fault["type"]) or str(fault["msg"]).removeprefix("Value error, ")
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


def _secrets(located: Located, value: Any, path: Path) -> Iterator[Fault]:
    """Yield every key that looks like a secret's, and every address that carries one; neither value is shown."""
    if isinstance(value, dict):
        for key, inner in value.items():
            place = (*path, key)
            if _SECRET_KEY.search(key):
                remedy = f"remove it from the file and set {_variable(place)} in the environment"
                yield located.fault(place, "looks like a secret, which this file never holds", remedy)
            else:
                yield from _secrets(located, inner, place)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _secrets(located, inner, (*path, number))
    elif isinstance(value, str) and "://" in value and _has_credentials(value):
        remedy = f"write the address alone and set {_variable(path)} in the environment"
        yield located.fault(path, "is an address with a name, password or key in it", remedy)


def _has_credentials(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "@" in url
    return "@" in parts.netloc or bool(parts.query)


def _variable(path: Path) -> str:
    """Return the environment variable for a secret at a path: the provider's, else the nearest thing there is."""
    names = [str(part) for part in path]
    if any(re.search(r"(?i)dsn|postgres|database", name) for name in names):
        return "MDS_POSTGRES_DSN"
    if len(names) > 1 and names[0] == "providers":
        provider = re.sub(r"[^A-Za-z0-9]", "_", names[1])[:SHOWN_CHARS]
        return _SECRET_VARIABLES.get(names[1], f"PRODUCERS_{provider.upper()}_TOKEN")
    return _SECRET_VARIABLES["finnhub"]


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


def _streams(located: Located, document: Mapping[str, Any]) -> Iterator[Fault]:
    streams, providers = document.get("streams"), document.get("providers")
    for name, stream in streams.items() if isinstance(streams, dict) else ():
        if not isinstance(stream, dict):
            continue
        for path, provider in _providers_of(stream, ("streams", name)):
            settings = providers.get(provider) if isinstance(providers, dict) else None
            if isinstance(settings, dict) and settings.get("enabled") in (False, "no", "off", "false", 0):
                line = located.line_of(("providers", provider, "enabled"))
                remedy = f"set providers.{provider}.enabled (line {line}) to true, or choose another provider"
                yield located.fault(path, f"is {provider}, which is not enabled", remedy)
            able = CAPABILITIES.get(provider)
            if able is not None and name not in able:
                others = " or ".join(sorted(who for who in CAPABILITIES if name in CAPABILITIES[who]))
                remedy = f"use {others}" if others else "remove the stream"
                yield located.fault(path, f"is {provider}, which has no {name}", remedy)
    if isinstance(streams, dict) and isinstance(streams.get("bars"), dict):
        yield from _overlap(located, streams["bars"])


def _providers_of(stream: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(given := stream.get("provider"), str):
        yield (*path, "provider"), given
    several = stream.get("providers")
    for number, provider in enumerate(several if isinstance(several, list) else []):
        if isinstance(provider, str):
            yield (*path, "providers", number), provider


def _overlap(located: Located, bars: Mapping[str, Any]) -> Iterator[Fault]:
    overlap_s = bars.get("overlap_s")
    if is_number(overlap_s) and 0 <= overlap_s < SHORTEST_BAR_S:
        message = f"is shorter than one bar ({SHORTEST_BAR_S:g} s): a bar that was still forming would never be corrected"
        yield located.fault(
            ("streams", "bars", "overlap_s"), message, f"set it to {SHORTEST_BAR_S:g} or more"
        )

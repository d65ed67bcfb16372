"""Rules between streams and providers: who is installed, enabled, and able to give what is asked of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.configuration.cadence import is_number
from schemas.configuration.streams import BAR_INTERVALS, BarsStream
from schemas.errors import UnknownSymbol
from schemas.located_yaml import Fault, Located, Path
from schemas.macro_keys import series_key
from schemas.providers.built_in import not_known
from schemas.providers.facts import ProviderFacts
from schemas.streams import STREAM_NAMES
from schemas.symbols.names import is_provider_name

SHORTEST_BAR_S = 60.0
OFF = (False, "no", "off", "false", 0)
DEFAULT_INTERVALS = BarsStream.model_fields["intervals"].default
LONGEST_SHOWN = 15  # characters of a name: what is longer may be a key that was pasted there


def provider_faults(
    located: Located, document: Mapping[str, Any], known: Mapping[str, ProviderFacts]
) -> Iterator[Fault]:
    """Yield providers that nobody knows or that are off, what they cannot serve, and an overlap that is too short.

    Works on the plain value of the file: what has the wrong form, the model says.
    """
    streams, providers = document.get("streams"), document.get("providers")
    providers = providers if isinstance(providers, dict) else {}
    for name, entry in providers.items():
        yield from _entry(located, name, entry, known)
    for name, stream in streams.items() if isinstance(streams, dict) else ():
        if not isinstance(stream, dict):
            continue
        for path, provider in _providers_of(stream, ("streams", name)):
            yield from _off(located, path, provider, providers.get(provider))
            yield from _unable(located, path, provider, name, stream, known)
    if isinstance(streams, dict) and isinstance(streams.get("bars"), dict):
        yield from _overlap(located, streams["bars"])


def _entry(located: Located, name: Any, entry: Any, known: Mapping[str, ProviderFacts]) -> Iterator[Fault]:
    if not isinstance(name, str):
        return
    yield from _unknown(located, ("providers", name), name, known)
    facts = known.get(name)
    if facts is None or not isinstance(entry, dict):
        return
    if entry.get("socket_url") is not None and not facts.capabilities.trades:
        path = ("providers", name, "socket_url")
        yield located.fault(path, f"is given, and {name} has no socket", "take the line out")


def _unknown(located: Located, path: Path, name: str, known: Mapping[str, ProviderFacts]) -> Iterator[Fault]:
    if name in known or not is_provider_name(name):  # the model says what a name may look like
        return
    near = difflib.get_close_matches(name, known, n=1)
    problem, remedy = not_known(name, known, near[0] if near else None)
    shown = problem if len(name) <= LONGEST_SHOWN else "no provider is called so"
    yield located.fault(path, f"is wrong: {shown}", remedy)


def _off(located: Located, path: Path, provider: str, entry: Any) -> Iterator[Fault]:
    if isinstance(entry, dict) and entry.get("enabled") in OFF:
        line = located.line_of(("providers", provider, "enabled"))
        remedy = f"set providers.{provider}.enabled (line {line}) to true, or choose another provider"
        yield located.fault(path, f"is {provider}, which is not enabled", remedy)


def _unable(
    located: Located,
    path: Path,
    provider: str,
    name: str,
    stream: Mapping[str, Any],
    known: Mapping[str, ProviderFacts],
) -> Iterator[Fault]:
    """Yield a fault where a provider nobody knows, or one that cannot give what the stream wants, is to serve it."""
    facts = known.get(provider)
    if facts is None:
        yield from _unknown(located, path, provider, known)
        return
    for what in _wanted(name, stream):
        if not _gives(facts, what):
            others = sorted(each for each, other in known.items() if _gives(other, what))
            remedy = f"use {' or '.join(others)}" if others else "remove the stream"
            yield located.fault(path, f"is {provider}, which has no {what}", remedy)
            return


def _wanted(name: str, stream: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a stream wants, in words: `bars` at all, each of its intervals, or the stream itself."""
    if name not in STREAM_NAMES:
        return
    yield name
    if name == "bars":
        given = stream.get("intervals", [stream["interval"]] if "interval" in stream else DEFAULT_INTERVALS)
        for interval in given if isinstance(given, (list, tuple)) else ():
            if interval in BAR_INTERVALS:
                yield f"{interval} bars"


def _gives(facts: ProviderFacts, what: str) -> bool:
    interval, _, is_of_interval = what.rpartition(" ")
    if is_of_interval and interval:
        return interval in facts.capabilities.intervals
    return not facts.capabilities.lacking(what)


def _providers_of(stream: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(given := stream.get("provider"), str):
        yield (*path, "provider"), given
    several = stream.get("providers")
    for number, provider in enumerate(several if isinstance(several, list) else []):
        if isinstance(provider, str):
            yield (*path, "providers", number), provider
    keys = stream.get("keys")
    for number, key in enumerate(keys if isinstance(keys, list) else []):
        if (source := _source_of(key)) is not None:
            yield (*path, "keys", number), source


def _source_of(key: Any) -> str | None:
    """Return who serves the macro series of a key; None of what is no key, which the model says."""
    try:
        return series_key(key).provider if isinstance(key, str) else None
    except UnknownSymbol:
        return None


def _overlap(located: Located, bars: Mapping[str, Any]) -> Iterator[Fault]:
    overlap_s = bars.get("overlap_s")
    if is_number(overlap_s) and 0 <= overlap_s < SHORTEST_BAR_S:
        message = f"is shorter than one bar ({SHORTEST_BAR_S:g} s): a bar that was still forming would never be corrected"
        yield located.fault(
            ("streams", "bars", "overlap_s"), message, f"set it to {SHORTEST_BAR_S:g} or more"
        )

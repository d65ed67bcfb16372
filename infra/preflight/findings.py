"""Findings of a preflight: what one check saw and what to do about it, and what all of them mean for a rollout."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import unquote, urlsplit

from infra.runtime.exit_codes import ExitCode

Result = Literal["ok", "warning", "failed", "unknown"]
"""failed: a service would not work, or not as promised; unknown: it could not be looked at."""

MASK = "********"
SECRET_WORDS = frozenset({"TOKEN", "KEY", "SECRET", "PASSWORD", "DSN", "CREDENTIAL", "URI"})
PATHS = ("_FILE", "GATEWAY_TLS_KEY")  # name where one is
SHORTEST_SECRET_CHARS = 4  # what is shorter is no secret, and stands in every other sentence
# with a password in it
ADDRESS = re.compile(r"\b[a-z][a-z0-9+.]*://[^\s/@]*:[^\s/@]*@")
NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check's answer: its result, what was seen and, unless that is well, what to do."""

    result: Result
    says: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A finding under the name of its check."""

    name: str
    finding: Finding


def ok(says: str) -> Finding:
    """Return that all is well."""
    return Finding(result="ok", says=says)


def warning(says: str, remedy: str) -> Finding:
    """Return what deserves a look and stops nothing."""
    return Finding(result="warning", says=says, remedy=remedy)


def failed(says: str, remedy: str) -> Finding:
    """Return what must be changed first."""
    return Finding(result="failed", says=says, remedy=remedy)


def unknown(says: str, remedy: str) -> Finding:
    """Return what could not be looked at."""
    return Finding(result="unknown", says=says, remedy=remedy)


def verdict(checks: Collection[Checked]) -> int:
    """Return the exit code: 0 ready, 1 with warnings, 2 not ready, 3 not all could be looked at.

    What failed makes it not ready whatever else could not be looked at.
    """
    results = {each.finding.result for each in checks}
    if "failed" in results:
        return ExitCode.CONFIGURATION
    if "unknown" in results or not checks:
        return ExitCode.UNREACHABLE
    return ExitCode.NO if "warning" in results else ExitCode.DONE


def some(names: Collection[str]) -> str:
    """Return the first of many names and how many more there are."""
    shown = sorted(names)[:NAMED_AT_MOST]
    more = len(names) - len(shown)
    return " ".join(shown) + (f" and {more} more" if more else "")


def secrets_of(env: Mapping[str, str]) -> Sequence[str]:
    """Return what no output may show: values of variables that are called so, and the passwords of addresses; longest first."""
    named = [
        text
        for name, text in env.items()
        if SECRET_WORDS.intersection(name.split("_")) and not name.endswith(PATHS)
    ]
    passwords = [_password(text) for text in env.values() if "://" in text]
    found = {text for text in (*named, *passwords) if len(text) >= SHORTEST_SECRET_CHARS}
    return sorted(found, key=len, reverse=True)


def _password(address: str) -> str:
    try:
        return unquote(urlsplit(address).password or "")
    except ValueError:
        return ""


def redacted(finding: Finding, secrets: Sequence[str]) -> Finding:
    """Return a finding without any of the secrets, on one line."""
    return replace(finding, says=_without(finding.says, secrets), remedy=_without(finding.remedy, secrets))


def _without(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return " ".join(ADDRESS.sub(lambda found: f"{found[0].partition('://')[0]}://{MASK}@", text).split())

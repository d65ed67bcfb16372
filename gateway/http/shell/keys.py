"""Secrets of the gateway: API keys from a file that holds only their hashes, and the key that signs page tokens."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from gateway.http.access import SCOPES, Access, Key, is_loopback, token_sha256
from gateway.http.proxies import parse_networks
from gateway.settings import MIN_PAGE_TOKEN_KEY_CHARS, GatewaySettings
from schemas.errors import ConfigurationError

TOKEN_BYTES = 32  # 256 bits
MAX_KEYS = 1_000
LOOKED_AT_EVERY_S = 1.0
PAGE_KEY_FILE = "gateway_page_token.key"
PAGE_KEY_BYTES = 32
EXAMPLE = "id: alice, sha256: <64 hex digits>, scopes: [read, stream]"
_FIELDS = frozenset({"id", "sha256", "scopes", "origins"})

log = logging.getLogger(__name__)


def new_key(key_id: str, scopes: Iterable[str], origins: Iterable[str] = ()) -> tuple[str, dict[str, Any]]:
    """Return (token, entry): the token is for its owner and is never stored, the entry is for the keys file."""
    token = f"mds_{secrets.token_urlsafe(TOKEN_BYTES)}"
    entry: dict[str, Any] = {"id": key_id, "sha256": token_sha256(token), "scopes": sorted(set(scopes))}
    if allowed := sorted(set(origins)):
        entry["origins"] = allowed
    _key(entry, f"key {key_id!r}")
    return token, entry


def access(settings: GatewaySettings) -> Access:
    """Return who may ask; raise ConfigurationError where a public address has no keys."""
    keys = [] if settings.keys_file is None else load_keys(settings.keys_file)
    public = not is_loopback(settings.host)
    if public and not keys:
        raise ConfigurationError(
            f"GATEWAY_HOST {settings.host} is reachable from other machines and there are no keys",
            remedy="set GATEWAY_KEYS_FILE, or listen on 127.0.0.1",
        )
    if parse_networks(settings.trusted_proxies, setting="GATEWAY_TRUSTED_PROXIES") and not keys:
        raise ConfigurationError(
            "GATEWAY_TRUSTED_PROXIES is set and there are no keys: behind a proxy anybody may be",
            remedy="set GATEWAY_KEYS_FILE",
        )
    return Access(keys, required=public, origins=settings.allowed_origins)


def load_keys(path: Path) -> list[Key]:
    """Return the keys of a YAML or JSON file; raise ConfigurationError naming the entry that is wrong."""
    try:
        entries = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problem = f"GATEWAY_KEYS_FILE {path} cannot be read: {type(error).__name__}"
        raise ConfigurationError(problem, remedy=f"make it a YAML list of {{{EXAMPLE}}}") from error
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_KEYS:
        raise ConfigurationError(
            f"{path} holds no list of 1 to {MAX_KEYS} keys", remedy=f"write entries like {{{EXAMPLE}}}"
        )
    keys = [_key(entry, f"{path}, entry {place}") for place, entry in enumerate(entries, 1)]
    for what, values in (("id", [key.id for key in keys]), ("sha256", [key.sha256 for key in keys])):
        if len(set(values)) < len(values):
            raise ConfigurationError(f"{path} has the same {what} twice", remedy="give every key its own")
    return keys


async def follow_keys(path: Path, access: Access) -> None:
    """Hold for ever the keys of a file, at most a second after it changed; a file that is wrong changes nothing."""
    known = _stamp(path)
    while True:
        await asyncio.sleep(LOOKED_AT_EVERY_S)
        stamp = _stamp(path)
        if stamp == known:
            continue
        known = stamp
        try:
            keys = await asyncio.to_thread(load_keys, path)
        except ConfigurationError as error:
            log.warning("keys_refused", extra={"error": str(error), "instead": "those before"})
        else:
            access.replace(keys)
            log.info("keys_replaced", extra={"keys": len(keys)})


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes with a file; () while it is not there."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ino, found.st_size


def page_token_key(settings: GatewaySettings, home: Path) -> bytes:
    """Return the key that signs page tokens: the setting's, else one made once under `home` and kept there."""
    given = settings.page_token_key.get_secret_value()
    if given:
        if len(given) < MIN_PAGE_TOKEN_KEY_CHARS:
            raise ConfigurationError(
                "GATEWAY_PAGE_TOKEN_KEY is too short",
                remedy=f"use at least {MIN_PAGE_TOKEN_KEY_CHARS} random characters",
            )
        return given.encode()
    path = home / PAGE_KEY_FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        draft = home / f"{PAGE_KEY_FILE}.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_bytes(secrets.token_bytes(PAGE_KEY_BYTES))
        try:
            os.link(draft, path)  # whole or not at all, and never over a key that is there
        except FileExistsError:
            pass
        draft.unlink()
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"no page token key at {path}: {error.strerror}",
            remedy="make MDS_HOME writable or set GATEWAY_PAGE_TOKEN_KEY",
        ) from error


def _key(entry: Any, where: str) -> Key:
    def wrong(problem: str) -> ConfigurationError:
        return ConfigurationError(f"{where}: {problem}", remedy=f"write it like {{{EXAMPLE}}}")

    if not isinstance(entry, dict) or not {"id", "sha256", "scopes"} <= set(entry) <= _FIELDS:
        raise wrong("a key has id, sha256, scopes and perhaps origins")
    digest, scopes, origins = entry["sha256"], entry["scopes"], entry.get("origins", [])
    if not isinstance(entry["id"], str) or not entry["id"]:
        raise wrong("id is not a name")
    if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise wrong("sha256 is not 64 lower-case hex digits")
    if not isinstance(scopes, list) or not scopes or set(map(str, scopes)) - SCOPES:
        raise wrong(f"scopes is not a list of some of {' '.join(sorted(SCOPES))}")
    if not isinstance(origins, list) or not all(isinstance(origin, str) for origin in origins):
        raise wrong("origins is not a list of origins such as https://desk.example")
    return Key(
        id=entry["id"],
        sha256=digest,
        scopes=frozenset(scopes),
        origins=frozenset(origin.rstrip("/").lower() for origin in origins),
    )

"""API keys from a file, and the key that signs page tokens."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.http.access import AccessDenied
from gateway.http.shell import keys
from gateway.http.shell.keys import PAGE_KEY_FILE, access, follow_keys, load_keys, new_key, page_token_key
from gateway.settings import GatewaySettings
from schemas.errors import ConfigurationError
from tests.support.eventually import eventually

WITHIN_S = 5.0


def settings(**env: object) -> GatewaySettings:
    return GatewaySettings.from_env({f"GATEWAY_{name.upper()}": str(value) for name, value in env.items()})


def keys_file(folder: Path, *entries: Any) -> Path:
    path = folder / "keys.yaml"
    path.write_text(yaml.safe_dump(list(entries)))
    return path


def test_a_new_key_opens_the_gateway_and_its_entry_does_not_hold_it(tmp_path: Path) -> None:
    """The file knows a hash only; two keys are never alike."""
    token, entry = new_key("alice", ["read", "stream"], ["https://desk.example"])
    assert token not in str(entry)
    assert new_key("alice", ["read"])[0] != token
    granted = access(settings(host="0.0.0.0", keys_file=keys_file(tmp_path, entry)))
    assert granted.check("stream", token=token, origin="https://desk.example", host="x").key_id == "alice"
    with pytest.raises(AccessDenied):
        granted.check("admin", token=token, origin=None, host="x")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "data.example"])
def test_a_public_address_without_keys_does_not_start(host: str) -> None:
    """It says what to set."""
    with pytest.raises(ConfigurationError, match="GATEWAY_KEYS_FILE"):
        access(settings(host=host))


def test_behind_a_proxy_there_are_keys() -> None:
    """Whoever says that one is in front has others than neighbours; what is no address is named."""
    with pytest.raises(ConfigurationError, match="GATEWAY_TRUSTED_PROXIES is set and there are no keys"):
        access(settings(trusted_proxies="10.0.0.1"))
    with pytest.raises(ConfigurationError, match="GATEWAY_TRUSTED_PROXIES: 'proxy'"):
        access(settings(trusted_proxies="proxy"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_keys(host: str) -> None:
    """One user on one machine."""
    assert not access(settings(host=host)).required


def entry(**changes: Any) -> dict[str, Any]:
    return {"id": "a", "sha256": "0" * 64, "scopes": ["read"]} | changes


@pytest.mark.parametrize(
    "wrong",
    [
        entry(scopes=["everything"]),
        entry(scopes=[]),
        entry(scopes="read"),
        entry(sha256="0" * 63),
        entry(sha256="G" * 64),
        entry(id=""),
        entry(id=7),
        entry(origins="https://a.example"),
        entry(token="never"),
        {"id": "a"},
        "a",
    ],
)
def test_a_wrong_entry_is_named_by_its_place(tmp_path: Path, wrong: Any) -> None:
    """And nothing starts."""
    with pytest.raises(ConfigurationError, match="entry 1"):
        load_keys(keys_file(tmp_path, wrong))


def test_a_file_that_is_no_list_of_different_keys_is_refused(tmp_path: Path) -> None:
    """Absent, torn, empty, or the same twice."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_keys(tmp_path / "absent.yaml")
    torn = tmp_path / "torn.yaml"
    torn.write_text("[")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_keys(torn)
    with pytest.raises(ConfigurationError, match="no list"):
        load_keys(keys_file(tmp_path))
    with pytest.raises(ConfigurationError, match="same id twice"):
        load_keys(keys_file(tmp_path, entry(), entry(sha256="1" * 64)))
    with pytest.raises(ConfigurationError, match="same sha256 twice"):
        load_keys(keys_file(tmp_path, entry(), entry(id="b")))


def test_the_page_token_key_is_made_once_and_only_ours_to_read(tmp_path: Path) -> None:
    """A restart signs with the same key."""
    home = tmp_path / "home"
    key = page_token_key(settings(), home)
    assert len(key) == 32
    assert page_token_key(settings(), home) == key
    assert stat.S_IMODE((home / PAGE_KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == [PAGE_KEY_FILE]


def test_replicas_share_the_key_they_are_given(tmp_path: Path) -> None:
    """A short one is refused."""
    assert page_token_key(settings(page_token_key="k" * 32), tmp_path / "none") == b"k" * 32
    with pytest.raises(ConfigurationError, match="too short"):
        page_token_key(settings(page_token_key="k" * 31), tmp_path)


async def test_a_key_that_is_taken_from_the_file_opens_nothing_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a restart; a file that is torn changes nothing, and is told of."""
    monkeypatch.setattr(keys, "LOOKED_AT_EVERY_S", 0.005)
    (first, one), (second, other) = (new_key(name, ["read"]) for name in ("one", "other"))
    path = keys_file(tmp_path, one)
    granted = access(settings(host="0.0.0.0", keys_file=path))

    following = asyncio.create_task(follow_keys(path, granted))
    await asyncio.sleep(0)
    path.write_text("[")
    await eventually(lambda: "keys_refused" in caplog.messages, within_s=WITHIN_S)
    assert granted.key_id(first) == "one"
    keys_file(tmp_path, other)
    await eventually(lambda: granted.key_id(second) == "other", within_s=WITHIN_S)

    assert granted.key_id(first) is None
    assert granted.required
    following.cancel()

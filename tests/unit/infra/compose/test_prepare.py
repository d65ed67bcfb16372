"""What Compose is given: passwords and keys that fit, that nobody else reads, and that are made once."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import quote

import pytest

from gateway.http.access import token_sha256
from gateway.http.shell.keys import load_keys
from infra.compose.prepare import CHOICES, SCOPES, main, prepare
from tests.support.compose_file import env_file

BOTH = pytest.mark.parametrize("choice", sorted(CHOICES))


def mode(path: Path) -> int:
    """Return who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


@BOTH
def test_the_gateway_takes_the_keys(tmp_path: Path, choice: str) -> None:
    """Each is that of the token its owner is given, with the scopes it needs and no more."""
    prepare(tmp_path, choice)
    keys = {key.sha256: key for key in load_keys(tmp_path / "secrets" / "gateway" / "keys.yaml")}
    given = {
        "desk": (tmp_path / "secrets" / "desk_key").read_text("utf-8"),
        "grafana": env_file(tmp_path / ".env")["KEY_GRAFANA"],
        "blackbox": (tmp_path / "secrets" / "blackbox_key").read_text("utf-8"),
    }

    found = {name: keys[token_sha256(token)] for name, token in given.items()}

    assert {name: key.id for name, key in found.items()} == {name: name for name in SCOPES}
    assert {name: key.scopes for name, key in found.items()} == {
        "desk": {"admin", "backfill", "dlq", "read", "stream"}, "grafana": {"read"}, "blackbox": {"read"},
    }  # fmt: skip


@pytest.mark.parametrize("umask", [0o000, 0o077], ids=["open", "closed"])
def test_nobody_else_on_the_machine_reads_a_secret(tmp_path: Path, umask: int) -> None:
    """Their folder is closed; what containers read is readable in it, whoever they run as."""
    before = os.umask(umask)
    try:
        written = prepare(tmp_path, "live")
    finally:
        os.umask(before)
    inside = [path for path in written if "secrets" in path.relative_to(tmp_path).parts]

    assert mode(tmp_path / "secrets") == 0o700
    assert mode(tmp_path / "secrets" / "gateway") == 0o755
    assert {path.name for path in written if mode(path) == 0o600} == {".env", "providers.env", "desk_key"}
    assert {mode(path) for path in inside if path.name != "desk_key"} == {0o644}
    assert len(written) == len(inside) + 2


def test_every_secret_is_another_and_stands_in_a_url_as_it_is(tmp_path: Path) -> None:
    """The database's is part of an address; a $ would be a variable of Compose."""
    seen = set[str]()
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        prepare(folder, "live")
        variables = env_file(folder / ".env")
        secrets = [variables[each] for each in ("PASSWORD_SERVICES", "PASSWORD_READER", "KEY_GRAFANA")]
        secrets += [path.read_text("utf-8") for path in (folder / "secrets").iterdir() if path.is_file()]

        assert [secret for secret in secrets if quote(secret, safe="") != secret or len(secret) < 43] == []
        assert seen.isdisjoint(secrets)
        seen.update(secrets)
    assert len(seen) == 14


@BOTH
def test_the_command_says_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], choice: str
) -> None:
    """One line a file."""
    assert main([choice], folder=tmp_path) == 0
    told = {line.removeprefix("wrote ") for line in capsys.readouterr().out.splitlines()}

    assert told == {str(path) for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("there", [".env", "providers.env", "secrets/desk_key", "secrets/gateway/keys.yaml"])
def test_what_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str], there: str) -> None:
    """A new password beside a database that knows the old one would lock everybody out."""
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).write_text("mine", "utf-8")

    assert main(["demo"], folder=tmp_path) == 2

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / there]
    assert (tmp_path / there).read_text("utf-8") == "mine"
    told = capsys.readouterr().err
    assert str(tmp_path / there) in told
    assert "docker compose down --volumes" in told

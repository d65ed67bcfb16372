"""Credentials of Kafka: what contradicts itself is refused at start-up, and no secret is shown."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from infra.runtime.kafka.clients import common_config
from infra.runtime.kafka_access import SecuredServers, access_of
from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError
from tests.support.certificates import Authority, Identity
from tests.support.secret_spellings import spellings

PASSWORD = "pa55/word canary"
SASL = {
    "MDS_KAFKA": "broker.example:9093",
    "MDS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "MDS_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "MDS_KAFKA_USERNAME": "mds-sinks",
    "MDS_KAFKA_PASSWORD": PASSWORD,
}
TLS = {"MDS_KAFKA": "broker.example:9093", "MDS_KAFKA_SECURITY_PROTOCOL": "ssl"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with certificates."""
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    """An authority."""
    return Authority(folder, "ca")


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Identity:
    """A certificate with an encrypted key."""
    return authority.identity("ours", password=PASSWORD)


def without(name: str) -> dict[str, str]:
    """Return the settings of SASL but one."""
    return {key: value for key, value in SASL.items() if key != name}


def refusal(env: Mapping[str, str]) -> ConfigurationError:
    """Return why settings are refused; whatever it is, it shows no password."""
    with pytest.raises(ConfigurationError) as caught:
        MdsSettings.from_env(env)
    assert not any(each in str(caught.value) for each in spellings(PASSWORD))
    return caught.value


def test_every_client_of_secured_servers_shows_what_was_set(authority: Authority, ours: Identity) -> None:
    """The address carries it; one that is only an address carries nothing."""
    env = {
        **SASL,
        "MDS_KAFKA_CA_FILE": str(authority.file),
        "MDS_KAFKA_CERTIFICATE_FILE": str(ours.certificate),
        "MDS_KAFKA_KEY_FILE": str(ours.key),
        "MDS_KAFKA_KEY_PASSWORD": PASSWORD,
    }
    config = common_config(MdsSettings.from_env(env).bootstrap_servers, "reader")

    assert {
        name: value for name, value in config.items() if name.startswith(("security", "sasl", "ssl"))
    } == {
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "mds-sinks",
        "sasl.password": PASSWORD,
        "ssl.ca.location": str(authority.file),
        "ssl.certificate.location": str(ours.certificate),
        "ssl.key.location": str(ours.key),
        "ssl.key.password": PASSWORD,
    }
    assert not any(name.startswith(("security", "sasl", "ssl")) for name in common_config("a:1", "reader"))


def test_secured_servers_print_as_their_addresses_and_copies_show_the_same() -> None:
    """Wherever an address is shown no secret is; wherever it is handed on it can be used."""
    servers = MdsSettings.from_env(SASL).bootstrap_servers

    assert (str(servers), f"{servers}", repr(servers)) == ("broker.example:9093",) * 2 + (
        "'broker.example:9093'",
    )
    assert isinstance(servers, SecuredServers)
    assert access_of(copy.deepcopy(servers)) == access_of(servers)
    replayed = MdsSettings.from_env(SASL).model_copy(update={"kafka": "other.example:9093"})
    assert access_of(replayed.bootstrap_servers) == access_of(servers)


def test_no_secret_is_shown_by_settings_or_access() -> None:
    """Neither as it is nor in disguise."""
    settings = MdsSettings.from_env(SASL)
    shown = (
        repr(settings)
        + str(settings)
        + repr(access_of(settings.bootstrap_servers))
        + settings.model_dump_json()
    )

    assert not any(each in shown for each in spellings(PASSWORD))


def test_a_password_may_be_in_a_file(tmp_path: Path) -> None:
    """As secrets are mounted, with a line's end."""
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    env = {**without("MDS_KAFKA_PASSWORD"), "MDS_KAFKA_PASSWORD_FILE": str(file)}

    access = access_of(MdsSettings.from_env(env).bootstrap_servers)
    assert access.password.get_secret_value() == PASSWORD


@pytest.mark.parametrize(
    ("env", "names", "remedy"),
    [
        ({"MDS_KAFKA_PASSWORD": PASSWORD}, "MDS_KAFKA_PASSWORD is set", "to sasl_ssl, or leave MDS_KAFKA_PASSWORD out"),
        ({"MDS_KAFKA_CA_FILE": "ca.pem"}, "MDS_KAFKA_CA_FILE is set", "to ssl or sasl_ssl"),
        ({**TLS, "MDS_KAFKA_USERNAME": "me"}, "MDS_KAFKA_USERNAME is set", "set MDS_KAFKA_SECURITY_PROTOCOL to sasl_ssl"),
        ({**SASL, "MDS_KAFKA_SECURITY_PROTOCOL": "sasl_plaintext", "MDS_KAFKA_KEY_FILE": "k"}, "MDS_KAFKA_KEY_FILE is set", "sasl_ssl"),
        (without("MDS_KAFKA"), "embedded broker", "name the brokers in MDS_KAFKA"),
        (without("MDS_KAFKA_USERNAME"), "MDS_KAFKA_USERNAME is not set", "set MDS_KAFKA_USERNAME"),
        (without("MDS_KAFKA_PASSWORD"), "MDS_KAFKA_PASSWORD is not set", "MDS_KAFKA_PASSWORD_FILE"),
        (without("MDS_KAFKA_SASL_MECHANISM"), "MDS_KAFKA_SASL_MECHANISM is not set", "SCRAM-SHA-512"),
        ({**SASL, "MDS_KAFKA_PASSWORD_FILE": "/x"}, "MDS_KAFKA_PASSWORD and MDS_KAFKA_PASSWORD_FILE", "leave one"),
        ({**without("MDS_KAFKA_PASSWORD"), "MDS_KAFKA_PASSWORD_FILE": "/absent"}, "MDS_KAFKA_PASSWORD_FILE cannot be read", "may read"),
        ({**SASL, "MDS_KAFKA_SASL_MECHANISM": "SCRAM"}, "MDS_KAFKA_SASL_MECHANISM", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
        ({"MDS_KAFKA_SECURITY_PROTOCOL": "tls"}, "MDS_KAFKA_SECURITY_PROTOCOL", "plaintext, ssl, sasl_plaintext, sasl_ssl"),
        ({**TLS, "MDS_KAFKA_KEY_PASSWORD": PASSWORD}, "KEY_PASSWORD is set without", "MDS_KAFKA_CERTIFICATE_FILE"),
        ({**TLS, "MDS_KAFKA_CA_FILE": "/absent"}, "MDS_KAFKA_CA_FILE (/absent) cannot be used: no such file", "PEM"),
        ({**TLS, "MDS_KAFKA_CERTIFICATE_FILE": "/absent"}, "MDS_KAFKA_CERTIFICATE_FILE (/absent)", "PEM"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused_with_the_variable(
    env: Mapping[str, str], names: str, remedy: str
) -> None:
    """Before any broker is asked."""
    refused = refusal(env)

    assert names in refused.problem
    assert remedy in refused.remedy


def _another_key(authority: Authority, ours: Identity, _: Path) -> dict[str, str]:
    other = authority.identity("other")
    return {"MDS_KAFKA_CERTIFICATE_FILE": str(ours.certificate), "MDS_KAFKA_KEY_FILE": str(other.key)}


def _wrong_key_password(_: Authority, ours: Identity, __: Path) -> dict[str, str]:
    return {
        "MDS_KAFKA_CERTIFICATE_FILE": str(ours.certificate),
        "MDS_KAFKA_KEY_FILE": str(ours.key),
        "MDS_KAFKA_KEY_PASSWORD": "another",
    }


def _encrypted(_: Authority, ours: Identity, __: Path) -> dict[str, str]:
    return {"MDS_KAFKA_CERTIFICATE_FILE": str(ours.store)}


def _no_certificates(_: Authority, __: Identity, folder: Path) -> dict[str, str]:
    file = folder / "empty.pem"
    file.write_text("nothing\n")
    return {"MDS_KAFKA_CA_FILE": str(file)}


def _folder(_: Authority, __: Identity, folder: Path) -> dict[str, str]:
    return {"MDS_KAFKA_CA_FILE": str(folder)}


@pytest.mark.parametrize(
    ("make", "variable"),
    [
        (_another_key, "MDS_KAFKA_KEY_FILE"),
        (_wrong_key_password, "MDS_KAFKA_KEY_FILE"),
        (_encrypted, "MDS_KAFKA_CERTIFICATE_FILE"),
        (_no_certificates, "MDS_KAFKA_CA_FILE"),
        (_folder, "MDS_KAFKA_CA_FILE"),
    ],
)
def test_a_file_that_cannot_serve_is_refused_with_its_variable(
    make: Callable[[Authority, Identity, Path], dict[str, str]],
    variable: str,
    authority: Authority,
    ours: Identity,
    folder: Path,
) -> None:
    """A key of another certificate, an encrypted one, no certificate at all; nobody is asked at a terminal."""
    assert refusal({**TLS, **make(authority, ours, folder)}).problem.startswith(variable)


@pytest.mark.parametrize(
    ("servers", "warns"),
    [
        ("127.0.0.1:9093,[::1]:9093,localhost:9093", False),
        ("127.0.0.1:9093,10.0.0.1:9093", True),
        ("kafka:9093", True),
    ],
)
def test_a_password_in_the_clear_is_warned_of_where_others_may_listen(
    servers: str, warns: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """SCRAM hides the password, not the records; PLAIN not even that."""
    MdsSettings.from_env({**SASL, "MDS_KAFKA": servers, "MDS_KAFKA_SECURITY_PROTOCOL": "sasl_plaintext"})

    assert ("sasl_plaintext" in capsys.readouterr().err) is warns

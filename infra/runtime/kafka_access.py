"""Access to the brokers of Kafka: the security protocol and what a client shows there, checked as a whole.

An address that asks who comes travels as `SecuredServers`, so that whoever is given the address can log in there.
"""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from pydantic import SecretStr

from schemas.errors import ConfigurationError

SecurityProtocol = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

PREFIX = "MDS_KAFKA_"
PROTOCOL = f"{PREFIX}SECURITY_PROTOCOL"
NO_SECRET = SecretStr("")


@dataclass(slots=True)
class RefusedLogin:
    """The refused login that clients of one process heard of, in the brokers' words; empty: they are let in."""

    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaAccess:
    """Credentials that every client of one process shows to brokers, and whom it trusts; of files their paths."""

    security_protocol: SecurityProtocol = "plaintext"
    sasl_mechanism: SaslMechanism | None = None
    username: str = ""
    password: SecretStr = NO_SECRET
    ca_file: Path | None = None  # PEM; None: the authorities of the system
    certificate_file: Path | None = None  # PEM, with the chain: ours, for mutual TLS
    key_file: Path | None = None  # PEM; None: it is in certificate_file
    key_password: SecretStr = NO_SECRET
    # SHA-256 of the files as they were when all this was read, by path
    digests: Mapping[Path, str] = field(default_factory=dict, compare=False, repr=False)
    refusal: RefusedLogin = field(default_factory=RefusedLogin, compare=False, repr=False)

    @property
    def uses_tls(self) -> bool:
        """Whether brokers are talked to through TLS."""
        return self.security_protocol in ("ssl", "sasl_ssl")

    @property
    def uses_sasl(self) -> bool:
        """Whether brokers ask for a user's name and password."""
        return self.security_protocol in ("sasl_plaintext", "sasl_ssl")

    def client_config(self) -> dict[str, str]:
        """Return the settings of librdkafka; they hold secrets, so never log them."""
        key = self.key_file or self.certificate_file
        given = {
            "sasl.mechanism": self.sasl_mechanism or "",
            "sasl.username": self.username,
            "sasl.password": self.password.get_secret_value(),
            "ssl.ca.location": _text(self.ca_file),
            "ssl.certificate.location": _text(self.certificate_file),
            "ssl.key.location": _text(key),
            "ssl.key.password": self.key_password.get_secret_value(),
        }
        if self.security_protocol == "plaintext":
            return {}
        return {
            "security.protocol": self.security_protocol,
            **{name: value for name, value in given.items() if value},
        }

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return what Python's own clients need for TLS, None where there is none; raise ConfigurationError as `check`."""
        if not self.uses_tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise _unusable("CA_FILE", self.ca_file, error, "certificates of authorities in PEM") from None
        if self.certificate_file is not None:
            certificate, key = self.certificate_file, self.key_file
            _readable("CERTIFICATE_FILE", certificate, "our certificate in PEM, with its chain")
            if key is not None:
                _readable("KEY_FILE", key, "the key of our certificate in PEM")
            try:
                # without a function OpenSSL would ask the terminal
                context.load_cert_chain(certificate, key, self.key_password.get_secret_value)
            except (OSError, ssl.SSLError) as error:
                raise _unusable(
                    "CERTIFICATE_FILE" if key is None else "KEY_FILE",
                    key or certificate,
                    error,
                    f"the key of the certificate in {PREFIX}CERTIFICATE_FILE, in PEM, and {PREFIX}KEY_PASSWORD where it is encrypted",
                ) from None
        return context

    def renewed(self) -> bool:
        """Return whether a file holds something else by now; blocking. A file that cannot be read is not new."""
        return any(found and found != self.digests[path] for path, found in digests_of(self.digests).items())

    def check(self, servers: str) -> str:
        """Raise ConfigurationError where the settings contradict each other or a file is of no use.

        Returns a warning, empty where there is none. `servers` are those that MDS_KAFKA names; empty: the embedded broker.
        """
        self._check_use(_SASL, used=self.uses_sasl, protocols="sasl_ssl")
        self._check_use(_TLS, used=self.uses_tls, protocols="ssl or sasl_ssl")
        if self.security_protocol != "plaintext" and not servers:
            raise ConfigurationError(
                f"{PROTOCOL} is {self.security_protocol}, and the embedded broker, which is used without MDS_KAFKA, has a plain listener",
                remedy=f"name the brokers in MDS_KAFKA, or leave {PROTOCOL} out",
            )
        if self.uses_sasl:
            self._check_sasl()
        if self.certificate_file is None and (self.key_file or self.key_password.get_secret_value()):
            given = "KEY_FILE" if self.key_file else "KEY_PASSWORD"
            raise ConfigurationError(
                f"{PREFIX}{given} is set without {PREFIX}CERTIFICATE_FILE",
                remedy=f"name the certificate in {PREFIX}CERTIFICATE_FILE, or leave {PREFIX}{given} out",
            )
        self.ssl_context()
        if self.security_protocol == "sasl_plaintext" and not all(map(_is_loopback, servers.split(","))):
            return f"{PROTOCOL} is sasl_plaintext: who listens on the way to {servers} can read all that is sent; use sasl_ssl"
        return ""

    def _check_use(self, names: Mapping[str, str], *, used: bool, protocols: str) -> None:
        given = [name for field, name in names.items() if _is_given(getattr(self, field))]
        if given and not used:
            raise ConfigurationError(
                f"{given[0]} is set, and {PROTOCOL} is {self.security_protocol}, which has no use for it",
                remedy=f"set {PROTOCOL} to {protocols}, or leave {given[0]} out",
            )

    def _check_sasl(self) -> None:
        missing = [name for field, name in _SASL.items() if not _is_given(getattr(self, field))]
        if missing:
            remedies = {
                f"{PREFIX}SASL_MECHANISM": "set it to the one of the brokers' listener: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
                f"{PREFIX}PASSWORD": f"set it, or {PREFIX}PASSWORD_FILE to the path of a file that holds it",
            }
            raise ConfigurationError(
                f"{PROTOCOL} is {self.security_protocol}, and {missing[0]} is not set",
                remedy=remedies.get(missing[0], f"set {missing[0]}"),
            )


_SASL = {
    "sasl_mechanism": f"{PREFIX}SASL_MECHANISM",
    "username": f"{PREFIX}USERNAME",
    "password": f"{PREFIX}PASSWORD",
}
_TLS = {
    "ca_file": f"{PREFIX}CA_FILE",
    "certificate_file": f"{PREFIX}CERTIFICATE_FILE",
    "key_file": f"{PREFIX}KEY_FILE",
    "key_password": f"{PREFIX}KEY_PASSWORD",
}
PLAIN = KafkaAccess()


class SecuredServers(str):
    """Bootstrap servers that ask who comes; as text it is the addresses alone."""

    __slots__ = ("access",)
    access: KafkaAccess

    def __new__(cls, servers: str, access: KafkaAccess) -> Self:
        """Put the addresses and what is shown there together."""
        made = super().__new__(cls, servers)
        made.access = access
        return made

    def __getnewargs__(self) -> tuple[str, KafkaAccess]:  # type: ignore[override]  # a copy shows the same
        return (str(self), self.access)


def access_of(bootstrap: str) -> KafkaAccess:
    """Return what a client of these bootstrap servers shows there; nothing where they are only addresses."""
    return bootstrap.access if isinstance(bootstrap, SecuredServers) else PLAIN


def digests_of(paths: Iterable[Path]) -> dict[Path, str]:
    """Return the SHA-256 of files in hex, empty of one that cannot be read; blocking."""
    found = {}
    for path in paths:
        try:
            found[path] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            found[path] = ""
    return found


def _is_given(value: object) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)


def _readable(name: str, path: Path, holding: str) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise _unusable(name, path, error, holding) from None


def _unusable(name: str, path: Path | None, error: OSError, holding: str) -> ConfigurationError:
    # of OpenSSL the reason alone: its whole message has no more to say
    why = getattr(error, "reason", None) or error.strerror or type(error).__name__
    return ConfigurationError(
        f"{PREFIX}{name} ({path}) cannot be used: {str(why).replace('_', ' ').lower()}",
        remedy=f"let it name a file that this process may read and that holds {holding}",
    )


def _is_loopback(server: str) -> bool:
    host = server.strip().rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

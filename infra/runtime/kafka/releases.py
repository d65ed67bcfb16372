"""The release of a broker, as near as it tells: no client library asks, so that one request is written here.

A broker names no version. In answer to ApiVersions it names the newest `metadata.version` it could run, which grows with
each minor release and never with a patch (org.apache.kafka.server.common.MetadataVersion). Asked before any login.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from infra.runtime.kafka_access import PLAIN, PREFIX, PROTOCOL, KafkaAccess
from schemas.errors import BrokerUnavailable, ConfigurationError

API_VERSIONS, REQUEST_VERSION, CORRELATION = 18, 3, 20734
SOFTWARE = "market-data-service"
FEATURE = "metadata.version"
SUPPORTED_FEATURES_TAG = 0
MAX_ANSWER_BYTES = 1_048_576
MAX_VARINT_BITS = 35  # an unsigned one of 32 bits, seven in a byte
# The highest level of each minor release; what is above the last is of a release that was not there yet.
HIGHEST_LEVELS = ((14, "3.6"), (19, "3.7"), (20, "3.8"), (21, "3.9"), (25, "4.0"), (27, "4.1"), (29, "4.2"), (30, "4.3"), (33, "4.4"))  # fmt: skip
# KAFKA-20734: a broker of these that is killed may lose confirmed transactions.
FIRST_LOSING, LAST_LOSING = (4, 3, 0), (4, 4, 0)
# by OpenSSL's codes of verification
_OTHER_NAME = "write the broker in MDS_KAFKA, and in its advertised.listeners, as its certificate names it, or have one issued with this name"
_TIME = "renew the broker's certificate, and see that this machine's clock is right"
CERTIFICATE_REMEDIES = {9: _TIME, 10: _TIME, 62: _OTHER_NAME, 64: _OTHER_NAME}
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?")


@dataclass(frozen=True, slots=True)
class Release:
    """A version as far as it is known: without a patch number it is any of its minor release."""

    major: int
    minor: int
    patch: int | None = None

    def __str__(self) -> str:
        """Return it as Kafka writes it; an x stands for the patch that is not known."""
        return f"{self.major}.{self.minor}.{'x' if self.patch is None else self.patch}"

    @property
    def loses_transactions(self) -> bool | None:
        """Whether it is one of those of KAFKA-20734; None where that depends on the patch, which is not known."""
        if self.patch is not None:
            return FIRST_LOSING <= (self.major, self.minor, self.patch) <= LAST_LOSING
        minor = (self.major, self.minor)
        if minor == LAST_LOSING[:2]:
            return None
        return FIRST_LOSING[:2] <= minor < LAST_LOSING[:2]


def parse_release(text: str) -> Release:
    """Return the release a text such as 4.2.2 names; raise ConfigurationError where it is none."""
    found = _VERSION.fullmatch(text)
    if found is None:
        raise ConfigurationError(f"{text!r} is no version of Kafka", remedy="write it like 4.2.2")
    return Release(int(found[1]), int(found[2]), None if found[3] is None else int(found[3]))


def release_of(level: int) -> Release | None:
    """Return the minor release whose newest metadata.version is `level`; None where it is newer than those known here."""
    for highest, name in HIGHEST_LEVELS:
        if level <= highest:
            return parse_release(name)
    return None


def newest_level(host: str, port: int, *, access: KafkaAccess = PLAIN, within_s: float) -> int | None:
    """Return the highest metadata.version a broker could run, None where it does not say; blocking.

    Raises BrokerUnavailable where nobody answers in the protocol, ConfigurationError where TLS tells us, or the broker,
    that the other is not to be trusted; each wait is bounded by `within_s`.
    """
    context = access.ssl_context()
    try:
        with ExitStack() as opened:
            connection = opened.enter_context(socket.create_connection((host, port), timeout=within_s))
            if context is not None:
                connection = opened.enter_context(context.wrap_socket(connection, server_hostname=host))
            connection.settimeout(within_s)
            connection.sendall(_request())
            answer = _received(connection)
        return levels(answer).get(FEATURE)
    except ssl.SSLError as error:
        raise _mistrust(f"{host}:{port}", error) from error
    except (OSError, struct.error, IndexError, ValueError) as error:
        raise BrokerUnavailable(
            f"{host}:{port} does not tell its features: {type(error).__name__}"
        ) from error


def _mistrust(broker: str, error: ssl.SSLError) -> ConfigurationError | BrokerUnavailable:
    """Return what a failure of TLS means: who does not trust whom, and why."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = str(error.verify_message).rstrip(".")
        return ConfigurationError(
            f"the certificate of the broker {broker} is not to be trusted: {why}",
            remedy=CERTIFICATE_REMEDIES.get(
                error.verify_code,
                f"set {PREFIX}CA_FILE to the certificate of the authority that the cluster's are issued by",
            ),
        )
    why = str(error.reason or type(error).__name__).replace("_", " ").lower()
    if "alert" in why:
        return ConfigurationError(
            f"the broker {broker} does not trust us: {why}",
            remedy=f"set {PREFIX}CERTIFICATE_FILE and {PREFIX}KEY_FILE to a certificate that is valid today, of an authority that it trusts",
        )
    if isinstance(error, ssl.SSLEOFError):
        # a broker that ends looks the same
        return BrokerUnavailable(
            f"{broker} closed the connection while TLS began; does its listener speak TLS?"
        )
    return ConfigurationError(
        f"no TLS with the broker {broker}: {why}",
        remedy=f"set {PROTOCOL} to the protocol of that listener, or name another in MDS_KAFKA",
    )


def _request() -> bytes:
    client = SOFTWARE.encode()
    head = struct.pack(">hhih", API_VERSIONS, REQUEST_VERSION, CORRELATION, len(client)) + client + b"\0"
    name, version = _compact(SOFTWARE), _compact("0")
    body = head + name + version + b"\0"
    return struct.pack(">i", len(body)) + body


def _compact(text: str) -> bytes:
    # one byte of length is enough for what is sent here
    return bytes([len(text) + 1]) + text.encode()


def _received(connection: socket.socket) -> bytes:
    size: int = struct.unpack(">i", _exactly(connection, 4))[0]
    if not 0 < size <= MAX_ANSWER_BYTES:
        raise ValueError("no answer of Kafka's")
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionResetError("closed")
        parts += part
    return parts


def levels(answer: bytes) -> Mapping[str, int]:
    """Return the highest level of each feature in an answer to ApiVersions, nothing where it refuses the question."""
    read = _Reading(answer)
    correlation, error = read.number(">i"), read.number(">h")
    if correlation != CORRELATION:
        raise ValueError("an answer to another question")
    if error:
        return {}
    for _ in read.items():
        read.skip(6)
        read.skip_tags()
    read.skip(4)
    found = {}
    for _ in range(read.varint()):
        tag, size = read.varint(), read.varint()
        if tag != SUPPORTED_FEATURES_TAG:
            read.skip(size)
            continue
        for _ in read.items():
            name, _lowest, highest = read.text(), read.number(">h"), read.number(">h")
            read.skip_tags()
            found[name] = highest
    return found


class _Reading:
    """The fields of an answer, one after the other; raises IndexError or struct.error where it ends too soon."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at_bytes = data, 0

    def number(self, kind: str) -> int:
        value: int = struct.unpack_from(kind, self._data, self._at_bytes)[0]
        self._at_bytes += struct.calcsize(kind)
        return value

    def varint(self) -> int:
        value = 0
        for shift in range(0, MAX_VARINT_BITS, 7):
            byte = self._data[self._at_bytes]
            self._at_bytes += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        # of a megabyte of such bytes a number would be made for minutes
        raise ValueError("no number of Kafka's")

    def items(self) -> Iterator[int]:
        return iter(range(self.varint() - 1))

    def text(self) -> str:
        size = self.varint() - 1
        start, self._at_bytes = self._at_bytes, self._at_bytes + size
        return self._data[start : self._at_bytes].decode()

    def skip(self, size: int) -> None:
        self._at_bytes += size

    def skip_tags(self) -> None:
        for _ in range(self.varint()):
            self.varint()
            self.skip(self.varint())

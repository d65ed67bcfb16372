"""The certificate the gateway shows: TLS 1.2 or newer, and a renewed file is taken without a restart."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from gateway.settings import GatewaySettings
from schemas.errors import ConfigurationError

LOOKED_AT_EVERY_S = 60.0
REMEDY = "name PEM files that belong together and that this user may read"

log = logging.getLogger(__name__)


class Certificate:
    """A certificate with its key, and the TLS context that shows them."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        """Read both; raise ConfigurationError where they cannot be read or do not belong together."""
        self._certificate, self._key = certificate, key
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._shown = self._load()

    async def follow(self) -> None:
        """Show for ever what the files hold: handshakes from then on, at most a minute after they changed.

        Files that do not belong together are being renewed, or are wrong: what is shown stays.
        """
        while True:
            await asyncio.sleep(LOOKED_AT_EVERY_S)
            await asyncio.to_thread(self.renew)

    def renew(self) -> None:
        """Take the files where they changed."""
        try:
            if self._stamp() != self._shown:
                self._shown = self._load()
                log.info("certificate_renewed", extra={"file": str(self._certificate)})
        except (ConfigurationError, OSError) as error:
            log.warning("certificate_not_renewed", extra={"error": str(error), "instead": "the last one"})

    def _load(self) -> tuple[tuple[int, int], ...]:
        """Load the files into the context; return what tells whether they change."""
        try:
            stamp = self._stamp()
            # Into a context of its own first: half a renewal must not end what is served.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key, "")
            self.context.load_cert_chain(self._certificate, self._key, "")
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"GATEWAY_TLS_CERTIFICATE {self._certificate}: {error}", remedy=REMEDY
            ) from error
        return stamp

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        files = [self._certificate] if self._key is None else [self._certificate, self._key]
        return tuple((found.st_mtime_ns, found.st_ino) for found in (path.stat() for path in files))


def certificate(settings: GatewaySettings) -> Certificate | None:
    """Return what the settings name; None where they name nothing. Raises ConfigurationError."""
    if settings.tls_certificate is not None:
        return Certificate(settings.tls_certificate, settings.tls_key)
    if settings.tls_key is not None:
        raise ConfigurationError(
            "GATEWAY_TLS_KEY is set and GATEWAY_TLS_CERTIFICATE is not",
            remedy="set both, or GATEWAY_TLS_CERTIFICATE alone where it holds the key too",
        )
    return None

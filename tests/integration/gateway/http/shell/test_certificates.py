"""TLS: the certificate that is shown, a renewed one, and files that cannot be."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.http.shell.certificates import certificate
from gateway.settings import GatewaySettings
from schemas.errors import ConfigurationError
from tests.support.toy_gateway import said, serving_at

DAY = dt.timedelta(days=1)


def write_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that signed itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


def settings(files: tuple[Path, Path]) -> GatewaySettings:
    return GatewaySettings.from_env(
        {"GATEWAY_TLS_CERTIFICATE": str(files[0]), "GATEWAY_TLS_KEY": str(files[1])}
    )


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def test_it_speaks_tls_and_shows_a_renewed_certificate(tmp_path: Path) -> None:
    """Without a restart; half a renewal is not taken."""
    shown = certificate(settings(write_pair(tmp_path, "first")))
    assert shown is not None
    assert shown.context.minimum_version == ssl.TLSVersion.TLSv1_2

    async with serving_at(tls=shown.context) as (session, port):
        assert (await said(session, "GET", "/rows", ssl=trusting()))[0] == 200
        assert await common_name(port) == "first"
        _, key = write_pair(tmp_path, "second")
        key.write_text("no key")
        shown.renew()
        assert await common_name(port) == "first"
        write_pair(tmp_path, "second")
        shown.renew()
        assert await common_name(port) == "second"


async def common_name(port: int) -> str:
    """Return whose certificate is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting())
    encoded = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    (name,) = x509.load_der_x509_certificate(encoded).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


def test_without_the_setting_there_is_none() -> None:
    """Loopback, or a proxy that has one."""
    assert certificate(GatewaySettings.from_env({})) is None


def test_files_that_cannot_be_shown_stop_the_start(tmp_path: Path) -> None:
    """A key alone, nothing there, no certificate, a key of another one."""
    with pytest.raises(ConfigurationError, match="GATEWAY_TLS_KEY is set"):
        certificate(GatewaySettings.from_env({"GATEWAY_TLS_KEY": "/key.pem"}))
    absent = tmp_path / "absent.pem"
    with pytest.raises(ConfigurationError, match="GATEWAY_TLS_CERTIFICATE"):
        certificate(settings((absent, absent)))
    chain, key = write_pair(tmp_path, "a")
    (tmp_path / "other").mkdir()
    _, other_key = write_pair(tmp_path / "other", "b")
    for wrong in ((key, key), (chain, other_key)):
        with pytest.raises(ConfigurationError, match="GATEWAY_TLS_CERTIFICATE"):
            certificate(settings(wrong))

"""Reads a vendor's body within a cap that counts what it inflates to, without inflating more than the cap."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import aiohttp

from infra.runtime.clock import wall_us
from schemas.clocks import WallTime
from schemas.errors import MalformedPayload

MAX_BODY_BYTES = 8_388_608  # 8 MiB inflated: a week of minutes is half of one
MAX_KEPT_BYTES = 2_097_152  # of a body that becomes a dead letter
CHUNK_BYTES = 65_536
ACCEPTED_ENCODINGS = "gzip, deflate"
IDENTITY = ("", "identity")
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
RAW_DEFLATE = -zlib.MAX_WBITS
MIN_SECRET_BYTES = 8  # shorter ones occur in data by chance
REDACTED = b"[redacted]"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A 2xx or 4xx answer with its body whole; `received_time` is when the last byte was in."""

    status: int
    content_type: str
    received_time: WallTime
    body: bytes


class BrokenEncoding(ValueError):
    """A body that is not encoded as its header says."""


class TooLarge(ValueError):
    """A body that exceeds the cap; `kept` is its beginning."""

    def __init__(self, kept: bytes) -> None:
        super().__init__(f"more than {MAX_BODY_BYTES} bytes")
        self.kept = kept


class Inflater:
    """Puts the parts of a body together, inflating what is gzip or deflate."""

    def __init__(self, encoding: str, *, cap: int = MAX_BODY_BYTES) -> None:
        """Take a body of `Content-Encoding` `encoding`; raise BrokenEncoding where we did not offer to read it."""
        self._encoding = encoding.strip().lower()
        if self._encoding not in (*IDENTITY, "gzip", "x-gzip", "deflate"):
            raise BrokenEncoding("an encoding nobody asked for")
        self._cap = cap
        self._parts: list[bytes] = []
        self._size = 0
        self._inflate = zlib.decompressobj(GZIP_OR_ZLIB)
        self._began = False

    def feed(self, part: bytes) -> None:
        """Take the next part; raises TooLarge as soon as the cap is passed, and BrokenEncoding."""
        if self._encoding in IDENTITY:
            self._keep(part)
            return
        try:
            self._inflated(part)
        except zlib.error as error:
            raise BrokenEncoding("not what its Content-Encoding says") from error

    def finished(self) -> bytes:
        """Return the whole body; raise BrokenEncoding where its end is missing."""
        if self._encoding not in IDENTITY and self._began and not self._inflate.eof:
            raise BrokenEncoding("cut short")
        return b"".join(self._parts)

    def _inflated(self, part: bytes) -> None:
        if not self._began and part:
            self._began = True
            if self._encoding == "deflate" and part[0] & 0x0F != zlib.DEFLATED:
                self._inflate = zlib.decompressobj(RAW_DEFLATE)  # some servers send it without zlib's header
        while part:
            if self._inflate.eof:  # gzip may hold several members
                self._inflate = zlib.decompressobj(GZIP_OR_ZLIB)
            # One byte more than fits tells that there is more; never is more than that inflated.
            self._keep(self._inflate.decompress(part, self._cap - self._size + 1))
            part = self._inflate.unconsumed_tail or self._inflate.unused_data

    def _keep(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
        self._size += len(part)
        if self._size > self._cap:
            raise TooLarge(b"".join(self._parts)[:MAX_KEPT_BYTES])


async def read_body(
    response: aiohttp.ClientResponse, provider: str, endpoint: str, secrets: tuple[bytes, ...]
) -> bytes:
    """Return the body inflated, every one of `secrets` in it struck out: a vendor may echo a key.

    Raises MalformedResponse where it exceeds the cap, BrokenEncoding, and aiohttp's own errors.
    """
    inflater = Inflater(response.headers.get("Content-Encoding", ""))
    try:
        async for part in response.content.iter_chunked(CHUNK_BYTES):
            inflater.feed(part)
        return redacted(inflater.finished(), secrets)
    except TooLarge as error:
        raise MalformedResponse(
            f"{provider} {endpoint}: more than {MAX_BODY_BYTES} bytes; ask for less in one request",
            endpoint=endpoint,
            received_time=wall_us(),
            payload=redacted(error.kept, secrets),
        ) from None


def redacted(body: bytes, secrets: tuple[bytes, ...]) -> bytes:
    """Return `body` without any of `secrets`; too short ones are data by chance and stay."""
    for secret in secrets:
        if len(secret) >= MIN_SECRET_BYTES and secret in body:
            body = body.replace(secret, REDACTED)
    return body


class MalformedResponse(MalformedPayload):
    """A whole response that cannot be used; carries what a dead letter needs, `payload` cut to what fits."""

    def __init__(self, message: str, *, endpoint: str, received_time: WallTime, payload: bytes) -> None:
        super().__init__(message)
        self.endpoint = endpoint
        self.received_time = received_time
        self.payload = payload

"""Secrets in disguise: what to look for where one must not be."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote


def spellings(secret: str) -> set[str]:
    """Return how a secret may be written: as it is, for a URL, for JSON, in hex, and inside base64 at any offset."""
    raw = secret.encode()
    inner = {base64.b64encode(b"." * pad + raw)[4:-4].decode() for pad in range(3)}
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        json.dumps(secret).strip('"'),
        secret.replace("/", "\\/"),
        raw.hex(),
        *inner,
        *(text.translate(str.maketrans("+/", "-_")) for text in inner),
    }

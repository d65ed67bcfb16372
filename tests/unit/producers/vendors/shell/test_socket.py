"""A vendor's socket is whole before anything is asked of it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from producers.vendors.shell.socket import VendorSocket
from schemas.providers.finnhub import FACTS


class _Mute(VendorSocket):
    """A vendor's socket whose author forgot both of its parts."""


def test_a_socket_that_lacks_its_parts_cannot_be_made() -> None:
    """Its author is told when it is opened, not when the first trade comes; what is missing is named."""
    mute = cast(Any, _Mute)

    with pytest.raises(TypeError, match=r"message.*parse"):
        mute(FACTS, None, gate=None, url="ws://127.0.0.1:1")

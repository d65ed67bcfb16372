"""The shape of a symbol and of a provider's name, for everybody who reads one from outside.

Which symbols name an instrument is `schemas.symbols.instruments`, which providers there are is told by who loads them.
"""

from __future__ import annotations

import re

SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.\-=^:_/]{0,31}")
PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_]{1,31}")


def is_symbol(text: str) -> bool:
    """Whether a text could be a symbol at all."""
    return SYMBOL.fullmatch(text) is not None


def is_provider_name(text: str) -> bool:
    """Whether a text could be a provider's name; `best` is none, but has the shape of one."""
    return PROVIDER_NAME.fullmatch(text) is not None

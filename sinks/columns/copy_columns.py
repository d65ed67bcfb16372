"""Columns of a table as COPY fills them, and the bytes that PostgreSQL sends of each type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.deriving import SqlType

POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01 UTC
EPOCHS: Mapping[str, int] = {"timestamptz": POSTGRES_EPOCH_US, "date": 10_957}  # both count from there
NULL = -1  # in place of a size
FORMATS: Mapping[str, str] = {
    "int8": ">i8",
    "int4": ">i4",
    "int2": ">i2",
    "float8": ">f8",
    "bool": "?",
    "timestamptz": ">i8",
    "date": ">i4",
    "char": "u1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyColumn:
    """One column: `source` is the column read or derived; a `constant` is the same in every row and has no source."""

    name: str
    source: str
    type: SqlType
    constant: int | None = None

    @property
    def is_bytes(self) -> bool:
        """Whether its values are bytes that lie in a buffer, of any length: texts and arrays."""
        return self.type == "text" or self.type.endswith("[]")

"""Tables that vendors send as CSV: columns by name, rows that do not fit dead-lettered alone; pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from producers.vendors.answers import RejectedValue
from schemas.errors import InvalidRecord, MalformedPayload

MAX_CELL_CHARACTERS = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvTable:
    """Rows as columns by name, and those that are no rows of it."""

    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, str]]
    rejected: Sequence[RejectedValue]


def table(payload: bytes, place: str, *, needed: Sequence[str], symbol: str) -> CsvTable:
    """Return a table with its header; a row with more or fewer cells than that is rejected alone.

    Raises MalformedPayload naming the `place` where it is no table, lacks a column that is needed, or was cut off: its last
    row is not whole. Without any row it may be what a vendor has to say.
    """
    lines = _lines(payload, place)
    if not lines:
        raise MalformedPayload(f"{place}: nothing came")
    header = _cells(lines[0], f"{place}: the header")
    columns = tuple(name.strip() for name in header)
    lacking = [name for name in needed if name not in columns]
    if lacking or len(set(columns)) < len(columns):
        told = f"lacks the column {lacking[0]}" if lacking else "has a column twice"
        raise MalformedPayload(f"{place}: the header {told}")
    rows: list[Mapping[str, str]] = []
    rejected: list[RejectedValue] = []
    for number, line in enumerate(lines[1:], 2):
        try:
            cells = _cells(line, f"{place}: row {number}")
            if len(cells) != len(columns):
                raise MalformedPayload(
                    f"{place}: row {number} has {len(cells)} cells, the header {len(columns)}"
                )
        except MalformedPayload as error:
            if number == len(lines) and not payload.endswith((b"\n", b"\r")):
                raise MalformedPayload(f"{place}: it ends in the middle of row {number}") from error
            rejected.append(_rejected(symbol, str(error), line))
            continue
        rows.append(dict(zip(columns, cells, strict=True)))
    return CsvTable(columns=columns, rows=rows, rejected=rejected)


def cells_rejected(symbol: str, fault: str, row: Mapping[str, str]) -> RejectedValue:
    """Return what is dead-lettered of a row with a value that cannot be."""
    return _rejected(symbol, fault, ",".join(row.values()))


def _lines(payload: bytes, place: str) -> list[str]:
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MalformedPayload(f"{place}: it is no text") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line for line in lines if line.strip()]


def _cells(line: str, place: str) -> list[str]:
    """Return the cells of a line; no vendor's cell holds a line break, so that a stray quote costs its row alone."""
    try:
        cells = next(csv.reader(io.StringIO(line), strict=True))
    except (csv.Error, StopIteration):
        raise MalformedPayload(f"{place}: quotes do not match") from None
    if any(len(cell) > MAX_CELL_CHARACTERS for cell in cells):
        raise MalformedPayload(f"{place}: a cell has more than {MAX_CELL_CHARACTERS} characters")
    return cells


def _rejected(symbol: str, fault: str, line: str) -> RejectedValue:
    return RejectedValue(
        symbol=symbol,
        reason=InvalidRecord.reason,
        message=fault,
        payload=line[:MAX_CELL_CHARACTERS].encode("utf-8", "replace"),
    )

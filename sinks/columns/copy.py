"""Rows as the bytes of PostgreSQL's binary COPY, encoded whole before COPY begins.

Rows of one shape (the same text lengths, the same nulls) have the same byte layout, so each shape is filled column by
column into one structured array. The order of rows is not kept: COPY input has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sinks.columns.avro import Columns, Integers
from sinks.columns.copy_columns import EPOCHS, FORMATS, NULL, CopyColumn

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, flags, length of the header extension
TRAILER = b"\xff\xff"
MAX_CODE = 1 << 62
CACHED_SHAPES = 4_096

Shape = tuple[int, ...]  # bytes of each column, NULL for null


def encode_rows(layout: tuple[CopyColumn, ...], columns: Columns, rows: Integers) -> bytes:
    """Return the COPY input that stores `rows` (indices into `columns`) in the columns of `layout`."""
    shapes = np.empty((len(layout), len(rows)), np.int64)
    for number, column in enumerate(layout):
        shapes[number] = _sizes(column, columns, rows)
    parts = [_encode_shape(layout, columns, rows[group], shape) for shape, group in _groups(shapes)]
    return b"".join((HEADER, *parts, TRAILER))


def _sizes(column: CopyColumn, columns: Columns, rows: Integers) -> Integers | int:
    """Return the bytes a column takes in each row, NULL where it is null."""
    if column.is_bytes:
        text = columns.texts[column.source]
        return (
            text.lengths[rows] if text.valid is None else np.where(text.valid[rows], text.lengths[rows], NULL)
        )
    width = np.dtype(FORMATS[column.type]).itemsize
    if column.constant is not None or (valid := columns.numbers[column.source].valid) is None:
        return width
    return np.where(valid[rows], width, NULL)


def _groups(shapes: NDArray[np.int64]) -> Iterator[tuple[Shape, Integers]]:
    """Yield every distinct column of `shapes` with the places it occurs at."""
    code = np.zeros(shapes.shape[1], np.int64)
    distinct = 1
    for sizes in shapes:
        low, high = int(sizes.min(initial=0)), int(sizes.max(initial=0))
        span = high - low + 1
        if distinct * span > MAX_CODE:
            code = np.unique(code, return_inverse=True)[1]
            distinct = len(code)
        code = code * span + (sizes - low)
        distinct *= span
    order = np.argsort(code, kind="stable")
    edges = np.flatnonzero(np.diff(code[order], prepend=-1))
    for group in np.split(order, edges[1:]):
        if len(group):
            yield tuple(shapes[:, group[0]].tolist()), group


@lru_cache(maxsize=CACHED_SHAPES)
def _template(layout: tuple[CopyColumn, ...], shape: Shape) -> tuple[np.dtype[np.void], bytes]:
    """Return the byte layout of a row of this shape, and such a row with all that is constant filled in."""
    fields: list[tuple[str, str]] = [("count", ">i2")]
    for number, (column, size) in enumerate(zip(layout, shape, strict=True)):
        fields.append((f"size{number}", ">i4"))
        if size > 0:
            fields.append((f"value{number}", f"V{size}" if column.is_bytes else FORMATS[column.type]))
    dtype = np.dtype(fields)
    row = np.zeros(1, dtype)
    row["count"] = len(layout)
    for number, (column, size) in enumerate(zip(layout, shape, strict=True)):
        row[f"size{number}"] = size
        if column.constant is not None:
            row[f"value{number}"] = column.constant
    return dtype, row.tobytes()


def _encode_shape(layout: tuple[CopyColumn, ...], columns: Columns, rows: Integers, shape: Shape) -> bytes:
    dtype, template = _template(layout, shape)
    out = np.frombuffer(bytearray(template * len(rows)), dtype)
    for number, (column, size) in enumerate(zip(layout, shape, strict=True)):
        if size <= 0 or column.constant is not None:
            continue
        if column.is_bytes:
            starts = columns.texts[column.source].starts[rows]
            # Rows with arrays are alone in their shape: a place for each of their bytes is eight times as many bytes.
            if len(rows) == 1:
                begin = int(starts[0])
                out[f"value{number}"] = columns.buffer[begin : begin + size].view(f"V{size}")
            else:
                places = starts[:, None] + np.arange(size)
                out[f"value{number}"] = columns.buffer[places].view(f"V{size}")[:, 0]
        else:
            values = columns.numbers[column.source].values[rows]
            out[f"value{number}"] = values - epoch if (epoch := EPOCHS.get(column.type)) else values
    return out.tobytes()

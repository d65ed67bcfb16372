"""Injuries of recorded payloads for fuzzing: values put in question, and bytes that are cut, flipped or repeated."""

from __future__ import annotations

import json
import os
import random
from copy import deepcopy

CASES = int(os.environ.get("MDS_FUZZ_CASES", "1000"))
SEED = 20131007
SPLICES = (
    *(b"null", b"NaN", b"Infinity", b"-1", b"1e999", b"1e-999", b"-0.0", b'"x"', b"[]", b"{}", b",", b":", b"true"),
    *(b"9" * 40, b"9" * 5_000, b"\x00", b"\xff", b"\\ud800", b"[" * 300, b'"t":', b"1651251948294080343", b""),
)  # fmt: skip
ODD_VALUES: tuple[object, ...] = (
    *(None, True, "", "x", "\x00", "\ud800", [], {}, 0, -1, 1, 0.0, -0.0, 0.5, 1e308, -1e308, 5e-324),
    *(
        float("nan"),
        float("inf"),
        2**31,
        2**53,
        2**63,
        10**40,
        1_582_641_000,
        1_582_641_000_000,
        253_402_300_800,
    ),
    *(
        1_651_251_948_294_080_343,
        "AAPL",
        "AMZN",
        "2021-10-15T16:00:00Z",
        "9999-12-31T23:59:59Z",
        "OK",
        "ok",
        [None],
    ),
)
ODD_CELLS = (
    *(
        b"",
        b".",
        b"N/A",
        b"NaN",
        b"inf",
        b"-inf",
        b"1e300",
        b"1e-300",
        b"-1.5",
        b"0",
        b"9" * 400,
        b'"',
        b'""',
        b"\xff",
    ),
    *(
        b"2016-02-30",
        b"02/30/2016",
        b"9999-12-31",
        b"0001-01-01",
        b"2016-Q5",
        b"2016-W54",
        b"Delete",
        b"D",
        b"X",
    ),
    *(b"2026-09-03T15:57:01.000+02:00", b"9999-12-31T23:59:59Z", b"0001-01-01T00:00:00Z", b"10 Yr", b"Date"),
)


def changed(payload: bytes, draw: random.Random) -> bytes:
    """Return the payload, still JSON, with one to three of its values put in question."""
    document = json.loads(payload)
    for _ in range(draw.randint(1, 3)):
        holder: object = document
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))  # type: ignore[arg-type,call-overload]
            if not keys:
                break
            key = draw.choice(keys)
            inner = holder[key]  # type: ignore[index]
            if isinstance(inner, dict | list) and draw.random() < 0.95:
                holder = inner
                continue
            if draw.random() < 0.15:
                del holder[key]  # type: ignore[attr-defined]
            else:
                holder[key] = deepcopy(draw.choice(ODD_VALUES))  # type: ignore[index]
            break
    return json.dumps(document).encode()


def changed_table(payload: bytes, draw: random.Random) -> bytes:
    """Return a CSV payload with one to three of its cells put in question, a row that is twice there, or one that is short."""
    lines = [line.split(b",") for line in payload.split(b"\n")]
    for _ in range(draw.randint(1, 3)):
        row = draw.choice(lines)
        match draw.choice(("cell", "cell", "cell", "twice", "short", "long")):
            case "twice":
                lines.insert(draw.randrange(len(lines) + 1), list(row))
            case "short":
                del row[draw.randrange(len(row))]
            case "long":
                row.insert(draw.randrange(len(row) + 1), draw.choice(ODD_CELLS))
            case _ if row:
                row[draw.randrange(len(row))] = draw.choice(ODD_CELLS)
        lines = [line for line in lines if line] or [[b""]]
    return b"\n".join(b",".join(row) for row in lines)


def mutated(payload: bytes, draw: random.Random) -> bytes:
    """Return the payload with one to four injuries, mostly one."""
    data = bytearray(payload)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        at = draw.randrange(len(data) + 1)
        match draw.choice(("cut", "flip", "splice", "replace", "repeat")):
            case "cut":
                del data[at:]
            case "flip" if at < len(data):
                data[at] = draw.randrange(256)
            case "replace":
                data[at : at + draw.randint(1, 12)] = draw.choice(SPLICES)
            case "repeat":
                data[at:at] = data[at : at + draw.randint(1, 60)]
            case _:
                data[at:at] = draw.choice(SPLICES)
    return bytes(data)

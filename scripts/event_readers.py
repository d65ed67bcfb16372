"""The fast readers of raw events, written out for each declared stream: schemas/wire/generated_readers.py.

A reader knows its stream's fields when it is written, so at run time it looks nothing up: neighbours of fixed width
are read at once, names stand where values go. `schemas.wire.event_reading` explains which bytes it understands.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from keyword import iskeyword

from schemas.deriving import Field, event_fields, lists, own_fields
from schemas.fields import CLOCK
from schemas.streams import Stream

LINE = 96  # of a list inside the loop
IMPORTED = (
    "LONG_TEXT", "Read", "Unusual", "moment", "nulls", "optional_doubles", "present", "small", "text", "whole",
)  # fmt: skip
RESERVED = {
    *IMPORTED, "begun", "count", "data", "end", "events", "found", "frame", "heads", "layout", "pos", "size", "spelt",
    "start", "tags", "values",
}  # fmt: skip
SHORTEST_RUN = 3  # nullable doubles in a row from which on one layout serves all of them

HEAD = '''\
"""Fast readers of the events of each stream; written by `make docs` from schemas/streams.py, never edited."""

# fmt: off
from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct

from schemas.wire.event_reading import (
{names}
)

'''


def readers_source(streams: Sequence[Stream]) -> str:
    """Return the module of the readers of `streams`."""
    # whatever holds lists is read by the general reader
    flat = [stream for stream in streams if not lists(stream)]
    readers = [_Reader(stream) for stream in flat]
    bodies = ["\n".join(reader.lines()) for reader in readers]
    constants = sorted({constant for reader in readers for constant in reader.constants})
    used = "\n".join(bodies)
    names = [f"    {name}," for name in IMPORTED if re.search(rf"\b{name}\b", used)]
    table = [f'    "{stream.raw_schema}": {_function(stream)},' for stream in flat]
    return "\n".join(
        [
            HEAD.format(names="\n".join(names)) + "\n".join(constants),
            *(f"\n\n{body}" for body in bodies),
            "\n\nREADERS: Mapping[str, Callable[[bytes, int, int], Read]] = {",
            *table,
            "}",
            "",
        ]
    )


def _function(stream: Stream) -> str:
    return f"read_{stream.name}"


def _local(name: str) -> str:
    """Return the local variable of a field, whose name may be taken."""
    taken = name in RESERVED or iskeyword(name) or hasattr(builtins, name)
    return f"{name}_" if taken else name


class _Reader:
    """Writes one reader; `_offset` bytes after `pos` is where the next field begins."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._own, self._tail = own_fields(stream), event_fields(stream)[len(own_fields(stream)) :]
        self._offset = 0
        self._before: list[str] = []
        self.constants: set[str] = set()

    def lines(self) -> list[str]:
        """Return the lines of the function."""
        loop = [f"        {line}" for run in self._runs() for line in self._read(run)]
        loop += [f"        {line}" for line in self._ending()]
        return [
            f"def {_function(self._stream)}(data: bytes, pos: int, count: int) -> Read:",
            f'    """Read `count` events of {self._stream.raw_schema}; raise Unusual, LookupError, ValueError, struct.error."""',
            "    events, heads = [], []",
            *(f"    {line}" for line in self._before),
            "    for _ in range(count):",
            "        start = pos",
            *loop,
            "    return events, heads, pos",
        ]

    def _runs(self) -> Iterator[list[Field]]:
        """Yield neighbours that are read together."""
        for (kind, nullable), fields in groupby(self._own, lambda field: (field.kind, field.nullable)):
            run = list(fields)
            together = kind == "double" and (not nullable or len(run) >= SHORTEST_RUN)
            yield from [run] if together else [[field] for field in run]

    def _read(self, run: list[Field]) -> list[str]:
        field, name = run[0], _local(run[0].name)
        if field.nullable:
            return self._optional_doubles(run) if len(run) >= SHORTEST_RUN else self._nullable(field, name)
        if field.kind == "string" and field.name == self._own[0].name:
            return self._short_text(name)
        if field.kind == "double" or CLOCK in field.roles or field.kind in ("boolean", "enum"):
            return [self._fixed(run)]
        return [f"{name}, pos = {self._call(field)}(data, {self._take()})"]

    def _fixed(self, run: list[Field]) -> str:
        """Read fields whose bytes are as many whatever they hold."""
        field, name = run[0], _local(run[0].name)
        if field.kind == "double":
            names = ", ".join(_local(each.name) for each in run) + ("," if len(run) == 1 else "")
            return f"{names} = {self._doubles(len(run))}(data, {self._advance(8 * len(run))})"
        if field.kind == "boolean":
            self.constants.add("_BOOLEANS = (False, True)")
            return f"{name} = _BOOLEANS[data[{self._advance(1)}]]"
        if field.kind == "enum":
            spelt = ", ".join(f'{place << 1}: "{symbol}"' for place, symbol in enumerate(field.symbols))
            self.constants.add(f"_{field.name.upper()} = {{{spelt}}}")
            return f"{name} = _{field.name.upper()}[data[{self._advance(1)}]]"
        return f"{name} = moment(data, {self._advance(8)})"

    def _short_text(self, name: str) -> list[str]:
        """Read a text in place: what every event begins with is worth the lines."""
        return [
            *self._settle(),
            "size = data[pos]",
            "if size & LONG_TEXT:",
            "    raise Unusual",
            "end = pos + 1 + (size >> 1)",
            f"{name} = data[pos + 1 : end].decode()",
            "pos = end",
        ]

    def _nullable(self, field: Field, name: str) -> list[str]:
        if CLOCK in field.roles:
            there = [f"{name}, pos = moment(data, present(data, pos)), pos + 9"]
        elif field.kind == "double":
            there = [f"({name},), pos = {self._doubles(1)}(data, present(data, pos)), pos + 9"]
        else:
            there = [f"{name}, pos = {self._call(field)}(data, present(data, pos))"]
        return [
            *self._settle(),
            "if data[pos]:",
            *(f"    {line}" for line in there),
            "else:",
            f"    {name}, pos = None, pos + 1",
        ]

    def _optional_doubles(self, run: list[Field]) -> list[str]:
        number = len(run)
        all_there = hex((1 << number) - 1)
        self._before.append(f"layout, tags, spelt, values = optional_doubles({number}, {all_there})")
        return [
            *self._settle(),
            "found = layout.unpack_from(data, pos)",
            "if tags(found) != spelt:",
            f"    layout, tags, spelt, values = optional_doubles({number}, nulls(data, pos, {number}))",
            "    found = layout.unpack_from(data, pos)",
            "(",
            *(f"    {line}" for line in _wrapped([_local(each.name) for each in run])),
            ") = values((*found, None))",
            "pos += layout.size",
        ]

    def _ending(self) -> list[str]:
        """Note the event, and the bytes its canonical record begins with; the events of one frame end alike."""
        event = [f'"{field.name}": {_local(field.name)}' for field in (*self._own, *self._tail)]
        noted = ["events.append({", *(f"    {line}" for line in _wrapped(event)), "})"]
        lines = [*self._settle(), "heads.append(data[start:pos])"]
        if not self._tail:
            return [*lines, *noted]
        if any(field.kind != "long" or field.nullable for field in self._tail):
            raise ValueError(f"{self._stream.name}: what an event says of its frame must be plain longs")
        names = [_local(field.name) for field in self._tail]
        self._before.append(f'frame, {", ".join(names)} = b"", {", ".join("0" for _ in names)}')
        return [
            *lines,
            "if frame and data.startswith(frame, pos):",
            "    pos += len(frame)",
            "else:",
            "    begun = pos",
            *(f"    {name}, pos = whole(data, pos)" for name in names),
            "    frame = data[begun:pos]",
            *noted,
        ]

    def _call(self, field: Field) -> str:
        """Return what reads a field of no fixed width."""
        if field.kind not in ("string", "int", "long", "date"):
            raise ValueError(f"{self._stream.name}.{field.name}: there is no fast reader of {field.kind}")
        return {"string": "text", "date": "whole"}.get(field.kind, "small")

    def _doubles(self, number: int) -> str:
        name = f"_DOUBLES_{number}"
        self.constants.add(f'{name} = Struct("<{number}d").unpack_from')
        return name

    def _advance(self, by: int) -> str:
        place = "pos" if not self._offset else f"pos + {self._offset}"
        self._offset += by
        return place

    def _take(self) -> str:
        place = self._advance(0)
        self._offset = 0
        return place

    def _settle(self) -> list[str]:
        offset, self._offset = self._offset, 0
        return [f"pos += {offset}"] if offset else []


def _wrapped(items: Sequence[str]) -> list[str]:
    """Return the items in lines that end in a comma."""
    lines = [""]
    for item in items:
        if len(lines[-1]) + len(item) > LINE:
            lines.append("")
        lines[-1] += f"{item}, "
    return [line.rstrip() for line in lines]

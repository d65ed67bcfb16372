"""The universe: which symbols are collected, in which tier and streams; as CSV text, and what changes between two.

Pure. A universe in the database has a version that grows with every change.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Literal, get_args

from schemas.errors import ConfigurationError
from schemas.located_yaml import Fault, InvalidConfiguration, sorted_faults
from schemas.streams import INSTRUMENT_STREAMS, StreamName
from schemas.symbols.instruments import checked_symbol

Tier = Literal["T0", "T1", "T2"]
TIERS: tuple[Tier, ...] = get_args(Tier)
MAX_SYMBOLS = 20_000
MAX_FILE_BYTES = 4_194_304  # 4 MiB
MAX_SYMBOL_CHARACTERS = 32
MAX_NOTE_CHARACTERS = 200
SHOWN_CHARACTERS = 40
COLUMNS = ("symbol", "tier", "streams", "note")
HEADER = ",".join(COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One symbol of the universe; `note` is the operator's own word on it."""

    symbol: str
    tier: Tier = "T1"
    streams: tuple[StreamName, ...] = INSTRUMENT_STREAMS
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """All members, by symbol; `version` is 0 before the first change."""

    version: int
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Content of a CSV text, and the line (from 1) in which each symbol stands."""

    members: tuple[Member, ...]
    lines: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberChange:
    """One member before (None: it was none) and after (None: it is none any more)."""

    before: Member | None
    after: Member | None

    @property
    def symbol(self) -> str:
        """The symbol that changes."""
        member = self.after or self.before
        return member.symbol if member is not None else ""

    @property
    def kind(self) -> str:
        """The kind of change: added, removed, moved (to another tier) or changed (in streams or note)."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "moved" if self.before.tier != self.after.tier else "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseDifference:
    """Changes between two universes, by symbol, and how many members stay as they are."""

    changes: tuple[MemberChange, ...] = field(default=())
    unchanged: int = 0


def difference(before: Iterable[Member], after: Iterable[Member]) -> UniverseDifference:
    """Return what changes from the members `before` to those `after`; their order does not matter."""
    old = {member.symbol: member for member in before}
    new = {member.symbol: member for member in after}
    changes = tuple(
        MemberChange(before=old.get(symbol), after=new.get(symbol))
        for symbol in sorted(old.keys() | new.keys())
        if old.get(symbol) != new.get(symbol)
    )
    return UniverseDifference(
        changes=changes, unchanged=sum(new[symbol] == old[symbol] for symbol in old.keys() & new)
    )


def merged(members: Iterable[Member], given: Iterable[Member]) -> tuple[Member, ...]:
    """Return `members` with the `given` ones in place of those of the same symbol; raise ConfigurationError beyond the bound."""
    by_symbol = {member.symbol: member for member in (*members, *given)}
    if len(by_symbol) > MAX_SYMBOLS:
        raise ConfigurationError(
            f"the universe would have {len(by_symbol):,} symbols, at most {MAX_SYMBOLS:,} are taken",
            remedy="remove symbols first (`mds universe remove`), or import with --replace",
        )
    return tuple(by_symbol[symbol] for symbol in sorted(by_symbol))


def to_csv(members: Iterable[Member]) -> str:
    """Return members as CSV text with a header, by symbol; `from_csv` of it gives the same members."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for member in sorted(members, key=lambda member: member.symbol):
        writer.writerow((member.symbol, member.tier, " ".join(member.streams), member.note))
    return text.getvalue()


def from_csv(data: bytes, *, source: str) -> Listed:
    """Return what CSV text lists; raise InvalidConfiguration with every fault, its line and its remedy.

    The header names the columns: symbol, and any of tier, streams (names with spaces between) and note; an empty cell
    is the default. A byte-order mark, CRLF and quoted cells are as good.
    """
    rows = _rows(_text(data, source), source)
    header, faults = next(rows, (1, [])), list[Fault]()
    columns = [cell.strip().lower() for cell in header[1]]
    faults += _header_faults(columns)
    members: dict[str, Member] = {}
    lines: dict[str, int] = {}
    if not faults:
        for line, cells in rows:
            found = _member(line, columns, cells)
            if isinstance(found, Member) and found.symbol in members:
                message = f"{found.symbol} is listed twice, first in line {lines[found.symbol]}"
                found = [_fault(line, "symbol", message, "remove one of them")]
            if isinstance(found, Member):
                members[found.symbol], lines[found.symbol] = found, line
            else:
                faults += found
    if not faults and not members:
        faults.append(_fault(1, "", "no symbols", f"write one a line under the header {HEADER}"))
    if len(members) > MAX_SYMBOLS:
        faults.append(_fault(None, "", f"{len(members):,} symbols", f"list at most {MAX_SYMBOLS:,}"))
    if faults:
        raise InvalidConfiguration(source, sorted_faults(faults))
    return Listed(members=tuple(members[symbol] for symbol in sorted(members)), lines=lines)


def member(symbol: str, *, tier: str = "", streams: str = "", note: str = "") -> Member:
    """Return a member from text as people write it, empty for the default; raise ConfigurationError with every fault."""
    found = _member(None, COLUMNS, (symbol, tier, streams, note))
    if isinstance(found, Member):
        return found
    raise InvalidConfiguration("universe", found)


def _text(data: bytes, source: str) -> str:
    if len(data) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{source} is larger than {MAX_FILE_BYTES} bytes", remedy="split the file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{source} is not UTF-8 text", remedy="save it as UTF-8") from error


def _rows(text: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of every row that is not empty; what is no CSV ends the reading."""
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fault = _fault(
                line, "", f"not CSV: {error}", "close every quote, and double those inside a quoted cell"
            )
            raise InvalidConfiguration(source, [fault]) from error
        if any(cell.strip() for cell in cells):
            yield line, cells


def _header_faults(columns: Sequence[str]) -> Iterator[Fault]:
    remedy = f"begin the file with the line {HEADER}"
    if "symbol" not in columns:
        yield _fault(1, "", "no header: no column is called symbol", remedy)
        return
    for column in columns:
        if column not in COLUMNS:
            yield _fault(1, "", f"no column is called {_shown(column)}", remedy)
        elif columns.count(column) > 1:
            yield _fault(1, column, "this column is there twice", "remove one of them")


def _member(line: int | None, columns: Sequence[str], cells: Sequence[str]) -> Member | list[Fault]:
    if len(cells) > len(columns):
        return [
            _fault(line, "", f"{len(cells)} cells under {len(columns)} columns", "put quotes around a comma")
        ]
    row = dict.fromkeys(COLUMNS, "") | {
        column: cell.strip() for column, cell in zip(columns, cells, strict=False)
    }
    faults = [*_symbol_faults(line, row["symbol"]), *_note_faults(line, row["note"])]
    tier: Tier | None = next((each for each in TIERS if each == (row["tier"].upper() or "T1")), None)
    if tier is None:
        faults.append(_fault(line, "tier", f"{_shown(row['tier'])} is no tier", "write T0, T1 or T2"))
    named = row["streams"].lower().split() or list(INSTRUMENT_STREAMS)
    for name in named:
        if name not in INSTRUMENT_STREAMS:
            remedy = f"write some of {' '.join(INSTRUMENT_STREAMS)}, with spaces between"
            faults.append(_fault(line, "streams", f"{_shown(name)} is no stream", remedy))
    if faults or tier is None:
        return faults
    streams = tuple(stream for stream in INSTRUMENT_STREAMS if stream in named)
    return Member(symbol=row["symbol"], tier=tier, streams=streams, note=row["note"])


def _symbol_faults(line: int | None, symbol: str) -> Iterator[Fault]:
    if not symbol:
        yield _fault(line, "symbol", "the symbol is missing", "write one, such as BRK.B or ^GSPC")
        return
    try:
        checked_symbol(symbol)
    except ValueError as error:
        yield _fault(line, "symbol", f"{_shown(symbol)} is no symbol", str(error))
    if len(symbol) > MAX_SYMBOL_CHARACTERS:
        message = f"{_shown(symbol)} is too long"
        yield _fault(line, "symbol", message, f"write at most {MAX_SYMBOL_CHARACTERS} characters")


def _note_faults(line: int | None, note: str) -> Iterator[Fault]:
    if len(note) > MAX_NOTE_CHARACTERS or not note.isprintable():
        remedy = f"write at most {MAX_NOTE_CHARACTERS} characters on one line"
        yield _fault(line, "note", "the note is too long or holds control characters", remedy)


def _fault(line: int | None, path: str, message: str, remedy: str) -> Fault:
    return Fault(path=path, line=line, message=message, remedy=remedy)


def _shown(text: str) -> str:
    return ascii(text[:SHOWN_CHARACTERS])

"""Two databases compared by their public views, row by row in the order of a key, with a few rows of each held at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from infra.runtime.postgres import session
from infra.runtime.postgres.errors import Connection, is_unavailable, not_now
from schemas.partitions import TopicPartition
from schemas.streams import STREAMS
from schemas.tables import tables

PREFETCH_ROWS = 1_000
SHOWN = 5  # differences of a view that are kept
# A snapshot lasts as long as the comparison.
UNHURRIED = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0"
WATERMARKS = "SELECT topic, partition, complete_before FROM watermarks"
FLOORS = "SELECT kind, floor FROM retention_floors"

Row = Mapping[str, Any]
Verdict = Literal["same", "different", "unsettled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedView:
    """A public view: the columns its rows are matched by, and the stream they are of ("" where the row itself says it).

    `is_history`: rows are never changed. `is_derived`: what is told later changes them, whatever their own `known` says.
    """

    name: str
    key: tuple[str, ...]
    stream: str = ""
    known: str = "known_from"  # "" where no column says since when a row is known
    is_history: bool = False
    is_derived: bool = False


def _views() -> tuple[ComparedView, ...]:
    found = []
    place = ("stream_id", "event_time", "position")
    for stream in STREAMS:
        made = tables(stream)
        if made.superseded:
            found += [
                ComparedView(name=f"v_{made.versions}_all", key=place, stream=stream.name, is_history=True),
                ComparedView(name=f"v_{made.versions}", key=place[:2], stream=stream.name),
            ]
        else:
            found.append(
                ComparedView(name=f"v_{made.versions}", key=place, stream=stream.name, is_history=True)
            )
        if made.newest:
            # what forms goes when it is final, which another view tells
            is_derived = bool(made.superseded)
            found.append(
                ComparedView(
                    name=f"v_{made.newest}", key=place[:1], stream=stream.name, is_derived=is_derived
                )
            )
    evidence = ("stream", "from_time", "known_from", "raw_offset", "idx")
    return (
        *found,
        ComparedView(name="v_streams", key=place[:1], known="", is_derived=True),
        ComparedView(name="v_gap_evidence", key=evidence, is_history=True),
        ComparedView(name="v_gaps", key=("gap_id",), is_derived=True),
        ComparedView(
            name="v_coverage", key=("stream_id", "start_time"), stream="bars", known="", is_derived=True
        ),
    )


VIEWS = _views()


@dataclass(slots=True, kw_only=True)
class Compared:
    """The outcome of comparing a view; `first` are the first differences, a row of each side, None where it has none."""

    view: ComparedView
    same: int = 0
    different: int = 0
    unsettled: int = 0
    first: list[tuple[Row | None, Row | None]] = field(default_factory=list)

    def lines(self, ours: str, theirs: str) -> list[str]:
        """Return each of the first differences in words, its key and what each side says."""
        found = []
        for row, other in self.first:
            name = " ".join(
                f"{column}={(row or other or {})[column]}" for column in named(self.view, row or other)
            )
            if row is None or other is None:
                told = f"only in the {ours if other is None else theirs}: {dict(row or other or {})}"
            else:
                told = "; ".join(
                    f"{column} is {row[column]!r} in the {ours}, {other[column]!r} in the {theirs}"
                    for column in row
                    if row[column] != other[column]
                )
            found.append(f"{self.view.name} {name}: {told}")
        return found


def named(view: ComparedView, row: Row | None) -> list[str]:
    """Return the columns that name a row to people: its series by name, then its key."""
    series = [name for name in ("symbol", "provider", "interval") if name in (row or {})]
    return series + [name for name in view.key if name != "stream_id"]


async def compare(
    view: ComparedView,
    ours: AsyncIterator[Row],
    theirs: AsyncIterator[Row],
    judge: Callable[[ComparedView, Row | None, Row | None], Verdict],
) -> Compared:
    """Match the rows of two sides, each in the order of the view's key, and have each pair judged."""
    done = Compared(view=view)
    row, other = await anext(ours, None), await anext(theirs, None)
    while row is not None or other is not None:
        at, place = _key(view, row), _key(view, other)
        pair = (
            None if at is None or (place is not None and place < at) else row,
            None if place is None or (at is not None and at < place) else other,
        )
        verdict = judge(view, *pair)
        if verdict == "same":
            done.same += 1
        elif verdict == "unsettled":
            done.unsettled += 1
        else:
            done.different += 1
            if len(done.first) < SHOWN:
                done.first.append(pair)
        row = row if pair[0] is None else await anext(ours, None)
        other = other if pair[1] is None else await anext(theirs, None)
    return done


def _key(view: ComparedView, row: Row | None) -> tuple[Any, ...] | None:
    return None if row is None else tuple([row[name] for name in view.key])


@asynccontextmanager
async def snapshot(dsn: str) -> AsyncIterator[Connection]:
    """Open one state of a database, for as long as it takes; raises like a session, and StoreUnavailable where it goes away."""
    async with session.open_connection(dsn, service="verify") as connection:
        try:
            await connection.execute(UNHURRIED)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield connection
        except Exception as error:
            if is_unavailable(error, closed=connection.is_closed()):
                raise not_now(error) from error
            raise


async def rows_of(connection: Connection, view: ComparedView) -> AsyncIterator[Row]:
    """Yield all rows of a view in the order of its key, a block at a time; that a gap is being filled no topic says."""
    statement = f"SELECT * FROM {view.name} ORDER BY {', '.join(view.key)}"  # noqa: S608 - names of VIEWS
    async for record in connection.cursor(statement, prefetch=PREFETCH_ROWS):
        row = dict(record)
        if row.get("state") == "filling":
            row["state"] = "open"
        yield row


async def watermarks(connection: Connection) -> dict[TopicPartition, int]:
    """Return up to which moment, µs, everything of each canonical partition is stored."""
    rows = await connection.fetch(WATERMARKS)
    return {TopicPartition(row["topic"], row["partition"]): row["complete_before"] for row in rows}


async def floors(connection: Connection) -> dict[str, int]:
    """Return by stream the moment, µs, before which rows are no longer kept."""
    return {row["kind"]: row["floor"] for row in await connection.fetch(FLOORS)}

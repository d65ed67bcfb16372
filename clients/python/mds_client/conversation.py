"""A client's side of the conversation, without a network: what it asks for, and the meaning of what it hears."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from mds_client.chain import Chain
from mds_client.events import Event, Gap, Greeks, Problem, Record, Recovered, Refusal, Slow, Snapshot, State

Position = tuple[str, int]
"""(epoch, offset): up to where a stream is whole."""


class Mismatch(Exception):
    """The server counts other subscriptions than we do: the connection is begun anew."""

    def __init__(self, held: int, told: int) -> None:
        super().__init__(f"{held} streams are subscribed by what was answered, the server counts {told}")


class Conversation:
    """The streams wanted, up to where each is whole, and what the server called them on this connection."""

    def __init__(self, resume: Mapping[str, Position] | None, on_gap: Callable[[Gap], None] | None) -> None:
        """Begin at positions kept from an earlier run; `on_gap` is told of every gap."""
        self._wanted: dict[str, dict[str, Any]] = {}
        self._chains = {stream: Chain(*position) for stream, position in (resume or {}).items()}
        self._names: dict[int, str] = {}
        # Of snapshots whose last part has not come, by subscription: what they are valid at, and their records so far.
        self._parts: dict[int, tuple[int, list[Mapping[str, Any]]]] = {}
        self._on_gap = on_gap
        self._asked: dict[int, tuple[str, ...]] = {}  # commands without an answer yet, by id
        self._last_id = 0
        self._open: set[str] = set()  # asked for on this connection, or subscribed
        self.refused: set[str] = set()  # for now: to be asked for again
        self.ask_again_s: float | None = None  # when, where commands came too fast
        self.retry_after_s = 0.0  # as the server wished before it let go

    @property
    def wanted(self) -> tuple[str, ...]:
        """Every stream asked for."""
        return tuple(self._wanted)

    def want(
        self, stream: str, *, conflate: str | None = None, start: Any = None, greeks: bool | None = None
    ) -> None:
        """Want a stream; `start` is the protocol's `from` for the first time."""
        mode = None if conflate is None else {"mode": conflate}
        self._wanted[stream] = {"from": start, "conflate": mode, "greeks": greeks}

    def begin(self) -> None:
        """Forget the names of the last connection: nothing is asked for yet."""
        self._names, self._parts, self._asked, self._open = {}, {}, {}, set()
        self.ask_again_s = None

    def due(self) -> tuple[str, ...]:
        """Return the streams that are wanted and not asked for on this connection."""
        return tuple(stream for stream in self._wanted if stream not in self._open)

    def ask(self, streams: tuple[str, ...]) -> dict[str, Any]:
        """Return the command that asks for `streams`, with an id of its own."""
        self._last_id += 1
        self._asked[self._last_id] = streams
        self._open.update(streams)
        self.refused -= set(streams)
        items = [self.item(stream) for stream in streams]
        return {"t": "subscribe", "id": self._last_id, "items": items}

    def leave(self, streams: Iterable[str]) -> dict[str, Any]:
        """Want these streams no more, and return the command that says so."""
        gone = set(streams)
        for stream in gone:
            self._wanted.pop(stream, None)
            self._chains.pop(stream, None)
        self._open -= gone
        self.refused -= gone
        self._last_id += 1
        return {"t": "unsubscribe", "id": self._last_id, "streams": sorted(gone)}

    def ask_refused_again(self) -> None:
        """Count the streams that were refused for now among those to be asked for."""
        self._open -= self.refused

    def positions(self) -> dict[str, Position]:
        """Return up to where each stream is whole and dealt with."""
        return {stream: (chain.epoch, chain.covered) for stream, chain in self._chains.items()}

    def item(self, stream: str) -> dict[str, Any]:
        """Return how a stream is asked for: from its position where it has one."""
        item = {"stream": stream, **self._wanted[stream]}
        if chain := self._chains.get(stream):
            item["from"] = {"epoch": chain.epoch, "offset": chain.covered}
        return {name: value for name, value in item.items() if value is not None}

    def take(self, message: Mapping[str, Any]) -> Iterator[Event]:
        """Yield what a message says; a position moves as the next event is asked for. Raises Hole."""
        take = self._KINDS.get(message["t"])
        if take is not None:  # a newer server still serves an older client
            yield from take(self, message)

    def _take_subscribed(self, message: Mapping[str, Any]) -> Iterator[Event]:
        self._asked.pop(message.get("id", 0), None)
        yield from self._take_results(message["results"])
        if message.get("total", len(self._names)) != len(self._names):
            raise Mismatch(len(self._names), message["total"])

    def _take_unsubscribed(self, message: Mapping[str, Any]) -> Iterator[Event]:
        for sub in message["subs"]:
            self._names.pop(sub, None)
            self._parts.pop(sub, None)
        return iter(())

    def _take_heartbeat(self, message: Mapping[str, Any]) -> Iterator[Event]:
        for sub, offset, *_ in message["subs"]:
            if chain := self._chains.get(self._names.get(sub, "")):
                chain.settle(offset)
        return iter(())

    def _take_state(self, message: Mapping[str, Any]) -> Iterator[Event]:
        streams = [self._names[sub] for sub in message.get("subs", ()) if sub in self._names]
        yield State(streams=streams, code=message["code"], data=message["data"], fields=message)

    def _take_farewell(self, message: Mapping[str, Any]) -> Iterator[Event]:
        self.retry_after_s = message.get("retry_after_ms", 0) / 1_000
        return iter(())

    def _take_snapshot(self, message: Mapping[str, Any]) -> Iterator[Event]:
        stream = self._names.get(message["sub"])
        if stream is None:
            return  # of a stream that is left
        sub, offset = message["sub"], message["offset"]
        begun_at, begun = self._parts.pop(sub, (offset, []))
        records = [*(begun if begun_at == offset else ()), *(record for _, record in message["data"])]
        if not message.get("last", True):
            self._parts[sub] = offset, records
            self._chains.pop(stream, None)  # whoever is cut off now has all of it sent again
            return
        yield Snapshot(stream=stream, offset=offset, records=records, reason=message["reason"])
        self._chains[stream] = Chain(message["epoch"], offset)  # only now, as with a record

    def _take_recovered(self, message: Mapping[str, Any]) -> Iterator[Event]:
        stream = self._names.get(message["sub"])
        if stream is None:
            return
        if message["ok"]:
            self._chains[stream].settle(message["to"])
        given = {name: message[name] for name in ("count", "source", "reason") if name in message}
        yield Recovered(stream=stream, ok=message["ok"], **given)

    def _take_notice(self, message: Mapping[str, Any]) -> Iterator[Event]:
        stream = self._names.get(message["sub"])
        if stream is None:
            return
        if message["t"] == "slow":
            yield Slow(stream=stream, action=message["action"], fields=message)
            return
        gap = Gap(stream=stream, fields=message)
        if self._on_gap is not None:
            self._on_gap(gap)
        yield gap

    def _take_error(self, message: Mapping[str, Any]) -> Iterator[Event]:
        streams = self._asked.pop(message.get("id", 0), ())
        if message["slug"] == "rate_limited" and streams:
            self._open -= set(streams)
            self.ask_again_s = max(self.ask_again_s or 0.0, message.get("retry_after_ms", 0) / 1_000)
            return
        told = {name: message[name] for name in ("code", "slug", "message", "temporary")}
        yield Problem(streams=streams, **told)

    def _take_data(self, message: Mapping[str, Any]) -> Iterator[Event]:
        stream = self._names.get(message["sub"])
        if stream is None:
            return
        chain = self._chains[stream]
        conflated = message.get("conf", {}).get("n", 0)
        for offset, fields in chain.fresh(message["prev"], message["m"]):
            yield Record(stream=stream, offset=offset, fields=fields, conflated=conflated)
            chain.settle(offset)  # only now: a loop that dies inside the record gets it again

    def _take_greeks(self, message: Mapping[str, Any]) -> Iterator[Event]:
        stream = self._names.get(message["sub"])
        if stream is not None:
            for offset, fields in message["m"]:
                yield Greeks(stream=stream, offset=offset, fields=fields)

    def _take_results(self, results: list[Mapping[str, Any]]) -> Iterator[Event]:
        for result in results:
            stream = result["stream"]
            if result["ok"]:
                self._names[result["sub"]] = stream
                held = self._chains.get(stream)
                if held is None:
                    self._chains[stream] = Chain(result["epoch"], result["offset"])
            else:
                problem = result["error"]
                if problem["temporary"]:
                    self.refused.add(stream)
                yield Refusal(
                    stream=stream,
                    code=problem["code"],
                    message=problem["message"],
                    temporary=problem["temporary"],
                )

    _KINDS: ClassVar[Mapping[str, Callable[[Conversation, Mapping[str, Any]], Iterator[Event]]]] = {
        "d": _take_data,
        "greeks": _take_greeks,
        "subscribed": _take_subscribed,
        "unsubscribed": _take_unsubscribed,
        "error": _take_error,
        "hb": _take_heartbeat,
        "snapshot": _take_snapshot,
        "recovered": _take_recovered,
        "gap": _take_notice,
        "gap_fill": _take_notice,
        "slow": _take_notice,
        "state": _take_state,
        "disconnect": _take_farewell,
    }

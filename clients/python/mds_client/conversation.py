"""A client's side of the conversation, without a network: what it asks for, and the meaning of what it hears."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mds_client.chain import Chain
from mds_client.events import Event, Gap, Record, Recovered, Refusal, Snapshot, State

Position = tuple[str, int]
"""(epoch, offset): up to where a stream is whole."""


class Conversation:
    """The streams wanted, up to where each is whole, and what the server called them on this connection."""

    def __init__(self, resume: Mapping[str, Position] | None, on_gap: Callable[[Gap], None] | None) -> None:
        """Begin at positions kept from an earlier run; `on_gap` is told of every gap."""
        self._wanted: dict[str, dict[str, Any]] = {}
        self._chains = {stream: Chain(*position) for stream, position in (resume or {}).items()}
        self._names: dict[int, str] = {}
        self._on_gap = on_gap
        self.refused: set[str] = set()  # for now: to be asked for again
        self.retry_after_s = 0.0  # as the server wished before it let go

    @property
    def wanted(self) -> tuple[str, ...]:
        """Every stream asked for."""
        return tuple(self._wanted)

    def want(self, stream: str, *, conflate: str | None = None, start: Any = None) -> None:
        """Want a stream; `start` is the protocol's `from` for the first time."""
        mode = None if conflate is None else {"mode": conflate}
        self._wanted[stream] = {"from": start, "conflate": mode}

    def begin(self) -> None:
        """Forget the names of the last connection."""
        self._names = {}

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
        kind = message["t"]
        if kind == "d":
            yield from self._take_data(message)
        elif kind == "subscribed":
            yield from self._take_results(message["results"])
        elif kind == "hb":
            for sub, offset in message["subs"]:
                self._chains[self._names[sub]].settle(offset)
        elif kind == "snapshot":
            stream = self._names[message["sub"]]
            self._chains[stream] = Chain(message["epoch"], message["offset"])
            records = [record for _, record in message["data"]]
            yield Snapshot(stream=stream, offset=message["offset"], records=records, reason=message["reason"])
        elif kind == "recovered":
            stream = self._names[message["sub"]]
            if message["ok"]:
                self._chains[stream].settle(message["to"])
            names = ("count", "source", "reason")
            given = {name: message[name] for name in names if name in message}
            yield Recovered(stream=stream, ok=message["ok"], **given)
        elif kind in ("gap", "gap_fill"):
            gap = Gap(stream=self._names[message["sub"]], fields=message)
            if self._on_gap is not None:
                self._on_gap(gap)
            yield gap
        elif kind == "state":
            streams = [self._names[sub] for sub in message.get("subs", ()) if sub in self._names]
            yield State(streams=streams, code=message["code"], data=message["data"], fields=message)
        elif kind == "disconnect":
            self.retry_after_s = message.get("retry_after_ms", 0) / 1_000

    def _take_data(self, message: Mapping[str, Any]) -> Iterator[Event]:
        stream = self._names.get(message["sub"])
        if stream is None:
            return
        chain = self._chains[stream]
        conflated = message.get("conf", {}).get("n", 0)
        for offset, fields in chain.fresh(message["prev"], message["m"]):
            yield Record(stream=stream, offset=offset, fields=fields, conflated=conflated)
            chain.settle(offset)  # only now: a loop that dies inside the record gets it again

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

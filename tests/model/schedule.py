"""One seeded schedule: who takes a step, who crashes, freezes, wakes or hands over; then everybody finishes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from schemas.errors import Fenced, StoreOverrun
from schemas.records import Gap
from schemas.streams import OPTION_STREAM, STREAMS
from schemas.topics import DEFAULT_PARTITIONS, EVIDENCE, GAPS, PROGRESS, STATE, canonical_of
from sinks.batch.cutting import BatchLimit
from stream_processors.replay import replay
from tests.model.asking import answers
from tests.model.broker import Broker, RawPartition, fields_of
from tests.model.database import Database
from tests.model.entry_answers import EntryReader
from tests.model.market import Market, Raw, Weather
from tests.model.oracle import has_entries
from tests.model.processor import IDLE, Steps, processor, writer_of
from tests.model.sink import Sink

# Slices of chains are entries like others; how they are asked for is no part of the model.
MODELLED = tuple(stream.raw_topic for stream in STREAMS if stream is not OPTION_STREAM)
STEPS_A_BLOCK = 7
MAX_STEPS_TO_FINISH = 2_000
MAX_STEPS_TO_HAND_OVER = 12
STEPS_AFTER_THE_LAST_RECORD = 7  # of the sink: a batch and a half
SINK_SHARE = 0.3  # of all steps
SINK = "sink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What may happen, as chances a step, and how much an actor remembers."""

    name: str
    partitions: int = 1  # raw partitions processed side by side into shared topics
    topics: tuple[str, ...] = ()  # one of these, where only one is to be processed
    blocks: int = 7  # of all raw partitions together
    crash: float = 0.0
    freeze: float = 0.0
    wake: float = 0.1
    notice: float = 0.3  # that somebody is gone, and has a successor now
    hand_over: float = 0.01
    compact: float = 0.0
    rewind: float = 0.0  # an operator sets the sink's positions back
    truncate: float = 0.0  # the raw log loses its beginning, processed or not
    halving: float = 0.0  # a transaction of the sink asks for less
    overrun: float = 0.0  # ... or takes too long: it is taken over, and what it may hold is halved
    ask: float = 0.05  # the ledger as of the sink's watermark
    weather: Weather = field(default_factory=Weather)
    remembers_all: bool = True  # whether the processor's memory of contents is longer than the schedule


@dataclass(slots=True)
class Actor:
    """A running owner, or one that no longer is and does not know."""

    role: str
    steps: Steps
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The ledger of a raw topic's series as of a moment (µs) at which the sink claimed to know all before."""

    topic: str
    moment: int
    answers: Mapping[str, Sequence[Gap]]


class Schedule:
    """Plays one schedule; afterwards the log and the database are what every reader sees."""

    def __init__(self, faults: Faults, random: Random, raw: Mapping[str, Sequence[Raw]]) -> None:
        self.faults, self.random = faults, random
        self.raw = {topic: RawPartition(topic=topic, records=records) for topic, records in raw.items()}
        self.broker, self.database = Broker(), Database()
        self.trace: list[str] = []
        self.asked: list[Asked] = []
        self.readers: list[EntryReader] = []
        self.plays: dict[str, tuple[int, int]] = {}  # from and to (µs), by raw topic
        self._limit = BatchLimit()
        self._owners: dict[str, Actor] = {}
        self._frozen: list[Actor] = []
        self._zombies: list[Actor] = []
        self._sinks: list[Sink] = []

    def play(self) -> None:
        """Let everything happen, then let everybody finish; raise AssertionError where they do not."""
        for role in (SINK, *self.raw):
            self._start(role)
        for _ in range(self.faults.blocks * STEPS_A_BLOCK):
            self._happen()
        self._finish()

    def replay(self) -> None:
        """Let the replay's own code write the log, and a sink store it; raise AssertionError where it does not rest."""
        for topic, partition in self.raw.items():
            for made in replay((entry.record for entry in partition.records), DEFAULT_PARTITIONS):
                self.broker.publish(made.topic, [(made.key, made.value)], writer=writer_of(topic))
        self._start(SINK)
        self._sinks[-1].hurry()
        self._until(self._all_stored, [SINK])

    def _happen(self) -> None:
        random, faults = self.random, self.faults
        for partition in self.raw.values():
            partition.appended = min(
                partition.appended + (random.random() < 0.25), len(partition.records) - 1
            )
        vacant = [role for role in (SINK, *self.raw) if role not in self._owners]
        if vacant and (random.random() < faults.notice or len(vacant) > len(self.raw)):
            self._start(random.choice(vacant))
        roll = random.random()
        for chance, what in (
            (faults.crash, self._crash),
            (faults.freeze, self._freeze),
            (faults.hand_over, self._hand_over),
            (faults.compact, self._compact),
            (faults.rewind, self._rewind),
            (faults.truncate, self._truncate),
            (faults.wake if self._frozen else 0.0, self._wake),
        ):
            if roll < chance:
                what(self._someone())
                return
            roll -= chance
        self._step(self._zombies[-1] if self._zombies and roll < 0.2 else self._owners[self._someone()])

    def _someone(self) -> str:
        if SINK in self._owners and (self.random.random() < SINK_SHARE or len(self._owners) == 1):
            return SINK
        return self.random.choice([role for role in self._owners if role != SINK])

    def _start(self, role: str) -> None:
        if role == SINK:
            topics = [*map(canonical_of, self.raw), EVIDENCE, PROGRESS]
            sink = Sink(
                self.broker, self.database, topics, self.random, self._limit,
                halving=self.faults.halving, overrun=self.faults.overrun,
            )  # fmt: skip
            self._sinks.append(sink)
            self._owners[role] = Actor(role, sink.run())
        else:
            steps = processor(self.broker, self.raw[role], self.random)
            self._owners[role] = Actor(role, steps)
        self.trace.append(f"{role} starts")

    def _step(self, actor: Actor) -> None:
        try:
            actor.label = next(actor.steps)
            self.trace.append(f"{actor.role} {actor.label}")
            if actor.role == SINK and self.random.random() < self.faults.ask:
                self._ask()
        except (Fenced, StoreOverrun) as error:
            self.trace.append(f"{actor.role} ends: {error}")
            if self._owners.get(actor.role) is actor:  # by one that froze before it took over, and woke
                self._start(actor.role)
            else:
                self._zombies.remove(actor)

    def _ask(self) -> None:
        for reader in self.readers:
            reader.turn(self.database)
        for topic in self.raw:
            complete = self.database.watermarks.get(canonical_of(topic))
            if complete is not None:
                found = answers(self.database, canonical_of(topic), complete - 1)
                self.asked.append(Asked(topic=topic, moment=complete - 1, answers=found))
                if has_entries(topic):
                    self.readers.append(EntryReader(self.random, self.database, topic, complete - 1))

    def _crash(self, role: str) -> None:
        """Let one owner die, or all of the raw partitions at once: one process may own several."""
        dying = [role]
        if role != SINK and self.random.random() < 0.5:
            dying = [other for other in self._owners if other != SINK]
        for each in dying:
            self.trace.append(f"{each} crashes after {self._owners.pop(each).label}")

    def _freeze(self, role: str) -> None:
        self._frozen.append(self._owners.pop(role))
        self.trace.append(f"{role} freezes after {self._frozen[-1].label}")

    def _wake(self, _: str) -> None:
        actor = self._frozen.pop(self.random.randrange(len(self._frozen)))
        self.trace.append(f"{actor.role} wakes after {actor.label}")
        self._zombies.append(actor)

    def _hand_over(self, role: str) -> None:
        for _ in range(MAX_STEPS_TO_HAND_OVER):
            if self._owners[role].label != IDLE:
                self._step(self._owners[role])
        self.trace.append(f"{role} hands over")
        self._start(role)

    def _compact(self, _: str) -> None:
        self.broker.compact(PROGRESS)
        self.broker.compact(GAPS)
        self.broker.compact(STATE)
        self.trace.append("compaction")

    def _rewind(self, _: str) -> None:
        positions = self.database.positions
        for topic, position in positions.items():
            positions[topic] = self.random.randint(0, position)
        self.trace.append(f"rewound to {positions}")
        self._start(SINK)

    def _truncate(self, _: str) -> None:
        raw = self.random.choice(list(self.raw.values()))
        there = [entry.record.offset for entry in raw.records[: raw.appended]]
        if there:
            raw.low = max(raw.low, self.random.choice(there) + self.random.randint(0, 1))
            self.trace.append(f"{raw.topic} begins at {raw.low}")

    def _finish(self) -> None:
        while self._frozen:
            self._wake(SINK)
        for role in [role for role in (SINK, *self.raw) if role not in self._owners]:
            self._start(role)
        for left in (
            1,
            0,
        ):  # the last comes when all is quiet, as ticks do: so it claims all that was before it
            for partition in self.raw.values():
                partition.appended = len(partition.records) - left
            self._until(self._all_processed, list(self.raw))
        if self.faults.crash:  # nothing follows that could repair what a sink forgets now
            for _ in range(STEPS_AFTER_THE_LAST_RECORD):
                self._step(self._owners[SINK])
            self._start(SINK)
        for sink in self._sinks:
            sink.hurry()
        self._until(self._all_stored, [SINK])

    def _until(self, done: Callable[[], bool], roles: Sequence[str]) -> None:
        for _ in range(MAX_STEPS_TO_FINISH):
            if done():
                return
            for actor in (*self._zombies, *(self._owners[role] for role in roles)):
                self._step(actor)
        raise AssertionError(f"{roles} did not come to rest")

    def _all_stored(self) -> bool:
        return self._owners[SINK].label == IDLE and self._sinks[-1].done

    def _all_processed(self) -> bool:
        if any(self._owners[role].label != IDLE for role in self.raw):
            return False
        newest = {entry.name: fields_of(PROGRESS, entry.data) for entry in self.broker.read(PROGRESS, 0)}
        done = {fields["raw_topic"]: fields["raw_offset"] for fields in newest.values()}
        waiting = {topic: raw.after(done.get(topic, -1) + 1) for topic, raw in self.raw.items()}
        return not any(waiting.values())


def scheduled(faults: Faults, seed: int) -> Schedule:
    """Return the schedule of a seed, with a market of its own, ready to be played."""
    random = Random(f"{faults.name} {seed}")
    topics = random.sample(MODELLED, faults.partitions)
    if faults.topics:
        topics = [random.choice(faults.topics)]
    each = faults.blocks // faults.partitions
    markets = {topic: Market(random, topic, faults.weather) for topic in topics}
    schedule = Schedule(faults, random, {topic: market.raw(each) for topic, market in markets.items()})
    schedule.plays = {topic: (market.low, market.high) for topic, market in markets.items()}
    return schedule


def replayed(schedule: Schedule) -> Schedule:
    """Return the same raw records replayed, without any fault, into an empty log and database."""
    raw = {topic: partition.records for topic, partition in schedule.raw.items()}
    target = Schedule(Faults(name="replay"), Random(0), raw)
    target.plays = schedule.plays
    target.replay()
    return target

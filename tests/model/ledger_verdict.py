"""What must hold of evidence, gaps and coverage after a schedule, whatever happened in it."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.identity import stream_text
from schemas.records import Gap
from schemas.streams import BY_RAW_TOPIC, StreamId
from schemas.topics import EVIDENCE, GAPS, canonical_of
from tests.model.asking import answers
from tests.model.broker import Broker, fields_of
from tests.model.completeness import (
    INFERRED,
    MISSING_BARS,
    Completeness,
    Label,
    bits,
    ledger,
    running,
    slot_of,
)
from tests.model.database import Database, streams_of
from tests.model.market import Series
from tests.model.processor import writer_of
from tests.model.schedule import Asked
from tests.model.venues import expected, session_bars

FOR_EVER = 1 << 62


def series_of(found: Completeness) -> list[Series]:
    """Return the series proper: not what is told of a partition as a whole."""
    return [series for series in found.lines if series[1]]


def stream_id(topic: str, series: Series) -> StreamId:
    """Return the id of a series of a raw topic."""
    provider, symbol, interval = series
    return StreamId(BY_RAW_TOPIC[topic].name, interval, provider, symbol)


def _stream(topic: str, series: Series) -> str:
    return stream_text(stream_id(topic, series)) if series[1] else series[0]


def check_evidence(broker: Broker, found: Completeness) -> None:
    """The processor told everything once, numbered in each block."""
    told, index = [], dict[int, int]()
    for entry in broker.read(EVIDENCE, 0):
        if entry.writer != writer_of(found.topic):
            continue
        each = fields_of(EVIDENCE, entry.data)
        assert each["index"] == index.get(each["raw_offset"], 0), f"{each} is out of order"
        index[each["raw_offset"]] = each["index"] + 1
        names = ("kind", "stream", "from_time", "to_time", "cause", "expected", "known_from", "raw_offset")
        told.append(tuple(each[name] for name in names))
    wanted = [
        (t.kind, _stream(found.topic, t.series), t.from_time, t.to_time, t.cause, t.expected, t.known_from, t.raw_offset)
        for t in found.told
    ]  # fmt: skip
    key = lambda each: (each[-1], repr(each))  # noqa: E731
    assert sorted(told, key=key) == sorted(wanted, key=key), (
        f"evidence {sorted(set(told) - set(wanted), key=key)}, not {sorted(set(wanted) - set(told), key=key)}"
    )


def evidence_of(found: Completeness) -> set[tuple[str, int, int, int]]:
    """Return what is kept of evidence: stream, from, since when it is known, and from which record."""
    return {
        (_stream(found.topic, each.series), each.from_time, each.known_from, each.raw_offset)
        for each in found.told
        if each.kind != "absent"
    }


def labels_of(series: Series, gaps: Iterable[Gap], low: int, high: int) -> dict[int, Label]:
    """Return what gaps in [low, high) say, bar by bar; raise where one is not told exactly, or twice."""
    labels: dict[int, Label] = {}
    bars = expected(series[1], series[2], low, high) if series[2] else ()
    for gap in gaps:
        if not series[2]:
            labels[gap.from_time] = (gap.cause, gap.state, gap.to_time)
            continue
        slots = [bar.slot for bar in bars if gap.from_time <= bar.slot < gap.to_time]
        assert slots and slots[0] == gap.from_time, f"{gap} does not begin with a bar"
        assert len(slots) == gap.expected, f"{gap} holds {len(slots)} bars"
        assert gap.confidence == ("inferred" if gap.cause in INFERRED else "proven"), f"{gap}"
        for slot in slots:
            assert slot not in labels, f"the ledger has {slot} of {series} twice"
            labels[slot] = (gap.cause, gap.state, gap.generation)
    return labels


def _check(found: Completeness, series: Series, gaps: Iterable[Gap], moment: int, *, blind: bool) -> None:
    labels, wanted = (
        labels_of(series, gaps, found.low, found.high),
        ledger(series, found.lines[series], moment),
    )
    if blind:
        wanted = {slot: label for slot, label in wanted.items() if label[0] != MISSING_BARS}
    assert labels == wanted, (
        f"ledger differs of {series} at {moment}: {sorted(labels.items() ^ wanted.items())}"
    )


def check_gaps(database: Database, found: Completeness) -> None:
    """The gaps that are kept are the blind stretches, each bar once and in its true state."""
    for series in series_of(found):
        gaps = database.gaps.get(_stream(found.topic, series), {}).values()
        _check(found, series, gaps, FOR_EVER, blind=True)
    told = [t for t in found.told if not t.series[1]]
    parts = [g for s, gaps in database.gaps.items() if s == f"{found.topic}/0" for g in gaps.values()]
    assert {(g.from_time, g.cause) for g in parts} <= {(t.from_time, t.cause) for t in told}, (
        f"{parts}, not {told}"
    )
    assert bool(parts) == bool(told), f"truncation is told by {parts}, not {told}"


def check_coverage(database: Database, found: Completeness) -> None:
    """The bits that are kept are the bars that are absent or do not exist; what is told live is what follows of it."""
    for series in series_of(found):
        if not series[2]:
            continue
        line = found.lines[series]
        absent, empty = bits(line)
        kept: tuple[set[int], set[int]] = (set(), set())
        for start, row in database.coverage.get(stream_id(found.topic, series), {}).items():
            slots = [bar.slot for bar in session_bars(series[1], series[2], start)]
            assert len(slots) == row.expected, f"{row} of {series} expects {len(slots)}"
            for number in range(max(row.absent.bit_length(), row.empty.bit_length())):
                for place, each in enumerate((row.absent, row.empty)):
                    if each >> number & 1:
                        kept[place].add(slots[number])
        assert kept == (absent, empty), f"coverage of {series} differs: {kept[0] ^ absent}, {kept[1] ^ empty}"
        follows = ledger(series, line, FOR_EVER)
        blind = {slot for each in line.said if each.kind == "blind" for slot in each.slots}
        unsaid = {slot for e in line.said if e.kind == "collected" and not e.cause for slot in e.slots}
        # A bar may be told absent while clocks differ, and is no bit then. One that says nothing new is no row,
        # though it may be the newest that was judged.
        horizon = max((start for _, start in line.live), default=0)
        absent = {slot for slot in absent if slot < slot_of(series, horizon)}
        unsaid |= running(line)
        # What is given up does not come either: it stays absent.
        given_up = (MISSING_BARS, "unrecoverable", 0)
        open_ones = {
            slot for slot, label in follows.items() if label in ((MISSING_BARS, "open", 0), given_up)
        }
        assert open_ones - unsaid == absent - blind - unsaid, (
            f"what is told of {series} is not what follows: {(open_ones ^ (absent - blind)) - unsaid}"
        )


def check_answers(database: Database, asked: Iterable[Asked], found: Completeness) -> None:
    """The ledger as of a moment is to the byte what it was when it was asked then, and what the oracle says."""
    canonical = canonical_of(found.topic)
    for each in asked:
        again = answers(database, canonical, each.moment)
        then = {stream: list(gaps) for stream, gaps in each.answers.items() if gaps}
        now = {stream: gaps for stream, gaps in again.items() if gaps}
        assert repr(sorted(then.items())) == repr(sorted(now.items())), (
            f"the ledger as of {each.moment} was {then}, and is {now}"
        )
        for series in series_of(found):
            _check(found, series, again.get(_stream(found.topic, series), []), each.moment, blind=False)
    final = answers(database, canonical, FOR_EVER)
    for series in series_of(found):
        _check(found, series, final.get(_stream(found.topic, series), []), FOR_EVER, blind=False)


def check_same_ledger(database: Database, other: Database, topic: str) -> None:
    """Two databases keep the same evidence, gaps and coverage."""
    canonical = canonical_of(topic)
    for stream in streams_of({**database.evidence, **other.evidence}, canonical):
        told = [each.get(stream) or {} for each in (database.evidence, other.evidence)]
        assert told[0] == told[1], f"a replay gives other evidence of {stream}"
        gaps = [each.get(stream) or {} for each in (database.gaps, other.gaps)]
        assert gaps[0] == gaps[1], f"a replay gives other gaps of {stream}"
    name = canonical.partition(".")[0]
    covered = [
        {key: rows for key, rows in each.coverage.items() if rows and key.name == name}
        for each in (database, other)
    ]
    assert covered[0] == covered[1], "a replay gives another coverage"


def check_words(broker: Broker, database: Database, topic: str) -> None:
    """The last word on each gap is its row; where there is none any more, that it is settled, and of nothing that is not."""
    name = canonical_of(topic).partition(".")[0]
    words = {entry.name: fields_of(GAPS, entry.data) for entry in broker.read(GAPS, 0)}
    rows = {
        gap.gap_id: gap
        for s in streams_of(database.gaps, canonical_of(topic))
        for gap in database.gaps[s].values()
    }
    for gap_id in rows:
        assert gap_id.encode() in words, f"{gap_id} was never announced"
    for word in words.values():
        if not word["stream"].startswith(name):
            continue
        row = rows.get(word["gap_id"])
        if row is not None:
            assert all(word[each] == getattr(row, each) for each in word), (
                f"the last word is {word}, not {row}"
            )
            continue
        same = ("stream", "raw_offset", "index", "generation")
        left = [
            g for g in rows.values()
            if g.state == "open" and all(word[each] == getattr(g, each) for each in same)
            and g.from_time < word["to_time"] and word["from_time"] < g.to_time
        ]  # fmt: skip
        assert word["state"] != "open", f"{word} was the last word, and there is no such gap"
        assert not left, f"{word} says more than is settled, {left} is open"

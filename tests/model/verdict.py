"""What must hold after a schedule, whatever happened in it; each check raises AssertionError saying what does not."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from schemas.records import Gap
from schemas.topics import GAPS, PROGRESS, RAW_BARS, canonical_of, dead
from stream_processors.block import STAGE
from tests.model.broker import Broker, fields_of
from tests.model.database import Database, version_of
from tests.model.market import Raw, minute_of
from tests.model.oracle import FoundGap, Key, Label, Oracle, Place
from tests.model.processor import writer_of
from tests.model.schedule import Schedule

Known = tuple[Key, Hashable, int]  # key, content, known_from


def foretell(topic: str, raw: Sequence[Raw]) -> Oracle:
    """Return what these raw records must become."""
    oracle = Oracle()
    for entry in raw:
        oracle.take(topic, entry)
    return oracle


def check_canonical(broker: Broker, topic: str, oracle: Oracle) -> None:
    """Every version is in the canonical log, no raw position twice, all in raw order; extras are true repeats."""
    written = [version_of(canonical_of(topic), entry.data) for entry in broker.read(canonical_of(topic), 0)]
    places = [version.place for version in written]
    assert places == sorted(set(places)), f"out of order, or twice: {places}"
    missing = set(oracle.versions) - set(places)
    assert not missing, f"versions lost: {missing}"
    for version in written:
        said = (version.key, version.content, version.known_from)
        assert said == oracle.events[version.place], f"{version} is not {oracle.events[version.place]}"


def check_once(broker: Broker, clean: Broker, topic: str) -> None:
    """Canonical records and gaps are those of a run without faults, bytes and order included."""
    for written in (canonical_of(topic), GAPS):
        values = [_own(broker, written, topic), _own(clean, written, topic)]
        assert values[0] == values[1], (
            f"{written} has {len(values[0])} records, without faults {len(values[1])}"
        )


def _own(broker: Broker, written: str, topic: str) -> list[bytes | None]:
    return [entry.data for entry in broker.read(written, 0) if entry.writer == writer_of(topic)]


def check_dead_letters(broker: Broker, topic: str, oracle: Oracle) -> None:
    """Every unusable record and event is dead-lettered exactly once, in raw order."""
    letters = (fields_of(dead(topic), entry.data) for entry in broker.read(dead(topic), 0))
    places = [(letter["offset"], letter["index"]) for letter in letters]
    assert places == oracle.dead, f"dead letters {places}, not {oracle.dead}"


def check_progress(broker: Broker, topic: str, oracle: Oracle) -> None:
    """Progress moves forward only, and what it claims to lie below an end offset does."""
    at = {version_of(canonical_of(topic), e.data).place: e.place for e in broker.read(canonical_of(topic), 0)}
    newest = -1
    for entry in broker.read(PROGRESS, 0):
        claim = fields_of(PROGRESS, entry.data)
        if claim["raw_topic"] != topic:
            continue
        assert claim["raw_offset"] > newest, f"progress went back to {claim}"
        newest, before = claim["raw_offset"], claim["complete_before"]
        end = claim["canonical_end_offset"]
        late = [p for p in oracle.versions if oracle.events[p][2] < before and at.get(p, end) >= end]
        assert not late, f"{claim} claims what is not there yet: {late}"


def check_rows(database: Database, topic: str, oracle: Oracle) -> None:
    """The database holds exactly the versions that are final, with position, content and knowledge time."""
    stored = {v.place: (v.key, v.content, v.known_from) for v in database.rows[canonical_of(topic)].values()}
    expected: dict[Place, Known] = {place: oracle.events[place] for place in oracle.kept}
    assert stored == expected, f"rows {sorted(stored)}, not {sorted(expected)}"


def check_watermark(database: Database, topic: str, oracle: Oracle) -> None:
    """It reaches the end, never went back, and no answer below it ever changed: all its rows were there."""
    canonical, before = canonical_of(topic), 0
    for _, moment, known in (entry for entry in database.published if entry[0] == canonical):
        assert moment >= before, f"the watermark went back from {before} to {moment}"
        before = moment
        true = {place for place in oracle.kept if oracle.events[place][2] < moment}
        assert known == true, f"at watermark {moment} rows were {sorted(known)}, in the end {sorted(true)}"
    assert before >= oracle.known_from, "the watermark stopped before the end"


def check_gap_records(broker: Broker, topic: str, oracle: Oracle) -> None:
    """The processor found every gap once."""
    found = []
    for value in _own(broker, GAPS, topic):
        fields = fields_of(GAPS, value)
        found.append(FoundGap(**{name: fields[name] for name in FoundGap.__slots__}))
    key = lambda gap: (gap.raw_offset, gap.provider, gap.symbol, gap.from_time)  # noqa: E731
    assert sorted(found, key=key) == sorted(oracle.gaps, key=key), f"gaps {found}, not {oracle.gaps}"


def ledger_of(database: Database, topic: str) -> list[Gap]:
    """Return the ledger's gaps of one raw topic's streams, in order."""
    name = canonical_of(topic).partition(".")[0]
    gaps = (gap for stream, rows in database.gaps.items() if stream.startswith(name) for gap in rows.values())
    return sorted(gaps, key=lambda gap: (gap.stream, gap.from_time))


def check_ledger(database: Database, topic: str, oracle: Oracle, *, spurious: bool) -> None:
    """The ledger covers what is missing, once, each minute in its true state.

    `spurious`: a processor that forgot how far it had judged may report more; it must be true, too.
    """
    labels: dict[tuple[str, str, int], Label] = {}
    for gap in ledger_of(database, topic):
        assert gap.detector in {STAGE, "sink"}
        for minute in range(minute_of(gap.from_time), minute_of(gap.to_time)):
            place = (gap.provider, gap.symbol, minute)
            assert place not in labels, f"the ledger has {place} twice"
            labels[place] = (gap.cause, gap.state)
    expected = oracle.labels
    if spurious and topic == RAW_BARS:
        for place in labels.keys() - expected.keys():
            expected[place] = ("missing_bars", "filled" if place in oracle.stored else "open")
    assert labels == expected, f"ledger differs: {sorted(labels.items() ^ expected.items())}"


def check_replay(database: Database, other: Database, topic: str, *, ledger: bool) -> None:
    """A replay of the raw records into an empty database gives identical rows, watermarks, cursors and gaps."""
    canonical = canonical_of(topic)
    assert database.rows[canonical] == other.rows[canonical], "a replay gives other rows"
    assert database.watermarks[canonical] == other.watermarks[canonical], "a replay gives another watermark"
    assert database.cursors == other.cursors, "a replay gives other cursors"
    if ledger:
        one, two = ledger_of(database, topic), ledger_of(other, topic)
        assert one == two, f"a replay gives another ledger: {set(one) ^ set(two)}"


def judge(schedule: Schedule, clean: Schedule) -> None:
    """Check everything after a schedule; `clean` is its replay. Raises AssertionError saying what does not hold."""
    remembers = schedule.faults.remembers_all
    for topic, raw in schedule.raw.items():
        oracle = foretell(topic, raw.records)
        check_progress(schedule.broker, topic, oracle)
        for played in (clean, schedule):
            check_canonical(played.broker, topic, oracle)
            check_rows(played.database, topic, oracle)
            check_watermark(played.database, topic, oracle)
            check_ledger(played.database, topic, oracle, spurious=not remembers)
        check_dead_letters(schedule.broker, topic, oracle)  # a replay does not write them again
        if remembers:
            check_gap_records(clean.broker, topic, oracle)
            check_once(schedule.broker, clean.broker, topic)
        check_replay(schedule.database, clean.database, topic, ledger=remembers)

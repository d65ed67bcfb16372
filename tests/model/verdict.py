"""What must hold of records, rows and watermarks after a schedule, whatever happened in it.

Each check raises AssertionError saying what does not hold. What is missing: `tests.model.ledger_verdict`.
"""

from __future__ import annotations

from collections.abc import Hashable

from schemas.topics import EVIDENCE, PROGRESS, canonical_of, dead
from tests.model.broker import Broker, fields_of
from tests.model.completeness import Completeness, completeness
from tests.model.database import Database, version_of
from tests.model.entry_answers import whole
from tests.model.ledger_verdict import (
    check_answers,
    check_coverage,
    check_evidence,
    check_gaps,
    check_same_ledger,
    check_words,
    evidence_of,
)
from tests.model.oracle import Key, Oracle, Place, foretell, has_entries
from tests.model.processor import writer_of
from tests.model.schedule import Schedule

Known = tuple[Key, Hashable, int]  # key, content, known_from


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
    """Canonical records and evidence are those of a run without faults, bytes and order included."""
    for written in (canonical_of(topic), EVIDENCE):
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
    """Progress moves forward only, and what it claims to lie below end offsets does."""
    at = {version_of(canonical_of(topic), e.data).place: e.place for e in broker.read(canonical_of(topic), 0)}
    told = [
        (e.place, fields_of(EVIDENCE, e.data)["known_from"])
        for e in broker.read(EVIDENCE, 0)
        if e.writer == writer_of(topic)
    ]
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
        late_told = [
            place for place, known in told if known < before and place >= claim["evidence_end_offset"]
        ]
        assert not late_told, f"{claim} claims evidence that is not there yet: {late_told}"


def check_rows(database: Database, topic: str, oracle: Oracle) -> None:
    """The database holds exactly the versions that are final, with position, content and knowledge time."""
    stored = {v.place: (v.key, v.content, v.known_from) for v in database.rows[canonical_of(topic)].values()}
    expected: dict[Place, Known] = {place: oracle.events[place] for place in oracle.kept}
    assert stored == expected, f"rows {sorted(stored)}, not {sorted(expected)}"


def check_watermark(database: Database, topic: str, oracle: Oracle, found: Completeness) -> None:
    """It reaches the end, never went back, and no answer below it ever changed: all rows and evidence were there."""
    canonical, before = canonical_of(topic), 0
    kept = evidence_of(found)
    for published in database.published:
        if published.topic != canonical:
            continue
        moment = published.moment
        assert moment >= before, f"the watermark went back from {before} to {moment}"
        before = moment
        rows = {place for place in oracle.kept if oracle.events[place][2] < moment}
        assert published.rows == rows, (
            f"at watermark {moment} rows were {sorted(published.rows)}, not {sorted(rows)}"
        )
        told = {(key, start, known, offset) for key, start, known, offset, _ in published.evidence}
        expected = {each for each in kept if each[2] < moment}
        assert told == expected, f"at watermark {moment} evidence was {sorted(told)}, not {sorted(expected)}"
    assert before >= oracle.known_from, "the watermark stopped before the end"


def check_replay(schedule: Schedule, clean: Schedule, topic: str) -> None:
    """A replay of the raw records into an empty database gives identical rows, watermarks, cursors and ledger.

    But for one thing: an entry told again bears another moment, and moves its series' cursor where it is not remembered.
    """
    database, other, canonical = schedule.database, clean.database, canonical_of(topic)
    assert database.rows[canonical] == other.rows[canonical], "a replay gives other rows"
    assert database.watermarks[canonical] == other.watermarks[canonical], "a replay gives another watermark"
    if schedule.faults.remembers_all or not has_entries(topic):
        assert database.cursors == other.cursors, "a replay gives other cursors"
    check_same_ledger(database, other, topic)


def judge(schedule: Schedule, clean: Schedule | None) -> None:
    """Check everything after a schedule; `clean` is its replay, where all of the raw log could be replayed."""
    check_readers(schedule, clean)
    played = [schedule.database, *([clean.database] if clean is not None else [])]
    for topic, raw in schedule.raw.items():
        oracle = foretell(topic, raw.processed(), raw.tears)
        tears = {at: since for at, (since, _) in raw.tears.items() if since is not None}
        found = completeness(oracle, *schedule.plays[topic], tears)
        check_progress(schedule.broker, topic, oracle)
        check_canonical(schedule.broker, topic, oracle)
        check_evidence(schedule.broker, found)
        check_dead_letters(schedule.broker, topic, oracle)  # a replay does not write them again
        for database in played:
            check_rows(database, topic, oracle)
            check_watermark(database, topic, oracle, found)
            check_gaps(database, found)
            check_coverage(database, found)
            check_answers(database, [each for each in schedule.asked if each.topic == topic], found)
        check_words(schedule.broker, schedule.database, topic)
        if clean is not None:
            check_canonical(clean.broker, topic, oracle)
            if schedule.faults.remembers_all:
                check_once(schedule.broker, clean.broker, topic)
            check_replay(schedule, clean, topic)


def check_readers(schedule: Schedule, clean: Schedule | None) -> None:
    """What was answered about entries is to the byte the same for ever, by pages too, and after a replay."""
    databases = [schedule.database, *([clean.database] if clean is not None else [])]
    for reader in schedule.readers:
        reader.finish(schedule.database)
        assert reader.rows == reader.then, (
            f"{reader.question} by pages of {reader.limit} is {reader.rows}, not {reader.then}"
        )
        for database in databases:
            again = whole(database, reader.question)
            assert again == reader.then, f"{reader.question} was answered {reader.then}, now {again}"

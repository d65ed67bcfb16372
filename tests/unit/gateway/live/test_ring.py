"""The ring against a plain list: what it returns, what it forgets, and that it knows what it forgot."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.live.ring import Ring
from gateway.live.streams import BEST
from tests.support.live_feeds import an_entry
from tests.support.memory import held_bytes

PROVIDERS = ("finnhub", "yahoo")
RECORDS = st.lists(st.tuples(st.integers(1, 5), st.sampled_from(PROVIDERS), st.booleans()), max_size=60)


@given(RECORDS, st.integers(1, 20), st.integers(0, 30), st.integers(-1, 200))
def test_a_ring_is_the_tail_of_the_log(
    records: list[tuple[int, str, bool]], capacity: int, evictions: int, after: int
) -> None:
    """Above its floor the ring holds exactly what the log holds, per scope; at or below it, never a false promise."""
    ring, everything, offset = Ring(9, capacity), [], 9
    for step, provider, shadow in records:
        offset += step
        entry = an_entry(offset, provider=provider, shadow=shadow)
        everything.append(entry)
        ring.append(entry)
    for _ in range(evictions):
        ring.evict()
    assert len(ring) <= capacity
    for scope in (BEST, *PROVIDERS):
        stream = [entry for entry in everything if entry.is_in(scope)]
        start = max(after, ring.floor(scope))
        assert list(ring.after(start, scope)) == [entry for entry in stream if entry.offset > start]
        assert ring.newest(scope) == (stream[-1].offset if stream else 9)
    assert ring.held_bytes == sum(entry.cost_bytes for entry in everything[len(everything) - len(ring) :])


def test_an_empty_ring_promises_nothing_before_it_began() -> None:
    """The floor of a new ring is where the process began to read."""
    ring = Ring(41)
    assert (ring.floor(BEST), ring.newest("yahoo"), ring.evict(), len(ring)) == (41, 41, None, 0)


def test_evicting_one_providers_record_leaves_the_others_whole() -> None:
    """A floor belongs to a scope: a stream that lost nothing is still whole."""
    ring = Ring(-1)
    ring.append(an_entry(5, provider="yahoo", shadow=True))
    ring.append(an_entry(6))
    ring.evict()
    assert (ring.floor("yahoo"), ring.floor(BEST), ring.floor("finnhub")) == (5, -1, -1)


def test_memory_of_evicted_entries_is_returned() -> None:
    """The list behind the ring does not grow with the log."""

    def after(records: int) -> Ring:
        ring = Ring(-1, 100)
        for offset in range(records):
            ring.append(an_entry(offset))
        return ring

    assert held_bytes(lambda: after(20_000)) < 2 * held_bytes(lambda: after(5_000))
    assert after(50_000).count_after(49_989) == 10


def test_a_record_that_was_given_up_is_no_longer_in_memory() -> None:
    """At once: of large ones a thousand would be many times what the ring may hold."""

    def after(records: int) -> Ring:
        ring = Ring(-1, 10)
        for offset in range(records):
            ring.append(an_entry(offset)._replace(body=b"x" * 50_000 + b"%d" % offset))
        return ring

    assert held_bytes(lambda: after(500)) < 12 * 50_000

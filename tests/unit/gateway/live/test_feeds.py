"""Latest values, links and the memory budget."""

from __future__ import annotations

from dataclasses import asdict

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.feeds import RING_BUDGET_BYTES, RING_BYTES, Feeds
from gateway.live.gap_news import MAX_OPEN_GAPS
from gateway.live.newest import SLICE_OVERHEAD_BYTES
from gateway.live.ring import ENTRY_OVERHEAD_BYTES
from gateway.live.streams import BEST, encode_entry
from schemas.intervals import AHEAD_US, DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.partitions import TopicPartition
from schemas.streams import OPTION_STREAM
from schemas.topics import BARS, EVIDENCE, GAPS, QUOTES, TRADES
from tests.support.builders import NINE_THIRTY, a_bar, a_gap, a_leg, a_quote, a_slice, a_trade, an_evidence
from tests.support.live_feeds import PLACE, apply_quote, apply_slice, apply_trade, empty_feeds
from tests.support.memory import held_bytes


def test_the_first_link_of_a_restarted_gateway_is_where_it_began() -> None:
    """It cannot know what came before, so it claims no more than its start offset minus one."""
    feed = apply_trade(empty_feeds(start=100), 107)
    (entry,) = feed.ring.after(99, BEST)
    assert (entry.previous, entry.previous_of_provider) == (99, 99)


def test_links_join_the_records_of_each_scope() -> None:
    """Every scope has its own chain; a shadow is no link of best."""
    feeds = empty_feeds()
    apply_trade(feeds, 3)
    apply_trade(feeds, 4, provider="yahoo")
    apply_trade(feeds, 5, provider="yahoo", route="shadow")
    feed = apply_trade(feeds, 9, provider="yahoo")
    last = next(iter(feed.ring.after(5, BEST)))
    assert (last.previous, last.previous_of_provider) == (4, 5)


def test_latest_is_by_event_time_then_by_place() -> None:
    """A late record of an earlier time is no news; a correction of the same time is."""
    feeds = empty_feeds()
    for offset, (moment, bid) in enumerate([(10, 1.0), (20, 2.0), (15, 3.0), (20, 4.0)]):
        feeds.apply(TopicPartition(QUOTES, PLACE), offset, 0, asdict(a_quote(event_time=moment, bid=bid)))
    feed = feeds.find("quotes", "SPY")
    assert feed is not None
    latest = feed.latest(BEST)
    assert latest is not None
    assert (latest.fields["bid"], latest.offset, latest.partition) == (4.0, 3, PLACE)
    assert feed.latest("finnhub") is None


def test_the_revision_is_another_after_each_record_and_after_all_are_forgotten() -> None:
    """Of that symbol alone; one of which nothing was seen has none."""
    feeds = empty_feeds()
    seen = [feeds.revision("SPY")]
    for offset in (3, 4):
        apply_trade(feeds, offset)
        seen.append(feeds.revision("SPY"))
    feeds.forget()
    seen.append(feeds.revision("SPY"))

    assert len(set(seen)) == 4
    assert feeds.revision("BRK.B") == seen[0]


def test_a_contingent_trade_is_in_the_log_and_the_newest_of_nothing() -> None:
    """Who follows the trades gets it; who asks for the price does not."""
    feeds = empty_feeds()
    apply_trade(feeds, 3, provider="finnhub", conditions="1,12")
    feed = apply_trade(feeds, 4, provider="finnhub", conditions="52,41")
    latest = feed.latest(BEST)
    assert latest is not None
    assert latest.offset == 3
    assert [entry.offset for entry in feed.ring.after(2, BEST)] == [3, 4]


def test_a_snapshot_of_bars_is_the_last_closed_and_the_forming_one() -> None:
    """Both are needed to draw a chart; a single closed one is not repeated."""
    feeds = empty_feeds()
    feeds.apply(TopicPartition(BARS, PLACE), 0, 0, asdict(a_bar(event_time=60)))
    feed = feeds.apply(TopicPartition(BARS, PLACE), 1, 0, asdict(a_bar(event_time=120, final=False)))
    assert feed is not None
    assert [body[:2] for body in feed.snapshot(BEST)] == [b"[0", b"[1"]
    feeds.apply(TopicPartition(BARS, PLACE), 2, 0, asdict(a_bar(event_time=120)))
    assert [body[:2] for body in feed.snapshot(BEST)] == [b"[2"]


def test_a_snapshot_of_gaps_is_the_open_ones() -> None:
    """A filled gap leaves; beyond the bound the oldest known leave."""
    feeds = empty_feeds()
    for number in range(MAX_OPEN_GAPS + 10):
        feeds.apply(TopicPartition(GAPS, PLACE), number, 0, asdict(a_gap(gap_id=str(number))))
    feed = feeds.find("gaps", "SPY")
    assert feed is not None
    assert len(feed.snapshot(BEST)) == MAX_OPEN_GAPS
    feeds.apply(TopicPartition(GAPS, PLACE), 999, 0, asdict(a_gap(gap_id="200", state="filled")))
    assert len(feed.snapshot("yahoo")) == MAX_OPEN_GAPS - 1
    assert feed.snapshot("finnhub") == []


def test_a_record_in_a_foreign_partition_is_of_no_stream() -> None:
    """No position could be given to it, yet the partition moves on."""
    feeds = empty_feeds()
    elsewhere = (PLACE + 1) % 4
    assert feeds.apply(TopicPartition(TRADES, elsewhere), 5, 0, asdict(a_trade())) is None
    assert feeds.applied_everywhere[TRADES, elsewhere] == 5
    assert not feeds.knows("SPY")


def test_a_bar_of_an_unheard_of_interval_is_of_no_stream() -> None:
    """One strange record must not stop the reader of all."""
    feeds = empty_feeds()
    assert feeds.apply(TopicPartition(BARS, PLACE), 5, 0, asdict(a_bar(interval="7m"))) is None
    assert feeds.applied_everywhere[BARS, PLACE] == 5


@given(st.lists(st.booleans(), max_size=200), st.integers(300, 8_000), st.integers(1, 30))
def test_all_rings_together_stay_within_the_budget(
    kinds: list[bool], budget_bytes: int, ring_messages: int
) -> None:
    """Whoever overflows, the bytes counted are the bytes held, and within the budget."""
    feeds = empty_feeds(budget_bytes=budget_bytes, ring_messages=ring_messages)
    for offset, quote in enumerate(kinds):
        (apply_quote if quote else apply_trade)(feeds, offset)
        rings = [feed.ring for feed in (feeds.find("quotes", "SPY"), feeds.find("trades", "SPY")) if feed]
        held = sum(entry.cost_bytes for ring in rings for entry in ring.after(-1, BEST))
        assert held == feeds.held_bytes <= budget_bytes


def test_a_control_record_moves_the_position_and_never_back() -> None:
    """The end of a partition may lie above its last record."""
    feeds = empty_feeds()
    feed = apply_trade(feeds, 4)
    feeds.advance(TopicPartition(TRADES, PLACE), 8)
    feeds.advance(TopicPartition(TRADES, PLACE), 2)
    assert feeds.applied(feed) == 7


def test_a_forgotten_log_leaves_nothing_behind() -> None:
    """Offsets of another incarnation must not survive."""
    feeds = empty_feeds()
    apply_trade(feeds, 4)
    feeds.forget()
    assert (len(feeds), feeds.held_bytes, dict(feeds.applied_everywhere), feeds.epochs) == (0, 0, {}, {})


def test_a_stamp_of_the_future_is_never_the_newest() -> None:
    """It is sent as every record is, and what comes after it is the newest all the same."""
    feeds, now = empty_feeds(), 1_000 * SECOND_US
    stamps = [now, now + AHEAD_US + 1, now + AHEAD_US, now + 1]
    for offset, stamp in enumerate(stamps):
        quote = a_quote(event_time=stamp, known_from=now, raw_offset=offset)
        feeds.apply(TopicPartition(QUOTES, PLACE), offset, 0, asdict(quote))
    feed = feeds.find("quotes", "SPY")
    assert feed is not None
    latest = feed.latest(BEST)
    assert latest is not None
    assert latest.offset == 2
    assert len(list(feed.ring.after(-1, BEST))) == len(stamps)


def test_open_absences_are_in_a_snapshot_of_gaps_and_tell_when_they_end() -> None:
    """They are derived: without a place in the log, and only where every bar since they were known was seen."""
    feeds, known = empty_feeds(start=5), NINE_THIRTY + HOUR_US
    absent = an_evidence(kind="absent", from_time=NINE_THIRTY, known_from=known)
    gaps = feeds.feed("gaps", "SPY")

    feeds.hear(TopicPartition(EVIDENCE, PLACE), 5, asdict(absent))
    assert [news.fields["state"] for news in feeds.take_news()] == ["open"]
    assert feeds.take_news() == []
    assert feeds.applied_everywhere[EVIDENCE, PLACE] == 5
    assert feeds.snapshot(gaps, BEST) == []  # no bar was seen yet
    newer = a_bar(event_time=NINE_THIRTY + MINUTE_US, known_from=known)
    feeds.apply(TopicPartition(BARS, PLACE), 6, 0, asdict(newer))
    (body,) = feeds.snapshot(gaps, BEST)
    assert orjson.loads(body)[0] == -1
    assert orjson.loads(body)[1]["confidence"] == "inferred"
    assert feeds.snapshot(gaps, "yahoo") == [body]
    assert feeds.snapshot(gaps, "finnhub") == []
    missing = a_bar(event_time=NINE_THIRTY, known_from=known + 1)
    feeds.apply(TopicPartition(BARS, PLACE), 7, 0, asdict(missing))
    assert [news.fields["state"] for news in feeds.take_news()] == ["filled"]
    assert feeds.snapshot(gaps, BEST) == []


def test_an_absence_older_than_the_bars_seen_is_not_shown_as_open() -> None:
    """Unless the bars are read from the beginning of their log."""
    for start, shown in ((5, 0), (0, 1)):
        feeds, known = empty_feeds(start=start), NINE_THIRTY + HOUR_US
        absent = an_evidence(kind="absent", from_time=NINE_THIRTY, known_from=known)
        feeds.hear(TopicPartition(EVIDENCE, PLACE), start, asdict(absent))
        later = a_bar(event_time=NINE_THIRTY + MINUTE_US, known_from=known + 1)
        feeds.apply(TopicPartition(BARS, PLACE), start, 0, asdict(later))
        assert len(feeds.snapshot(feeds.feed("gaps", "SPY"), BEST)) == shown


def test_evidence_in_a_foreign_partition_is_no_news() -> None:
    """It is in nobody's order."""
    feeds = empty_feeds()
    feeds.hear(TopicPartition(EVIDENCE, (PLACE + 1) % 4), 0, asdict(an_evidence()))
    assert feeds.take_news() == []


def test_memory_beside_the_rings_does_not_grow_with_records() -> None:
    """A ring that moves by itself leaves nothing behind: one place in the budget's order a feed, however many came."""
    feeds = empty_feeds(ring_messages=10)
    apply_quote(feeds, 0)  # a quiet feed's record is older than all that follow
    sizes = []
    for offset in range(3_000):
        feed = apply_trade(feeds, offset)
        if offset in (999, 2_999):
            sizes.append(sum(len(each) for each in vars(feeds).values() if hasattr(each, "__len__")))
    assert sizes[0] == sizes[1]
    assert len(feed.ring) == 10


def test_the_oldest_record_of_all_goes_first_though_rings_moved_by_themselves() -> None:
    """The budget is kept by append time over all feeds."""
    feeds = empty_feeds(budget_bytes=10_000_000, ring_messages=5)
    for offset in range(20):
        apply_trade(feeds, offset)
    for offset in range(10, 13):
        apply_quote(feeds, offset)
    assert feeds.held_bytes == sum(
        entry.cost_bytes
        for name in ("trades", "quotes")
        for entry in feeds.feed(name, "SPY").ring.after(-1, BEST)
    )
    feeds._budget_bytes = feeds.held_bytes - 1  # noqa: SLF001 - what a smaller process would have
    apply_trade(feeds, 20)
    assert [entry.offset for entry in feeds.feed("quotes", "SPY").ring.after(-1, BEST)] == [11, 12]


def test_a_snapshot_of_a_chain_is_the_newest_slice_of_each_expiry() -> None:
    """By expiry, of whichever provider it came; those that expired by the newest stamp are gone."""
    feeds = empty_feeds()
    today = NINE_THIRTY // DAY_US
    apply_slice(feeds, 0, today)
    apply_slice(feeds, 1, today + 7, root="SPYW")
    apply_slice(feeds, 2, today + 7)
    apply_slice(feeds, 3, today + 7, provider="polygon")
    apply_slice(feeds, 4, today + 14, provider="polygon", route="shadow")
    feed = apply_slice(feeds, 5, today + 7, event_time=NINE_THIRTY)  # late: an older one of the same
    offsets = {
        scope: [orjson.loads(body)[0] for body in feed.snapshot(scope)]
        for scope in (BEST, "yahoo", "polygon", "finnhub")
    }
    assert offsets == {BEST: [0, 3, 1], "yahoo": [0, 2, 1], "polygon": [3, 4], "finnhub": []}
    apply_slice(feeds, 6, today + 7, event_time=NINE_THIRTY + DAY_US)
    assert [orjson.loads(body)[0] for body in feeds.snapshot(feed, BEST)] == [6, 1]


def test_a_slice_from_the_future_ends_no_expiry() -> None:
    """Its stamp is suspect: by it every contract would have expired."""
    feeds = empty_feeds()
    apply_slice(feeds, 0)
    known_from = NINE_THIRTY + DAY_US
    feed = apply_slice(feeds, 1, event_time=NINE_THIRTY + 900 * DAY_US, known_from=known_from)
    assert [orjson.loads(body)[0] for body in feed.snapshot(BEST)] == [0]


def test_a_chain_polled_for_hours_takes_no_more_than_its_bound() -> None:
    """20 expiries of 200 legs a minute: what the ring holds is counted and bounded, and so is what it takes."""
    one = asdict(a_slice(legs=[a_leg(strike=50 + n / 2, right=right) for n in range(100) for right in "CP"]))
    largest = len(encode_entry(OPTION_STREAM.topic, PLACE, 1, one))
    bound = 40 * largest

    def after(polls: int) -> Feeds:
        feeds = Feeds(4, ring_bytes=bound)
        feeds.begin(TopicPartition(OPTION_STREAM.topic, PLACE), 0)
        for offset in range(20 * polls):
            said = {"expiry": 16_026 + offset % 20, "event_time": NINE_THIRTY + offset}
            feeds.apply(TopicPartition(OPTION_STREAM.topic, PLACE), offset, offset, {**one, **said})
        feed = feeds.find("options", "SPY")
        assert feed is not None
        assert feeds.held_bytes == feed.ring.held_bytes <= bound
        assert len(feed.snapshot(BEST)) == 20
        newest = feed.latest(BEST)
        assert newest is not None
        assert "legs" not in newest.fields  # decoded they take five times what their text takes
        assert len(feed.ring) == min(20 * polls, feeds.held_bytes // (largest + ENTRY_OVERHEAD_BYTES))
        return feeds

    # The newest slice of each expiry is held whether or not the ring still does.
    assert held_bytes(lambda: after(12)) < 1.1 * bound + 20 * (largest + SLICE_OVERHEAD_BYTES)


def test_a_chain_does_not_push_the_records_of_others_out() -> None:
    """The bound of one ring is below that of all."""
    assert 4 * RING_BYTES < RING_BUDGET_BYTES
    feeds = empty_feeds(budget_bytes=100_000, ring_bytes=20_000)
    trades = apply_trade(feeds, 0)
    for offset in range(100):
        apply_slice(feeds, offset)
    chain = feeds.find("options", "SPY")
    assert chain is not None
    assert 18_000 < chain.ring.held_bytes <= 20_000
    assert len(trades.ring) == 1

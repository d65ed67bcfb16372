"""History on a real database: what was known then, page by page, and nothing else."""

from __future__ import annotations

import random
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gateway.http.moments import parse_moment, rfc3339
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US, micros
from schemas.partitions import partition_of
from schemas.records import Evidence
from schemas.streams import Bar
from schemas.topics import BARS, DEFAULT_PARTITIONS
from tests.support.builders import NINE_THIRTY, a_bar, an_evidence
from tests.support.eventually import eventually
from tests.support.gateway_rest import REST_US, rest, rows_of
from tests.support.history_requests import ALL, DAY, HISTORY, bar_at


def some_versions(seed: int, count: int = 300) -> list[Bar]:
    """Return revisions of 40 bars of three providers, in log order, known_from tied and shared as the broker does."""
    rng, known = random.Random(seed), NINE_THIRTY
    versions: list[Bar] = []
    for offset in range(count):
        known += rng.choice([0, 0, 1_000, MINUTE_US])
        versions += [_a_revision(rng, known, offset, index) for index in range(rng.randint(1, 3))]
    return versions


def _a_revision(rng: random.Random, known: int, offset: int, index: int) -> Bar:
    return bar_at(
        rng.randrange(40),
        provider=rng.choice(["alpaca", "finnhub", "yahoo"]),
        route=rng.choice(["primary", "primary", "backfill", "shadow"]),
        close=float(offset * 10 + index),
        known_from=known,
        raw_offset=offset,
        index=index,
    )


def naive(versions: list[Bar], as_of: int, provider: str | None) -> list[tuple[str, float, str, int, str]]:
    """Work out the answer by looking at every version, one key at a time."""
    by_key: dict[tuple[int, str], list[Bar]] = defaultdict(list)
    for version in versions:
        if version.known_from <= as_of:
            by_key[version.event_time, version.provider].append(version)
    best: dict[int, tuple[tuple[int, int], Bar, int]] = {}
    for (event_time, name), known in by_key.items():
        known.sort(key=lambda v: (v.known_from, v.raw_offset, v.index))
        shown = [(rank, v) for rank, v in enumerate(known) if provider is not None or v.route != "shadow"]
        if provider not in (None, name) or not shown:
            continue
        rank, version = shown[-1]
        place = (version.raw_offset, version.index)
        if event_time not in best or place > best[event_time][0]:
            best[event_time] = (place, version, rank)
    return [
        (rfc3339(event_time), version.close, version.provider, rank, rfc3339(version.known_from))
        for event_time, (_, version, rank) in sorted(best.items())
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_as_of_shows_exactly_what_a_naive_reader_of_all_versions_finds(
    database: str, seed: int
) -> None:
    """Best of all and each provider, at moments before, between, on and after the versions."""
    versions = some_versions(seed)
    rng = random.Random(seed)
    moments = [
        NINE_THIRTY - 1,
        versions[-1].known_from,
        *(v.known_from + rng.choice([-1, 0, 1]) for v in rng.sample(versions, 8)),
    ]
    async with rest(database) as gateway:
        await gateway.store(*versions)
        for as_of in moments:
            for provider in (None, "alpaca", "yahoo"):
                query = ALL | {"as_of": rfc3339(as_of), "provider": provider or "best"}
                answer = await gateway.get(HISTORY, **query)
                got = rows_of(answer, "event_time", "close", "provider", "revision", "known_from")
                assert got == naive(versions, as_of, provider)
                assert answer["meta"]["as_of"] == rfc3339(as_of)


async def test_an_answer_never_changes_afterwards(database: str) -> None:
    """Corrections and backfills that come later change no earlier as_of."""
    versions = some_versions(7)
    async with rest(database) as gateway:
        before: dict[int, Any] = {}
        for at in range(60, len(versions), 60):
            await gateway.database.execute("TRUNCATE bars, bars_superseded, streams")
            await gateway.store(*versions[:at])
            as_of = versions[at - 1].known_from - 1
            before[as_of] = (await gateway.get(HISTORY, **ALL, as_of=rfc3339(as_of)))["data"]
            for earlier, data in before.items():
                assert (await gateway.get(HISTORY, **ALL, as_of=rfc3339(earlier)))["data"] == data


async def test_all_revisions_are_every_version_in_order_of_time_and_position(database: str) -> None:
    """Ordinals begin at 0 for each provider's bar."""
    versions = [v for v in some_versions(4) if v.route != "shadow"]
    async with rest(database) as gateway:
        await gateway.store(*versions)
        answer = await gateway.get(HISTORY, **ALL, revisions="all")
        got = rows_of(answer, "event_time", "close")
        ordered = sorted(versions, key=lambda v: (v.event_time, v.raw_offset, v.index))
        assert got == [(rfc3339(v.event_time), v.close) for v in ordered]
        ordinals: dict[tuple[str, str], list[int]] = defaultdict(list)
        for event_time, provider, revision in rows_of(answer, "event_time", "provider", "revision"):
            ordinals[event_time, provider].append(revision)
        assert all(found == list(range(len(found))) for found in ordinals.values())


@pytest.mark.parametrize("limit", ["1", "3", "100"])
async def test_a_rebased_version_is_told_from_a_correction_on_whatever_page_it_is(
    database: str, limit: str
) -> None:
    """Another provider's versions lie between; the day in whose shares each is comes as a date."""
    halved = {"open": 83.705, "high": 83.75, "low": 83.625, "close": 83.65, "volume": 24_000.0}
    told: list[tuple[int, dict[str, Any], bool]] = [
        (15_985, {}, False),
        (15_986, halved, True),
        (15_986, halved | {"close": 83.7}, False),
        (15_986, halved | {"close": 83.7, "provider": "finnhub"}, False),
        (15_987, {"close": 167.4}, True),
    ]
    versions = [
        bar_at(
            0,
            raw_offset=n,
            known_from=NINE_THIRTY + n,
            adjustment_state="split",
            adjusted_through=day,
            **said,
        )
        for n, (day, said, _) in enumerate(told)
    ]
    async with rest(database) as gateway:
        await gateway.store(*versions, bar_at(1, known_from=NINE_THIRTY, raw_offset=50))
        rows: list[dict[str, Any]] = []
        token = None
        while token is not None or not rows:
            paging = {"page_token": token} if token else {}
            answer = await gateway.get(HISTORY, **ALL, revisions="all", limit=limit, **paging)
            rows, token = rows + answer["data"], answer["next_page_token"]
        newest = (await gateway.get(HISTORY, **ALL, provider="yahoo"))["data"]

    assert [row.get("rebased", False) for row in rows] == [rebased for _, _, rebased in told] + [False]
    assert [row.get("adjusted_through") for row in rows] == [
        *("2013-10-07", "2013-10-08", "2013-10-08", "2013-10-08", "2013-10-09", None)
    ]
    assert [(row.get("adjusted_through"), "rebased" in row) for row in newest] == [
        ("2013-10-09", False),
        (None, False),
    ]


@pytest.mark.parametrize(
    "query",
    [{"interval": "1m"}, {"interval": "1m", "sort": "desc"}, {"interval": "1m", "revisions": "all"}, {"interval": "5m"},
     {"interval": "5m", "sort": "desc"}, {"interval": "1h", "limit": "2"}],
    ids=lambda query: " ".join(query.values()),
)  # fmt: skip
async def test_pages_are_one_answer_however_much_arrives_between_them(
    database: str, query: Mapping[str, str]
) -> None:
    """Pinned to the first page's as_of: no row twice, none missing, none newer."""
    versions = [bar_at(m, close=float(m), known_from=NINE_THIRTY) for m in range(-100, 500, 3)]
    async with rest(database) as gateway:
        await gateway.store(*versions)
        await gateway.complete_before(NINE_THIRTY + 1)
        asked = ALL | dict(query)
        whole = (await gateway.get(HISTORY, **asked | {"limit": "10000"}))["data"]
        pages, token, number = [], None, 0
        while True:
            paging = {"limit": "7"} | asked | ({"page_token": token} if token else {})
            answer = await gateway.get(HISTORY, **paging)
            assert len(answer["data"]) <= int(paging["limit"])
            pages += answer["data"]
            token = answer["next_page_token"]
            if token is None:
                break
            number += 1
            assert number < 60, "the pages do not end"
            late = [replace(v, close=-1.0, known_from=NINE_THIRTY + number, raw_offset=10_000 * number + i)
                    for i, v in enumerate(versions[number :: 40])]  # fmt: skip
            await gateway.store(*late, bar_at(-320 - number, known_from=NINE_THIRTY + number))
            await gateway.complete_before(NINE_THIRTY + number + 1)
        assert pages == whole
        assert number > 3
        assert (await gateway.get(HISTORY, **asked | {"limit": "10000"}))["data"] != whole


@pytest.mark.parametrize("sort", ["asc", "desc"])
async def test_pages_cut_by_the_minutes_they_may_read_lose_no_bar(
    database: str, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    """Some pages are short, some even empty where the vendor's own bars need no minutes; together they are whole."""
    known = NINE_THIRTY + 3 * DAY_US
    days = [bar_at(m + day * 1_440, known_from=known) for day in (0, 1, 2) for m in range(390)]
    official = [bar_at(m + 1_440, interval="5m", known_from=known, close=float(m)) for m in range(0, 390, 5)]
    asked = {"interval": "5m", "start": "2013-10-07", "end": "2013-10-10", "sort": sort}
    async with rest(database) as gateway:
        await gateway.store(*days, *official)
        whole = (await gateway.get(HISTORY, **asked, limit="10000"))["data"]
        assert len(whole) == 3 * 78
        monkeypatch.setattr("gateway.market.shell.derived.MAX_MINUTES", 23)
        pages: list[Any] = []
        token: str | None = ""
        for _ in range(200):
            answer = await gateway.get(
                HISTORY, **asked, limit="40", **({"page_token": token} if token else {})
            )
            pages += answer["data"]
            token = answer["next_page_token"]
            if token is None:
                break
        assert token is None, "the pages do not end"
        assert pages == whole


async def test_without_as_of_the_watermark_decides_what_is_seen(database: str) -> None:
    """A row above it is not shown, and its older version is."""
    first = bar_at(0, close=1.0, known_from=NINE_THIRTY)
    second = replace(first, close=2.0, known_from=NINE_THIRTY + 10, raw_offset=first.raw_offset + 1)
    async with rest(database) as gateway:
        await gateway.store(first, second)
        for complete_before, close, revision in ((NINE_THIRTY + 10, 1.0, 0), (NINE_THIRTY + 11, 2.0, 1)):
            await gateway.complete_before(complete_before)
            answer = await gateway.get(HISTORY, **ALL)
            assert rows_of(answer, "close", "revision") == [(close, revision)]
            assert answer["meta"]["as_of"] == rfc3339(complete_before - 1)


async def test_without_any_watermark_a_known_symbol_is_told_to_come_again(database: str) -> None:
    """Nothing is claimed complete; an unknown symbol is unknown all the same."""
    async with rest(database) as gateway:
        await gateway.store(bar_at(0))
        await gateway.database.execute("TRUNCATE watermarks")
        place = partition_of("SPY", DEFAULT_PARTITIONS)
        await eventually(lambda: gateway.watermarks.through([BARS], [place]) is None, within_s=10)
        status, headers, problem = await gateway.ask("GET", HISTORY)
        assert (status, problem["code"], "Retry-After" in headers) == (503, "not_ready", True)
        status, _, problem = await gateway.ask("GET", "/stocks/NOPE/history")
        assert (status, problem["code"]) == (404, "unknown_symbol")


async def test_an_as_of_waits_for_the_watermark_and_then_gives_up(database: str) -> None:
    """It is answered as soon as it is complete, never lowered."""
    async with rest(database) as gateway:
        await gateway.store(bar_at(0, known_from=NINE_THIRTY))
        await gateway.complete_before(NINE_THIRTY)
        status, headers, problem = await gateway.ask(
            "GET", HISTORY, params=ALL | {"as_of": rfc3339(NINE_THIRTY)}
        )
        assert (status, problem["code"], problem["retryable"]) == (503, "not_yet_complete", True)
        assert headers["Retry-After"] == "2"
        await gateway.complete_before(NINE_THIRTY + 1)
        assert (await gateway.get(HISTORY, **ALL, as_of=rfc3339(NINE_THIRTY)))["data"]


async def test_an_as_of_before_the_first_knowledge_is_empty_and_says_when_it_began(database: str) -> None:
    """An empty answer is not a silent one."""
    async with rest(database) as gateway:
        await gateway.store(bar_at(0, known_from=NINE_THIRTY + HOUR_US))
        answer = await gateway.get(HISTORY, **ALL, as_of=rfc3339(NINE_THIRTY))
        assert answer["data"] == []
        assert answer["meta"]["as_of_floor"] == rfc3339(NINE_THIRTY + HOUR_US)
        answer = await gateway.get(HISTORY, interval="1m", start="2020-01-01", end="2020-01-02")
        assert (answer["data"], "as_of_floor" in answer["meta"]) == ([], False)


async def test_a_range_that_begins_before_what_is_kept_is_gone(database: str) -> None:
    """Partitions that were dropped leave no hole that looks like a quiet market."""
    async with rest(database) as gateway:
        await gateway.store(bar_at(0), bar_at(0, event_time=NINE_THIRTY + 30 * DAY_US, raw_offset=9_000))
        await gateway.database.execute(
            "SELECT drop_before('bars', ARRAY['bars', 'bars_superseded'], '2013-11-02 UTC', interval '0')"
        )
        status, _, problem = await gateway.ask("GET", HISTORY, params=ALL)
        assert (status, problem["code"], problem["errors"][0]["param"]) == (410, "not_kept", "start")
        assert problem["kept_from"] == "2013-11-01T00:00:00.000000Z"
        kept = await gateway.get(HISTORY, interval="1m", start=problem["kept_from"], session="all")
        reached = await gateway.get(HISTORY, interval="1m", period="max", session="all")
        assert len(kept["data"]) == len(reached["data"]) == 1
        assert ("kept_from" in kept["meta"], reached["meta"]["kept_from"]) == (False, problem["kept_from"])


async def test_sessions_select_parts_of_the_day(database: str) -> None:
    """regular, what lies outside it, or all."""
    parts = [bar_at(-1, session="pre"), bar_at(0), bar_at(390, session="post")]
    async with rest(database) as gateway:
        await gateway.store(*parts)
        for session, expected in (
            ("regular", ["regular"]),
            ("extended", ["pre", "post"]),
            ("all", ["pre", "regular", "post"]),
        ):
            answer = await gateway.get(HISTORY, interval="1m", session=session, **DAY)
            assert rows_of(answer, "session") == expected
        gateway.clock.now = NINE_THIRTY + HOUR_US
        assert rows_of(await gateway.get("/stocks/SPY/intraday"), "session") == ["pre", "regular", "post"]


async def test_the_adjustment_is_told_and_never_pretended(database: str) -> None:
    """Absent: what is stored."""
    async with rest(database) as gateway:
        await gateway.store(bar_at(0, adjustment_state="split"))
        assert (await gateway.get(HISTORY, **ALL))["meta"]["adjustment"] == "split"
        await gateway.store(bar_at(1, provider="finnhub"))
        await gateway.complete_before(NINE_THIRTY + REST_US)  # below a watermark nothing comes any more
        answer = await gateway.get(HISTORY, **ALL)
        assert answer["meta"]["adjustment"] == "mixed"
        assert rows_of(answer, "adjustment") == ["split", "raw"]


async def test_the_answer_lists_the_gaps_it_overlaps(database: str) -> None:
    """Only of its symbol, interval and range, and only those known by then."""

    def blind(minute: int, **changes: Any) -> Evidence:
        start = NINE_THIRTY + minute * MINUTE_US
        times = {"from_time": start, "to_time": start + MINUTE_US, "known_from": NINE_THIRTY, "index": minute}
        return an_evidence(**(times | changes))

    async with rest(database) as gateway:
        await gateway.store(bar_at(0), bar_at(9))
        day = NINE_THIRTY - NINE_THIRTY % DAY_US
        await gateway.store(
            blind(3),
            blind(2 * 1_440),
            blind(3, symbol="QQQ", stream="bars.1m:yahoo:QQQ"),
            blind(3, interval="1d", stream="bars.1d:yahoo:SPY", from_time=day, to_time=day + DAY_US),
            blind(5, known_from=NINE_THIRTY + DAY_US),
        )
        inside, later = (rfc3339(NINE_THIRTY + minute * MINUTE_US) for minute in (3, 5))
        asked = {"interval": "1m", **DAY}
        known = await gateway.get(HISTORY, **asked, as_of=rfc3339(NINE_THIRTY + HOUR_US))
        assert [(g["from_time"], g["state"]) for g in known["meta"]["gaps"]] == [(inside, "open")]
        first_page = await gateway.get(HISTORY, **asked, limit=1)
        assert first_page["meta"]["gaps"] == []
        now = await gateway.get(HISTORY, **asked)
        assert [g["from_time"] for g in now["meta"]["gaps"]] == [inside, later]
        listed = await gateway.get("/gaps", symbol="SPY", limit=2)
        rest_ = await gateway.get("/gaps", symbol="SPY", limit=2, page_token=listed["next_page_token"])
        found = rows_of(listed, "interval", "from_time") + rows_of(rest_, "interval", "from_time")
        assert [interval for interval, _ in found] == ["1d", "1m", "1m", "1m"]
        assert [moment for _, moment in found[1:3]] == [inside, later]
        assert rest_["next_page_token"] is None


async def test_a_closed_range_with_as_of_is_cached_for_ever(database: str) -> None:
    """Same question, same tag, 304; an open one is never stored."""
    async with rest(database) as gateway:
        await gateway.store(bar_at(0))
        asked = {"interval": "1m", **DAY, "as_of": rfc3339(NINE_THIRTY + HOUR_US)}
        body: dict[str, object] = {}
        for form in ("csv", "json"):
            _, headers, body = await gateway.ask("GET", HISTORY, params=asked | {"format": form})
            assert "immutable" in headers["Cache-Control"]
            status, again, empty = await gateway.ask(
                "GET", HISTORY, params=asked | {"format": form}, headers={"If-None-Match": headers["ETag"]}
            )
            assert (status, again["ETag"], empty) == (304, headers["ETag"], "")
        _, headers, _ = await gateway.ask("GET", HISTORY, params={"interval": "1m", **DAY})
        assert headers["Cache-Control"] == "no-store"
        await gateway.store(bar_at(1))
        _, headers, page = await gateway.ask("GET", HISTORY, params=asked | {"limit": "1"})
        assert page["next_page_token"]
        assert headers["Cache-Control"] == "private, no-cache"  # its token expires
        await gateway.store(an_evidence(known_from=NINE_THIRTY))
        _, headers, _ = await gateway.ask("GET", HISTORY, params=asked)
        assert "immutable" in headers["Cache-Control"]  # a gap may be healed later, and was open then
        assert body["data"]


async def test_history_as_csv_has_the_rows_and_its_page_in_headers(database: str) -> None:
    """One line a row."""
    async with rest(database) as gateway:
        await gateway.store(bar_at(0), bar_at(1))
        query = {"interval": "1m", **DAY, "format": "csv", "limit": "1"}
        _, headers, text = await gateway.ask("GET", HISTORY, params=query)
        lines = text.splitlines()
        assert lines[0].startswith("event_time,open,high,low,close,volume,final,revision,provider,known_from")
        assert lines[1].startswith(
            "2013-10-07T13:30:00.000000Z,167.41,167.5,167.25,167.3,12000.0,true,0,yahoo,"
        )
        assert len(lines) == 2
        assert headers["X-Next-Page-Token"]
        assert headers["X-Gaps"] == "0"
        assert dict(zip(lines[0].split(","), lines[1].split(","), strict=True)).items() >= {
            "adjustment": "raw", "currency": "USD", "route": "primary", "providers": "yahoo",
        }.items()  # fmt: skip


async def test_revisions_of_bars_that_are_made_here_are_refused(database: str) -> None:
    """With what there is: an empty answer would say that nothing was ever corrected."""
    async with rest(database) as gateway:
        await gateway.store(bar_at(0), a_bar(interval="1d"))
        status, _, problem = await gateway.ask(
            "GET", HISTORY, params={"interval": "1h", "revisions": "all", "period": "max"}
        )
        assert (status, problem["errors"][0]["param"], problem["errors"][0]["code"]) == (
            422,
            "revisions",
            "not_stored",
        )
        assert problem["errors"][0]["detail"].endswith("one of: 1m 1d")
        assert (await gateway.get(HISTORY, interval="1m", revisions="all", **DAY))["data"]


async def test_an_unknown_provider_of_a_known_symbol_is_named_with_the_known_ones(database: str) -> None:
    """422 on `provider`."""
    async with rest(database) as gateway:
        await gateway.store(bar_at(0))
        status, _, problem = await gateway.ask("GET", HISTORY, params=ALL | {"provider": "reuters"})
        assert (status, problem["errors"][0]["param"]) == (422, "provider")
        assert "yahoo" in problem["detail"]


async def test_real_minutes_come_back_to_the_last_digit(database: str, market_data: Any) -> None:
    """SPY of 2013-10-07: every row of the file, none missing, none extra."""
    with zipfile.ZipFile(market_data / "equity_minute" / "spy" / "20131007_trade.zip") as archive:
        lines = archive.read(archive.namelist()[0]).decode().split()
    midnight = parse_moment("2013-10-07", "America/New_York")
    bars = []
    for number, line in enumerate(lines):
        ms, *prices, volume = (int(part) for part in line.split(","))
        opened, high, low, close = (price / 10_000 for price in prices)
        bars.append(
            a_bar(event_time=midnight + ms * 1_000, open=opened, high=high, low=low, close=close, volume=float(volume),
                  raw_offset=number, known_from=midnight + ms * 1_000 + SECOND_US)
        )  # fmt: skip
    async with rest(database) as gateway:
        await gateway.store(*bars)
        answer = await gateway.get("/stocks/SPY/intraday", date="2013-10-07", limit=10_000)
        got = rows_of(answer, "event_time", "open", "high", "low", "close", "volume")
        assert got == [(rfc3339(b.event_time), b.open, b.high, b.low, b.close, b.volume) for b in bars]
        day = (await gateway.get(HISTORY, start="2013-10-07", end="2013-10-08", session="all"))["data"][0]
        assert day["volume"] == sum(b.volume for b in bars)
        assert (day["high"], day["low"]) == (max(b.high for b in bars), min(b.low for b in bars))


async def test_the_newest_stored_moment_survives_the_database(database: str) -> None:
    """Microseconds are exact on both sides."""
    odd = bar_at(0, event_time=NINE_THIRTY, known_from=NINE_THIRTY + 123_457)
    async with rest(database) as gateway:
        await gateway.store(odd)
        assert rows_of(await gateway.get(HISTORY, **ALL), "known_from") == ["2013-10-07T13:30:00.123457Z"]
        stored = await gateway.database.fetchval("SELECT known_from FROM bars")
        assert micros(stored) == odd.known_from

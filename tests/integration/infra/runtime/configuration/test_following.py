"""Hot reload on the real broker: whole or not at all, and the same generation for every process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from infra.runtime.configuration.announcing import announce, newest_generation
from infra.runtime.configuration.following import PART, Follower, begin_calendars, replay_calendars
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.runtime.lifecycle import Health
from infra.runtime.metrics import REGISTRY
from infra.runtime.settings import MdsSettings
from producers.reloading import ConfigurationFile, Reloading, first_generation
from schemas.calendar.overlay import NO_OVERLAY, overlay_of
from schemas.calendar.sessions import calendar_of, calendars_in_force, put_in_force
from schemas.configuration.generation import sha256_of
from schemas.configuration.model import Configuration
from schemas.errors import ConfigurationError
from schemas.intervals import micros
from schemas.topics import CONFIGURATION, RAW_BARS
from tests.support.eventually import eventually
from tests.support.gateway_rest import rest
from tests.support.generations import GOOD, WITHIN_S, generations, text_of
from tests.support.producer_processes import producer, simulator

ROUNDS = 20


LOAD_RECORDS = 200


BROKEN = (
    "symbols: [SIM001\n",
    "symbols: [SIM001, SIM001]\n",
    "symbols: [SIM001]\nstrems: {}\n",
    "",
    "symbols: [SIM001]\nproviders: {finnhub: {token: canary-0123456789abcdef}}\n",
)


@dataclass
class Applied:
    """A service's side of a reload: what it was given, and what it refuses."""

    configurations: list[Configuration] = field(default_factory=list)
    refuse: str = ""

    async def __call__(self, configuration: Configuration) -> None:
        """Take the configuration, or refuse one with the symbol named."""
        if self.refuse in {member.symbol for member in configuration.members()}:
            raise ConfigurationError(f"{self.refuse} cannot be collected here", remedy="remove it")
        self.configurations.append(configuration)


@dataclass
class Reloaded:
    """A running reload machinery on a file."""

    path: Path
    health: Health
    applied: Applied
    follower: Follower

    def part(self) -> dict[str, object]:
        """Return what health says of the configuration."""
        return self.health.document()[PART]  # type: ignore[no-any-return]

    async def on(self, generation: int) -> None:
        """Return once a generation is in force."""
        await eventually(lambda: self.follower.generation == generation, within_s=WITHIN_S)

    async def refused(self, words: str) -> None:
        """Return once health tells of a refusal."""
        await eventually(lambda: words in str(self.part()["last_error"]), within_s=WITHIN_S, what=words)


async def no_wait() -> None:
    """The topics are there."""


@asynccontextmanager
async def reloading(
    path: Path, kafka: str, prefix: str, applied: Applied | None = None
) -> AsyncIterator[Reloaded]:
    """Run the producers' machinery with a recording service."""
    health, applied = Health(), applied or Applied()
    follower = Follower(kafka, prefix=prefix, service="producers", health=health)
    machinery = Reloading(ConfigurationFile(path=path, bootstrap=kafka, prefix=prefix), follower)
    await machinery.begin(no_wait)
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(machinery.run(applied))
        yield Reloaded(path, health, applied, follower)
        work.cancel()


@asynccontextmanager
async def following(kafka: str, prefix: str, service: str) -> AsyncIterator[tuple[Follower, Applied]]:
    """Run another service's follower."""
    follower, applied = Follower(kafka, prefix=prefix, service=service, health=Health()), Applied()
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(follower.run(applied))
        yield follower, applied
        work.cancel()


@asynccontextmanager
async def load(kafka: str, prefix: str) -> AsyncIterator[list[int]]:
    """Publish raw records as fast as the broker confirms them; yields the offsets confirmed so far."""
    publisher, confirmed = Publisher(kafka, "test-load"), list[int]()
    record = Outgoing(topic=prefix + RAW_BARS, partition=0, value=b"x" * 1_000)

    async def work() -> None:
        while True:
            confirmed.extend(await publisher.publish([record] * LOAD_RECORDS))

    try:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(work())
            yield confirmed
            task.cancel()
    finally:
        publisher.close()


def reloads(status: str) -> float:
    """Return the reloads of this process with a status."""
    return REGISTRY.get_sample_value("config_reload_total", {"status": status}) or 0.0


async def test_twenty_broken_reloads_under_load_keep_the_last_good_one(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Nothing broken reaches the log or the service; the reason is shown without the secret; a good one ends it."""
    path = tmp_path / "mds.yaml"
    path.write_text(GOOD)
    async with (
        load(kafka_bootstrap, topic_prefix) as confirmed,
        reloading(path, kafka_bootstrap, topic_prefix) as it,
    ):
        before = reloads("refused")
        for number in range(ROUNDS):
            said, moved = reloads("refused"), len(confirmed)
            path.write_text(BROKEN[number % len(BROKEN)] + f"# {number}\n")
            if number % 2:
                os.kill(os.getpid(), signal.SIGHUP)
            await eventually(lambda said=said: reloads("refused") > said, within_s=WITHIN_S)  # type: ignore[misc]
            await eventually(lambda moved=moved: len(confirmed) > moved, within_s=WITHIN_S)  # type: ignore[misc]

            assert it.follower.generation == 1
            assert it.health.ready()
            assert it.part()["last_error"]
            assert "canary" not in str(it.part())
        assert reloads("refused") - before >= ROUNDS
        assert it.applied.configurations == []
        path.write_text(text_of(1))
        await it.on(2)

        assert it.part()["last_error"] == ""
        assert [entry.symbols[1].symbol for entry in it.applied.configurations] == ["SIM001X"]
    assert [entry.text for entry in generations(kafka_bootstrap, topic_prefix)] == [GOOD, text_of(1)]


async def test_api_signal_and_watch_at_once_end_on_one_generation_everywhere(
    database: str, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """While the file changes thirty times, all three ask for reloads; every process ends with its last text."""
    path = tmp_path / "mds.yaml"
    path.write_text(GOOD)
    env = {"MDS_CONFIG": str(path), "MDS_KAFKA": kafka_bootstrap, "MDS_TOPIC_PREFIX": topic_prefix}
    async with (
        reloading(path, kafka_bootstrap, topic_prefix) as it,
        following(kafka_bootstrap, topic_prefix, "sinks") as (sinks, seen),
        rest(database, env=env) as gateway,
    ):

        async def by_api() -> None:
            for _ in range(10):
                status, _, body = await gateway.ask("POST", "/ops/reload")
                assert status == 202, body

        async def by_hand() -> None:
            for number in range(30):
                draft = tmp_path / ".mds.yaml.swp"
                draft.write_text(text_of(number))
                draft.replace(path)
                os.kill(os.getpid(), signal.SIGHUP)
                await asyncio.to_thread(path.read_text)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(by_api())
            tasks.create_task(by_hand())

        async def settled() -> bool:
            newest = await asyncio.to_thread(newest_generation, kafka_bootstrap, prefix=topic_prefix)
            assert newest is not None
            parts = [
                it.follower.generation,
                sinks.generation,
                gateway.process.health.document()[PART]["generation"],
            ]
            return newest.generation.text == text_of(29) and set(parts) == {newest.generation.generation}

        await eventually(settled, within_s=WITHIN_S, every_s=0.5)
        expected = {"SIM001", "SIM029X"}
        for applied in (it.applied, seen):
            assert {entry.symbol for entry in applied.configurations[-1].symbols} == expected
    numbers = [entry.generation for entry in generations(kafka_bootstrap, topic_prefix)]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_an_editors_rename_and_a_kubernetes_swap_are_noticed_and_a_touch_is_nothing(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The path is a link through `..data`, which is swapped by a rename; then the file is replaced by an editor."""
    for number in (1, 2):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "mds.yaml").write_text(text_of(number))
    (tmp_path / "..data").symlink_to("..1")
    path = tmp_path / "mds.yaml"
    path.symlink_to(Path("..data") / "mds.yaml")
    async with reloading(path, kafka_bootstrap, topic_prefix) as it:
        (tmp_path / "..data_tmp").symlink_to("..2")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        await it.on(2)
        path.unlink()
        draft = tmp_path / "4913"
        draft.write_text(text_of(3))
        draft.rename(path)
        await it.on(3)
        unchanged = reloads("unchanged")
        path.touch()
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: reloads("unchanged") > unchanged, within_s=WITHIN_S)

        assert it.follower.generation == 3
        path.unlink()
        await it.refused("cannot be read")
        assert it.follower.generation == 3


async def test_a_service_that_cannot_apply_keeps_what_it_has(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A generation valid to all but impossible here is refused here alone, and the next one is applied."""
    path = tmp_path / "mds.yaml"
    path.write_text(GOOD)
    async with (
        reloading(path, kafka_bootstrap, topic_prefix, Applied(refuse="SIM001X")) as it,
        following(kafka_bootstrap, topic_prefix, "sinks") as (sinks, _),
    ):
        path.write_text(text_of(1))
        await it.refused("SIM001X cannot be collected here; remove it")
        await eventually(lambda: sinks.generation == 2, within_s=WITHIN_S)
        assert (it.follower.generation, it.applied.configurations) == (1, [])
        path.write_text(text_of(2))
        await it.on(3)
        assert it.part()["last_error"] == ""


async def test_a_foreign_record_on_the_topic_harms_nobody(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Garbage before a start and while running is passed over."""
    path = tmp_path / "mds.yaml"
    path.write_text(GOOD)
    publisher = Publisher(kafka_bootstrap, "test-garbage")
    garbage = [Outgoing(topic=topic_prefix + CONFIGURATION, partition=0, value=b"\x00garbage", key=b"x")] * 20
    await publisher.publish(garbage)
    async with reloading(path, kafka_bootstrap, topic_prefix) as it:
        await it.on(1)
        await publisher.publish(garbage)
        path.write_text(text_of(1))
        await it.on(2)
    publisher.close()


async def test_a_start_takes_the_newer_of_file_and_generation(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """An edited file wins over an older generation, a stale disk does not, and a broken file is passed over."""
    path = tmp_path / "mds.yaml"
    file = ConfigurationFile(path=path, bootstrap=kafka_bootstrap, prefix=topic_prefix)
    start = partial(asyncio.to_thread, first_generation, file)
    path.write_text("symbols: [")
    with pytest.raises(ConfigurationError, match="not YAML"):
        await start()
    path.write_text(GOOD)
    assert (await start())[0].generation == 1
    assert (await start())[0].generation == 1
    announced = await asyncio.to_thread(
        announce, kafka_bootstrap, lambda: text_of(7), "api", prefix=topic_prefix
    )
    assert (await start())[0] == announced.generation
    path.write_text("symbols: [")
    assert (await start())[0] == announced.generation
    path.write_text(GOOD)
    generation, configuration = await start()

    assert (generation.generation, generation.origin, generation.sha256) == (3, "start", sha256_of(GOOD))
    assert [member.symbol for member in configuration.members()] == ["SIM001"]


async def test_a_producer_shows_its_generation_and_survives_a_broken_file(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The real process: SIGHUP and edits move the gauge, a broken file is refused, a restart keeps the last good one."""
    path = tmp_path / "mds.yaml"
    path.write_text(GOOD)
    gauge = 'mds_config_generation{service="producers"}'
    async with simulator() as (_, url):
        env = {"MDS_CONFIG": str(path)}
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as first:
            await eventually(lambda: _is(first.metric(gauge), 1), within_s=WITHIN_S * 2)
            path.write_text(text_of(1))
            first.process.send_signal(signal.SIGHUP)
            await eventually(lambda: _is(first.metric(gauge), 2), within_s=WITHIN_S)
            path.write_text("symbols: [")
            await eventually(lambda: _shows(first.part(PART), "not YAML"), within_s=WITHIN_S)
            assert await first.metric(gauge) == 2
            assert await first.metric('config_reload_total{status="refused"}') >= 1
            assert (await first.part(PART))["ready"]
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as second:
            await eventually(lambda: _is(second.metric(gauge), 2), within_s=WITHIN_S * 2)
            assert "not YAML" in (await second.part(PART))["last_error"]


async def _is(reading: object, expected: float) -> bool:
    return await reading == expected  # type: ignore[misc]


async def _shows(reading: object, words: str) -> bool:
    return words in (await reading).get("last_error", "")  # type: ignore[misc]


@pytest.fixture
def _restored() -> Iterator[None]:
    yield
    put_in_force(NO_OVERLAY)


@pytest.mark.usefixtures("_restored")
async def test_a_generation_puts_its_calendars_in_force(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Of any market, in a service nothing else of the file concerns; what is refused changes nothing."""
    closed = GOOD + "calendar_closures: {XTKS: [2024-12-03]}\n"
    senseless = GOOD + "calendar_early_closes: {XTKS: {2024-12-03: 23:00}}\n"
    noon = micros(datetime(2024, 12, 3, 1, tzinfo=UTC))
    async with following(kafka_bootstrap, topic_prefix, "sinks") as (follower, _):
        for text, number, session in ((closed, 1, "closed"), (GOOD, 2, "regular"), (closed, 3, "closed")):
            await asyncio.to_thread(
                announce, kafka_bootstrap, lambda text=text: text, "api", prefix=topic_prefix
            )
            await eventually(lambda number=number: follower.generation == number, within_s=WITHIN_S)
            assert calendar_of("7203.T").session_of(noon) == session
        refused = reloads("refused")
        await asyncio.to_thread(announce, kafka_bootstrap, lambda: senseless, "api", prefix=topic_prefix)
        await eventually(lambda: reloads("refused") == refused + 1, within_s=WITHIN_S)
        assert calendar_of("7203.T").session_of(noon) == "closed"


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("stored", ["newest", "nothing", pytest.param("no broker", marks=pytest.mark.soak)])
def test_a_process_begins_with_the_newest_calendars(
    stored: str, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The newest generation's; where there is none, or none can be read, those of the file on this disk."""
    path = tmp_path / "mds.yaml"
    path.write_text(GOOD + "calendar_closures: {XLON: [2024-12-03]}\n")
    if stored == "newest":
        text = GOOD + "calendar_closures: {XTKS: [2024-12-03]}\n"
        announce(kafka_bootstrap, lambda: text, "api", prefix=topic_prefix)
    bootstrap = "127.0.0.1:9" if stored == "no broker" else kafka_bootstrap
    settings = MdsSettings(config=path, kafka=bootstrap, topic_prefix=topic_prefix, market_clock="wall")
    found = begin_calendars(settings)

    closed = "XTKS" if stored == "newest" else "XLON"
    assert calendars_in_force().overlay == overlay_of({closed: ["2024-12-03"]}, {})
    assert found is not None and found.calendar_overlay() == calendars_in_force().overlay
    path.write_text("symbols: 5\n")
    if stored != "newest":
        assert begin_calendars(settings) is None
        assert calendars_in_force().overlay == overlay_of({closed: ["2024-12-03"]}, {})


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("named", [True, False])
def test_a_replay_asks_only_a_broker_that_is_named(
    named: bool, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Without one the file on this disk says which days were closed, at once."""
    path, text = tmp_path / "mds.yaml", GOOD + "calendar_closures: {XTKS: [2024-12-03]}\n"
    path.write_text(GOOD + "calendar_closures: {XLON: [2024-12-03]}\n")
    announce(kafka_bootstrap, lambda: text, "api", prefix=topic_prefix)
    kafka = kafka_bootstrap if named else ""
    replay_calendars(MdsSettings(config=path, kafka=kafka, topic_prefix=topic_prefix, market_clock="wall"))

    closed = "XTKS" if named else "XLON"
    assert calendars_in_force().overlay == overlay_of({closed: ["2024-12-03"]}, {})

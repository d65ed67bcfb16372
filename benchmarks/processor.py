"""The stream processor, exactly once and with all its rules, against two at-least-once yardsticks without any.

All three read the same topic of blocks of 200 quotes and write one record an event to a topic of four partitions. Each
runs as a process of its own; what counts is the pace at which the output grows, from its first record to its last.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

from confluent_kafka import Producer

from benchmarks.measure import RUNS, Row, broker, middle, row
from infra.runtime.kafka.clients import producer_config
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.topics import ensure_topics
from schemas.topics import DEFAULT_PARTITIONS, QUOTES, RAW_QUOTES
from schemas.wire.codec import encode
from tests.conftest import free_port
from tests.support.loaded_partitions import block_of_quotes, symbols_at_home

ROOT = Path(__file__).parent.parent
QUIX = ROOT / ".mds" / "bench" / "quix"
QUIX_LOCK = ROOT / "benchmarks" / "yardsticks" / "quix.lock"
EVENTS_PER_BLOCK = 200
BLOCKS = 2_000
SYMBOLS_PER_PARTITION = 500
MEASURE_S = 8.0
START_WITHIN_S = 60.0
QUIET_S = 1.5  # no growth for so long is the end
LOOK_S = 0.02
FAUST_GOAL, FAUST_FLOOR = 8.0, 6.0
QUIX_GOAL, QUIX_FLOOR = 1.5, 1.2


def run() -> list[Row]:
    """Return the processor's pace, absolute and against the yardsticks: medians of runs that alternate."""
    quix = quix_python()
    paces: dict[str, list[float]] = {"ours": [], "faust": [], "quix": []}
    with broker() as bootstrap:
        for number in range(RUNS):
            prefix = f"bench{number}.{os.getpid()}."
            fill(bootstrap, prefix)
            for name, python in (("ours", sys.executable), ("faust", sys.executable), ("quix", quix)):
                out = prefix if name == "ours" else f"{prefix}{name}."
                if name != "ours":
                    ensure_topics(bootstrap, prefix=out)
                command = _command(name, python, bootstrap, prefix, out)
                paces[name].append(pace(bootstrap, out + QUOTES, command, prefix))
    ours = middle(paces["ours"])
    against = {
        name: middle([a / b for a, b in zip(paces["ours"], paces[name], strict=True)]) for name in paces
    }
    return [
        row("processor, blocks of 200", ours, "events/s"),
        row(
            "processor / Faust per event",
            ours,
            "events/s",
            yardstick=ours / against["faust"],
            goal=FAUST_GOAL,
            floor=FAUST_FLOOR,
        ),
        row(
            "processor / Quix Streams",
            ours,
            "events/s",
            yardstick=ours / against["quix"],
            goal=QUIX_GOAL,
            floor=QUIX_FLOOR,
        ),
    ]


def fill(bootstrap: str, prefix: str) -> None:
    """Append blocks of quotes, every event another value, spread over all partitions."""
    ensure_topics(bootstrap, prefix=prefix)
    homes = symbols_at_home(DEFAULT_PARTITIONS, SYMBOLS_PER_PARTITION)
    producer = Producer(producer_config(bootstrap, "bench-fill"))
    for number in range(BLOCKS):
        partition = number % DEFAULT_PARTITIONS
        block = block_of_quotes(homes[partition], number, EVENTS_PER_BLOCK)
        producer.produce(prefix + RAW_QUOTES, encode(RAW_QUOTES, block), partition=partition)
        producer.poll(0)
    producer.flush()


def pace(bootstrap: str, topic: str, command: Sequence[str], prefix: str) -> float:
    """Run a processor and return events a second, from its first output to its last or for 8 s."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MDS_")} | {
        "MDS_KAFKA": bootstrap,
        "MDS_TOPIC_PREFIX": prefix,
        "PROCESSORS_OPS_PORT": str(free_port()),
    }
    consumer = LogReader(bootstrap, "bench-look")
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            return _grow(lambda: _size(consumer, topic))
        except TimeoutError:
            log.seek(0)
            raise RuntimeError(f"{command}: {log.read()[-3_000:].decode()}") from None
        finally:
            process.kill()
            process.wait()
            consumer.close()


def _grow(size: Callable[[], int]) -> float:
    deadline_s = time.monotonic() + START_WITHIN_S
    while (begun := size()) == 0:
        if time.monotonic() > deadline_s:
            raise TimeoutError
        time.sleep(LOOK_S)
    start_s = grown_s = time.monotonic()
    last = begun
    while time.monotonic() - start_s < MEASURE_S and time.monotonic() - grown_s < QUIET_S:
        now = size()
        if now > last:
            last, grown_s = now, time.monotonic()
        time.sleep(LOOK_S)
    return (last - begun) / (grown_s - start_s)


def _size(consumer: LogReader, topic: str) -> int:
    return sum(consumer.bounds(topic, partition)[1] for partition in range(DEFAULT_PARTITIONS))


def _command(name: str, python: str, bootstrap: str, prefix: str, out: str) -> list[str]:
    if name == "ours":
        return [python, "-m", "stream_processors"]
    module = {"faust": "faust_per_event", "quix": "quix_streams"}[name]
    return [
        python,
        "-m",
        f"benchmarks.yardsticks.{module}",
        bootstrap,
        prefix + RAW_QUOTES,
        out + QUOTES,
        out + "g",
    ]


def quix_python() -> str:
    """Return the interpreter of Quix Streams' own environment, made from its lock file on first use."""
    python = QUIX / "bin" / "python"
    marker = QUIX / "installed"
    if not marker.exists() or marker.read_text() != QUIX_LOCK.read_text():
        venv.create(QUIX, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(QUIX_LOCK)]
        subprocess.run(install, check=True)
        marker.write_text(QUIX_LOCK.read_text())
    return str(python)


if __name__ == "__main__":
    for result in run():
        print(result)

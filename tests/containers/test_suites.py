"""The suites of plain PostgreSQL, run again on TimescaleDB: in a container, and on any server that is named."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.support.databases import TIMESCALE_SERVER
from tests.support.source_code import ROOT

STORE = "tests/integration/sinks/store"
MAIN_JOB = "tests/e2e/test_real_data.py"
WITHIN_S = 1_800
PASSED = re.compile(r"(\d+) passed")


def passed(suite: str, **environment: str) -> int:
    """Return how many tests of a suite passed; none failed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", suite],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    found = PASSED.search(done.stdout)

    assert done.returncode == 0, done.stdout[-10_000:]
    assert found is not None, done.stdout
    return int(found[1])


pytestmark = pytest.mark.timeout(WITHIN_S)


def test_the_store_suite_holds_in_a_container(timescale_container: str, kafka_container: str) -> None:
    """On hypertables, each test in a database of its own."""
    assert passed(STORE, MDS_TEST_TIMESCALE_DSN=timescale_container, MDS_TEST_KAFKA=kafka_container) > 50


def test_real_data_go_from_the_vendor_to_the_client_in_containers(
    timescale_container: str, kafka_container: str
) -> None:
    """The whole system: a day of bars and trades is taken in, stored, streamed and answered."""
    assert passed(MAIN_JOB, MDS_TEST_TIMESCALE_DSN=timescale_container, MDS_TEST_KAFKA=kafka_container) > 5


@pytest.mark.skipif(not TIMESCALE_SERVER, reason="MDS_TEST_TIMESCALE_DSN names no server with TimescaleDB")
def test_the_store_suite_holds_on_the_server_that_is_named() -> None:
    """Any server on which the named role may create databases and the extension."""
    assert passed(STORE) > 50

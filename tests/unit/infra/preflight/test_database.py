"""A database as it told in one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infra.preflight.database import DATABASE_CHECKS, DatabaseState
from infra.runtime.postgres.files import Migration, migrations
from infra.runtime.postgres.timescale import FILES
from schemas.clocks import WallTime
from schemas.errors import ConfigurationError

MOVES = [each.name for each in migrations(FILES)]
PLAIN = DatabaseState(
    version="18.1", number=180_001, standby=False, btree_gist=True, btree_gist_available=True, timescaledb=None,
    timescaledb_available=False, license=None, reader=True, hidden=(), pending=(), refused=None, moves=None,
    told=WallTime(2), sent=WallTime(1), answered=WallTime(3),
)  # fmt: skip
TIMESCALE = replace(
    PLAIN, timescaledb="2.23.0-dev", timescaledb_available=True, license="timescale", moves=MOVES
)
PRE = Migration(name="0099_pre_more", phase="pre", text="")
POST = Migration(name="0100_post_less", phase="post", text="")


def judged(state: DatabaseState) -> dict[str, str]:
    """Return the result of every check."""
    return {name: judge(state).result for name, judge in DATABASE_CHECKS.items()}


@pytest.mark.parametrize("state", [pytest.param(PLAIN, id="plain"), pytest.param(TIMESCALE, id="timescale")])
def test_a_migrated_database_is_well(state: DatabaseState) -> None:
    """TimescaleDB or not."""
    assert set(judged(state).values()) == {"ok"}


@pytest.mark.parametrize(
    ("check", "state", "change", "result", "says", "remedy"),
    [
        pytest.param("postgres", PLAIN, {"number": 130_010, "version": "13.10"}, "failed", "13.10 is older than 14", "17 or newer", id="too-old"),
        pytest.param("postgres", PLAIN, {"number": 160_004, "version": "16.4"}, "warning", "16.4 was never tried", "17 or newer", id="not-tried"),
        pytest.param("postgres", PLAIN, {"standby": True}, "failed", "takes no writes", "MDS_POSTGRES_DSN", id="a-standby"),
        pytest.param("btree-gist", PLAIN, {"btree_gist": False}, "failed", "lacks the extension", "CREATE EXTENSION btree_gist", id="not-made"),
        pytest.param("btree-gist", PLAIN, {"btree_gist": False, "btree_gist_available": False}, "failed", "not installed on the server", "contrib", id="not-installed"),
        pytest.param("timescaledb", TIMESCALE, {"license": "apache"}, "failed", "'apache'", "timescaledb.license = 'timescale'", id="a-licence-without-jobs-in-use"),
        pytest.param("timescaledb", TIMESCALE, {"license": "apache", "moves": None}, "warning", "'apache'", "community", id="a-licence-without-jobs"),
        pytest.param("timescaledb", TIMESCALE, {"timescaledb": "2.9.1"}, "failed", "older than 2.23", "ALTER EXTENSION", id="an-old-one"),
        pytest.param("timescaledb", TIMESCALE, {"moves": MOVES[:-1]}, "failed", MOVES[-1], "mds migrate --timescale", id="half-moved"),
        pytest.param("migrations", PLAIN, {"pending": [PRE, POST]}, "failed", "0099_pre_more", "mds migrate pre", id="pending"),
        pytest.param("migrations", PLAIN, {"pending": [POST]}, "warning", "0100_post_less", "mds migrate post", id="only-after-the-rollout"),
        pytest.param("migrations", PLAIN, {"refused": ConfigurationError("the database has migration 9999_pre_x, which this version lacks", remedy="run the newer version")}, "failed", "9999_pre_x", "run the newer version", id="newer-than-this"),
        pytest.param("reader-role", PLAIN, {"reader": False}, "warning", "no role mds_reader", "CREATE ROLE mds_reader", id="no-reader"),
        pytest.param("reader-role", PLAIN, {"hidden": ["v_options"]}, "warning", "may not read v_options", "GRANT SELECT ON v_options TO mds_reader", id="a-hidden-view"),
        pytest.param("postgres-clock", PLAIN, {"told": WallTime(9_000_000)}, "failed", "9.0 s ahead", "NTP", id="clock"),
    ],
)  # fmt: skip
def test_each_thing_that_is_not_so_is_one_finding(
    check: str, state: DatabaseState, change: dict[str, Any], result: str, says: str, remedy: str
) -> None:
    """With its remedy, and no other check changes."""
    state = replace(state, **change)
    finding = DATABASE_CHECKS[check](state)

    assert finding.result == result
    assert says in finding.says
    assert remedy in finding.remedy
    assert {name: each for name, each in judged(state).items() if each != "ok"} == {check: result}


def test_an_extension_nobody_uses_is_well() -> None:
    """It is there, with jobs, and no table of ours is in it."""
    assert judged(replace(TIMESCALE, moves=None))["timescaledb"] == "ok"
    assert judged(replace(PLAIN, timescaledb_available=True))["timescaledb"] == "ok"

"""The broker as it was asked: who is there, of which release, by which clock."""

from __future__ import annotations

import pytest

from infra.preflight.broker import judge_broker_clock, judge_cluster, judge_releases, kafka_groups
from infra.runtime.clock import wall_us
from infra.runtime.kafka.probing import Attempt, Broker, Cluster
from infra.runtime.kafka.releases import Release
from infra.runtime.settings import MdsSettings
from schemas.clocks import WallTime

ONE, TWO = Broker(number=1, host="a", port=1), Broker(number=2, host="b", port=2)


@pytest.mark.parametrize(
    ("releases", "result", "says"),
    [
        pytest.param([(ONE, Release(4, 2)), (TWO, Release(4, 1))], "ok", "4.1.x 4.2.x keeps", id="older"),
        pytest.param([(ONE, Release(4, 2)), (TWO, Release(4, 3))], "failed", "broker 2 (4.3.x) may lose", id="one-of-two"),
        pytest.param([(ONE, Release(4, 4))], "unknown", "broker 1 (4.4.x)", id="depends-on-the-patch"),
        pytest.param([(ONE, None)], "unknown", "version not known", id="not-told"),
        pytest.param([(ONE, None), (TWO, Release(4, 3))], "failed", "broker 2 (4.3.x)", id="sure-before-unsure"),
        pytest.param([(None, Release(4, 4, 0))], "failed", "the broker (4.4.0)", id="told-by-the-operator"),
        pytest.param([(None, Release(4, 4, 1))], "ok", "4.4.1 keeps", id="told-and-mended"),
    ],
)  # fmt: skip
def test_a_release_that_is_not_known_is_never_well(
    releases: list[tuple[Broker | None, Release | None]], result: str, says: str
) -> None:
    """KAFKA-20734: 4.3.0 to 4.4.0 may lose confirmed transactions."""
    finding = judge_releases(releases)

    assert (finding.result, says in finding.says) == (result, True)
    assert "--kafka-version" in finding.remedy or result != "unknown"
    assert "4.2.2" in finding.remedy or result != "failed"


def test_a_cluster_without_brokers_is_none() -> None:
    """It answered, and there is nobody."""
    assert judge_cluster(Cluster(brokers=(ONE, TWO), partitions={}), "a:1").says == "2 brokers at a:1"
    assert judge_cluster(Cluster(brokers=(), partitions={}), "a:1").result == "failed"


def test_a_record_the_broker_did_not_stamp_tells_no_time() -> None:
    """Then its clock could not be looked at."""
    attempt = Attempt(sent=WallTime(0), confirmed=WallTime(1), appended=None)

    assert judge_broker_clock(attempt).result == "unknown"
    assert "LogAppendTime" in judge_broker_clock(attempt).remedy


async def test_a_version_told_by_the_operator_is_asked_of_nobody() -> None:
    """It holds for every broker."""
    groups = kafka_groups(MdsSettings(), wall_us, told_version="4.2.2")
    (group,) = [each for each in groups if "broker-version" in each.checks]

    assert await group.read() == [(None, Release(4, 2, 2))]
    assert group.after == "broker"

"""Checks of the broker: it answers, its release keeps what it confirmed, its clock is ours, and it lets us do our work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infra.preflight.findings import Finding, failed, ok, some, unknown
from infra.preflight.running import CheckGroup
from infra.preflight.skew import judge_skew
from infra.preflight.topics import TOPIC_CHECKS, DeclaredTopics
from infra.runtime.kafka.login import check_login
from infra.runtime.kafka.probing import GROUP, TRANSACTIONAL_ID, Attempt, Broker, Cluster, Probe
from infra.runtime.kafka.releases import Release, newest_level, parse_release, release_of
from infra.runtime.kafka_access import KafkaAccess, access_of
from infra.runtime.settings import MdsSettings
from infra.runtime.threads import in_daemon_thread
from schemas.clocks import WallTime
from schemas.errors import BrokerUnavailable
from schemas.topics import CONFIGURATION, catalogue, dead

BROKER = "broker"
ASK_WITHIN_S = 6.0
ATTEMPT_WITHIN_S = 75.0  # all steps of it
PROBED = dead(CONFIGURATION)  # of all topics the one that fewest write to
OTHER_RELEASE = "run another release, such as 4.2.2 (KAFKA-20734)"
TELL_RELEASE = "look it up with `kafka-broker-api-versions.sh` or in your provider's console and name it with --kafka-version"


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaLook:
    """Everything asked of one cluster."""

    probe: Probe
    settings: MdsSettings
    now: Callable[[], WallTime]
    told_version: str  # by the operator; empty: it is asked for

    async def cluster(self) -> Cluster:
        """Return who is there."""

        def ask() -> Cluster:
            # before the cluster is: a refused login is a time-out there
            check_login(self.settings.bootstrap_servers, within_s=ASK_WITHIN_S)
            return self.probe.cluster()

        return await in_daemon_thread(ask, name="preflight-cluster")

    async def releases(self) -> Sequence[tuple[Broker | None, Release | None]]:
        """Return each broker with its release as far as it tells; what the operator told holds for all."""
        if self.told_version:
            return [(None, parse_release(self.told_version))]
        brokers = (await self.cluster()).brokers

        def ask() -> Sequence[tuple[Broker | None, Release | None]]:
            access = access_of(self.settings.bootstrap_servers)
            return [(broker, _release(broker, access)) for broker in brokers]

        return await in_daemon_thread(ask, name="preflight-release")

    async def topics(self) -> DeclaredTopics:
        """Return what there is of the declared topics."""
        prefix = self.settings.topic_prefix

        def ask() -> DeclaredTopics:
            cluster = self.probe.cluster()
            there = [name for name in catalogue().topics if prefix + name in cluster.partitions]
            states = self.probe.topics([prefix + name for name in there])
            return DeclaredTopics(
                prefix=prefix,
                counts=cluster.partitions,
                states={name: states[prefix + name] for name in there},
                brokers=len(cluster.brokers),
            )

        return await in_daemon_thread(ask, name="preflight-topics")

    async def attempt(self) -> Attempt:
        """Return when a record that nobody will see was appended."""
        topic = self.settings.topic_prefix + PROBED
        return await in_daemon_thread(
            lambda: self.probe.attempt(topic, self.now), name="preflight-transaction"
        )

    async def read(self) -> int:
        """Return how many records a reader sees at the end of a topic."""
        topic = self.settings.topic_prefix + PROBED
        return await in_daemon_thread(lambda: self.probe.read(topic), name="preflight-reading")


def kafka_groups(
    settings: MdsSettings, now: Callable[[], WallTime], *, told_version: str
) -> list[CheckGroup]:
    """Return the checks of the cluster that the settings name."""
    servers, prefix = settings.bootstrap_servers, settings.topic_prefix
    probe = Probe(servers, prefix=prefix, within_s=ASK_WITHIN_S)
    asked = KafkaLook(probe=probe, settings=settings, now=now, told_version=told_version)
    start = "start it with `mds up kafka`, or set MDS_KAFKA to brokers that this machine reaches"
    return [
        CheckGroup(
            read=asked.cluster,
            checks={BROKER: lambda cluster: judge_cluster(cluster, servers)},
            remedy=start,
        ),
        CheckGroup(read=asked.releases, checks={"broker-version": judge_releases}, after=BROKER),
        CheckGroup(read=asked.topics, checks=TOPIC_CHECKS, after=BROKER),
        CheckGroup(
            read=asked.attempt,
            checks={
                "transactions": lambda _: ok(
                    f"a transaction of {prefix}{TRANSACTIONAL_ID} and a position of {prefix}{GROUP} were taken and aborted"
                ),
                "broker-clock": judge_broker_clock,
            },
            after=BROKER,
            within_s=ATTEMPT_WITHIN_S,
        ),
        CheckGroup(
            read=asked.read,
            checks={"reading": lambda _: ok(f"{prefix}{PROBED} was read to its end")},
            after=BROKER,
        ),
    ]


def judge_cluster(cluster: Cluster, servers: str) -> Finding:
    """Judge whether there is a broker at all."""
    if not cluster.brokers:
        return failed(f"the cluster at {servers} has no broker", "start one, or correct MDS_KAFKA")
    count = len(cluster.brokers)
    return ok(f"{count} broker{'s' if count > 1 else ''} at {servers}")


def judge_releases(releases: Sequence[tuple[Broker | None, Release | None]]) -> Finding:
    """Judge releases by KAFKA-20734; one that is not known is never well."""
    losing = [_told(each) for each in releases if each[1] is not None and each[1].loses_transactions]
    if losing:
        return failed(f"{some(losing)} may lose confirmed transactions when it is killed", OTHER_RELEASE)
    doubtful = [_told(each) for each in releases if each[1] is None or each[1].loses_transactions is None]
    if doubtful:
        return unknown(f"{some(doubtful)}: it does not tell whether it is of 4.3.0 to 4.4.0", TELL_RELEASE)
    return ok(some({str(release) for _, release in releases}) + " keeps what it confirmed")


def judge_broker_clock(attempt: Attempt) -> Finding:
    """Judge the broker's clock by the append time of a record: it is knowledge time."""
    if attempt.appended is None:
        return unknown(
            f"the broker did not stamp what was written to {PROBED}",
            f"set message.timestamp.type of {PROBED} to LogAppendTime",
        )
    return judge_skew(attempt.appended, "the broker's clock", sent=attempt.sent, answered=attempt.confirmed)


def _release(broker: Broker, access: KafkaAccess) -> Release | None:
    try:
        level = newest_level(broker.host, broker.port, access=access, within_s=ASK_WITHIN_S)
    except BrokerUnavailable:
        return None
    return None if level is None else release_of(level)


def _told(told: tuple[Broker | None, Release | None]) -> str:
    broker, release = told
    whose = "the broker" if broker is None else f"broker {broker.number}"
    return f"{whose} ({'version not known' if release is None else release})"

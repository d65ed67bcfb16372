"""What is rendered for Strimzi, made on a real broker as its operator makes it."""

from __future__ import annotations

from pathlib import Path

import yaml
from confluent_kafka.admin import AdminClient, NewTopic

from infra.cli import inspection
from infra.cli.strimzi import strimzi_manifest
from infra.cli.system import System

MADE_WITHIN_S = 60.0


def test_topics_that_an_operator_makes_are_those_that_services_want(
    kafka_bootstrap: str, bare_prefix: str, tmp_path: Path
) -> None:
    """A broker knows every setting of theirs, and `mds topics check` has nothing to say."""
    manifest = strimzi_manifest(
        cluster="kafka", prefix=bare_prefix, partitions=3, replicas=1, authentication="tls"
    )
    specs = [each["spec"] for each in yaml.safe_load_all(manifest) if each["kind"] == "KafkaTopic"]
    wanted = [
        NewTopic(spec["topicName"], spec["partitions"], spec["replicas"], config=spec["config"])
        for spec in specs
    ]
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    for made in admin.create_topics(wanted).values():
        made.result(MADE_WITHIN_S)

    system = System.from_env(
        {"MDS_HOME": str(tmp_path), "MDS_KAFKA": kafka_bootstrap, "MDS_TOPIC_PREFIX": bare_prefix}
    )
    entries = inspection.topic_entries(system, on_broker=True)
    assert [entry["name"] for entry in entries if not entry["ok"]] == []
    assert system.apply_topics() == []

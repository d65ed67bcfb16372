"""Rights of services: the least, under the prefix, and each service sees every topic."""

from __future__ import annotations

from typing import get_args

import pytest

from schemas.rights import NO_GROUP, Client, rights_of
from schemas.topics import CANONICAL_TOPICS, GAPS, RAW_TOPICS, catalogue, dead

CLIENTS: tuple[Client, ...] = get_args(Client)


def written(client: Client) -> set[str]:
    """Return the topics a client may write."""
    return {
        right.name for right in rights_of(client) if right.resource == "topic" and "Write" in right.operations
    }


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_sees_every_topic_and_has_each_right_once(client: Client) -> None:
    """The partition count is agreed on by all topics; a user is made of the list as it is."""
    rights = rights_of(client, prefix="trial.")

    assert {right.name for right in rights if right.resource == "topic"} == {
        f"trial.{name}" for name in catalogue().topics
    }
    assert len({(right.resource, right.name) for right in rights}) == len(rights)
    assert all(right.name.startswith("trial.") or right.name == NO_GROUP for right in rights)
    assert all(right.operations for right in rights)


def test_a_service_writes_what_it_makes_and_nothing_else() -> None:
    """A sink that was broken into cannot make up market data, a gateway cannot write canonical records."""
    assert written("archive") == set()
    assert not written("gateway") & {*CANONICAL_TOPICS, GAPS}
    assert not written("sinks") & {*CANONICAL_TOPICS, *RAW_TOPICS}
    assert not written("producers") & {*CANONICAL_TOPICS, GAPS}
    assert written("operator") == set(catalogue().topics)


def test_whoever_makes_letters_may_write_them() -> None:
    """Producers and processors of raw records, sinks of all they store."""
    assert {dead(topic) for topic in RAW_TOPICS} <= written("producers") & written("stream_processors")
    assert {dead(topic) for topic in CANONICAL_TOPICS} <= written("sinks")


def test_only_transactional_ids_by_partition_are_given_by_prefix() -> None:
    """They are numbered; all other names are known."""
    by_prefix = {right.name for client in CLIENTS for right in rights_of(client) if right.pattern == "prefix"}

    assert by_prefix == {"processor-", "sinks-outbox-"}

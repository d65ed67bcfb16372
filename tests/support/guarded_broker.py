"""A broker that asks what each client may do, and rules for the one that every client of a plain listener is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from infra.embedded.home import Home
from infra.embedded.kafka import EmbeddedKafka
from tests.support.eventually import eventually

RULED_WITHIN_S = 15.0
EVERY = AclBindingFilter(
    ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
)
# What no rule is about is allowed: the broker itself must do its work.
AUTHORIZER = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
"""


class GuardedKafka(EmbeddedKafka):
    """The embedded broker with an authorizer."""

    def _write_configuration(self, home: Home) -> Path:
        properties = super()._write_configuration(home)
        properties.write_text(properties.read_text() + AUTHORIZER)
        return properties


def rule(bootstrap: str, kind: ResourceType, name: str, operation: AclOperation, *, allowed: bool) -> None:
    """Allow or deny an operation to everybody; what else is done with that resource is denied from then on."""
    permission = AclPermissionType.ALLOW if allowed else AclPermissionType.DENY
    made = AclBinding(kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, permission)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for created in admin.create_acls([made]).values():
        created.result(RULED_WITHIN_S)
    _until(lambda: made in admin.describe_acls(EVERY).result(RULED_WITHIN_S))


def lift_rules(bootstrap: str) -> None:
    """Take all rules away."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for deleted in admin.delete_acls([EVERY]).values():
        deleted.result(RULED_WITHIN_S)
    _until(lambda: not admin.describe_acls(EVERY).result(RULED_WITHIN_S))


def _until(holds: Callable[[], bool]) -> None:
    """Wait until the broker, which hears of rules from its controller, knows of a change."""
    asyncio.run(eventually(holds, within_s=RULED_WITHIN_S))

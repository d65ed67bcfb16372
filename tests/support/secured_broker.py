"""A broker that asks who comes: passwords, certificates, and rights by user; nobody may do what no rule allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from infra.embedded.home import Home
from infra.embedded.kafka import EmbeddedKafka
from schemas.rights import Right
from tests.conftest import READY_WITHIN_S, free_port
from tests.support.certificates import Authority
from tests.support.eventually import eventually
from tests.support.folders import server_folder

TOLD_WITHIN_S = 20.0
# of listeners by name: the settings of each beside those of all
LISTENERS = {
    "SASL_SSL": "SASL_SSL",
    "SSL": "SSL",
    "EXPIRED": "SSL",
    "ELSEWHERE": "SSL",
}
SECURED = """\
inter.broker.listener.name=PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.truststore.type=PEM
listener.name.ssl.ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^CN=(.*?)$/$1/,DEFAULT
"""
OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Describe": AclOperation.DESCRIBE,
    "Create": AclOperation.CREATE,
    "Delete": AclOperation.DELETE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
    "AlterConfigs": AclOperation.ALTER_CONFIGS,
}
RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactionalId": ResourceType.TRANSACTIONAL_ID,
}


class SecuredKafka(EmbeddedKafka):
    """The embedded broker with listeners that ask; its plain one is the administrator's."""

    def __init__(self, folder: Path) -> None:
        """Make certificates in a folder that is there; nothing is started yet."""
        super().__init__(folder / "broker", port=free_port(), controller_port=free_port(), short_lived=True)
        self.authority = Authority(folder, "cluster")
        self.listeners = {name: free_port() for name in LISTENERS}
        self._stores = {
            "": self.authority.identity("broker"),
            "expired": self.authority.identity("expired", expired=True),
            "elsewhere": self.authority.identity("elsewhere", host="10.9.9.9"),
        }

    def servers(self, listener: str) -> str:
        """Return the address of a listener."""
        return f"127.0.0.1:{self.listeners[listener]}"

    def _write_configuration(self, home: Home) -> Path:
        path = super()._write_configuration(home)
        lines = []
        for line in path.read_text().splitlines():
            more = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.listeners.items())
            lines.append(
                f"{line},{more}" if line.startswith(("listeners=", "advertised.listeners=")) else line
            )
        protocols = {"CONTROLLER": "PLAINTEXT", "PLAINTEXT": "PLAINTEXT", **LISTENERS}
        lines.append(
            "listener.security.protocol.map=" + ",".join(f"{name}:{of}" for name, of in protocols.items())
        )
        for name, identity in self._stores.items():
            listener = f"listener.name.{name}." if name else ""
            lines.append(f"{listener}ssl.keystore.type=PEM")
            lines.append(f"{listener}ssl.keystore.location={identity.store}")
        lines.append(f"ssl.truststore.location={self.authority.file}")
        path.write_text("\n".join(lines) + "\n" + SECURED)
        return path

    def settings(self, user: str, password: str) -> dict[str, str]:
        """Return settings with which a user comes by its password."""
        return {
            "MDS_KAFKA": self.servers("SASL_SSL"),
            "MDS_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
            "MDS_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "MDS_KAFKA_USERNAME": user,
            "MDS_KAFKA_PASSWORD": password,
            "MDS_KAFKA_CA_FILE": str(self.authority.file),
        }

    def certified(self, user: str, *, expired: bool = False) -> dict[str, str]:
        """Return settings with which a user comes by a certificate of that common name."""
        shown = self.authority.identity(user, expired=expired)
        return {
            "MDS_KAFKA": self.servers("SSL"),
            "MDS_KAFKA_SECURITY_PROTOCOL": "ssl",
            "MDS_KAFKA_CA_FILE": str(self.authority.file),
            "MDS_KAFKA_CERTIFICATE_FILE": str(shown.certificate),
            "MDS_KAFKA_KEY_FILE": str(shown.key),
        }

    def restart(self) -> None:
        """End as a crash would, so that everybody must log in again, and come back."""
        self.kill()
        self.start().wait_ready(READY_WITHIN_S)

    def give_passwords(self, passwords: Mapping[str, str]) -> None:
        """Make users, or give them other passwords."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4_096)
        asked = [
            UserScramCredentialUpsertion(user, info, password.encode())
            for user, password in passwords.items()
        ]
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        for future in admin.alter_user_scram_credentials(asked).values():
            future.result(TOLD_WITHIN_S)
        _until(lambda: all(_is_known(admin, user) for user in passwords))

    def allow(self, user: str, rights: Iterable[Right]) -> None:
        """Give a user rights."""
        bindings = [each for right in rights for each in _bindings(user, right)]
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        for future in admin.create_acls(bindings).values():
            future.result(TOLD_WITHIN_S)
        _until(lambda: set(bindings) <= set(admin.describe_acls(_all_of(user)).result(TOLD_WITHIN_S)))

    def take(self, user: str, right: Right) -> None:
        """Take one right from a user."""
        bindings = _bindings(user, right)
        filters = [
            AclBindingFilter(
                each.restype,
                each.name,
                each.resource_pattern_type,
                each.principal,
                each.host,
                each.operation,
                each.permission_type,
            )
            for each in bindings
        ]
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        for future in admin.delete_acls(filters).values():
            future.result(TOLD_WITHIN_S)
        _until(lambda: not set(bindings) & set(admin.describe_acls(_all_of(user)).result(TOLD_WITHIN_S)))


@contextmanager
def secured_broker() -> Iterator[SecuredKafka]:
    """Run a broker that asks, until the block ends."""
    with server_folder() as folder, SecuredKafka(Path(folder)) as broker:
        broker.wait_ready(READY_WITHIN_S)
        yield broker
        broker.kill()


def _bindings(user: str, right: Right) -> list[AclBinding]:
    pattern = ResourcePatternType.PREFIXED if right.pattern == "prefix" else ResourcePatternType.LITERAL
    return [
        AclBinding(
            RESOURCES[right.resource],
            right.name,
            pattern,
            f"User:{user}",
            "*",
            OPERATIONS[operation],
            AclPermissionType.ALLOW,
        )
        for operation in right.operations
    ]


def _all_of(user: str) -> AclBindingFilter:
    return AclBindingFilter(
        ResourceType.ANY,
        None,
        ResourcePatternType.ANY,
        f"User:{user}",
        None,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )


def _is_known(admin: AdminClient, user: str) -> bool:
    try:
        return bool(admin.describe_user_scram_credentials([user])[user].result(TOLD_WITHIN_S))
    except KafkaException:
        return False


def _until(holds: Callable[[], bool]) -> None:
    """Wait until the broker, which hears of it from its controller, knows of a change."""
    asyncio.run(eventually(holds, within_s=TOLD_WITHIN_S))

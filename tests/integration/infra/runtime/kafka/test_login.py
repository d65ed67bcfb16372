"""Logging in at a real broker: what is wrong is said at once, with the remedy and without the secret."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from infra.cli.output import as_json
from infra.cli.preflight import document
from infra.preflight.checks import Preflight
from infra.preflight.findings import verdict
from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.login import check_login
from infra.runtime.kafka.releases import newest_level
from infra.runtime.kafka.topics import Topics, ensure_topics, partition_count
from infra.runtime.kafka_access import access_of
from infra.runtime.settings import MdsSettings
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.rights import rights_of
from tests.support.certificates import Authority
from tests.support.secret_spellings import spellings
from tests.support.secured_broker import SecuredKafka, secured_broker

USER, PASSWORD = "mds-operator", "correct horse/battery canary"
WRONG = "wr0ng/horse canary"
PROMPTLY_S = 20.0


@pytest.fixture(scope="module")
def broker() -> Iterator[SecuredKafka]:
    """A broker with one user, the operator, who has made the topics."""
    with secured_broker() as broker:
        broker.give_passwords({USER: PASSWORD})
        broker.allow(USER, rights_of("operator"))
        ensure_topics(servers(broker.settings(USER, PASSWORD)), partitions=1)
        yield broker


def servers(env: dict[str, str]) -> str:
    """Return the bootstrap servers that settings name."""
    return MdsSettings.from_env(env).bootstrap_servers


def test_a_user_logs_in_by_password_and_by_certificate(broker: SecuredKafka) -> None:
    """Through TLS both times; the same user, hence the same rights."""
    for env in (broker.settings(USER, PASSWORD), broker.certified(USER)):
        check_login(servers(env))
        assert partition_count(servers(env), client_id="test") == 1


def test_a_broker_tells_its_release_through_tls(broker: SecuredKafka) -> None:
    """Before any login, so that the password does not matter."""
    access = access_of(servers(broker.settings(USER, WRONG)))

    assert newest_level("127.0.0.1", broker.listeners["SASL_SSL"], access=access, within_s=10) is not None


def _wrong_password(broker: SecuredKafka, _: Path) -> dict[str, str]:
    return broker.settings(USER, WRONG)


def _nobody(broker: SecuredKafka, _: Path) -> dict[str, str]:
    return broker.settings("mds-nobody", PASSWORD)


def _other_mechanism(broker: SecuredKafka, _: Path) -> dict[str, str]:
    return {**broker.settings(USER, PASSWORD), "MDS_KAFKA_SASL_MECHANISM": "PLAIN"}


def _unknown_authority(broker: SecuredKafka, folder: Path) -> dict[str, str]:
    return {**broker.settings(USER, PASSWORD), "MDS_KAFKA_CA_FILE": str(Authority(folder, "other").file)}


def _expired(broker: SecuredKafka, _: Path) -> dict[str, str]:
    return {**broker.certified(USER), "MDS_KAFKA": broker.servers("EXPIRED")}


def _elsewhere(broker: SecuredKafka, _: Path) -> dict[str, str]:
    return {**broker.certified(USER), "MDS_KAFKA": broker.servers("ELSEWHERE")}


def _no_certificate(broker: SecuredKafka, _: Path) -> dict[str, str]:
    return {
        "MDS_KAFKA": broker.servers("SSL"),
        "MDS_KAFKA_SECURITY_PROTOCOL": "ssl",
        "MDS_KAFKA_CA_FILE": str(broker.authority.file),
    }


def _own_expired(broker: SecuredKafka, _: Path) -> dict[str, str]:
    return broker.certified(USER, expired=True)


REFUSALS = [
    pytest.param(_wrong_password, f"refuse the user {USER}", "correct MDS_KAFKA_USERNAME and MDS_KAFKA_PASSWORD", id="password"),
    pytest.param(_nobody, "refuse the user mds-nobody", "must have a password of SCRAM-SHA-512", id="user"),
    pytest.param(_other_mechanism, "SCRAM-SHA-512", "MDS_KAFKA", id="mechanism"),
    pytest.param(_unknown_authority, "is not to be trusted", "set MDS_KAFKA_CA_FILE", id="authority"),
    pytest.param(_expired, "has expired", "renew the broker's certificate", id="expired"),
    pytest.param(_elsewhere, "not valid for '127.0.0.1'", "as its certificate names it", id="name"),
    pytest.param(_no_certificate, "does not trust us", "MDS_KAFKA_CERTIFICATE_FILE", id="no-certificate"),
    pytest.param(_own_expired, "does not trust us", "valid today", id="own-expired"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "says", "remedy"), REFUSALS)
def test_a_refusal_is_told_at_once_with_its_remedy(
    make: Callable[[SecuredKafka, Path], dict[str, str]],
    says: str,
    remedy: str,
    broker: SecuredKafka,
    tmp_path: Path,
) -> None:
    """Long before a client would give up; no secret is shown."""
    begun_s = monotonic()
    with pytest.raises(ConfigurationError) as caught:
        check_login(servers(make(broker, tmp_path)))

    assert says in caught.value.problem
    assert remedy in caught.value.remedy
    assert monotonic() - begun_s < PROMPTLY_S
    assert not any(each in str(caught.value) for secret in (PASSWORD, WRONG) for each in spellings(secret))


def test_who_asks_for_the_partition_count_hears_of_a_refusal(broker: SecuredKafka) -> None:
    """As every service does first: it ends with that instead of waiting for a broker that is there."""
    with pytest.raises(ConfigurationError, match=f"refuse the user {USER}"):
        partition_count(servers(broker.settings(USER, WRONG)), client_id="test", within_s=2)


def test_a_broker_that_is_away_is_no_refusal(broker: SecuredKafka) -> None:
    """It is waited for: who ends here would not be there when it is back."""
    away = servers({**broker.settings(USER, WRONG), "MDS_KAFKA": "127.0.0.1:9"})

    with pytest.raises(BrokerUnavailable):
        check_login(away, within_s=1)


def test_a_plain_listener_is_named_where_tls_was_meant(broker: SecuredKafka) -> None:
    """The broker only hangs up; it might have ended, so that nobody gives up on it."""
    plain = servers({**broker.settings(USER, PASSWORD), "MDS_KAFKA": broker.bootstrap_servers})

    with pytest.raises(BrokerUnavailable, match="does its listener speak TLS"):
        check_login(plain, within_s=2)


def preflight(env: dict[str, str], home: Path) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the findings of `mds preflight --json` by check, and all of it as it is printed."""
    others = {"MDS_HOME": str(home), "MDS_POSTGRES_DSN": "postgresql://m:m@127.0.0.1:1/m"}
    found = asyncio.run(Preflight(env={**env, **others}).run())
    told = document(found, ExitCode(verdict(found)))
    return {each["name"]: each for each in told["checks"]}, as_json(told)


def test_preflight_looks_through_a_secured_listener_and_shows_no_secret(
    broker: SecuredKafka, tmp_path: Path
) -> None:
    """All of it: release, topics, rights, a transaction, reading."""
    found, printed = preflight(broker.settings(USER, PASSWORD), tmp_path)

    asked = ("broker", "broker-version", "topics", "topic-rights", "transactions", "reading")
    assert {name: found[name]["result"] for name in asked} == dict.fromkeys(asked, "ok")
    assert not any(each in printed for each in spellings(PASSWORD))


def test_preflight_says_why_a_login_is_refused(broker: SecuredKafka, tmp_path: Path) -> None:
    """The broker failed, not merely did not answer."""
    found, printed = preflight(broker.settings(USER, WRONG), tmp_path)

    assert found["broker"]["result"] == "failed"
    assert "MDS_KAFKA_PASSWORD" in found["broker"]["remedy"]
    assert not any(each in printed for each in spellings(WRONG))


def test_a_replay_that_names_the_brokers_itself_logs_in_there(broker: SecuredKafka) -> None:
    """Its option is an address alone; what is shown there is of the settings."""
    env = broker.settings(USER, PASSWORD)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MDS_")}
    done = subprocess.run(
        [sys.executable, "-m", "stream_processors", "replay", "--bootstrap", env["MDS_KAFKA"]],
        env={**inherited, **env, "MDS_MARKET_CLOCK": "simulator"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_what_may_not_be_seen_is_as_good_as_absent(broker: SecuredKafka) -> None:
    """A user without rights sees no topics, and nothing else either."""
    broker.give_passwords({"mds-stranger": PASSWORD})

    assert Topics(servers(broker.settings("mds-stranger", PASSWORD)), "test").partition_counts() == {}

"""`mds topics rights`: what a service may do, for people, for kafka-acls.sh and for tools."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from infra.cli.topics import topics_app
from schemas.rights import rights_of
from schemas.topics import catalogue

RUN = CliRunner()


def shown(*arguments: str, prefix: str = "") -> str:
    """Return what the command prints."""
    done = RUN.invoke(topics_app, ["rights", *arguments], env={"MDS_TOPIC_PREFIX": prefix})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_rights_are_told_as_a_table_and_as_json() -> None:
    """Under the prefix in force."""
    document = json.loads(shown("sinks", "--json", prefix="trial."))

    assert len(document) == len(rights_of("sinks"))
    assert {
        "resource": "group",
        "name": "trial.sinks",
        "pattern": "literal",
        "operations": ["Read"],
    } in document
    assert "trial.sinks-outbox-" in shown("sinks", prefix="trial.")


@pytest.mark.parametrize(
    "line",
    [
        "--add --allow-principal User:mds-sinks --operation Read --topic quotes.v1",
        "--add --allow-principal User:mds-sinks --operation Read --operation Write --topic quotes.v1.dead",
        "--add --allow-principal User:mds-sinks --operation Write --transactional-id sinks-outbox- --resource-pattern-type prefixed",
    ],
)
def test_a_line_of_kafkas_own_command_is_made_of_each(line: str) -> None:
    """One right a line."""
    lines = shown("sinks", "--user", "mds-sinks").splitlines()

    assert line in lines
    assert len(lines) == len(rights_of("sinks")) >= len(catalogue().topics)


def test_a_user_with_blanks_is_one_argument() -> None:
    """Distinguished names have them."""
    assert "--allow-principal 'User:CN=mds sinks,O=x'" in shown("sinks", "--user", "CN=mds sinks,O=x")

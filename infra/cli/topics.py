"""`mds topics`: the topics as they are declared, as they are, and where they go."""

from __future__ import annotations

from dataclasses import asdict
from shlex import quote
from typing import Annotated, Literal

import typer

from infra.cli import inspection
from infra.cli.output import as_json, say, step, table
from infra.cli.strimzi import Authentication, strimzi_manifest
from infra.cli.system import System
from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.moving import Move
from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError
from schemas.rights import Client, Right, rights_of
from schemas.topics import MAX_PARTITIONS, checked_prefix

topics_app = typer.Typer(
    help="Topics: what is declared, whether the broker has it, and how it comes to have it.",
    no_args_is_help=True,
)

MAX_REPLICAS = 32_767  # as Strimzi has it
NEXT = """\
moved and checked. Next, with MDS_TOPIC_PREFIX={prefix} in every environment:
  1. make an empty database, name it in MDS_POSTGRES_DSN and run `mds migrate`
  2. `mds universe export` from the old database and `mds universe import` into the new one, where a universe is kept there
  3. start stream_processors, sinks and gateway, and wait until they have worked off what was moved
  4. start producers; keep the old topics and database until the new ones have proven themselves"""

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@topics_app.command("apply")
def topics_apply(
    partitions: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_PARTITIONS,
            help="Of every topic that holds symbols, where there are none yet; by default MDS_PARTITIONS.",
            metavar="N",
        ),
    ] = None,
) -> None:
    """Create what is missing; nothing is changed in place.

    How many partitions there are bounds how many replicas of a service share the work. The number is chosen here, once:
    every process reads it from the broker. Topics that are there keep theirs; `mds topics move` leads to another number.
    """
    system = System.from_env()
    system.reach_kafka()
    created = system.apply_topics(partitions)
    say("\n".join(f"created {name}" for name in created) or "nothing to create")


@topics_app.command("rights")
def topics_rights(
    client: Annotated[Client, typer.Argument(help="Who is to have them.")],
    user: Annotated[
        str,
        typer.Option(
            help="Print arguments of kafka-acls.sh for this user, as in CN=mds-sinks or mds-sinks.",
            metavar="NAME",
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Show the least rights with which a service does its work, on a cluster that asks.

    Names begin with MDS_TOPIC_PREFIX.
    """
    rights = rights_of(client, prefix=MdsSettings.from_env().topic_prefix)
    if user:
        say("\n".join(_acl_arguments(right, user) for right in rights))
    elif json:
        say(as_json([asdict(right) for right in rights]))
    else:
        rows = [[each.resource, each.name, each.pattern, " ".join(each.operations)] for each in rights]
        say(table(("resource", "name", "pattern", "operations"), rows))


def _acl_arguments(right: Right, user: str) -> str:
    option = {"topic": "--topic", "group": "--group", "transactionalId": "--transactional-id"}[right.resource]
    pattern = " --resource-pattern-type prefixed" if right.pattern == "prefix" else ""
    operations = " ".join(f"--operation {each}" for each in right.operations)
    return (
        f"--add --allow-principal {quote(f'User:{user}')} {operations} {option} {quote(right.name)}{pattern}"
    )


@topics_app.command("render")
def topics_render(
    form: Annotated[Literal["strimzi"], typer.Argument(help="Whose objects: those of Strimzi's operators.")],  # noqa: ARG001 - the only one
    replicas: Annotated[
        int, typer.Option(min=1, max=MAX_REPLICAS, help="How many brokers hold each topic.", metavar="N")
    ] = 3,
    partitions: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_PARTITIONS,
            help="Of every topic that holds symbols; by default MDS_PARTITIONS. It never changes in place.",
            metavar="N",
        ),
    ] = None,
    cluster: Annotated[str, typer.Option(help="Name of the Kafka object.", metavar="NAME")] = "kafka",
    authentication: Annotated[
        Authentication, typer.Option(help="How a user shows who it is.")
    ] = "scram-sha-512",
) -> None:
    """Print every topic, and a user with the least rights for each service, for an operator to make.

    A record is confirmed once a majority of the replicas has it: of three, one broker may be away. Names begin with
    MDS_TOPIC_PREFIX. No broker is asked.
    """
    settings = MdsSettings.from_env()
    manifest = strimzi_manifest(
        cluster=cluster,
        prefix=settings.topic_prefix,
        partitions=partitions or settings.partitions,
        replicas=replicas,
        authentication=authentication,
    )
    say(manifest.rstrip("\n"))


@topics_app.command("move")
def topics_move(
    to_prefix: Annotated[str, typer.Option(help="Put before the names of the new topics.", metavar="NEW")],
    partitions: Annotated[
        int,
        typer.Option(min=1, max=MAX_PARTITIONS, help="Of every new topic that holds symbols.", metavar="N"),
    ],
) -> None:
    """Move the raw records to topics of another prefix, with another number of partitions.

    Producers and processors of the old prefix (MDS_TOPIC_PREFIX) must be stopped. The raw topics are split by the new
    partition of each symbol, keeping its order and when each record became known, and checked. Processors and sinks then make
    the rest of them again, in a database of their own. The old topics and database stay as they are. Killed or stopped, the
    same command goes on where it was.
    """
    system = System.from_env()
    try:
        checked_prefix(to_prefix)
    except ValueError as error:
        problem, _, remedy = str(error).partition("; ")
        raise ConfigurationError(f"--to-prefix {to_prefix!r}: {problem}", remedy=remedy) from error
    system.reach_kafka()
    settings = system.settings
    move = Move(
        settings.bootstrap_servers,
        source=settings.topic_prefix,
        target=to_prefix,
        partitions=partitions,
        tell=step,
    )
    for topic in move.run():
        left_out = f"; {topic.left_out:,} entries refused there are left out" if topic.left_out else ""
        say(f"{topic.topic}: {topic.there:,} records in {partitions} partitions{left_out}")
    say(NEXT.format(prefix=to_prefix))


@topics_app.command("list")
def topics_list(json: Json = False) -> None:
    """List the declared topics."""
    _print_topics(inspection.topic_entries(System.from_env(), on_broker=False), json=json)


@topics_app.command("check")
def topics_check(json: Json = False) -> None:
    """Compare the broker's topics with the declared ones. Exit 1 when they differ."""
    entries = inspection.topic_entries(System.from_env(), on_broker=True)
    _print_topics(entries, json=json)
    if not all(entry["ok"] for entry in entries):
        raise typer.Exit(ExitCode.NO)


def _print_topics(entries: list[dict[str, object]], *, json: bool) -> None:
    if json:
        say(as_json(entries))
        return
    head = list(entries[0])
    say(
        table(
            head, [["-" if entry[name] is None else str(entry[name]) for name in head] for entry in entries]
        )
    )

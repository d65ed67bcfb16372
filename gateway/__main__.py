"""`python -m gateway`: REST and WebSocket in front of the database and the live topics; `new-key` makes an API key."""

from __future__ import annotations

import argparse
import os
import sys

import aiohttp
import uvloop
import yaml

from gateway import features, service
from gateway.database.shell.snapshot import APART, STATEMENT_MS, Snapshots
from gateway.http.access import SCOPES
from gateway.http.shell.certificates import certificate
from gateway.http.shell.keys import access, new_key, page_token_key
from gateway.live.shell.live import LiveStreams
from gateway.operations.shell.ops_ports import ops_urls
from gateway.settings import GatewaySettings
from infra.runtime import lifecycle
from infra.runtime.clock import MarketClock, SimulatorMarketClock, WallMarketClock
from infra.runtime.garbage import collect_rarely
from infra.runtime.installation import module_command
from infra.runtime.kafka.known_partitions import known_partitions
from infra.runtime.map_folder import load_symbology
from infra.runtime.postgres import pool as postgres
from infra.runtime.replicas import end_with_parent, run_replicas
from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError


def _clock(shared: MdsSettings) -> MarketClock:
    return (
        SimulatorMarketClock(shared.simulator_base_url)
        if shared.market_clock == "simulator"
        else WallMarketClock()
    )


async def main(settings: GatewaySettings) -> None:
    """Wire the gateway and run it until it is told to stop."""
    shared = MdsSettings.from_env()
    granted, page_key, shown = access(settings), page_token_key(settings, shared.home), certificate(settings)
    symbology = load_symbology(shared.map_files)
    services = ops_urls(settings.services, os.environ, shared.ops_base_url)
    clock = _clock(shared)
    async with (
        lifecycle.running("gateway", settings.own_ops_port, shared) as process,
        aiohttp.ClientSession() as session,
        postgres.pool(
            shared.dsn,
            service="gateway",
            size=settings.database_connections + APART,
            statement_timeout_ms=STATEMENT_MS,
            refuse_unfinished=True,
        ) as pool,
    ):
        if settings.replica is not None:
            end_with_parent(process.stopping)
        store = Snapshots(pool, concurrent=settings.database_connections)
        # Without a broker REST serves what is stored; once there is one the live streams see whether it agrees.
        partitions = await known_partitions(process, shared, otherwise=store.partition_count)
        if partitions is None:
            return
        async with LiveStreams.open(shared.bootstrap_servers, partitions, prefix=shared.topic_prefix) as live:
            resources = features.Resources(
                partitions=partitions,
                store=store,
                live=live,
                session=session,
                clock=clock,
                access=granted,
                page_key=page_key,
                ops_urls=services,
                symbology=symbology,
                certificate=shown,
            )
            collect_rarely()
            await service.run(process, settings, shared, resources)


async def several(settings: GatewaySettings) -> None:
    """Run the processes of the gateway on one port until told to stop; exit with their code."""
    lifecycle.configure_logging("gateway", MdsSettings.from_env().log_level)
    if settings.port == 0:
        raise ConfigurationError(
            "several processes listen on one port", remedy="set GATEWAY_PORT to that port"
        )
    environments = [{**os.environ, "GATEWAY_REPLICA": str(number)} for number in range(settings.processes)]
    code = await run_replicas(module_command("gateway"), environments)
    sys.exit(code)


async def serve() -> None:
    """Run as the settings say: this process alone, as one of several, or as the one that begins them."""
    settings = GatewaySettings.from_env()
    if settings.processes > 1 and settings.replica is None:
        await several(settings)
    else:
        await main(settings)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    reading = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    commands = reading.add_subparsers(dest="command")
    making = commands.add_parser(
        "new-key", help="make an API key: the entry for GATEWAY_KEYS_FILE, the token for its owner"
    )
    making.add_argument("id", help="whose key it is; shown in logs")
    making.add_argument("--scope", action="append", choices=sorted(SCOPES), required=True, help="repeatable")
    making.add_argument(
        "--origin", action="append", default=[], help="a browser's Origin it may come from; repeatable"
    )
    return reading


def command() -> None:
    """Run the command line."""
    reading = parser()
    given = reading.parse_args()
    if given.command != "new-key":
        lifecycle.run(serve(), loop_factory=uvloop.new_event_loop)
        return
    try:
        token, entry = new_key(given.id, given.scope, given.origin)
    except ConfigurationError as error:
        reading.error(str(error))
    # The entry may be redirected to the file; the token is seen once, by who made it.
    print(yaml.safe_dump([entry], sort_keys=False), end="")
    print(f"token, not stored anywhere: {token}", file=sys.stderr)


if __name__ == "__main__":
    command()

"""`python -m producers`: vendors → raw topics, until SIGTERM or Ctrl-C.

`... symbols NAME` prints what a vendor lists; `... ask` asks every enabled one once and prints whether it answers.
"""

from __future__ import annotations

import sys
from contextlib import closing
from socket import gethostname

from infra.runtime import lifecycle
from infra.runtime.configuration import reading
from infra.runtime.configuration.following import Follower
from infra.runtime.installation import default_configuration
from infra.runtime.kafka.login import watch_login
from infra.runtime.kafka.publisher import Publisher
from infra.runtime.map_folder import load_symbology
from infra.runtime.settings import MdsSettings
from infra.runtime.standstill import Standstill
from producers.budget.shell.memory import open_budgets
from producers.catalogue.shell.asking import ASK, answer_lines
from producers.catalogue.shell.symbol_lists import SYMBOLS, provider_asked, symbol_lines
from producers.http.shell.addresses import AddressPolicy
from producers.http.shell.client import vendor_session
from producers.jobs.shell.reader import OWNED_WITHOUT_WORD_S
from producers.plan.plan import check_implemented
from producers.reloading import ConfigurationFile, Reloading
from producers.service import COLLECTION, Resources, produce
from producers.settings import ProducersSettings

LINGER_MS = 2.0
# a broker that is away delays records; it never makes us send them twice or out of order
NEVER_GIVE_UP_MS = 0


async def main() -> None:
    """Read the settings and run until stopped; raise ConfigurationError naming what to change."""
    check_implemented()
    settings, shared = ProducersSettings.from_env(), MdsSettings.from_env()
    symbology = load_symbology(shared.map_files)
    simulator_url, policy = _addresses(shared, settings)
    async with (
        lifecycle.running("producers", settings.ops_port, shared, expecting=[COLLECTION]) as process,
        vendor_session(policy) as session,
        open_budgets(shared.dsn) as budgets,
    ):
        publisher = Publisher(
            shared.bootstrap_servers,
            "mds-producers",
            linger_ms=LINGER_MS,
            delivery_timeout_ms=NEVER_GIVE_UP_MS,
        )
        standstill = Standstill(OWNED_WITHOUT_WORD_S)
        with closing(publisher):
            resources = Resources(
                health=process.health,
                session=session,
                publisher=publisher,
                settings=settings,
                bootstrap_servers=shared.bootstrap_servers,
                topic_prefix=shared.topic_prefix,
                dsn=shared.dsn,
                replica=f"{gethostname()}-{settings.ops_port}",
                simulator_url=simulator_url,
                symbology=symbology,
                budgets=budgets,
                policy=policy,
                standstill=standstill,
            )
            producing = produce(resources, _reloading(shared, process))
            watching = watch_login(shared.bootstrap_servers, process.health)
            await lifecycle.until_stopped(process, producing, watching)


def _reloading(shared: MdsSettings, process: lifecycle.Process) -> Reloading | None:
    path = shared.configuration_path
    if path is None:
        return None
    bootstrap, prefix = shared.bootstrap_servers, shared.topic_prefix
    follower = Follower(bootstrap, prefix=prefix, service=process.name, health=process.health)
    return Reloading(ConfigurationFile(path=path, bootstrap=bootstrap, prefix=prefix), follower)


async def symbols(arguments: list[str]) -> None:
    """Print the vendor's list of symbols as JSON lines; raise ConfigurationError naming what to change."""
    name, shared, settings = provider_asked(arguments), MdsSettings.from_env(), ProducersSettings.from_env()
    simulator_url, policy = _addresses(shared, settings)
    lifecycle.configure_logging("producers", shared.log_level)
    async with vendor_session(policy) as session:
        for line in await symbol_lines(
            name,
            session,
            settings=settings,
            policy=policy,
            given=None if shared.configuration_path is None else reading.load(shared.configuration_path),
            simulator_url=simulator_url,
        ):
            print(line)


async def ask() -> None:
    """Print of every enabled provider of the configuration whether it answers, as JSON lines; raise ConfigurationError."""
    shared, settings = MdsSettings.from_env(), ProducersSettings.from_env()
    simulator_url, policy = _addresses(shared, settings)
    lifecycle.configure_logging("producers", shared.log_level)
    given = reading.load(shared.config or default_configuration(shared.home))
    async with vendor_session(policy) as session:
        for line in await answer_lines(
            session, settings=settings, policy=policy, given=given, simulator_url=simulator_url
        ):
            print(line)


def _addresses(shared: MdsSettings, settings: ProducersSettings) -> tuple[str | None, AddressPolicy]:
    """Return the simulator's address, None where live vendors are the market, and which addresses may be asked."""
    url = shared.simulator_base_url if shared.market_clock == "simulator" else None
    return url, AddressPolicy(simulator_url=url, allow_insecure=settings.allow_insecure_vendors)


def command(arguments: list[str]) -> None:
    """Run what the command line names."""
    if arguments == [ASK]:
        lifecycle.run(ask())
    else:
        lifecycle.run(symbols(arguments[1:]) if arguments[:1] == [SYMBOLS] else main())


if __name__ == "__main__":
    command(sys.argv[1:])

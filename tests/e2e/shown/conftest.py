"""What `make run` runs, started once for the tests of what a newcomer is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from infra.runtime.kafka.topics import ensure_topics
from schemas.configuration.streams import EVERYTHING, MacroStream, OptionsStream
from tests.conftest import free_port
from tests.support.databases import execute, lay_out, with_database
from tests.support.eventually import eventually
from tests.support.system import System, system

SYMBOLS = ["SIM001", "SIM002"]
# All that is collected without a choice of streams, and the macro series and option chains that are shown.
STREAMS = EVERYTHING.model_copy(
    update={
        "macro": MacroStream(keys=("cpi", "unemployment", "ust_10y")),
        "options": OptionsStream(providers=("polygon",)),
    }
)
CONFIGURATION = {"symbols": SYMBOLS, "streams": STREAMS.model_dump(mode="json", exclude_defaults=True)}
SPEED = "20"  # a minute of the market takes three seconds


@pytest.fixture(scope="package")
def running(
    kafka_bootstrap: str, postgres_admin: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """The synthetic market, quicker, through all four services."""
    name = f"shown{free_port()}"
    ensure_topics(kafka_bootstrap, prefix=f"{name}.")
    asyncio.run(execute(postgres_admin, f"CREATE DATABASE {name}"))
    dsn = with_database(postgres_admin, name)
    asyncio.run(lay_out(dsn))
    with system(
        bootstrap=kafka_bootstrap,
        dsn=dsn,
        prefix=f"{name}.",
        folder=tmp_path_factory.mktemp("shown"),
        symbols=SYMBOLS,
        settings={"MDS_SIMULATOR_SPEED": SPEED, "PRODUCERS_FRED_API_KEY": "simulator"},
    ) as made:
        Path(made.env["MDS_CONFIG"]).write_text(yaml.safe_dump(CONFIGURATION), "utf-8")
        asyncio.run(_start(made))
        yield made


async def _start(made: System) -> None:
    made.start("simulator")
    await made.ready("simulator")
    await made.start_services()

    async def has_what_is_shown() -> bool:
        """A price comes from the live topic alone; bars and chains are read from the database, complete up to a moment."""
        price, _ = await made.get("/stocks/SIM001/price")
        status, bars = await made.get("/stocks/SIM001/intraday")
        listed, chain = await made.get("/options/SIM001/chain", limit=1)
        return price == status == listed == 200 and bool(bars["data"] and chain["data"])

    await eventually(has_what_is_shown, within_s=180)

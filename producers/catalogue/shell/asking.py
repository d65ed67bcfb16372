"""One question to each vendor of a configuration: whether it answers, and takes our key; a JSON line each."""

from __future__ import annotations

import asyncio

import aiohttp
import orjson

from infra.runtime.clock import SimulatorMarketClock, wall_us
from producers.budget.shell.memory import Budgets
from producers.catalogue.shell.opening import Opener
from producers.http.shell.addresses import AddressPolicy
from producers.settings import ProducersSettings
from producers.vendors.answers import MacroRequest
from producers.vendors.shell.provider import VendorApi
from schemas.clocks import Day
from schemas.configuration.model import Configuration
from schemas.errors import (
    MarketDataError,
    NoData,
    ProviderRefused,
    ProviderUnentitled,
    TransientError,
    UnknownSymbol,
)
from schemas.intervals import DAY_US
from schemas.providers.facts import ProviderFacts

ASK = "ask"
ANSWERS = "it answers"
# By the error of a question, the first that fits: the result, and its reason with the vendor's words.
MEANINGS = (
    # it took the key, and has an answer to another question
    ((NoData, UnknownSymbol), "ok", ANSWERS),
    (ProviderUnentitled, "warning", "it takes the key, and the plan does not include what was asked: {}"),
    (ProviderRefused, "failed", "{}"),
    (TransientError, "unknown", "{}"),
    (MarketDataError, "warning", "it answers otherwise than expected: {}"),
)


async def answer_lines(
    session: aiohttp.ClientSession,
    *,
    settings: ProducersSettings,
    policy: AddressPolicy,
    given: Configuration,
    simulator_url: str | None,
) -> list[str]:
    """Return a line for each enabled provider: its name, `ok`, `warning`, `failed` or `unknown`, and why in words.

    Each is asked once, for one quote or one series: that is counted by the vendor as any request.
    """
    opener = Opener(
        session=session,
        simulator_url=simulator_url,
        settings=settings,
        simulated=frozenset(),
        budgets=Budgets(),
        policy=policy,
    )
    places, lacking = opener.places(given)
    vendors = opener.open(places)
    names, today = sorted(vendors.apis), await _today(session, simulator_url)
    asked = await asyncio.gather(*(_ask(vendors.apis[name], vendors.facts[name], today) for name in names))
    told = dict(zip(names, asked, strict=True)) | {name: ("warning", why) for name, why in lacking.items()}
    return [
        orjson.dumps({"provider": name, "result": result, "says": says}).decode()
        for name, (result, says) in sorted(told.items())
    ]


async def _today(session: aiohttp.ClientSession, simulator_url: str | None) -> Day:
    """Return the day it is where is asked, UTC: a source refuses days that it has not begun yet."""
    if simulator_url is None:
        return Day(wall_us() // DAY_US)
    clock = SimulatorMarketClock(simulator_url)
    await clock.refresh(session)
    return Day(clock.now_us() // DAY_US)


async def _ask(api: VendorApi, facts: ProviderFacts, today: Day) -> tuple[str, str]:
    """Return the result of one question and its reason in words."""
    capabilities = facts.capabilities
    try:
        if capabilities.quotes_per_request and facts.samples:
            await api.quotes(facts.samples[:1])
        elif capabilities.macro and facts.series_samples:
            await api.macro(MacroRequest(series=facts.series_samples[0], since=Day(today - 1)))
        else:
            return "unknown", "it has nothing that one small request asks for"
    except MarketDataError as error:
        result, says = next((result, says) for kind, result, says in MEANINGS if isinstance(error, kind))
        return result, says.format(error)
    return "ok", ANSWERS

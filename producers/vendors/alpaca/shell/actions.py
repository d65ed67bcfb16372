"""Alpaca's corporate actions over HTTP: many symbols a request, pages by token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from producers.budget.windows import Purpose
from producers.http.shell.client import VendorHttp
from producers.vendors.action_rows import ActionPage, action_origin
from producers.vendors.alpaca.actions import parse_actions
from producers.vendors.alpaca.bars import spelt
from producers.vendors.answers import ActionsRequest, Answer, Response
from producers.vendors.shell.batches import Batches
from producers.vendors.shell.requests import Asked, Request, actions_of_pages, all_pages, answered, ask
from schemas.clocks import Day, iso_day
from schemas.errors import UnknownSymbol
from schemas.providers.alpaca import FACTS

ACTIONS = "corporate_actions"
PATH = "/v1beta1/corporate-actions"
PAGE_ACTIONS = 1_000
# The vendor's `start` and `end` are of `process_date`: of a cash dividend the day it is paid, weeks after its ex-date.
PROCESSED_BEFORE_DAYS, PROCESSED_LATER_DAYS = 7, 120


class Requesting(Protocol):
    """Way the client makes a request: with its address, its keys and its refusals."""

    def __call__(
        self,
        endpoint: str,
        path: str,
        params: Mapping[str, str],
        about: str,
        *,
        purpose: Purpose,
        batch: Mapping[str, str],
    ) -> Request:
        """Return the request; one of a `batch` may be refused for some of its symbols."""


async def ask_actions(
    http: VendorHttp,
    requesting: Requesting,
    batches: Batches,
    asked: ActionsRequest,
    simulated: frozenset[str],
) -> Response:
    """Return the actions asked for; symbols that are no US stocks, or were refused, are missing. Raises as VendorApi says."""
    names = dict(spelt(asked.symbols))
    unspeakable = tuple(symbol for symbol in asked.symbols if symbol not in names.values())
    if not names:
        raise UnknownSymbol(f"alpaca has no actions of {unspeakable[0]}; take another provider for it")
    origin = action_origin(FACTS.name, asked, basis="as_declared", simulated=simulated)
    params = {
        "start": iso_day(Day(asked.first - PROCESSED_BEFORE_DAYS)),
        "end": iso_day(Day(asked.last + PROCESSED_LATER_DAYS)),
        "limit": str(PAGE_ACTIONS),
        "sort": "asc",
    }

    async def of_batch(batch: Mapping[str, str]) -> Asked[Answer]:
        async def page(token: str) -> Asked[ActionPage]:
            given = {"symbols": ",".join(batch), **params, **({"page_token": token} if token else {})}
            about = f"the corporate actions of {len(batch)} symbols"
            request = requesting(ACTIONS, PATH, given, about, purpose=asked.purpose, batch=batch)
            return await ask(http, request, partial(parse_actions, asked=batch))

        return actions_of_pages(ACTIONS, await all_pages(FACTS.name, ACTIONS, page), origin)

    response = await answered(ACTIONS, batches.ask(names, of_batch), ())
    answer = replace(response.answer, missing=[*response.answer.missing, *unspeakable])
    return replace(response, answer=answer)

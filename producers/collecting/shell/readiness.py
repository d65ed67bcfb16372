"""Readiness of collecting: whether blocks reach the broker, and whether the providers that are needed answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from infra.runtime.clock import Market
from infra.runtime.lifecycle import Health
from producers.plan.plan import PollPlan
from producers.polling.schedule import is_polling_time
from producers.raw.shell.topics import RawTopics
from producers.routing.shell.router import Router
from producers.routing.shell.status import ProviderStatus
from schemas.calendar.sessions import Calendar

BROKER_PATIENCE_S = 15.0
UNSERVED = "unserved"  # the part that names symbols nobody gives
MAX_NAMED = 100  # of a capability
NO_NAME = "no_name"
NOTHING: Mapping[str, Sequence[str]] = {}


class Readiness:
    """Tells health of publishing and of each provider in the plan; one that left the plan is forgotten."""

    def __init__(
        self, health: Health, *, raw: RawTopics, status: ProviderStatus, router: Router, market: Market
    ) -> None:
        """Tell nothing until `report`."""
        self._health, self._raw, self._status = health, raw, status
        self._router, self._market = router, market
        self._reported = frozenset[str]()

    def report(
        self,
        plan: PollPlan,
        calendars: Mapping[str, Calendar],
        streams: Callable[[str], bool],
        nameless: Mapping[str, Sequence[str]] = NOTHING,
    ) -> None:
        """Tell how it stands now; `streams` says whether a provider has a socket open, or about to be.

        `nameless` are symbols by capability that no provider has a name for.
        """
        raw, now = self._raw, self._market.horizon_us()
        is_open = any(
            is_polling_time(now, calendar)
            for calendar in {id(each): each for each in calendars.values()}.values()
        )
        self._health.report(
            "publishing",
            ready=(raw.delivered_blocks > 0 or not is_open or not plan.asked_often)
            and raw.waiting_s < BROKER_PATIENCE_S,
            delivered_blocks=raw.delivered_blocks,
            waiting_for_broker_s=round(raw.waiting_s, 1),
            market_open=is_open,
        )
        self._report_unserved(nameless)
        for provider in self._reported - set(plan.providers):
            self._health.forget(provider)
        self._reported = frozenset(plan.providers)
        for provider in plan.providers:
            serving = self._router.serves(provider)
            # One that is only held ready may be down: that is what it is held ready for.
            needed = serving or streams(provider)
            # One that is asked every few hours has not answered since a restart.
            answers = self._status.ready if provider in plan.asked_often else self._status.sound
            self._health.report(
                provider,
                ready=answers(provider) or not needed,
                serving=serving,
                **self._status.document(provider),
            )

    def _report_unserved(self, nameless: Mapping[str, Sequence[str]]) -> None:
        """Name the symbols nobody gives, with the reason, and those whose prices are disputed; the rest is collected, so that it is ready all the same."""
        found = {name: dict(symbols) for name, symbols in self._router.unserved().items()}
        for capability, symbols in nameless.items():
            found.setdefault(capability, {}).update(dict.fromkeys(symbols, NO_NAME))
        self._health.report(
            UNSERVED,
            ready=True,
            count=sum(map(len, found.values())),
            symbols={name: dict(islice(symbols.items(), MAX_NAMED)) for name, symbols in found.items()},
            disputed={name: list(islice(each, MAX_NAMED)) for name, each in self._router.disputed().items()},
        )

"""What readiness says of publishing and of providers."""

from __future__ import annotations

from typing import Any, cast

import pytest

from infra.runtime.clock import Market
from infra.runtime.lifecycle import Health
from infra.runtime.metrics import REGISTRY
from producers.collecting.shell.readiness import BROKER_PATIENCE_S, MAX_NAMED, Readiness
from producers.plan.plan import PollPlan
from producers.plan.tasks import MacroTask, QuotesTask
from schemas.calendar.sessions import calendar_of
from schemas.configuration.model import Routing
from schemas.errors import ProviderRefused, UnknownSymbol
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.journals import HEALTH_JOURNAL
from tests.support.builders import NINE_THIRTY
from tests.support.producer_fakes import FixedClock, a_router, a_status

OPEN, CLOSED = NINE_THIRTY + HOUR_US, NINE_THIRTY - DAY_US


class _Raw:
    """How publishing stands."""

    def __init__(self, delivered_blocks: int, waiting_s: float) -> None:
        self.delivered_blocks, self.waiting_s = delivered_blocks, waiting_s


def a_plan(*providers: str) -> PollPlan:
    return PollPlan(
        quotes=[QuotesTask(provider=name, symbols=("SPY",), every_us=MINUTE_US) for name in providers]
    )


def told(raw: _Raw, now: int, *plans: PollPlan, streaming: str = "") -> dict[str, Any]:
    """Return the parts of health after a report of each plan."""
    health = Health()
    providers = ("yahoo", "finnhub")
    readiness = Readiness(
        health,
        raw=cast(Any, raw),
        status=a_status(*providers),
        router=a_router(*providers),
        market=Market(clock=FixedClock(now)),
    )
    for plan in plans:
        readiness.report(plan, {"SPY": calendar_of("SPY")}, lambda provider: provider == streaming)
    return health.document()


@pytest.mark.parametrize(
    ("delivered", "waiting_s", "now", "ready"),
    [
        pytest.param(1, 0.0, OPEN, True, id="delivering"),
        pytest.param(0, 0.0, OPEN, False, id="nothing-delivered-in-an-open-market"),
        pytest.param(0, 0.0, CLOSED, True, id="nothing-to-deliver-at-night"),
        pytest.param(1, BROKER_PATIENCE_S, OPEN, False, id="the-broker-takes-nothing"),
    ],
)
def test_publishing_is_ready_when_blocks_arrive_or_none_are_due(
    delivered: int, waiting_s: float, now: int, ready: bool
) -> None:
    """What was published says so; where the market is closed there need be nothing."""
    assert told(_Raw(delivered, waiting_s), now, a_plan("yahoo"))["publishing"]["ready"] is ready


def test_a_provider_that_is_only_held_ready_may_be_silent() -> None:
    """Who serves, or has a socket, must answer."""
    parts = told(_Raw(1, 0.0), OPEN, a_plan("yahoo", "finnhub"))
    streamed = told(_Raw(1, 0.0), OPEN, a_plan("yahoo", "finnhub"), streaming="finnhub")

    assert (parts["yahoo"]["serving"], parts["yahoo"]["ready"]) == (True, False)
    assert (parts["finnhub"]["serving"], parts["finnhub"]["ready"]) == (False, True)
    assert streamed["finnhub"]["ready"] is False


def test_a_provider_that_left_the_plan_is_forgotten() -> None:
    """Nothing is asked of it any more, so nothing can be wrong with it."""
    parts = told(_Raw(1, 0.0), OPEN, a_plan("yahoo", "finnhub"), a_plan("yahoo"))

    assert set(parts) == {"publishing", "unserved", "yahoo"}


def test_of_many_that_nobody_gives_a_statement_names_fifty() -> None:
    """All are counted, and what is published stays small however many they are."""
    names = tuple(f"S{number}" for number in range(300))
    router = a_router("yahoo", "finnhub", symbols=names)
    for provider in ("yahoo", "finnhub"):
        router.failed("quotes", provider, ProviderRefused("not in the plan"), names)
    statements = [each for each in router.records() if each.capability == "quotes"]

    assert [(each.unserved, len(set(each.unserved_symbols))) for each in statements] == [(300, 50)] * 2
    kind = HEALTH_JOURNAL.fields["unserved_symbols"]
    assert all(kind.is_sound(each.unserved_symbols) for each in statements)


def test_what_nobody_gives_is_named_and_the_rest_is_ready() -> None:
    """Said unknown by both, or without a name at all: each with its reason, and no more than a page of them."""
    health, router = Health(), a_router("yahoo", "finnhub", symbols=("SPY", "IBM"))
    readiness = Readiness(
        health,
        raw=cast(Any, _Raw(1, 0.0)),
        status=a_status("yahoo", "finnhub"),
        router=router,
        market=Market(clock=FixedClock(OPEN)),
    )

    def unserved(nameless: dict[str, list[str]]) -> dict[str, Any]:
        readiness.report(PollPlan(), {"SPY": calendar_of("SPY")}, lambda _: False, nameless)
        return cast(dict[str, Any], health.document()["unserved"])

    router.failed("quotes", "yahoo", UnknownSymbol("who?"), ("IBM",))
    one = unserved({})
    router.failed("quotes", "finnhub", ProviderRefused("not in the plan"), ("IBM",))
    both = unserved({"quotes": ["^GSPC"]})
    many = unserved({"quotes": [f"S{number:04d}" for number in range(5_000)]})

    assert (one["ready"], one["count"], one["symbols"], one["disputed"]) == (True, 0, {}, {})
    assert both["symbols"] == {"quotes": {"IBM": "not_offered", "^GSPC": "no_name"}}
    assert (both["ready"], both["count"]) == (True, 2)
    assert REGISTRY.get_sample_value("mds_unserved_symbols", {"capability": "quotes"}) == 1.0
    record = next(
        each for each in router.records() if (each.capability, each.provider) == ("quotes", "yahoo")
    )
    assert record.reason.endswith("; nobody gives IBM (not_offered)")
    assert (record.unserved, list(record.unserved_symbols)) == (1, ["IBM"])
    assert (many["count"], len(many["symbols"]["quotes"])) == (5_001, MAX_NAMED)


def test_one_that_is_asked_every_few_hours_is_ready_until_something_speaks_against_it() -> None:
    """After a restart nothing of entries may be due for hours: neither blocks nor answers are waited for."""
    series = MacroTask(provider="fred", series="FRED:GDPC1", every_us=HOUR_US)
    plan = PollPlan(macro=[series])
    status, health, router = a_status("fred"), Health(), a_router("fred")
    router.route(plan.named, {}, Routing(), {"fred": lambda _: "closed"})
    readiness = Readiness(
        health,
        raw=cast(Any, _Raw(0, 0.0)),
        status=status,
        router=router,
        market=Market(clock=FixedClock(OPEN)),
    )

    def parts() -> dict[str, bool]:
        readiness.report(plan, {"SPY": calendar_of("SPY")}, lambda _: False)
        return {name: part["ready"] for name, part in health.document().items()}

    assert parts() == {"publishing": True, "fred": True, "unserved": True}
    status.failed("fred", ProviderRefused("no key"))
    assert parts()["fred"] is False
    status.succeeded("fred")
    assert parts()["fred"] is True

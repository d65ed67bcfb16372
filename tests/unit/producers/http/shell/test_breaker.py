"""The circuit breaker, where aiobreaker alone is wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from infra.runtime.metrics import REGISTRY
from producers.http.shell.breaker import Breaker, Breakers, CircuitOpen, Unconnected
from schemas.errors import ProviderRefused, ProviderThrottled, ProviderUnavailable

OPEN_S = 30.0


class _Clock:
    """Monotonic seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def outage() -> None:
    raise ProviderUnavailable("down")


async def well() -> str:
    return "well"


def a_breaker(clock: _Clock, provider: str = "test") -> Breaker:
    return Breaker(provider, failures=3, open_s=OPEN_S, now_s=clock)


async def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ProviderUnavailable):
            await breaker.call(outage)


async def test_it_opens_after_outages_in_a_row_and_then_tries_nothing() -> None:
    """The third outage opens; from then on no attempt is made until the time is over."""
    breaker, attempts = a_breaker(_Clock()), []
    await fail(breaker, 3)

    async def attempt() -> None:
        attempts.append(1)

    with pytest.raises(CircuitOpen) as caught:
        await breaker.call(attempt)

    assert (breaker.state, attempts) == ("open", [])
    assert caught.value.retry_after_s == OPEN_S


async def test_the_failure_itself_is_raised_also_when_it_opens() -> None:
    """The caller sees the outage, never an error of the library."""
    breaker = a_breaker(_Clock())
    await fail(breaker, 2)

    with pytest.raises(ProviderUnavailable, match=r"^down$"):
        await breaker.call(outage)


async def test_time_is_monotonic() -> None:
    """It half-opens when its own clock says so, whatever the time of day or the zone."""
    clock = _Clock()
    breaker = a_breaker(clock)
    await fail(breaker, 3)
    clock.now += OPEN_S - 0.1
    with pytest.raises(CircuitOpen):
        await breaker.call(well)
    clock.now += 0.2

    assert await breaker.call(well) == "well"
    assert breaker.state == "closed"


async def test_half_open_lets_one_probe_through() -> None:
    """Of many callers that waited, one tries; the others are told to wait on."""
    clock, gate, attempts = _Clock(), asyncio.Event(), []
    breaker = a_breaker(clock)
    await fail(breaker, 3)
    clock.now += OPEN_S

    async def slow() -> str:
        attempts.append(1)
        await gate.wait()
        return "well"

    probes = [asyncio.ensure_future(breaker.call(slow)) for _ in range(5)]
    await asyncio.sleep(0)
    gate.set()
    outcomes = await asyncio.gather(*probes, return_exceptions=True)

    assert len(attempts) == 1
    assert outcomes[0] == "well"
    assert all(isinstance(outcome, CircuitOpen) for outcome in outcomes[1:])


async def test_a_failed_probe_opens_for_the_whole_time_again() -> None:
    """One more outage while half-open is enough."""
    clock = _Clock()
    breaker = a_breaker(clock)
    await fail(breaker, 3)
    clock.now += OPEN_S
    await fail(breaker, 1)
    clock.now += OPEN_S - 0.1

    with pytest.raises(CircuitOpen):
        await breaker.call(well)


async def test_a_cancelled_probe_counts_as_failed() -> None:
    """A probe that was given up proves nothing: open again, and the place of the probe is free."""
    clock = _Clock()
    breaker = a_breaker(clock)
    await fail(breaker, 3)
    clock.now += OPEN_S
    probe = asyncio.ensure_future(breaker.call(asyncio.Event().wait))
    await asyncio.sleep(0)
    assert breaker.state == "half_open"
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe

    assert breaker.state == "open"
    clock.now += OPEN_S
    assert await breaker.call(well) == "well"


@pytest.mark.parametrize("answer", [ProviderThrottled("test"), ProviderRefused("no")])
async def test_an_answer_neither_counts_nor_clears(answer: Exception) -> None:
    """A 429 or a refusal between outages does not keep the circuit closed, and alone never opens it."""
    breaker = a_breaker(_Clock())

    async def attempt() -> None:
        raise answer

    for _ in range(10):
        with pytest.raises(type(answer)):
            await breaker.call(attempt)
    assert breaker.state == "closed"
    await fail(breaker, 2)
    with pytest.raises(type(answer)):
        await breaker.call(attempt)
    await fail(breaker, 1)

    assert breaker.state == "open"


async def test_a_success_clears_the_count() -> None:
    """Outages have to come in a row."""
    breaker = a_breaker(_Clock())
    await fail(breaker, 2)
    await breaker.call(well)
    await fail(breaker, 2)

    assert breaker.state == "closed"


async def test_an_attempt_from_before_has_no_say() -> None:
    """One that began while closed and ends after the circuit opened changes nothing."""
    clock, gate = _Clock(), asyncio.Event()
    breaker = a_breaker(clock)

    async def slow() -> str:
        await gate.wait()
        return "well"

    early = asyncio.ensure_future(breaker.call(slow))
    await asyncio.sleep(0)
    await fail(breaker, 3)
    gate.set()

    assert await early == "well"
    assert breaker.state == "open"


async def test_the_gauge_follows_the_state() -> None:
    """0 closed, 1 half-open, 2 open."""
    breaker = a_breaker(_Clock(), provider="gauged")
    before = REGISTRY.get_sample_value("circuit_state", {"provider": "gauged"})
    await fail(breaker, 3)

    assert (before, REGISTRY.get_sample_value("circuit_state", {"provider": "gauged"})) == (0.0, 2.0)


async def test_nobody_need_wait_his_turn_for_an_open_circuit() -> None:
    """`check` says beforehand what `call` would say, and changes nothing."""
    clock = _Clock()
    breaker = a_breaker(clock)
    breaker.check()
    await fail(breaker, 3)
    with pytest.raises(CircuitOpen):
        breaker.check()
    clock.now += OPEN_S
    breaker.check()
    assert breaker.state == "open"
    probe = asyncio.ensure_future(breaker.call(asyncio.Event().wait))
    await asyncio.sleep(0)
    with pytest.raises(CircuitOpen):
        breaker.check()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)


async def test_half_open_lets_one_of_fifty_through() -> None:
    """Where the library alone sent all fifty (measured)."""
    clock, attempts = _Clock(), []
    breaker = a_breaker(clock)
    await fail(breaker, 3)
    clock.now += OPEN_S

    async def slow() -> None:
        attempts.append(1)
        await asyncio.sleep(0)

    outcomes = await asyncio.gather(*(breaker.call(slow) for _ in range(50)), return_exceptions=True)

    assert len(attempts) == 1
    assert sum(isinstance(outcome, CircuitOpen) for outcome in outcomes) == 49


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
async def test_the_zone_of_the_machine_changes_no_wait(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library alone was off by the distance to UTC."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        breaker = a_breaker(_Clock())
        await fail(breaker, 3)
        with pytest.raises(CircuitOpen) as caught:
            await breaker.call(well)
    finally:
        monkeypatch.undo()
        time.tzset()

    assert caught.value.retry_after_s == OPEN_S


async def test_a_cancelled_request_while_closed_counts_neither_way() -> None:
    """A shutdown or a deadline of ours is no outage of theirs."""
    breaker = a_breaker(_Clock())
    await fail(breaker, 2)
    request = asyncio.ensure_future(breaker.call(asyncio.Event().wait))
    await asyncio.sleep(0)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    assert breaker.state == "closed"
    await fail(breaker, 1)

    assert breaker.state == "open"


async def test_each_provider_has_its_own_settings() -> None:
    """One opens after its first outage while another takes five."""
    strict, patient = Breaker("strict", failures=1, open_s=1.0, now_s=_Clock()), Breaker("patient")
    await fail(strict, 1)
    await fail(patient, 4)

    assert (strict.state, patient.state) == ("open", "closed")


async def test_a_breaker_that_was_replaced_is_shown_no_more() -> None:
    """An attempt that began before the exchange ends after it: the gauge is the new breaker's."""

    def shown() -> float | None:
        return REGISTRY.get_sample_value("circuit_state", {"provider": "replaced"})

    old = a_breaker(_Clock(), provider="replaced")
    await fail(old, 2)
    a_breaker(_Clock(), provider="replaced")
    await fail(old, 1)

    assert (old.state, shown()) == ("open", 0.0)


def some_breakers(clock: _Clock) -> Breakers:
    return Breakers("scoped", failures=3, open_s=OPEN_S, now_s=clock)


async def unreachable() -> None:
    raise Unconnected("scoped", "chart", "refused", "connection")


async def in_vain(
    breakers: Breakers, endpoint: str, attempt: Callable[[], Awaitable[None]], times: int
) -> None:
    for _ in range(times):
        with pytest.raises(ProviderUnavailable):
            await breakers.call(endpoint, attempt)


async def test_an_endpoint_that_is_down_opens_its_own_breaker() -> None:
    """However many answers another one gives between, and that one is asked on."""
    breakers = some_breakers(_Clock())
    for _ in range(3):
        await in_vain(breakers, "quote", outage, 1)
        assert await breakers.call("chart", well) == "well"

    assert (breakers.state_of("quote"), breakers.state_of("chart")) == ("open", "closed")
    assert (breakers.state, breakers.worst) == ("closed", "open")
    assert REGISTRY.get_sample_value("circuit_state", {"provider": "scoped"}) == 2.0
    shown = {"provider": "scoped", "endpoint": "chart"}
    assert REGISTRY.get_sample_value("mds_endpoint_circuit_state", shown) == 0.0
    with pytest.raises(CircuitOpen, match="scoped quote failed too often"):
        breakers.check("quote")
    assert await breakers.call("chart", well) == "well"


async def test_a_provider_that_cannot_be_reached_is_left_alone_as_a_whole() -> None:
    """Failures to connect count over all endpoints; one probe of any of them finds out whether it is back."""
    clock = _Clock()
    breakers = some_breakers(clock)
    for endpoint in ("quote", "chart", "crumb"):
        await in_vain(breakers, endpoint, unreachable, 1)

    assert breakers.state == breakers.state_of("never asked") == "open"
    with pytest.raises(CircuitOpen):
        await breakers.call("never asked", well)
    clock.now += OPEN_S + 1.0
    assert await breakers.call("chart", well) == "well"
    assert breakers.state_of("quote") == "closed"


async def test_an_answer_of_any_kind_shows_that_a_provider_is_reached() -> None:
    """A 503 between two failures to connect is an outage of its endpoint, and no third one of the provider."""
    breakers = some_breakers(_Clock())
    await in_vain(breakers, "chart", unreachable, 2)
    await in_vain(breakers, "quote", outage, 1)
    await in_vain(breakers, "crumb", unreachable, 2)

    assert breakers.state == "closed"


@pytest.mark.parametrize(
    "no",
    [
        ProviderThrottled("scoped", 7.0),
        ProviderRefused("status 404"),
        ValueError("another of the client's own"),
    ],
)
async def test_a_provider_that_says_no_is_reached(no: Exception) -> None:
    """A 404 or a 429 between failures to connect begins their count anew, and closes what was half open."""
    clock = _Clock()
    breakers = some_breakers(clock)

    async def refused() -> None:
        raise no

    async def ask() -> None:
        with pytest.raises(type(no)) as caught:
            await breakers.call("quote", refused)
        assert caught.value is no

    for endpoint in ("chart", "crumb"):
        await in_vain(breakers, endpoint, unreachable, 2)
        await ask()
    assert breakers.state == "closed"

    await in_vain(breakers, "list", unreachable, 3)
    clock.now += OPEN_S + 1.0
    await ask()
    assert breakers.state == "closed"


async def test_an_endpoints_open_breaker_is_no_answer_of_the_provider() -> None:
    """Half open as a whole, and asked for what is left alone by itself: nothing was tried, so nothing closes."""
    clock, down = _Clock(), asyncio.Event()
    breakers = some_breakers(clock)

    async def slow_outage() -> None:
        await down.wait()
        raise ProviderUnavailable("down")

    slow = [asyncio.ensure_future(breakers.call("quote", slow_outage)) for _ in range(3)]
    await asyncio.sleep(0)
    await in_vain(breakers, "chart", unreachable, 3)
    clock.now += OPEN_S / 2
    down.set()
    await asyncio.gather(*slow, return_exceptions=True)
    clock.now += OPEN_S / 2 + 1.0
    with pytest.raises(CircuitOpen, match="scoped quote"):
        await breakers.call("quote", well)
    assert breakers.state_of("never asked") == "half_open"

    await in_vain(breakers, "crumb", unreachable, 1)
    assert breakers.state_of("never asked") == "open"


async def test_other_settings_count_from_now_on_and_close_nothing() -> None:
    """Also for endpoints that have not been asked yet."""
    breakers = some_breakers(_Clock())
    await in_vain(breakers, "quote", outage, 3)
    breakers.configure(failures=1, open_s=1_000.0)
    await in_vain(breakers, "chart", outage, 1)

    assert (breakers.state_of("quote"), breakers.state_of("chart")) == ("open", "open")
    with pytest.raises(CircuitOpen) as caught:
        breakers.check("chart")
    assert caught.value.retry_after_s == 1_000.0

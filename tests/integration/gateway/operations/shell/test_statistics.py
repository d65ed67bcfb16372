"""Statistics of providers over a real database."""

from __future__ import annotations

from dataclasses import replace

from infra.runtime.clock import wall_us
from schemas.intervals import MINUTE_US, SECOND_US
from tests.support.builders import a_health
from tests.support.gateway_rest import rest
from tests.support.health_rows import store


async def test_history_is_bounded_and_filtered(database: str) -> None:
    """Six hours of records every 10 s are sixty points; another provider's are not among them."""
    now = wall_us()
    records = [
        a_health(provider=name, observed_time=now - 10 * step * SECOND_US, chosen=name == "yahoo")
        for name in ("yahoo", "finnhub")
        for step in range(2_000)
    ]
    switches = [
        replace(records[0], changed="failback", previous="finnhub", observed_time=now - step * MINUTE_US - 1)
        for step in range(30)
    ]
    await store(database, *records, *switches)
    async with rest(database) as served:
        whole = await served.get("/stats/providers", window="6h")
        part = await served.get("/stats/providers", window="1h", provider="finnhub", limit="5")
        wrong = await served.ask("GET", "/stats/providers", params={"window": "2y"})
    (entry,), (other,) = whole["data"], part["data"]

    assert [len(each["history"]) for each in entry["providers"]] == [56, 56]
    assert len(entry["switches"]) == 20
    assert [each["provider"] for each in other["providers"]] == ["finnhub"]
    assert len(other["providers"][0]["history"]) <= 61
    assert len(other["switches"]) == 5
    assert part["meta"]["window"] == "1h"
    assert (wrong[0], wrong[2]["errors"][0]["param"]) == (422, "window")

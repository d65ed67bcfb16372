"""Providers that fail and come back at a producer that changes between them within seconds."""

from __future__ import annotations

from tests.support.eventually import eventually
from tests.support.producer_processes import Producer

ROUTING = "routing: {dwell_s: 2, proof_s: 4, probe_every_s: 0.5, half_life_s: 2}"
DEAD = "rules: [{match: {vendor: %s}, fault: {type: status, status: 503}}]"
WELL = "rules: []"


async def both_known(running: Producer, capability: str) -> None:
    """Wait until both providers have been asked."""

    async def known() -> bool:
        scores = [
            await running.metric(f'provider_latency_ms_count{{endpoint="{endpoint}",provider="{provider}"}}')
            for provider, endpoint in (
                (("yahoo", "chart"), ("finnhub", "candle"))
                if capability == "bars:1m"
                else (("yahoo", "quote"), ("finnhub", "quote"))
            )
        ]
        return all(count >= 1 for count in scores)

    await eventually(known, within_s=60.0, every_s=0.1)

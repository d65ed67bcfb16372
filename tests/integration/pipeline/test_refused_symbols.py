"""Symbols that a trade socket refuses: blind exactly as long as that lasts, through a kill, and nobody else is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson

from schemas.intervals import SECOND_US
from tests.support import ledger_answers
from tests.support.eventually import eventually
from tests.support.producer_processes import break_vendors, simulator, watched
from tests.support.system import system
from tests.support.trade_tapes import (
    Hole,
    hearing,
    holes_of,
    in_table,
    in_topic,
    missing_of,
    refused_now,
    tape_of,
    unmarked,
)

WITHIN_S = 45.0
SOCKET = {"vendor": "finnhub", "endpoint": "socket"}
UNKNOWN, NOT_IN_PLAN, TOO_MANY = "SIM002", "SIM003", "SIM006"  # in the order of subscription
REFUSED = [UNKNOWN, NOT_IN_PLAN, TOO_MANY]
SERVED = ["SIM001", "SIM004", "SIM005"]
SYMBOLS = sorted(REFUSED + SERVED)
CONFIGURATION = f"symbols: [{', '.join(SYMBOLS)}]\nstreams: {{trades: {{provider: finnhub}}}}\n"


def rules(*faults: dict[str, object], **when: int) -> str:
    """Return a scenario of the socket."""
    extra = {"when": when} if when else {}
    return orjson.dumps({"rules": [{"match": SOCKET, "fault": fault, **extra} for fault in faults]}).decode()


REFUSING = rules(
    {"type": "unknown_symbols", "symbols": [UNKNOWN]},
    {"type": "refused_symbols", "symbols": [NOT_IN_PLAN]},
    {"type": "too_many_symbols", "most": len(SERVED)},
)
CUT = rules({"type": "drop_socket", "after_frames": 0}, limit=1)


async def test_refused_symbols_are_blind_as_long_as_that_lasts_and_no_others(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """Unknown, not in the plan, one too many: until the refusal ends, over a kill of the producer, without a hole or a double.

    Every trade of the tape is in topic and table once and in order, or in a gap.
    """
    async with simulator(scenario=REFUSING) as (simulation, url):
        with (
            hearing() as heard,
            system(
                bootstrap=kafka_bootstrap, dsn=database, prefix=topic_prefix, folder=tmp_path, symbols=SYMBOLS,
                settings={"MDS_SIMULATOR_URL": url},
            ) as running,
        ):  # fmt: skip
            (tmp_path / "mds.yaml").write_text(CONFIGURATION)
            await running.start_services()

            async def refuses(symbols: list[str]) -> bool:
                assert await refused_now(running) == (symbols, float(len(symbols)))
                return True

            async def traded(symbols: list[str], since: int) -> bool:
                newest = [(await in_topic(kafka_bootstrap, topic_prefix, each))[-1].time for each in symbols]
                return min(newest) > since

            async def noted() -> bool:
                return {symbol for _, symbol in await watched(kafka_bootstrap, topic_prefix)} >= {*SYMBOLS}

            await eventually(lambda: refuses(REFUSED), within_s=WITHIN_S, every_s=0.2)
            await eventually(noted, within_s=WITHIN_S, every_s=0.2)
            running.kill("producers")
            running.start("producers")
            restarting = simulation.view.clock.now()
            await eventually(lambda: traded(SERVED, restarting), within_s=WITHIN_S, every_s=0.2)
            await eventually(lambda: refuses(REFUSED), within_s=WITHIN_S, every_s=0.2)

            break_vendors(simulation, CUT)
            over = simulation.view.clock.now()
            await eventually(lambda: traded(SYMBOLS, over), within_s=WITHIN_S, every_s=0.2)
            await eventually(lambda: refuses([]), within_s=WITHIN_S, every_s=0.2)
            simulation.view.clock.set_paused(paused=True)
            end = simulation.view.clock.now()
            tapes = {
                symbol: await tape_of(simulation, symbol, heard.since[SERVED[0]][0], end)
                for symbol in SYMBOLS
            }

            async def settled() -> dict[str, list[Hole]]:
                holes = {}
                for symbol in SYMBOLS:
                    stored = await in_table(database, symbol)
                    assert stored == await in_topic(kafka_bootstrap, topic_prefix, symbol)
                    holes[symbol] = await holes_of(running, symbol)
                    missing = missing_of(tapes[symbol], stored)
                    # Since we had subscribed, which is not quite when it was heard.
                    if symbol in REFUSED:
                        missing = [each for each in missing if each.time >= holes[symbol][0].begin]
                    assert unmarked(missing, holes[symbol], heard.since.get(symbol, [])) == [], symbol
                evidence = await asyncio.to_thread(ledger_answers.told, kafka_bootstrap, topic_prefix)
                assert await ledger_answers.evidence_agrees(database, evidence) == ""
                return holes

            holes = await eventually(settled, within_s=WITHIN_S, every_s=0.5)
            evidence = await asyncio.to_thread(ledger_answers.told, kafka_bootstrap, topic_prefix)
    begins = heard.since[SERVED[0]]
    assert len(begins) == 3
    for symbol in REFUSED:
        down, refused = holes[symbol]
        assert (down.cause, refused.cause) == ("producer_down", "refused")
        assert down.end == refused.begin
        bounds = (down.begin, down.end, refused.end)
        assert all(abs(bound - begin) < SECOND_US for bound, begin in zip(bounds, begins, strict=True))
        assert len(heard.since[symbol]) == 1
    for symbol in SERVED:
        assert [hole.cause for hole in holes[symbol]] == ["producer_down", "disconnected"]
    for symbol in SYMBOLS:
        told = [each for each in evidence if (each.kind, each.symbol) == ("blind", symbol)]
        assert [Hole(each.from_time, each.to_time or 0, each.cause) for each in told] == holes[symbol]

"""What a plan leaves out because nobody could be asked for it."""

from __future__ import annotations

from datetime import date

from producers.plan.nameable import nameable
from producers.plan.plan import BarsTask, PollPlan, QuotesTask, TradesTask
from schemas.symbology.map_files import parse_map_file
from schemas.symbology.naming import Symbology

RENAMED = Symbology([parse_map_file("20120518,fb\n20220608,fb\n20501231,meta\n", source="meta.csv")])
DAY = date(2026, 11, 20)


def bars(symbol: str, provider: str = "yahoo") -> BarsTask:
    """Return a task of one symbol."""
    return BarsTask(provider=provider, symbol=symbol, interval="1m", every_us=1, overlap_us=1)  # type: ignore[arg-type]


def test_each_symbol_is_left_out_alone_and_once() -> None:
    """A batch keeps the symbols that name something; a task without any is gone."""
    plan = PollPlan(
        bars=[bars("SPY"), bars("FB"), bars("BRK-B")],
        quotes=[
            QuotesTask(provider="yahoo", symbols=("SPY", "FB", "META"), every_us=1),
            QuotesTask(provider="finnhub", symbols=("BRK-B",), every_us=1),
        ],
        trades=[TradesTask(provider="finnhub", symbols=("BTC-EUR", "BTC-JPY"))],
    )
    smaller, left_out = nameable(plan, RENAMED, DAY)

    assert [task.symbol for task in smaller.bars] == ["SPY"]
    assert [task.symbols for task in smaller.quotes] == [("SPY", "META")]
    assert [task.symbols for task in smaller.trades] == [("BTC-EUR",)]
    assert [(entry.symbol, entry.provider) for entry in left_out] == [
        ("BRK-B", "finnhub"), ("BRK-B", "yahoo"), ("BTC-JPY", "finnhub"), ("FB", "yahoo"),
    ]  # fmt: skip
    assert {entry.code for entry in left_out} == {"unknown_symbol"}
    assert "use META" in left_out[-1].why


def test_a_plan_of_names_alone_stays() -> None:
    """On the day it was still called FB nothing is left out, and another vendor's spelling is its adapter's affair."""
    plan = PollPlan(bars=[bars("FB"), bars("SIM001", "acme")])

    same, left_out = nameable(plan, RENAMED, date(2022, 6, 8))

    assert (same.bars, left_out) == (plan.bars, [])

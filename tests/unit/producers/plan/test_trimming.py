"""What a plan leaves out because nobody could be asked for it."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date

from producers.plan.plan import PollPlan
from producers.plan.tasks import ActionsTask, BarsTask, MacroTask, OptionsTask, QuotesTask, TradesTask
from producers.plan.trimming import nameable, nameless, owned_part
from schemas.partitions import partition_of
from schemas.providers.built_in import BUILT_IN
from schemas.providers.spelling import AS_WE_DO, Spelling
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
        actions=[
            ActionsTask(provider="yahoo", symbols=names, every_us=1, back_days=1, ahead_days=1)
            for names in (("FB", "SPY"), ("FB",))
        ],
        macro=[MacroTask(provider="fred", series="FRED:GDPC1", every_us=1)],
    )
    smaller, left_out = nameable(plan, RENAMED, DAY, BUILT_IN)

    assert [task.symbol for task in smaller.bars] == ["SPY"]
    assert [task.symbols for task in smaller.quotes] == [("SPY", "META")]
    assert [task.symbols for task in smaller.trades] == [("BTC-EUR",)]
    assert [task.symbols for task in smaller.actions] == [("SPY",)]
    assert smaller.macro == plan.macro
    assert [(entry.symbol, entry.provider) for entry in left_out] == [
        ("BRK-B", "finnhub"), ("BRK-B", "yahoo"), ("BTC-JPY", "finnhub"), ("FB", "yahoo"),
    ]  # fmt: skip
    assert {entry.code for entry in left_out} == {"unknown_symbol"}
    assert "use META" in left_out[-1].why


ACME = replace(BUILT_IN["yahoo"], name="acme", spelling=AS_WE_DO)


def test_a_plug_in_that_has_no_name_for_a_symbol_is_not_asked_for_it() -> None:
    """By its own rules, as those we ship by theirs."""
    mute = replace(ACME, spelling=Spelling(lambda _: None, lambda name: name))
    plan = PollPlan(bars=[bars("SIM001", "acme")])

    smaller, (left_out,) = nameable(plan, RENAMED, DAY, {"acme": mute})

    assert not smaller.bars
    assert (left_out.symbol, left_out.provider, left_out.code) == ("SIM001", "acme", "unknown_symbol")


def test_a_plan_of_names_alone_stays() -> None:
    """On the day it was still called FB nothing is left out, and a plug-in's spelling is its own."""
    plan = PollPlan(bars=[bars("FB"), bars("SIM001", "acme")])

    same, left_out = nameable(plan, RENAMED, date(2022, 6, 8), {**BUILT_IN, "acme": ACME})

    assert (same.bars, left_out) == (plan.bars, [])


def test_what_no_provider_has_a_name_for_is_nameless() -> None:
    """One that another provider has is asked of that one; each capability for itself."""
    plan = PollPlan(
        bars=[bars("SPY"), bars("FB"), bars("FB", "finnhub"), bars("GOOG"), bars("GOOG", "finnhub")],
        quotes=[QuotesTask(provider="yahoo", symbols=("SPY", "FB"), every_us=1)],
    )
    kept = PollPlan(
        bars=[bars("SPY"), bars("GOOG", "finnhub")],
        quotes=[QuotesTask(provider="yahoo", symbols=("FB",), every_us=1)],
    )

    assert nameless(plan, kept) == {plan.bars[0].capability: ["FB"], "quotes": ["SPY"]}
    assert nameless(plan, PollPlan())["quotes"] == ["FB", "SPY"]
    assert nameless(plan, plan) == {}


SERIES = tuple(f"FRED:{name}" for name in ("GDPC1", "UNRATE", "PAYEMS", "CPIAUCSL", "DFF", "SOFR", "ICSA"))
SYMBOLS = tuple(f"SIM{number:03d}" for number in range(40))
PLAN = PollPlan(
    bars=[
        BarsTask(provider="yahoo", symbol=symbol, interval="1m", every_us=60, overlap_us=300)
        for symbol in SYMBOLS
    ],
    quotes=[QuotesTask(provider="yahoo", symbols=SYMBOLS, every_us=5)],
    trades=[TradesTask(provider="finnhub", symbols=SYMBOLS)],
    actions=[ActionsTask(provider="yahoo", symbols=SYMBOLS, every_us=60, back_days=10, ahead_days=90)],
    macro=[MacroTask(provider="fred", series=series, every_us=60) for series in SERIES],
)


def test_replicas_share_a_plan_without_overlap_or_rest() -> None:
    """Two owners of two partitions each: every symbol of every stream is in exactly one part."""
    parts = [owned_part(PLAN, frozenset(owned), 4) for owned in ({0, 2}, {1, 3})]

    for part, owned in zip(parts, ({0, 2}, {1, 3}), strict=True):
        mine = {symbol for symbol in SYMBOLS if partition_of(symbol, 4) in owned}
        assert {task.symbol for task in part.bars} == mine
        assert {symbol for task in part.quotes for symbol in task.symbols} == mine
        assert {symbol for task in part.trades for symbol in task.symbols} == mine
        assert {symbol for task in part.actions for symbol in task.symbols} == mine
        assert [task.series for task in part.macro] == [
            series for series in SERIES if partition_of(series, 4) in owned
        ]


def test_who_owns_all_has_the_plan_and_who_owns_nothing_nothing() -> None:
    """A standby has no empty requests."""
    assert owned_part(PLAN, frozenset(range(4)), 4) is PLAN
    assert owned_part(PLAN, frozenset(), 4) == PollPlan(
        bars=[], quotes=[], trades=[], actions=[], macro=[], options=[]
    )


def test_no_stream_is_forgotten_on_the_way() -> None:
    """A stream that was added to the plan and not here was never polled, and nobody said so."""
    whole = PollPlan(
        bars=[bars("SPY")],
        quotes=[QuotesTask(provider="yahoo", symbols=("SPY",), every_us=1)],
        trades=[TradesTask(provider="finnhub", symbols=("SPY",))],
        actions=[ActionsTask(provider="yahoo", symbols=("SPY",), every_us=1, back_days=1, ahead_days=1)],
        macro=[MacroTask(provider="fred", series="SPY", every_us=1)],
        options=[
            OptionsTask(
                provider="yahoo", symbol="SPY", every_us=1, near_days=1, far_every_us=1, is_by_expiry=True
            )
        ],
    )
    assert all(getattr(whole, each.name) for each in fields(PollPlan)), "give it a task of the new stream"

    assert nameable(whole, RENAMED, DAY, BUILT_IN) == (whole, [])
    assert owned_part(whole, frozenset({partition_of("SPY", 4)}), 4) == whole
    nothing = owned_part(whole, frozenset({0, 1, 2, 3}) - {partition_of("SPY", 4)}, 4)
    assert not any(getattr(nothing, each.name) for each in fields(PollPlan))

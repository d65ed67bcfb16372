"""Mutated option chains of the three vendors: whatever arrives, only our errors come out, and no impossible slice.

1,000 cases a vendor; MDS_FUZZ_CASES sets another number.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from producers.vendors.alpaca import options as alpaca
from producers.vendors.answers import Answer
from producers.vendors.option_rows import ChainPage
from producers.vendors.polygon import options as polygon
from producers.vendors.yahoo import options as yahoo
from schemas.errors import MarketDataError
from tests.support.chains import CALL, PUT, an_alpaca_snapshot, check_slices
from tests.support.injuries import CASES, SEED, changed, mutated
from tests.support.vendor_payloads import recorded
from tests.support.vendors.sheet import RECEIVED, chain

LONGEST_S = 60.0  # of all cases of a vendor: no injury may cost more than the parsing
LEGS = 6  # of each side of Yahoo's, so that injuries meet them
Parse = Callable[[bytes], ChainPage]


def _yahoo(market_data: Path) -> tuple[bytes, Parse]:
    document: dict[str, Any] = json.loads(recorded(market_data, "options-AAPL.json"))
    del document["optionChain"]["error"]  # half of all injuries would meet it
    (result,) = document["optionChain"]["result"]
    for side in ("calls", "puts"):
        result["options"][0][side] = result["options"][0][side][:LEGS]
    return json.dumps(document).encode(), lambda data: yahoo.parse_chain(data, symbol="AAPL")


def _polygon(market_data: Path) -> tuple[bytes, Parse]:
    path = market_data / "vendor_fixtures" / "polygon" / "v3_snapshot_options_AAPL.json"
    return path.read_bytes(), lambda data: polygon.parse_chain(
        data, symbol="AAPL", base_url="https://a.example"
    )


def _alpaca(_: Path) -> tuple[bytes, Parse]:
    snapshots = {name: an_alpaca_snapshot() for name in (CALL, PUT)}
    payload = json.dumps({"snapshots": snapshots, "next_page_token": None}).encode()
    return payload, lambda data: alpaca.parse_chain(data, symbol="AAPL")


@pytest.mark.parametrize("vendor", [_yahoo, _polygon, _alpaca], ids=["yahoo", "polygon", "alpaca"])
def test_only_our_errors_and_no_impossible_slice_come_out(
    vendor: Callable[[Path], tuple[bytes, Parse]], market_data: Path
) -> None:
    """The same cases every time; a quarter of them at least still hold legs that nothing happened to."""
    payload, parse = vendor(market_data)
    draw = random.Random(SEED)
    began, used = time.monotonic(), 0
    for number in range(CASES):
        injured = changed(payload, draw) if number % 4 else mutated(payload, draw)
        try:
            answer: Answer = chain(parse(injured))
        except MarketDataError:
            continue
        except Exception as error:
            raise AssertionError(f"case {number} raised {error!r}: {injured[:300]!r}") from error
        check_slices(answer, RECEIVED)
        used += bool(answer.events)

    assert used > CASES // 4
    assert time.monotonic() - began < LONGEST_S

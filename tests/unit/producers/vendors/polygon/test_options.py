"""Polygon's chain snapshots: the recorded contract, what is missing as it may be, stamps in nanoseconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from producers.vendors.answers import Answer
from producers.vendors.option_rows import ChainPage
from producers.vendors.polygon.options import parse_chain
from schemas.clocks import WallTime, iso_day
from schemas.errors import MalformedPayload, NoData, ProviderUnentitled
from schemas.intervals import SECOND_US
from schemas.providers.polygon import FACTS
from tests.support.chains import QUOTED, QUOTED_S, a_polygon_entry, events_of, strikes_of

NEVER = WallTime(1_795_363_230_000_000)


def page(*entries: object, **said: object) -> ChainPage:
    """Return a page of contracts."""
    document = {"status": "OK", "results": list(entries), **said}
    return parse_chain(json.dumps(document).encode(), symbol="AAPL", base_url=FACTS.base_url)


def parse(*entries: object, **said: object) -> Answer:
    """Return what is made of a page."""
    return events_of(page(*entries, **said))


def test_the_recorded_contract_parses(market_data: Path) -> None:
    """Nanoseconds are cut to microseconds; every number is where it belongs."""
    path = market_data / "vendor_fixtures" / "polygon" / "v3_snapshot_options_AAPL.json"
    read = parse_chain(path.read_bytes(), symbol="AAPL", base_url=FACTS.base_url)
    answer = events_of(read, received=NEVER)
    (event,) = answer.events
    (leg,) = event["legs"]

    assert (iso_day(event["expiry"]), event["underlying_price"], event["underlying_time"]) == (
        *("2023-06-16", 159.9606), 1_651_254_263_172_073,
    )  # fmt: skip
    assert leg == {
        "strike": 150.0, "right": "C", "bid": 28.9, "ask": 29.25, "bid_size": 294.0, "ask_size": 209.0,
        "quote_time": 1_651_254_260_800_059, "last": 29.25, "last_size": 1.0, "last_time": 1_678_718_527_714_665,
        "volume": 8.0, "open_interest": 8_133.0, "oi_date": None, "multiplier": 100.0,
        "vendor_iv": 0.3570277203465058, "vendor_delta": 0.6436614934293701, "vendor_gamma": 0.0061735291012820675,
        "vendor_theta": -0.028227189324641973, "vendor_vega": 0.6381159723175714, "vendor_rho": None,
    }  # fmt: skip
    assert not answer.rejected


def test_what_nobody_quotes_has_nulls_and_is_a_leg_all_the_same() -> None:
    """No quote, no trade, empty greeks: its strike and its open interest are known."""
    bare = a_polygon_entry(700, greeks={}, last_quote=None, day={})
    for name in ("implied_volatility", "last_trade", "underlying_asset"):
        del bare[name]
    answer = parse(a_polygon_entry(), bare)
    leg = answer.events[0]["legs"][1]

    assert not answer.rejected
    assert {name: value for name, value in leg.items() if value is not None} == {
        "strike": 700.0, "right": "C", "open_interest": 1_500.0, "multiplier": 100.0,
    }  # fmt: skip


def test_results_that_are_absent_are_none() -> None:
    """As on a day without contracts."""
    nothing = parse_chain(b'{"status":"OK","request_id":"x"}', symbol="AAPL", base_url=FACTS.base_url)

    assert (nothing.rows, nothing.rejected, nothing.following) == ([], [], "")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"details": None}, "lacks 'ticker'"),
        ({"details": []}, "details is []"),
        ({"last_quote": 7}, "last_quote is 7, which is no object"),
        ({"last_quote": {"bid": 1, "last_updated": "now"}}, "last_quote.last_updated is 'now'"),
        ({"last_trade": {"price": -1}}, "last is -1"),
        ({"open_interest": 1e300}, "open_interest is 1e"),
    ],
)
def test_a_contract_that_cannot_be_is_rejected_alone(changes: dict[str, Any], why: str) -> None:
    """The other one is unharmed."""
    answer = parse(a_polygon_entry(**changes), a_polygon_entry(650))

    assert [strikes_of(event) for event in answer.events] == [[(650.0, "C")]]
    assert [why in entry.message for entry in answer.rejected] == [True]


@pytest.mark.parametrize(
    ("details", "why"),
    [
        ({"contract_type": "put"}, "right is P"),
        ({"contract_type": "other"}, "contract_type is 'other'"),
        ({"contract_type": ["call"]}, "contract_type is ['call']"),
        ({"strike_price": 645.01}, "strike is 645.01"),
        ({"expiration_date": "2014-06-20"}, "expiry is 2014-06-20"),
        ({"expiration_date": 20}, "expiration_date is 20"),
        ({"ticker": "AAPL"}, "length is wrong"),
    ],
)
def test_details_that_contradict_the_name_cost_their_leg(details: dict[str, Any], why: str) -> None:
    """Whichever of the two is wrong."""
    entry = a_polygon_entry()
    answer = parse(entry | {"details": entry["details"] | details}, a_polygon_entry(650))

    assert len(answer.events[0]["legs"]) == 1
    assert [why in refused.message for refused in answer.rejected] == [True]


def test_a_bad_price_of_the_underlying_costs_only_itself_and_is_told_once() -> None:
    """It stands beside every contract."""
    bad = {"price": -1, "last_updated": QUOTED_S * 10**9}
    answer = parse(a_polygon_entry(underlying_asset=bad), a_polygon_entry(650, underlying_asset=bad))

    assert (answer.events[0]["underlying_price"], len(answer.events[0]["legs"])) == (None, 2)
    assert ["underlying_price is -1" in refused.message for refused in answer.rejected] == [True]


def test_an_index_has_a_value_where_a_share_has_a_price() -> None:
    """Both are what the underlying stands at."""
    index = {"value": 1_949.44, "last_updated": QUOTED_S * 10**9}
    (event,) = parse(a_polygon_entry(underlying_asset=index)).events

    assert (event["underlying_price"], event["underlying_time"]) == (1_949.44, QUOTED)


@pytest.mark.parametrize("part", ["last_quote", "last_trade", "underlying_asset"])
def test_a_delayed_timeframe_is_a_quarter_of_an_hour(part: str) -> None:
    """Of one part or of the whole answer."""
    entry = a_polygon_entry()
    (delayed,) = parse(entry | {part: entry[part] | {"timeframe": "DELAYED"}}, a_polygon_entry(650)).events

    assert delayed["delay_s"] == 900
    assert [parse(entry, status=status).events[0]["delay_s"] for status in ("OK", "DELAYED")] == [0, 900]


def test_a_volume_of_the_day_before_is_none_of_today() -> None:
    """The newest day with trades may be weeks ago."""
    old = {"volume": 12, "last_updated": (QUOTED_S - 86_400) * 10**9}

    assert parse(a_polygon_entry(day=old)).events[0]["legs"][0]["volume"] is None
    assert parse(a_polygon_entry()).events[0]["legs"][0]["volume"] == 12.0


def test_more_than_shares_to_deliver_is_adjusted() -> None:
    """Another count of shares, or something beside them."""
    details = a_polygon_entry()["details"]
    for change in ({"shares_per_contract": 10}, {"additional_underlyings": [{"underlying": "USD"}]}):
        (event,) = parse(a_polygon_entry(details=details | change)).events
        assert event["is_adjusted"]


def test_the_next_page_is_only_taken_at_our_address() -> None:
    """Our key goes with it."""
    ours = f"{FACTS.base_url}/v3/snapshot/options/AAPL?cursor=x"

    assert page(next_url=ours).following == ours
    with pytest.raises(MalformedPayload, match="leads away"):
        page(next_url="https://elsewhere.example/v3?cursor=x")


def test_a_200_that_says_no_is_a_refusal() -> None:
    """By its status."""
    with pytest.raises(ProviderUnentitled, match="the options of AAPL"):
        page(status="NOT_AUTHORIZED", message="You are not entitled to this data.")
    with pytest.raises(NoData):
        page(status="NOT_FOUND")
    with pytest.raises(MalformedPayload, match="results"):
        parse_chain(b'{"results": 7}', symbol="AAPL", base_url=FACTS.base_url)


def test_a_stamp_of_an_answer_is_the_newest_in_it() -> None:
    """Of quotes, trades and the underlying."""
    later = {"price": 9.1, "size": 2, "sip_timestamp": (QUOTED_S + 1) * 10**9}

    assert parse(a_polygon_entry(last_trade=later)).events[0]["event_time"] == QUOTED + SECOND_US

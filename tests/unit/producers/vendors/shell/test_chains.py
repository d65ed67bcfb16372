"""Pages of an option chain make one response, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producers.http.shell.body import MalformedResponse
from producers.vendors.option_rows import ChainPage
from producers.vendors.shell.chains import chain_of_pages
from producers.vendors.shell.requests import Asked
from producers.vendors.values import rejected
from schemas.clocks import WallTime
from schemas.errors import InvalidRecord, NoData
from tests.support.chains import CALL, PUT, RECEIVED, a_leg_row, an_origin, asked_chain, strikes_of, the_day


def given(*pages: ChainPage) -> list[Asked[ChainPage]]:
    """Return pages that came a microsecond after one another."""
    return [Asked(value=page, received_time=WallTime(RECEIVED + number)) for number, page in enumerate(pages)]


def test_a_slice_that_is_cut_by_a_page_is_whole_and_of_the_last_pages_time() -> None:
    """What each page rejected comes with it."""
    refused = rejected("AAPL", InvalidRecord("x"), {})
    first, second = ChainPage(rows=[a_leg_row(PUT)], rejected=[refused]), ChainPage(rows=[a_leg_row(CALL)])
    response = chain_of_pages("options", given(first, second), an_origin())

    assert [strikes_of(event) for event in response.answer.events] == [[(645.0, "C"), (645.0, "P")]]
    assert (response.received_time, list(response.answer.rejected)) == (RECEIVED + 1, [refused])


def test_a_page_that_says_no_market_made_them_marks_them() -> None:
    """As the opening's simulated symbols do."""
    page = ChainPage(rows=[a_leg_row()], simulated=True)

    assert chain_of_pages("options", given(page), an_origin()).answer.events[0]["simulated"]


def test_no_contract_at_all_is_no_data_and_names_the_days() -> None:
    """Contracts of other days are none, either; rejected ones are something."""
    asked = asked_chain(first=the_day("2014-07-01"), last=the_day("2014-07-31"))
    origin = replace(an_origin(), asked=asked)
    broken = ChainPage(rows=[a_leg_row(given={"bid": -1})])

    for page in (ChainPage(), ChainPage(rows=[a_leg_row()])):
        with pytest.raises(NoData, match="AAPL that expire from 2014-07-01 to 2014-07-31"):
            chain_of_pages("options", given(page), origin)
    response = chain_of_pages("options", given(broken), origin)
    assert (len(response.answer.rejected), list(response.answer.events)) == (1, [])


def test_an_answer_of_many_contracts_of_which_none_can_be_used_is_malformed() -> None:
    """With one of them for the dead letter."""
    rows = [a_leg_row(f"AAPL140621C0064{digit}000", {"bid": "9"}) for digit in range(10)]

    with pytest.raises(MalformedResponse, match="none of 10 contracts") as told:
        chain_of_pages("options", given(ChainPage(rows=rows)), an_origin())
    assert b"AAPL140621C00640000" in told.value.payload

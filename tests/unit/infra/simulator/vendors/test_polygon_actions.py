"""Polygon's splits and dividends: both forms, days with both ends in, pages, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
from yarl import URL

from infra.simulator.vendors.polygon_actions import actions
from tests.support.simulations import body, frozen_view

NEW, OLD = "http://127.0.0.1:1/polygon/stocks/v1/", "http://127.0.0.1:1/polygon/v3/reference/"


def asked(data: Path | None, what: str, form: str = NEW, now: str = "2015-01-02T12:00:00Z", **given: str):
    return body(actions(frozen_view(data, now), what, ("AAPL", "NOPE"), given, (), address=form + what))


def test_the_two_forms_of_a_split(market_data: Path) -> None:
    """The newer one has an id and a kind."""
    (new,) = asked(market_data, "splits", **{"execution_date.gte": "2014-01-01"})["results"]
    (old,) = asked(market_data, "splits", OLD, **{"execution_date.gte": "2014-01-01"})["results"]

    assert old == {"ticker": "AAPL", "execution_date": "2014-06-09", "split_from": 1, "split_to": 7}
    assert new == old | {"id": new["id"], "adjustment_type": "forward_split"}


def test_both_ends_of_the_days_are_in_and_pages_join(market_data: Path) -> None:
    """The next page's address carries the question and no key."""
    days = {"ex_dividend_date.gte": "2014-02-06", "ex_dividend_date.lte": "2014-11-06"}
    whole = asked(market_data, "dividends", **days)["results"]
    rows, given = [], {**days, "limit": "3", "apiKey": "secret"}
    for _ in range(5):
        page = asked(market_data, "dividends", **given)
        rows += page["results"]
        if "next_url" not in page:
            break
        assert "secret" not in page["next_url"]
        given = dict(URL(page["next_url"]).query)

    assert [row["ex_dividend_date"] for row in whole] == [
        "2014-02-06",
        "2014-05-08",
        "2014-08-07",
        "2014-11-06",
    ]
    assert rows == whole


@pytest.mark.parametrize(
    "given", [{"limit": "5001"}, {"limit": "0"}, {"cursor": "!"}, {"execution_date.gte": "soon"}]
)
def test_wrong_parameters_are_refused(given: dict[str, str]) -> None:
    """In the vendor's form."""
    assert asked(None, "splits", now="2026-11-22T16:00:30Z", **given)["status"] == "ERROR"

"""Tokens of pages of entries: bound to their question, signed, and no others."""

from __future__ import annotations

import pytest

from tests.support.builders import an_action
from tests.support.gateway_rest import Rest, rest

PATH = "/stocks/AAPL/actions"


async def first_page(gateway: Rest) -> str:
    """Return the token of a page after the first."""
    await gateway.store(*(an_action(action_id=f"a{n}", raw_offset=n, ex_date=16_000 + n) for n in range(5)))
    _, _, body = await gateway.ask("GET", PATH, params={"limit": "2"})
    return str(body["next_page_token"])


@pytest.mark.parametrize(
    ("path", "changes", "code"),
    [
        (PATH, {"limit": "3"}, "token_mismatch"),
        (PATH, {"limit": "2", "types": "split"}, "token_mismatch"),
        ("/stocks/MSFT/actions", {"limit": "2"}, "token_mismatch"),
        ("/factors/macro/cpi/history", {"limit": "2"}, "token_mismatch"),
        (PATH, {"limit": "2", "page_token": "abc.def"}, "token_invalid"),
    ],
    ids=str,
)
async def test_a_token_answers_its_own_question_alone(
    database: str, path: str, changes: dict[str, str], code: str
) -> None:
    """Another symbol, another filter, another endpoint, another signature."""
    async with rest(database) as gateway:
        token = await first_page(gateway)
        status, _, body = await gateway.ask("GET", path, params={"page_token": token, **changes})
        assert (status, body["code"]) == (400, code)


async def test_a_page_that_is_just_full_has_no_next(database: str) -> None:
    """Five rows in pages of five; in pages of two the last one has one."""
    async with rest(database) as gateway:
        token = await first_page(gateway)
        _, _, whole = await gateway.ask("GET", PATH, params={"limit": "5"})
        assert (len(whole["data"]), whole["next_page_token"]) == (5, None)
        _, _, second = await gateway.ask("GET", PATH, params={"limit": "2", "page_token": token})
        _, _, last = await gateway.ask(
            "GET", PATH, params={"limit": "2", "page_token": second["next_page_token"]}
        )
        assert (len(second["data"]), len(last["data"]), last["next_page_token"]) == (2, 1, None)

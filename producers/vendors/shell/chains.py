"""Option chains over HTTP: pages, or one request an expiry, make one response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from producers.http.shell.body import MAX_KEPT_BYTES, MalformedResponse
from producers.vendors.answers import ChainRequest, Response
from producers.vendors.option_rows import ChainOrigin, ChainPage
from producers.vendors.option_slices import chain_events
from producers.vendors.shell.requests import Asked
from schemas.clocks import iso_day
from schemas.errors import MalformedPayload, NoData


def chain_of_pages(endpoint: str, pages: Sequence[Asked[ChainPage]], origin: ChainOrigin) -> Response:
    """Return all pages of a chain as one response.

    Raises NoData where no contract was asked for and told of, and MalformedResponse where none of many can be used.
    """
    received = pages[-1].received_time
    rows = [row for page in pages for row in page.value.rows]
    unplaced = [refused for page in pages for refused in page.value.rejected]
    if any(page.value.simulated for page in pages):
        origin = replace(origin, simulated=True)
    try:
        answer = chain_events(rows, origin, received)
    except MalformedPayload as error:
        raise MalformedResponse(
            str(error),
            endpoint=endpoint,
            received_time=received,
            payload=repr(rows[0].entry).encode()[:MAX_KEPT_BYTES],
        ) from error
    answer = replace(answer, rejected=[*answer.rejected, *unplaced])
    if not answer.events and not answer.rejected:
        raise no_options(origin.provider, origin.asked)
    return Response(endpoint=endpoint, received_time=received, answer=answer)


def no_options(provider: str, asked: ChainRequest) -> NoData:
    """Return what is raised where a vendor has no such options."""
    days = f"from {iso_day(asked.first)} to {iso_day(asked.last)}"
    return NoData(f"{provider} has no options of {asked.symbol} that expire {days}; ask for other days")

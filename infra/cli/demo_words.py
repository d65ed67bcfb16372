"""The words of `mds demo`, for somebody who sees the service for the first time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from schemas.intervals import MINUTE_US, SECOND_US

BEGINNING = """\
A hole in the data, from its beginning to its end. The service expects a bar of every minute of a session; one that does
not come is a gap: a record that everybody can see, until the data is there or proved not to exist.
This takes about two minutes, most of which is waiting for the market. Ctrl-C ends it, and nothing stays cut.
"""
CAUSES = {
    "missing_bars": "a later bar came, and this one did not, though the vendor was asked for it",
}
CONFIDENCE = {
    "inferred": "concluded from the calendar: it may be that nobody traded",
    "proven": "certain: nobody watched",
}


def minute_text(minute: int) -> str:
    """Return a minute (µs) as HH:MM."""
    return f"{datetime.fromtimestamp(minute / SECOND_US, UTC):%H:%M} UTC"


def gap_in_words(notice: Mapping[str, Any]) -> str:
    """Say what a notice of a gap means."""
    count = max(1, (notice["to"] - notice["from"]) // MINUTE_US)
    minutes = "1 minute is" if count == 1 else f"{count} minutes are"
    cause = CAUSES.get(notice["cause"], notice["cause"])
    confidence = CONFIDENCE.get(notice["confidence"], notice["confidence"])
    return (
        f"That is: {minutes} missing in {notice['stream']} from {minute_text(notice['from'])} on; {cause}. This is "
        f"{confidence}."
    )


def job_in_words(job: Mapping[str, Any]) -> str:
    """Say how a backfill job stands."""
    told = f"job {job['job_id']} is {job['state']} ({job['meaning']})"
    if job["state"] in ("queued", "waiting"):
        eta = "nobody can say when yet" if job["eta_s"] is None else f"over in about {job['eta_s']:.0f} s"
        return f"{told}: {job['position']} jobs of its provider are before it, {eta} ({job['eta_basis']})"
    if job["state"] == "running":
        return f"{told}: a producer asks {job['provider']} for it"
    bars = "1 bar" if job["rows"] == 1 else f"{job['rows']} bars"
    return f"{told}: {bars} published" + (f"; {job['reason']}" if job["reason"] else "")


def whole_in_words(count: int, first: int, route: str | None) -> str:
    """Say that all minutes from the first one on are there, and by which way the one came that was cut."""
    by = "the backfill" if route == "backfill" else "the next live poll, which was quicker than the backfill"
    return f"whole: {count} minutes from {minute_text(first)} on are stored as the vendor shows them; the one that was cut came by {by}"


def what_next(url: str, symbol: str, minute: int) -> str:
    """Return what to look at after the demonstration."""
    name = quote(symbol, safe="")
    low = f"{datetime.fromtimestamp(minute / SECOND_US, UTC):%Y-%m-%dT%H:%M:%SZ}"
    high = f"{datetime.fromtimestamp((minute + MINUTE_US) / SECOND_US, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return f"""
  next
  the bar, with when it was known and by which way it came (route)
    curl -s '{url}/stocks/{name}/history?interval=1m&session=all&revisions=all&start={low}&end={high}'
  all gaps that stand now, and those of this symbol
    curl -s '{url}/gaps'
    curl -s '{url}/gaps?symbol={name}'
  a stretch of your own, fetched again
    mds backfill {symbol} --start {low} --end {high} --wait
  jobs that failed
    mds dlq backfills
  how gaps are found and healed: docs/concepts/gaps.md"""

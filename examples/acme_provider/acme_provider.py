"""ACME, a vendor of our invention, as a third party's provider: bars as CSV over HTTP, trades over a WebSocket.

    GET /bars.csv?symbol=SPY&minutes=1&from=<unix s>&to=<unix s>   with the header X-Acme-Key
    start,open,high,low,close,volume
    1381152600,167.41,167.5,167.25,167.3,12000

    wss://.../trades, with the same header; `+SPY` subscribes, `-SPY` ends it, `#` is a heartbeat
    SPY 1381152600123 167.41 200
    IBM 1381152600125 181.02 100

Names of classes of shares have a slash: BRK/B. The parsers are pure, so that they can be fuzzed; the classes only know
addresses and headers. Install the package beside producers and gateway, set ACME_KEY, and name `acme` as the provider
of a stream.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from functools import partial

from producers.sdk import (
    Answer,
    BarOrigin,
    BarRow,
    BarsRequest,
    Capabilities,
    Event,
    Frame,
    Instrument,
    InvalidRecord,
    Limits,
    MalformedPayload,
    Notes,
    Opening,
    PricingPlan,
    Provider,
    ProviderFacts,
    RejectedValue,
    Request,
    Response,
    Spelling,
    SubscriptionKind,
    VendorApi,
    VendorSocket,
    answered,
    ask,
    bar_events,
    bar_origin,
    checked_us,
    frame_hash,
    meaning,
    trade_event,
)

KEY = "ACME_KEY"
MINUTES = {"1m": "1", "5m": "5"}
COLUMNS = ["start", "open", "high", "low", "close", "volume"]
SECOND_US = 1_000_000


def _name(instrument: Instrument) -> str | None:
    is_carried = instrument.is_us_listed or instrument.asset_class == "simulated"
    return instrument.symbol.replace(".", "/") if is_carried else None


def _symbol(name: str) -> str | None:
    return None if "." in name else name.replace("/", ".")


FACTS = ProviderFacts(
    name="acme",
    title="ACME",
    capabilities=Capabilities(intervals=tuple(MINUTES), trades=True),
    base_url="https://api.acme.example",
    socket_url="wss://live.acme.example/trades",
    credentials=(KEY,),
    endpoints=("bars", "socket"),
    plans=(
        PricingPlan(
            name="only", limits=Limits(per_second=5), source="acme.example/limits", read="2026-11-22"
        ),
    ),
    spelling=Spelling(_name, _symbol),
    samples=("SPY", "BRK.B"),
    notes=Notes(terms="acme.example/terms"),
)


def parse_bars(payload: bytes, *, origin: BarOrigin) -> Answer:
    """Return the bars of a CSV answer; raise MalformedPayload naming the line that is wrong."""
    try:
        lines = list(csv.reader(payload.decode("ascii").splitlines()))
        if not lines or lines[0] != COLUMNS:
            raise MalformedPayload(f"acme bars: the first line is not {','.join(COLUMNS)}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedPayload(f"acme bars: no CSV ({type(error).__name__})") from error
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            start, *values = line
            if len(values) != len(COLUMNS) - 1:
                raise ValueError
            rows.append(
                BarRow(
                    time=checked_us(int(start), "s", f"acme bars: line {number}"),
                    values=[float(value) for value in values],
                )
            )
        except ValueError as error:
            raise MalformedPayload(f"acme bars: line {number} is not {','.join(COLUMNS)}") from error
    return bar_events(rows, origin)


def parse_frame(
    payload: bytes, *, sequence: int, asked: Mapping[str, str], simulated: Collection[str]
) -> Frame:
    """Return what one frame holds; a line that is no trade of what was asked for is rejected alone."""
    if payload == b"#":
        return Frame(kind="ping")
    try:
        lines = payload.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise MalformedPayload("acme trades: no ASCII") from error
    if not lines or not all(len(line.split(" ")) == 4 for line in lines):
        raise MalformedPayload("acme trades: a line is not symbol, time, price, size")
    events: list[Event] = []
    rejected: list[RejectedValue] = []
    digest = frame_hash(payload)
    for line in lines:
        name, time_ms, price, size = line.split(" ")
        symbol = asked.get(name, "")
        try:
            if not symbol:
                raise ValueError("its symbol was not subscribed")
            moment = checked_us(int(time_ms), "ms", "acme trades: time")
            event = trade_event(
                symbol,
                moment,
                float(price),
                float(size),
                sequence=sequence,
                digest=digest,
                simulated=symbol in simulated,
            )
            events.append(event)
        except (ValueError, MalformedPayload) as error:
            message = f"acme trades: {error}"
            reason = InvalidRecord.reason
            rejected.append(
                RejectedValue(symbol=symbol, reason=reason, message=message, payload=line.encode())
            )
    return Frame(kind="trade", answer=Answer(events=events, rejected=rejected))


class AcmeApi(VendorApi):
    """Bars of ACME."""

    provider = FACTS.name

    def __init__(self, opening: Opening) -> None:
        """Ask the vendor as `opening` says."""
        self._opening = opening

    async def bars(self, asked: BarsRequest) -> Response:
        """Return the bars asked for, unadjusted; raises as VendorApi says."""
        request = Request(
            endpoint="bars",
            url=f"{self._opening.base_url}/bars.csv",
            params={
                "symbol": FACTS.vendor_symbol(asked.symbol),
                "minutes": MINUTES[asked.interval],
                "from": str(asked.window.start // SECOND_US),
                "to": str(asked.window.end // SECOND_US),
            },
            headers={"X-Acme-Key": self._opening.secret(KEY)},
            refused=lambda status, _: meaning(FACTS, status, (), about=asked.symbol),
            purpose=asked.purpose,
        )
        origin = bar_origin(asked, currency="USD", simulated=asked.symbol in self._opening.simulated)
        parse = partial(parse_bars, origin=origin)
        return await answered("bars", ask(self._opening.http, request, parse), ())


class AcmeSocket(VendorSocket):
    """Trades of ACME."""

    def message(self, kind: SubscriptionKind, symbol: str) -> str:
        """Return `+SPY` or `-SPY`."""
        return f"{'+' if kind == 'subscribe' else '-'}{symbol}"

    def parse(
        self, payload: bytes, *, sequence: int, asked: Mapping[str, str], simulated: Collection[str]
    ) -> Frame:
        """Return what one frame holds; raises as TradeSocket says."""
        return parse_frame(payload, sequence=sequence, asked=asked, simulated=simulated)


def _open_socket(opening: Opening) -> AcmeSocket:
    return AcmeSocket(
        FACTS,
        opening.session,
        gate=opening.http.gate,
        url=opening.socket_url,
        headers={"X-Acme-Key": opening.secret(KEY)},
    )


ACME = Provider(facts=FACTS, open=AcmeApi, open_socket=_open_socket)

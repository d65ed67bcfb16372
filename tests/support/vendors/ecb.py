"""The ECB: csvdata as it gives it, without and with history."""

from __future__ import annotations

from producers.vendors.ecb.observations import parse_data
from producers.vendors.ecb.shell.client import refused
from schemas.errors import NoData, ProviderThrottled
from tests.support.vendors.sheet import NO_SECURITIES_NAMES, Sheet

SERIES, KEY = "EXR.D.USD.EUR.SP00.A", "ECB:EXR.D.USD.EUR.SP00.A"
SEEN = 1_790_000_000_000_000
HEAD = "KEY,FREQ,CURRENCY,CURRENCY_DENOM,EXR_TYPE,EXR_SUFFIX,TIME_PERIOD,OBS_VALUE,OBS_STATUS,TITLE_COMPL,UNIT,UNIT_MULT"
NOW = f"""{HEAD}
{SERIES},D,USD,EUR,SP00,A,2026-09-03,1.1615,A,"ECB reference exchange rate, US dollar/Euro, 2.15 pm (C.E.T.)",USD,0
{SERIES},D,USD,EUR,SP00,A,2026-09-04,1.1622,A,"ECB reference exchange rate, US dollar/Euro, 2.15 pm (C.E.T.)",USD,0
""".encode()
HISTORY = f"""{HEAD},ACTION,VALID_FROM,VALID_TO
{SERIES},D,USD,EUR,SP00,A,2026-09-03,1.1615,A,"US dollar/Euro, 2.15 pm",USD,0,Replace,2026-09-03T15:57:01.000+02:00,2026-09-04T11:00:00.000+02:00
{SERIES},D,USD,EUR,SP00,A,2026-09-03,1.1651,A,"US dollar/Euro, 2.15 pm",USD,0,Replace,2026-09-04T11:00:00.000+02:00,
{SERIES},D,USD,EUR,SP00,A,2026-09-04,,A,"US dollar/Euro, 2.15 pm",USD,0,Delete,2026-09-04T15:56:59.000+02:00,
""".encode()


def parsed(payload: bytes, since: int | None = None) -> object:
    """Return the events of one answer."""
    return parse_data(payload, key=KEY, series=SERIES, since=since, received_time=SEEN, simulated=False)


SHEET = Sheet(
    names=NO_SECURITIES_NAMES,
    payloads=lambda _: [("now", NOW), ("history", HISTORY)],
    parsers=(parsed,),
    useful=frozenset({"now", "history"}),
    refuse=refused,
    refusals=(
        ("nothing", 404, b"No results found.", NoData),
        ("unchanged", 304, b"", NoData),
        ("limit", 429, b"Too Many Requests", ProviderThrottled),
    ),
)

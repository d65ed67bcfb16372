"""`mds symbols resolve`: what a symbol names on a day, and what each vendor calls it."""

from __future__ import annotations

from datetime import date
from typing import Any

from infra.runtime.providers import known_facts
from schemas.errors import ConfigurationError, UnknownSymbol
from schemas.providers.built_in import facts_of
from schemas.providers.facts import ProviderFacts
from schemas.symbology.naming import Symbology
from schemas.symbols.instruments import Instrument, classify
from schemas.symbols.names import is_symbol


def asked_symbol(text: str, option: str = "") -> str:
    """Return a symbol given on the command line, by `option`; raise ConfigurationError where it cannot be one."""
    if not is_symbol(text):
        said = f"{option} {text!r}" if option else repr(text)
        raise ConfigurationError(f"{said} is not a symbol", remedy="write it like BRK.B, ^GSPC or BTC-USD")
    return text


def resolved(symbology: Symbology, symbol: str, at: date, provider: str | None) -> dict[str, Any]:
    """Return what `symbol` names on the day `at`, its names over time and at the vendors (None: it has none there).

    With a provider only its name is told, and the symbol may be given in that vendor's spelling. Raises UnknownSymbol,
    AmbiguousSymbol and, for what that vendor never says, InvalidRecord.
    """
    if provider is not None and classify(symbol) is None:
        instrument = symbology.resolve_vendor(provider, symbol, at)
    else:
        instrument = symbology.resolve(symbol, at)
    known = known_facts()
    chosen = known if provider is None else {provider: known.get(provider) or facts_of(provider)}
    return {
        "symbol": instrument.symbol,
        "instrument_id": instrument.instrument_id,
        "asset_class": instrument.asset_class,
        "venue": instrument.venue or None,
        "currency": instrument.currency,
        "calendar": instrument.calendar,
        "valid_from": _text(instrument.valid_from),
        "valid_to": _text(instrument.valid_to),
        "names": [
            {"symbol": period.symbol, "from": _text(period.start), "to": _text(period.end)}
            for period in symbology.history(instrument.instrument_id)
        ],
        "vendors": {name: _name_at(facts, instrument) for name, facts in chosen.items()},
    }


def rows(document: dict[str, Any]) -> list[list[str]]:
    """Return the document as rows of a table; days are [from, to)."""
    plain = [
        [name, "-" if document[name] is None else str(document[name])]
        for name in document
        if name not in ("names", "vendors")
    ]
    names = [["name", f"{n['symbol']} from {n['from']} to {n['to'] or 'now'}"] for n in document["names"]]
    vendors = [[vendor, name or "-"] for vendor, name in document["vendors"].items()]
    return [*plain, *names, *vendors]


def _name_at(facts: ProviderFacts, instrument: Instrument) -> str | None:
    try:
        return facts.vendor_name(instrument)
    except UnknownSymbol:
        return None


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()

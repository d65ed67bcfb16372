"""`mds symbols resolve`: what a symbol names on a day, and what each vendor calls it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

import typer

from infra.cli.output import as_json, fail, say, table
from infra.runtime.clock import wall_us
from infra.runtime.exit_codes import ExitCode
from infra.runtime.map_folder import load_symbology
from infra.runtime.providers import known_facts
from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError, InvalidRecord, UnknownSymbol
from schemas.providers.built_in import facts_of
from schemas.providers.facts import ProviderFacts
from schemas.symbology.naming import Symbology, naming_day
from schemas.symbols.instruments import Instrument, classify
from schemas.symbols.names import is_symbol

symbols_app = typer.Typer(help="What symbols name, here and at the vendors.", no_args_is_help=True)


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


@symbols_app.command("resolve")
def symbols_resolve(
    symbol: Annotated[
        str, typer.Argument(help="As in BRK.B; with --provider also as that vendor spells it.")
    ],
    provider: Annotated[
        str | None, typer.Option(help="Tell this provider's name alone.", metavar="P")
    ] = None,
    at: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day; by default today.", metavar="DATE")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a symbol names on a day: instrument, venue, calendar, former names, vendors' names.

    Renames are known from the folder MDS_MAP_FILES. Exit 1 where it names nothing, or more than one instrument.
    """
    symbology = load_symbology(MdsSettings.from_env().map_files)
    day = naming_day(wall_us()) if at is None else at.date()
    try:
        found = resolved(symbology, symbol, day, provider)
    except (UnknownSymbol, InvalidRecord) as error:
        fail(str(error))
        raise typer.Exit(ExitCode.NO) from error
    say(as_json(found) if json else table(["what", "value"], rows(found)))

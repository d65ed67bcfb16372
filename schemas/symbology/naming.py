"""The instrument a symbol names on a day: by its spelling, and by the histories of renames where they are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from schemas.errors import AmbiguousSymbol, UnknownSymbol
from schemas.intervals import SECOND_US
from schemas.providers.built_in import classified, facts_of
from schemas.symbology.map_files import NameHistory, NamePeriod
from schemas.symbols.instruments import Instrument

NAMING_ZONE = ZoneInfo("America/New_York")  # a rename takes effect with a US trading day


class Symbology:
    """Answers what a symbol named on a day; made once, never changed. Without histories spelling alone decides.

    Histories need not be complete: a symbol none of them mentions is taken to name one instrument for ever.
    """

    def __init__(self, histories: Iterable[NameHistory] = ()) -> None:
        """Hold the histories; where they contradict one another on a day, that day is ambiguous."""
        self._names: dict[str, list[NamePeriod]] = defaultdict(list)
        self._bearers: dict[str, list[tuple[str, NamePeriod]]] = defaultdict(list)
        for history in histories:
            for period in history.periods:
                self._names[history.instrument_id].append(period)
                self._bearers[period.symbol].append((history.instrument_id, period))

    def resolve(self, symbol: str, at: date) -> Instrument:
        """Return the instrument that bears the canonical `symbol` on the day `at`.

        Raises UnknownSymbol where none does, naming what its former bearers are called that day, and AmbiguousSymbol
        naming the candidates where several do.
        """
        instrument = classified(symbol)
        if symbol not in self._bearers:
            return instrument
        bearers = [(name, period) for name, period in self._bearers[symbol] if period.holds(at)]
        if not bearers:
            raise self._unborne(symbol, at)
        ids = sorted({instrument_id for instrument_id, _ in bearers})
        if len(ids) > 1:
            raise AmbiguousSymbol(
                f"{symbol} names {' and '.join(ids)} on {at}; correct the map files of one of them",
                candidates=ids,
            )
        if len(names := self.names_at(ids[0], at)) > 1:
            raise AmbiguousSymbol(
                f"{ids[0]} is called {' and '.join(names)} on {at}; remove the map file that is out of date",
                candidates=names,
            )
        period = bearers[0][1]
        return replace(
            instrument,
            instrument_id=ids[0],
            venue=period.venue or instrument.venue,
            valid_from=period.start,
            valid_to=period.end,
        )

    def resolve_vendor(self, provider: str, name: str, at: date) -> Instrument:
        """Return the instrument that `provider` calls `name` on the day `at`; raises also InvalidRecord."""
        return self.resolve(facts_of(provider).symbol_of(name), at)

    def names_at(self, instrument_id: str, at: date) -> tuple[str, ...]:
        """Return what an instrument is called on a day: nothing before its listing and after its delisting."""
        return tuple(sorted({p.symbol for p in self._names.get(instrument_id, ()) if p.holds(at)}))

    def history(self, instrument_id: str) -> Sequence[NamePeriod]:
        """Return the names of an instrument, oldest first; empty where no history of it is known."""
        return sorted(self._names.get(instrument_id, ()), key=lambda period: period.start)

    def _unborne(self, symbol: str, at: date) -> UnknownSymbol:
        ids = sorted({instrument_id for instrument_id, _ in self._bearers[symbol]})
        candidates = sorted({name for instrument_id in ids for name in self.names_at(instrument_id, at)})
        spans = ", ".join(
            f"{instrument_id} from {period.start}" + (f" until {period.end}" if period.end else "")
            for instrument_id, period in sorted(self._bearers[symbol], key=lambda bearer: bearer[1].start)
        )
        hint = f"use {' or '.join(candidates)}" if candidates else "choose a day on which it was listed"
        return UnknownSymbol(
            f"{symbol} names nothing on {at} (it named {spans}); {hint}", candidates=candidates
        )


def naming_day(moment: int) -> date:
    """Return the day that decides what a symbol names at `moment` (µs, UTC): New York's."""
    return datetime.fromtimestamp(moment // SECOND_US, UTC).astimezone(NAMING_ZONE).date()

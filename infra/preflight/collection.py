"""Checks of what is collected: the configuration file, keys of its providers, calendars of its symbols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from infra.preflight.findings import Finding, failed, ok, some, warning
from infra.preflight.running import CheckGroup
from infra.runtime.calendar_horizon import WARN_BELOW_DAYS, horizons
from infra.runtime.configuration import reading
from infra.runtime.providers import known_facts
from infra.runtime.settings import MdsSettings
from infra.runtime.threads import in_daemon_thread
from schemas.calendar.sessions import CalendarBook, calendar_name
from schemas.clocks import WallTime
from schemas.configuration.model import FROM_DATABASE, Configuration
from schemas.providers.facts import ProviderFacts
from schemas.symbols.venues import CALENDARS

CONFIGURATION = "configuration"
CALENDARS_WITHIN_S = 60.0  # each is worked out in a second, and there may be forty


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionState:
    """The configuration in force, None on the simulator without one, and which of its providers lack which variables."""

    configuration: Configuration | None
    source: str
    on_simulator: bool
    lacking: Mapping[str, str]


def collection_groups(
    settings: MdsSettings, env: Mapping[str, str], now: Callable[[], WallTime]
) -> list[CheckGroup]:
    """Return the checks of what the settings have collected."""

    def read() -> CollectionState:
        path, on_simulator = settings.configuration_path, settings.market_clock == "simulator"
        configuration = None if path is None else reading.load(path)
        lacking: Mapping[str, str] = {}
        if configuration is not None and not on_simulator:
            lacking = keys_lacking(configuration, known_facts(), env)
        return CollectionState(
            configuration=configuration, source=str(path), on_simulator=on_simulator, lacking=lacking
        )

    def calendar_days() -> Mapping[str, float]:
        configuration = read().configuration
        if configuration is None:
            return {}
        book = CalendarBook(configuration.calendar_overlay())
        book.load(calendars_of(configuration))
        return dict(horizons(book, now()))

    return [
        CheckGroup(
            read=lambda: in_daemon_thread(read, name="preflight-configuration"),
            checks={CONFIGURATION: judge_configuration, "provider-keys": judge_provider_keys},
        ),
        CheckGroup(
            read=lambda: in_daemon_thread(calendar_days, name="preflight-calendars"),
            checks={"calendars": judge_calendars},
            after=CONFIGURATION,
            within_s=CALENDARS_WITHIN_S,
        ),
    ]


def keys_lacking(
    configuration: Configuration, known: Mapping[str, ProviderFacts], env: Mapping[str, str]
) -> Mapping[str, str]:
    """Return the variables that are not set of each enabled provider that gives nothing without them."""
    found = {}
    for name in sorted(configuration.named_providers()):
        facts = known.get(name)
        if facts is None or facts.without_key or not configuration.provider(name).enabled:
            continue
        unset = [each for each in facts.credentials if not (env.get(each) or env.get(f"{each}_FILE"))]
        if unset:
            found[name] = " and ".join(unset)
    return found


def calendars_of(configuration: Configuration) -> frozenset[str]:
    """Return the calendars of the file's symbols; all there are where the symbols stand in the database."""
    if configuration.universe == FROM_DATABASE:
        return frozenset(CALENDARS)
    return frozenset(calendar_name(entry.symbol) for entry in configuration.symbols)


def judge_configuration(collected: CollectionState) -> Finding:
    """Tell what is collected; a file with faults never comes so far."""
    if collected.configuration is None:
        return ok("none: everything the simulator offers is collected")
    if collected.configuration.universe == FROM_DATABASE:
        return ok(f"{collected.source} is valid; its symbols are in the database")
    return ok(f"{collected.source} is valid: {len(collected.configuration.symbols)} symbols")


def judge_provider_keys(collected: CollectionState) -> Finding:
    """Judge whether every enabled provider has what it asks for; one that has not is left out, quietly."""
    if collected.on_simulator:
        return ok("the simulator takes any key")
    if collected.lacking:
        remedy = "; ".join(f"set {names}, or turn {name} off" for name, names in collected.lacking.items())
        return warning(f"no key for {some(collected.lacking)}: it would not be asked", remedy)
    return ok("every enabled provider has its key")


def judge_calendars(days: Mapping[str, float]) -> Finding:
    """Judge how far ahead markets' days are known; beyond that no hole would be seen."""
    ended = [name for name, left in days.items() if left <= 0]
    if ended:
        return failed(f"known no longer: {some(ended)}", "install a newer release, whose calendars end later")
    near = [f"{name} ({left:.0f} days)" for name, left in days.items() if left < WARN_BELOW_DAYS]
    if near:
        return warning(
            f"known for less than {WARN_BELOW_DAYS} days: {some(near)}",
            "install a newer release, whose calendars end later, before they end",
        )
    if not days:
        return ok("no market collected here ever closes")
    return ok(f"{len(days)} calendars, known for {min(days.values()):.0f} days and more")

"""The configuration explained, from the model itself: the texts of config/mds.schema.json and docs/CONFIGURATION.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.configuration.model import MAX_FILE_BYTES, MAX_SYMBOLS, Configuration, parse_configuration
from schemas.errors import ConfigurationError
from schemas.universe import Member, to_csv

DIALECT = "https://json-schema.org/draft/2020-12/schema"
UNITS = {"_s": "s", "_ms": "ms", "_bytes": "bytes", "_per_minute": "1/min", "_per_day": "1/day"}

PAGES = "reference"  # beside the page
REFERENCE = """\
# Configuration

What to collect, from whom and how often is one YAML file (JSON will do): `config/mds.yaml`, or the one `MDS_CONFIG`
names; outside a checkout it is `mds.yaml` in `MDS_HOME`, and `mds example` prints one to start from. How processes run
(ports, broker, database, keys) is in the environment: [settings]({reference}/settings.md). **Secrets are never in the file**: a key that looks like one is
refused with the name of the variable to set, and so is an address with a password in it.

*Generated from the model by `make docs`; [mds.schema.json](../config/mds.schema.json) is the same for editors.*

## Every key

`<...>` stands for a symbol's place in the list. Times are market time.

{table}

## What is refused

The whole file is checked and **everything wrong with it is said at once**: path, line, what, and the remedy. This

```yaml refused
{broken}```

is answered with

```text
{answer}
```

- a key that is not a setting, with the nearest that is; a key given twice; an anchor, an alias or a tag
- more than {max_file_mib} MiB, {max_symbols} symbols, or lists nested deeper than any setting is
- a symbol listed twice, or with an empty list of streams; symbols beside `universe: database`
- a stream whose provider is not enabled, or cannot give that stream or one of its intervals
- `streams.bars.overlap_s` shorter than one bar: a bar that was still forming would never be corrected
- a tier T0 that is polled less often than T1, or a tier T2 that is polled more often
- quotes polled more often, over all tiers, than a provider that answers one a request can answer for so many symbols

Symbols are text as they are written: `ON`, `TRUE` and `005930` need no quotes.

## Change it while it runs

A changed text becomes a *generation*: a number (1, 2, 3 ...) and the text's SHA-256, announced with the whole text on
the compacted topic `configuration.v1`. Every process loads the newest generation whole, or keeps the one it has and says
why; none reads its own disk for it. The same text again is no new generation. There are three ways to announce one:

| Way | What |
|---|---|
| save the file | producers watch its folder: a save, an editor's rename, a Kubernetes `..data` swap |
| `kill -HUP` a producer | also announces a file that an older start had passed over |
| `POST /ops/reload` (scope `admin`) | 202 with `generation`, `status` (announced, unchanged) and `diff`; 422 with all `errors` |

`POST /ops/validate` (scope `admin`) tries a candidate in its body, or the file where that is empty, and changes nothing:
`{{"valid": ..., "errors": [{{"path", "line", "message", "remedy"}}], "diff": ...}}`. The diff compares with what is in force.

Nothing in the file needs a restart: what is *collected* follows within seconds, be it symbols, tiers, intervals,
streams, or a provider's `enabled`, address and limits; streams that stay keep their place, so nothing is lost or repeated.
Settings in the environment need a restart. What is in force everywhere:
`mds_config_generation{{service}}`, `config_reload_total{{status}}` (applied, refused, unchanged), and the part
`configuration` of `/readyz` and `GET /health` with `generation`, `sha256`, `origin` and `last_error`.

At its start a producer takes the newer of its file and the newest generation: an edit made while it was down counts,
a stale disk does not bring old settings back. A broken file is passed over for the last good generation.

On the simulator without `MDS_CONFIG` all that it offers is collected and there is no file to load.

## Examples

A name takes part in all streams; an entry says in which.

```yaml
symbols:
  - AAPL
  - symbol: ^GSPC
    streams: [bars, quotes]
```

Bars of a minute, an hour and a day. With `every_s: 60` the minutes are polled every minute, hours every 12 minutes and
days hourly: no bar longer than a minute more often than every fifth of its length, and each at least hourly. A poll asks for two bars again
at least. `interval: 5m` is a list of one.

```yaml
symbols: [SPY]
streams:
  bars:
    providers: [yahoo]
    intervals: [1m, 1h, 1d]
```

Three tiers: `T0` is polled most often, `T2` least, and `T1`, where a symbol is that names none, at the stream's own
`every_s`. What `tiers` leaves out is T0's and T2's default, or T1's cadence where that is faster than T0's or slower
than T2's default.

```yaml
symbols:
  - {{symbol: SPY, tier: T0}}
  - AAPL
  - {{symbol: BTC-USD, tier: T2, streams: [bars, quotes]}}
streams:
  bars: {{providers: [yahoo], every_s: 60}}
  quotes: {{providers: [yahoo], every_s: 5}}
tiers:
  T0: {{bars_every_s: 15, quotes_every_s: 1}}
  T2: {{quotes_every_s: 120}}
```

The symbols of the database instead of the file's, see below.

```yaml
universe: database
streams:
  bars: {{providers: [yahoo]}}
```

Bars alone, every half minute, from Yahoo; nothing else is collected.

```yaml
symbols: [SPY, QQQ]
streams:
  bars:
    providers: [yahoo]
    every_s: 30
```

A closed and a short day that the calendars do not know of, and JSON instead of YAML.

```yaml
{{"symbols": ["SPY"], "calendar_closures": {{"XNYS": ["2025-01-09"]}},
 "calendar_early_closes": {{"XLON": {{"2025-01-09": "12:30"}}}}}}
```

## The universe in the database

With `universe: database` the symbols are rows of PostgreSQL, changed by `mds universe` and followed by every producer
within seconds. The table holds changes and is only ever added to: who was collected at any moment, and who changed it,
stays known.

| Command | What |
|---|---|
| `mds universe import FILE [--replace] [--dry-run]` | adds and changes what the file lists; with `--replace` removes the rest |
| `mds universe export [FILE] [--at TIME]` | writes the members of now or then; importing them again changes nothing |
| `mds universe set SYMBOL... --tier T0 [--streams "bars quotes"] [--note TEXT]` | adds members, or changes what is named of them |
| `mds universe remove SYMBOL...` | takes members out; their data stay |
| `mds universe history SYMBOL` | every change of a symbol: when, by whom, to what |
| `mds universe list` | the members, with the tier of each |

The file is CSV in UTF-8 with a header; of its columns only `symbol` must be there. An empty tier is `T1`, empty streams
are all of them. At most {max_file_mib} MiB and {max_symbols} symbols; one fault refuses the whole file, with all faults
by line, and changes nothing. A symbol that names nothing today is taken with a warning, and left out of what is collected.

```csv
{universe}```
"""
BROKEN = """\
symbols: [SPY, SPY]
streams:
  bars: {provider: yahoo, evry_s: 60, overlap_s: 5}
providers:
  finnhub: {token: not-here}
"""
EXAMPLE_MEMBERS = (
    Member(symbol="BRK.B", note="class B, for the price of one"),
    Member(symbol="BTC-USD", tier="T2", streams=("bars", "quotes")),
    Member(symbol="SPY", tier="T0", note="the benchmark"),
)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, as written by a person: a symbol's bare name is an entry, too."""
    schema = Configuration.model_json_schema()
    items = schema["properties"]["symbols"]["items"]
    name = schema["$defs"]["SymbolEntry"]["properties"]["symbol"]
    schema["properties"]["symbols"]["items"] = {"anyOf": [name, items]}
    return {
        "$schema": DIALECT,
        **schema,
        "title": "Market Data Service configuration",
        "if": {"properties": {"universe": {"const": "database"}}, "required": ["universe"]},
        "then": {"not": {"required": ["symbols"]}},
        "else": {"required": ["symbols"]},
    }


def json_schema_text() -> str:
    """Return config/mds.schema.json."""
    return json.dumps(json_schema(), indent=2) + "\n"


def configuration_page() -> str:
    """Return docs/CONFIGURATION.md."""
    try:
        parse_configuration(BROKEN, source="mds.yaml")
        answer = ""
    except ConfigurationError as error:
        answer = str(error)
    rows = ["| Key | Type | Default | Unit | Meaning |", "|---|---|---|---|---|", *_rows()]
    return REFERENCE.format(
        table="\n".join(rows),
        broken=BROKEN,
        answer=answer,
        reference=PAGES,
        max_file_mib=MAX_FILE_BYTES >> 20,
        max_symbols=f"{MAX_SYMBOLS:,}",
        universe=to_csv(EXAMPLE_MEMBERS),
    )


def undocumented() -> list[str]:
    """Return the keys whose meaning nobody wrote down."""
    return [path for path, _, property_ in _keys() if not property_.get("description")]


def _rows() -> Iterator[str]:
    for path, required, given in _keys():
        default = "*required*" if required else _default(given)
        unit = next((unit for ending, unit in UNITS.items() if path.endswith(ending)), "")
        meaning = str(given.get("description", "")).replace("|", "\\|")
        yield f"| `{path}` | {_type(given)} | {default} | {unit} | {meaning} |"


def _keys() -> Iterator[tuple[str, bool, Mapping[str, Any]]]:
    """Yield (path, whether it is required, its schema) of every key, parents before children."""
    schema = Configuration.model_json_schema()
    yield from _keys_of(schema, schema["$defs"], "")


def _keys_of(
    part: Mapping[str, Any], parts: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, bool, Mapping[str, Any]]]:
    for name, given in part.get("properties", {}).items():
        path = f"{prefix}{name}"
        yield path, name in part.get("required", ()), given
        below = f"{path}.<...>." if given.get("type") == "array" else f"{path}."
        if (inner := _part(given)) is not None:
            yield from _keys_of(parts[inner], parts, below)


def _part(given: Mapping[str, Any]) -> str | None:
    """Return the name of the part a key holds, or a list of; None where it holds a value."""
    candidates = [given, given.get("items", {}), *given.get("anyOf", ()), *given.get("allOf", ())]
    found = (str(each["$ref"]).rpartition("/")[2] for each in candidates if "$ref" in each)
    return next(found, None)


def _default(given: Mapping[str, Any]) -> str:
    value = given.get("default")
    if isinstance(value, dict) or (value is None and _part(given) is not None):
        return ""
    return "none" if value is None else f"`{json.dumps(value)}`"


def _type(given: Mapping[str, Any]) -> str:
    several = [each for each in given.get("anyOf", ()) if each.get("type") != "null"]
    if several:
        return " or ".join(_type(each) for each in several)
    if "const" in given:
        return f"`{given['const']}`"
    if "enum" in given:
        return ", ".join(f"`{value}`" for value in given["enum"])
    if given.get("type") == "array":
        pair = given.get("prefixItems")
        return f"{len(pair)} of: {_type(pair[0])}" if pair else f"list of: {_type(given['items'])}"
    if given.get("type") == "object" or "$ref" in given:
        return "mapping"
    low, high = given.get("minimum"), given.get("maximum")
    span = f" {low:g} to {high:g}" if low is not None and high is not None else ""
    kind = "address" if given.get("format") == "uri" else str(given.get("type", "any"))
    return {"string": "text", "boolean": "true or false"}.get(kind, kind) + span

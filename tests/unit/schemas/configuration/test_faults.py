"""Faults in our words: complete, in the file's order, without secrets."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.configuration.faults import explained, faults_between
from schemas.errors import ConfigurationError
from schemas.located_yaml import (
    MAX_FAULTS,
    Fault,
    InvalidConfiguration,
    faults_of,
    read_located,
    sorted_faults,
)
from schemas.providers.built_in import BUILT_IN


class _Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    every_s: float = Field(default=1.0, ge=1.0)


class _Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    part: _Inner | None = None
    names: tuple[str, ...] = ()
    wanted: int


def told(text: str) -> list[tuple[str, int | None, str, str]]:
    """Return the model's faults of a text."""
    located = read_located(text)
    try:
        _Outer.model_validate(located.value)
    except ValidationError as error:
        return [(f.path, f.line, f.message, f.remedy) for f in explained(error, located, _Outer)]
    return []


def between(text: str) -> list[str]:
    """Return the faults between keys as `path message; remedy`; without `symbols` in the text there are some."""
    text = text if "symbols" in text else f"symbols: [SPY]\n{text}"
    return [str(fault) for fault in faults_between(read_located(text), BUILT_IN)]


def test_the_models_complaints_come_all_with_line_and_remedy() -> None:
    """A misspelt key, a wrong value and a wrong type at once."""
    found = told("part: {evry_s: 2}\nnames: 5\nwanted: soon")

    assert [(path, line) for path, line, *_ in found] == [("part.evry_s", 1), ("names", 2), ("wanted", 3)]
    assert found[0][3] == "did you mean part.every_s?"
    assert "takes a list, not 5" in found[1][2]


def test_a_misspelt_key_explains_the_missing_one() -> None:
    """One sentence for one mistake; a key that is simply missing is told."""
    assert [path for path, *_ in told("wantd: 1")] == ["wantd"]
    assert told("names: []") == [("wanted", 1, "is missing", "add it; `mds example` prints one")]


def test_what_may_be_a_secret_is_not_shown() -> None:
    """A key pasted into the wrong place stays out of the message."""
    assert "not" not in told("wanted: c8abc12345canary67890")[0][2].partition("; ")[0].split("integer")[1][:3]
    assert "canary" not in str(told("wanted: c8abc12345canary67890"))
    assert "'soon'" in told("wanted: soon")[0][2]


def test_secrets_are_named_by_place_and_variable_and_never_shown() -> None:
    """Wherever they stand; an address with a password counts."""
    found = between(
        "providers:\n  finnhub: {token: canary}\n  alpaca: {api_key: canary}\npostgres_dsn: canary\n"
        "deep: [{password: canary}]\nurl: https://me:canary@example.com/\nother: https://example.com/?apikey=canary"
    )

    assert len(found) == 6
    assert "canary" not in str(found)
    for variable in ("PRODUCERS_FINNHUB_TOKEN", "PRODUCERS_ALPACA_KEY_ID", "MDS_POSTGRES_DSN"):
        assert any(variable in line for line in found)
    assert between("url: https://example.com/path") == []


def test_rules_between_keys() -> None:
    """Each names both places."""
    off = between("streams: {trades: {provider: finnhub}}\nproviders: {finnhub: {enabled: false}}")
    assert len(off) == 1
    assert off[0].startswith(
        "streams.trades.provider is finnhub, which is not enabled; set providers.finnhub.en"
    )
    assert "has no trades; use finnhub" in between("streams: {trades: {provider: yahoo}}")[0]
    assert "streams.bars.providers.1 is finnhub, which is not enabled" in between(
        "streams: {bars: {providers: [yahoo, finnhub]}}\nproviders: {finnhub: {enabled: no}}"
    )[0]  # fmt: skip
    assert "shorter than one bar (60 s)" in between("streams: {bars: {interval: 5m, overlap_s: 59}}")[0]
    assert between("streams: {bars: {overlap_s: 60}}") == []
    many = f"symbols: [{', '.join(f'S{n}' for n in range(301))}]\n"
    assert between(many + "streams: {quotes: {provider: finnhub, every_s: 10}}")[0].endswith(
        "set it to 10.1 or more"
    )
    assert between(many + "streams: {quotes: {provider: finnhub, every_s: 10.1}}") == []
    assert between(many + "streams: {quotes: {provider: yahoo, every_s: 0.5}}") == []
    assert "streams is empty" in between("symbols: [{symbol: A, streams: []}]")[0]
    assert (
        "symbols.0.streams.1 is listed twice" in between("symbols: [{symbol: A, streams: [bars, bars]}]")[0]
    )
    assert between("streams: {bars: {provider: a-plug-in}}") == []


def test_faults_are_sorted_unique_and_bounded() -> None:
    """In the file's order; beyond a hundred they are counted."""
    faults = [Fault(path=f"p{n}", line=n % 7, message="m", remedy="r") for n in range(150)]
    shown = sorted_faults(faults + faults)

    assert len(shown) == MAX_FAULTS + 1
    assert [fault.line for fault in shown[:-1]] == sorted(fault.line or 0 for fault in shown[:-1])
    assert shown[-1].message == "has 50 more faults"


def test_an_error_gives_its_faults_back() -> None:
    """One about the file itself has no place."""
    fault = Fault(path="a", line=3, message="is wrong", remedy="mend it")
    error = InvalidConfiguration("mds.yaml", [fault])

    assert str(error) == "mds.yaml:3: a is wrong; mend it"
    assert faults_of(error) == [fault]
    assert faults_of(ConfigurationError("no file", remedy="make one"))[0].document() == {
        "path": "", "line": None, "message": "no file", "remedy": "make one",
    }  # fmt: skip

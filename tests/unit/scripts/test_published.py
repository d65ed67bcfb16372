"""What others build upon, what of it breaks, and whether the changelog says so."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from scripts.published import breaks, contract, cut, of_rest, section, told_by, unlisted

ROOT = Path(__file__).parents[3]
DAY = date(2026, 11, 30)
CHANGELOG = """# Changelog

## [Unreleased]

### Added

- A thing.
- Another, over
  two lines.

## [0.9.0] - 2026-01-02

- **Breaking**: `price` has no `bid`, and `bars.v1` another key.
- The topic `quotes.v1` is quicker.
"""


def rest(
    field: dict[str, Any] | None = None, parameters: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return an OpenAPI document of one endpoint."""
    schema = {
        "type": "object",
        "properties": {"data": {"type": "array", "items": {"properties": field or {}}}},
    }
    answer = {"content": {"application/json": {"schema": schema}}}
    return {"paths": {"/price": {"get": {"parameters": parameters or [], "responses": {"200": answer}}}}}


PRICE = {"price": {"type": "number"}}
BEFORE = of_rest(rest(PRICE, [{"name": "symbol", "required": True}, {"name": "limit"}]))


def test_the_contract_names_everything_that_is_promised() -> None:
    """Of each kind one that is known to be there."""
    told = contract()

    assert told["topic bars.v1"] == "canonical | symbol | `bar.v2`"
    assert told["metric circuit_state"] == "gauge | `provider` | number"
    assert told["endpoint GET /stocks/{symbol}/price 200 application/json field .data.price"] == "number"
    assert told["endpoint GET /stocks/{symbol}/price parameter symbol"] == "required"
    assert told["message gap.t"] == "string"
    assert len(told["Avro bar.v2.avsc"]) == 64


@pytest.mark.parametrize(
    ("now", "broken"),
    [
        pytest.param(rest(PRICE | {"bid": {"type": "number"}}, [{"name": "symbol", "required": True}, {"name": "limit"}, {"name": "new"}]), [], id="more"),
        pytest.param(rest(PRICE, [{"name": "symbol"}, {"name": "limit"}]), [], id="asks-for-less"),
        pytest.param(rest({}, [{"name": "symbol", "required": True}, {"name": "limit"}]), ["200 application/json field .data[].price"], id="no-field"),
        pytest.param(
            rest({"price": {"type": ["number", "null"]}}, [{"name": "symbol", "required": True}, {"name": "limit"}]),
            ["200 application/json field .data[].price"],
            id="another-type",
        ),
        pytest.param(rest(PRICE, [{"name": "symbol", "required": True}]), ["parameter limit"], id="no-parameter"),
        pytest.param(rest(PRICE, [{"name": "symbol", "required": True}, {"name": "limit", "required": True}]), ["parameter limit"], id="asks-for-what-it-did-not"),
        pytest.param(rest(PRICE, [{"name": "symbol", "required": True}, {"name": "limit"}, {"name": "key", "required": True}]), ["parameter key"], id="asks-for-more"),
        pytest.param({"paths": {}}, [""], id="no-endpoint"),
    ],
)  # fmt: skip
def test_what_is_gone_is_another_or_is_asked_for_breaks(now: dict[str, Any], broken: list[str]) -> None:
    """What is added or asked for no more does not; what lay in something that is gone is not named again."""
    assert breaks(BEFORE, of_rest(now)) == [f"endpoint GET /price {each}".rstrip() for each in broken]


def test_only_entries_marked_as_breaking_list_what_breaks() -> None:
    """A name in full, but a field by its own; a part of a word is none."""
    found = section(CHANGELOG, "0.9.0")
    assert found is not None
    names = [
        "endpoint GET /price 200 application/json field .data[].bid",
        "topic bars.v1",
        "topic quotes.v1",
        "metric pric",
        "Avro bar.v1.avsc",
        "message gap.bid",
    ]

    assert found[0] == "2026-01-02"
    assert unlisted(names, found[1]) == ["topic quotes.v1", "metric pric", "Avro bar.v1.avsc"]


def test_a_section_is_cut_out_of_what_is_unreleased() -> None:
    """Every entry stays as it is, and the place for the next ones is empty."""
    after = cut(CHANGELOG, "1.0.0rc1", DAY)
    unreleased, _, rest_of_it = after.partition("## [1.0.0rc1] - 2026-11-30\n")
    found = section(after, "1.0.0rc1")

    assert found is not None
    assert found[1].split() == CHANGELOG.partition("[Unreleased]\n")[2].partition("## [0.9.0]")[0].split()
    assert unreleased == "# Changelog\n\n## [Unreleased]\n\n"
    assert rest_of_it.endswith(CHANGELOG.partition("## [0.9.0]")[2])
    with pytest.raises(ValueError, match=r"a section \[1\.0\.0rc1\] already"):
        cut(after, "1.0.0rc1", DAY)
    with pytest.raises(ValueError, match="nothing under"):
        cut(after, "1.0.0", DAY)


def test_ours_can_be_cut() -> None:
    """The changelog as it stands: nothing of it is lost, nothing twice."""
    ours = (ROOT / "CHANGELOG.md").read_text("utf-8")
    after = cut(ours, "999.0", DAY)

    assert sorted(after.splitlines()) == sorted([*ours.splitlines(), "", f"## [999.0] - {DAY}"])


def test_a_tree_that_cannot_tell_says_why(tmp_path: Path) -> None:
    """An older one may need what is not installed here."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "__init__.py").touch()
    (tmp_path / "scripts" / "published.py").write_text("import no_such_module")
    with pytest.raises(ValueError, match="no_such_module"):
        told_by(tmp_path)

    (tmp_path / "scripts" / "published.py").write_text(f"print({json.dumps({'topic a': 'x'})!r})")
    assert told_by(tmp_path) == {"topic a": "x"}


def test_a_tree_tells_its_own_contract() -> None:
    """As the command prints it."""
    assert told_by(ROOT) == contract()

"""Migration files: their order around a rollout, their kinds, and where one statement ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.runtime.postgres.files import Migration, Phase, due, migrations, statements
from schemas.errors import ConfigurationError


def of(*names: str) -> list[Migration]:
    """Return migrations of these names."""
    return [Migration(name=name, phase="pre" if "_pre_" in name else "post", text="") for name in names]


@pytest.mark.parametrize(
    ("pending", "phase", "expected"),
    [
        (["0001_pre_a", "0002_post_b", "0003_pre_c"], None, ["0001_pre_a", "0002_post_b", "0003_pre_c"]),
        (["0001_pre_a", "0002_pre_b", "0003_post_c"], "pre", ["0001_pre_a", "0002_pre_b"]),
        (["0003_post_c"], "pre", []),
        (["0003_post_c", "0004_post_d"], "post", ["0003_post_c", "0004_post_d"]),
        (["0003_post_c", "0004_pre_d", "0005_post_e"], "post", ["0003_post_c"]),
        (["0001_pre_a"], "post", []),
        ([], "pre", []),
    ],
)
def test_a_phase_runs_what_no_file_of_the_other_one_stands_before(
    pending: list[str], phase: Phase | None, expected: list[str]
) -> None:
    """Order is that of the numbers, whatever is asked for."""
    assert [each.name for each in due(of(*pending), phase)] == expected


def test_post_is_refused_before_its_pre() -> None:
    """The new version is not rolled out yet."""
    with pytest.raises(ConfigurationError, match=r"0002_post_b comes after 0001_pre_a.*`mds migrate pre`"):
        due(of("0001_pre_a", "0002_post_b"), "post")


def test_pre_is_refused_while_the_rollout_before_is_not_over() -> None:
    """Nothing is applied: not the files before it either."""
    with pytest.raises(ConfigurationError, match=r"0003_pre_c comes after 0002_post_b.*`mds migrate post`"):
        due(of("0001_pre_a", "0002_post_b", "0003_pre_c"), "pre")


def test_a_name_without_a_phase_is_refused(tmp_path: Path) -> None:
    """It would run at a moment nobody chose."""
    (tmp_path / "0001_market_data.sql").write_text("SELECT 1")

    with pytest.raises(ConfigurationError, match=r"0001_market_data\.sql does not say when"):
        migrations(tmp_path)


def test_the_first_line_makes_a_file_non_transactional(tmp_path: Path) -> None:
    """Anywhere else it is a comment."""
    (tmp_path / "0001_pre_a.sql").write_text("-- non-transactional\nSELECT 1;")
    (tmp_path / "0002_post_b.sql").write_text("SELECT 1;\n-- non-transactional\n")

    assert [(each.phase, each.transactional) for each in migrations(tmp_path)] == [
        ("pre", False),
        ("post", True),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';' || 'it''s; so';SELECT \";\";", ["SELECT ';' || 'it''s; so'", 'SELECT ";"']),
        ("-- a; b\nSELECT 1 -- c;\n; /* d; */", ["-- a; b\nSELECT 1 -- c;"]),
        ("DO $$ BEGIN a; b; END $$; DO $x$ ; $$ ; $x$;", ["DO $$ BEGIN a; b; END $$", "DO $x$ ; $$ ; $x$"]),
        ("SELECT 4 - 2 / 1, $1; ;\n", ["SELECT 4 - 2 / 1, $1"]),
        ("", []),
    ],
)
def test_a_statement_ends_where_psql_ends_it(text: str, expected: list[str]) -> None:
    """A semicolon in a text, a name, a comment or a function's body ends nothing."""
    assert list(statements(text)) == expected


def test_the_runner_leaves_out_the_transaction_a_file_brings_for_psql() -> None:
    """It makes one of its own, with what it remembers of the file in it."""
    wrapped = "-- says why\nBEGIN;\nSELECT 1;\nSELECT 2;\nCOMMIT;\n"

    assert Migration(name="0001_pre_a", phase="pre", text=wrapped).unwrapped == "SELECT 1;\nSELECT 2"
    assert Migration(name="0001_pre_a", phase="pre", text="SELECT 1;").unwrapped == "SELECT 1;"

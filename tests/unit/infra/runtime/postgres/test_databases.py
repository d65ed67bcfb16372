"""Names of databases beside the live one, as a DSN has them."""

from __future__ import annotations

import pytest

from infra.runtime.postgres.databases import with_database
from schemas.errors import ConfigurationError

LIVE = "postgresql://u:p@h:5/live?a=b"


@pytest.mark.parametrize(
    ("name", "path"),
    [("other", "other"), ("live?x", "live%3Fx"), ("a/b#c", "a%2Fb%23c"), ("100%", "100%25"), ("é", "%C3%A9")],
)
def test_a_name_stays_whole_in_a_dsn(name: str, path: str) -> None:
    """Nothing of it is taken for an option, or it would lead to another database, such as the live one."""
    assert with_database(LIVE, name) == f"postgresql://u:p@h:5/{path}?a=b"


@pytest.mark.parametrize("name", ["", "n" * 64, "é" * 32, "host=h dbname=live"])
def test_what_names_no_database_is_refused(name: str) -> None:
    """None at all, one that PostgreSQL would cut off, and a DSN of another form."""
    with pytest.raises(
        ConfigurationError, match=r"1 to 63 bytes without `=`; a DSN begins with postgresql://"
    ):
        with_database(LIVE, name)

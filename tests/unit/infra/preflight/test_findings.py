"""Findings, what they mean together, and what no output shows."""

from __future__ import annotations

import pytest

from infra.preflight.findings import (
    MASK,
    Checked,
    Finding,
    failed,
    ok,
    redacted,
    secrets_of,
    some,
    unknown,
    verdict,
    warning,
)

OK, WARNING, FAILED, UNKNOWN = ok("well"), warning("so", "do"), failed("so", "do"), unknown("so", "do")


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        pytest.param([OK, OK], 0, id="ready"),
        pytest.param([OK, WARNING], 1, id="warnings"),
        pytest.param([OK, UNKNOWN, WARNING], 3, id="not-all-was-looked-at"),
        pytest.param([FAILED, UNKNOWN, WARNING, OK], 2, id="what-failed-is-sure"),
        pytest.param([], 3, id="nothing-was-looked-at"),
    ],
)
def test_the_verdict_is_the_surest_bad_news(findings: list[Finding], code: int) -> None:
    """What failed makes it not ready whatever could not be looked at; a warning alone stops nothing."""
    checks = [Checked(name=str(place), finding=finding) for place, finding in enumerate(findings)]

    assert verdict(checks) == code


def test_what_is_not_well_has_a_remedy_and_what_is_well_needs_none() -> None:
    """A line that only complains helps nobody."""
    assert OK.remedy == ""
    assert all(each.remedy for each in (WARNING, FAILED, UNKNOWN))


def test_many_names_are_cut_short_and_counted() -> None:
    """A line stays one."""
    assert some({"b", "a"}) == "a b"
    assert some(list("edcba")) == "a b c and 2 more"


def test_no_secret_is_shown_however_it_came_into_a_finding() -> None:
    """Tokens, keys, DSNs and their passwords are struck out; paths and short words stay."""
    secrets = secrets_of(
        {
            "MDS_POSTGRES_DSN": "postgresql://mds:hunter%40two@db/mds",
            "PRODUCERS_FINNHUB_TOKEN": "c0ffee-token",
            "ACME_API_KEY": "abc",
            "MDS_ICEBERG_CATALOG_URI": "https://u:longpassword@catalog/",
            "GATEWAY_KEYS_FILE": "/etc/mds/keys.yaml",
            "GATEWAY_TLS_KEY": "/etc/mds/tls.pem",
            "PATH": "/usr/bin",
        }
    )
    told = redacted(
        failed(
            "postgresql://mds:hunter%40two@db/mds said hunter@two\nand c0ffee-token, abc, longpassword",
            "see /etc/mds/keys.yaml and /etc/mds/tls.pem, or https://a:b@c/d",
        ),
        secrets,
    )

    assert told.says == f"{MASK} said {MASK} and {MASK}, abc, {MASK}"
    assert told.remedy == f"see /etc/mds/keys.yaml and /etc/mds/tls.pem, or https://{MASK}@c/d"

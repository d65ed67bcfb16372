"""Trying and loading a configuration over HTTP: all faults at once, and only for who may."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import orjson

from gateway.http.access import Access, Key, token_sha256
from infra.runtime.configuration.following import PART
from tests.support.eventually import eventually
from tests.support.gateway_rest import rest
from tests.support.generations import GOOD, WITHIN_S, generations

TOKEN = "hot-reload-token-of-this-test"


async def test_validate_tells_all_faults_and_the_difference_and_changes_nothing(
    database: str, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A candidate of a megabyte is taken; an empty body is the file; reload of a broken one is 422 with every fault."""
    path = tmp_path / "mds.yaml"
    path.write_text(GOOD)
    env = {"MDS_CONFIG": str(path), "MDS_KAFKA": kafka_bootstrap, "MDS_TOPIC_PREFIX": topic_prefix}
    async with rest(database, env=env) as gateway:
        status, _, first = await gateway.ask("POST", "/ops/reload")
        assert (status, first["generation"], first["status"]) == (202, 1, "announced")
        part = gateway.process.health.document
        await eventually(lambda: part()[PART]["generation"] == 1, within_s=WITHIN_S)
        symbols = [f"S{number:05d}" for number in range(20_000)]
        big = {"symbols": [{"symbol": symbol, "streams": ["bars", "quotes"]} for symbol in symbols]}
        status, _, found = await gateway.ask("POST", "/ops/validate", data=BytesIO(orjson.dumps(big)))
        assert (status, found["valid"], found["errors"]) == (200, True, [])
        assert found["diff"]["counts"]["symbols"] == {"added": 20_000, "removed": 1, "changed": 0}
        status, _, found = await gateway.ask("POST", "/ops/validate", data="symbols: [A, A]\nstrems: {}")
        assert [(e["path"], e["line"]) for e in found["errors"]] == [("symbols.1", 1), ("strems", 2)]
        assert found["errors"][1]["remedy"] == "did you mean streams?"
        wrong = "symbols: [A]\nstreams: {bars: {provider: yahooo}, trades: {provider: alpaca}}\n"
        wrong += "providers: {alpaca: {socket_url: 'wss://a.example'}}"
        status, _, found = await gateway.ask("POST", "/ops/validate", data=wrong)
        assert [(e["path"], e["line"]) for e in found["errors"]] == [
            ("streams.bars.provider", 2), ("streams.trades.provider", 2), ("providers.alpaca.socket_url", 3),
        ]  # fmt: skip
        assert found["errors"][0]["remedy"].startswith("did you mean yahoo?")
        status, _, found = await gateway.ask("POST", "/ops/validate")
        assert (found["valid"], found["diff"]["changes"]) == (True, [])
        status, _, problem = await gateway.ask("POST", "/ops/validate", data=BytesIO(b"#" * 4_194_305))
        assert (status, problem["code"]) == (413, "body_too_large")
        path.write_text("symbols: [A, A]\nstrems: {}")
        status, headers, problem = await gateway.ask("POST", "/ops/reload")
        assert (status, headers["Content-Type"]) == (422, "application/problem+json")
        assert [(e["path"], e["line"]) for e in problem["errors"]] == [("symbols.1", 1), ("strems", 2)]
        status, _, problem = await gateway.ask("POST", "/ops/reload", data=b"symbols: [A]")
        assert (status, problem["code"]) == (422, "body_not_allowed")
        _, _, health = await gateway.ask("GET", "/health")
        shown = health["services"]["gateway"]["parts"][PART]
        assert shown["generation"] == 1
        assert "did you mean streams?" in shown["last_error"]
    assert len(generations(kafka_bootstrap, topic_prefix)) == 1


async def test_reloading_needs_the_admin_scope(database: str) -> None:
    """A key that may read and backfill may neither try nor load a configuration."""
    key = Key(id="reader", sha256=token_sha256(TOKEN), scopes=frozenset({"read", "backfill", "dlq"}))
    async with rest(database, access=Access([key], required=True)) as gateway:
        for path in ("/ops/validate", "/ops/reload"):
            headers = {"Authorization": f"Bearer {TOKEN}"}
            assert (await gateway.ask("POST", path, headers=headers))[0] == 403
            assert (await gateway.ask("POST", path))[0] == 401


async def test_the_simulators_own_offer_has_no_file_to_load(database: str) -> None:
    """Without MDS_CONFIG on the simulator a reload says so instead of loading what nobody collects, and so does a check of it."""
    async with rest(database, env={"MDS_MARKET_CLOCK": "simulator"}) as gateway:
        for path in ("/ops/reload", "/ops/validate"):
            status, _, problem = await gateway.ask("POST", path)
            assert (status, problem["code"]) == (409, "no_configuration_file")

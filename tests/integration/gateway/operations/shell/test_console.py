"""The page at the root."""

from __future__ import annotations

from tests.support.gateway_rest import rest


async def test_the_page_at_the_root_is_static_and_strict(database: str) -> None:
    """It shows the three commands; nothing in it could run or load."""
    async with rest(database) as gateway:
        status, headers, text = await gateway.ask("GET", "/")
        assert status == 200
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "<script" not in text
        assert f"curl '{gateway.url}/stocks/SPY/intraday" in text
        assert "/ws/SPY" in text
        assert "kcat" in text

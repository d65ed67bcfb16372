"""The page at `/`: what is here and the three commands to try; static, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import ClassVar

from aiohttp import web

from gateway.http.columns import TEXT
from gateway.http.endpoints import Answer, Endpoint, Query
from gateway.http.shell.answers import CLIENT, Serves
from gateway.http.shell.whole import WholeAnswer

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
UNSAID = "BROKER:9092"  # what stands for the bootstrap servers on a page that strangers see
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a;"
    "background:#fff}code,pre{font:14px/1.5 ui-monospace,monospace;background:#f2f2f2;border-radius:4px}"
    "pre{padding:.8rem;overflow-x:auto}code{padding:.1rem .3rem}a{color:#0b57d0}"
    "@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#16181b}code,pre{background:#24272b}a{color:#8ab4f8}}"
)
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Market Data Service</title>
<meta name="viewport" content="width=device-width"><style>{style}</style></head><body>
<h1>Market Data Service</h1>
<p>Quotes, trades and bars with every version ever known. Nothing is lost silently: what is missing is listed.</p>
<ul><li><a href="/health">Health</a> of all services</li><li><a href="/metrics">Metrics</a></li>
<li><a href="/gaps?state=open">Open gaps</a></li><li><a href="/subjects">Schemas</a> of the topics</li></ul>
<h2>Ask</h2><pre>curl '{http}/stocks/{symbol}/intraday?limit=5'</pre>
<h2>Subscribe</h2><pre>python -m websockets {ws}/ws/{symbol}</pre>
<h2>Consume</h2><pre>kcat -b {kafka} -t {topic} -r {http} -s value=avro -C -o end</pre>
</body></html>
"""
PAGE_ENDPOINT = Endpoint(
    method="GET",
    path="/",
    scope="public",
    topic="Operations",
    summary="A page that says what is here, with commands to try.",
    query=Query,
    lenient=True,
    answers={200: (Answer(words="The page.", media="text/html", schema=TEXT),)},
)


def style_hash() -> str:
    """Return the base64 SHA-256 of the style, which the policy allows and nothing else."""
    return base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


class Console:
    """Serves the page with the address the caller used."""

    def __init__(self, *, kafka: str | None, topic: str, symbol: str) -> None:
        """Show commands for these bootstrap servers and topic; None: what they are is nothing for everybody."""
        self._kafka, self._topic, self._symbol = kafka or UNSAID, topic, symbol
        self._policy = CONTENT_SECURITY_POLICY.format(style=style_hash())

    async def page(self, request: web.Request) -> web.StreamResponse:
        """GET /."""
        host, scheme = escape(request.host), request.get(CLIENT, request).scheme
        text = PAGE.format(
            style=STYLE,
            http=f"{scheme}://{host}",
            ws=f"{'wss' if scheme == 'https' else 'ws'}://{host}",
            kafka=escape(self._kafka),
            topic=escape(self._topic),
            symbol=escape(self._symbol),
        )
        headers = {"Content-Security-Policy": self._policy, "X-Frame-Options": "DENY"}
        return WholeAnswer(text=text, content_type="text/html", headers=headers)

    serves: ClassVar[Serves] = ((PAGE_ENDPOINT, page),)

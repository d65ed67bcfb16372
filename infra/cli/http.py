"""Small blocking JSON requests to our own parts on this machine, the gateway's with the key of whoever runs the command."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import typer

from infra.cli.output import fail
from infra.cli.system import System
from infra.runtime.exit_codes import ExitCode

TIMEOUT_S = 3.0
GATEWAY_TIMEOUT_S = 60.0  # a purge takes its time
TO_CHANGE = (400, 401, 403, 413, 422)  # whoever asks has to change something first


def get_json(url: str, timeout_s: float = TIMEOUT_S) -> tuple[int, Any]:
    """Return the status and the JSON document; (0, None) when nobody answers, None for a body that is no JSON."""
    return ask_json("GET", url, timeout_s=timeout_s)


def ask_json(
    method: str,
    url: str,
    *,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> tuple[int, Any]:
    """Return what `get_json` does, of any method; `body` is sent as JSON where there is one."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        sent = None if body is None else json.dumps(body)
        typed = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, body=sent, headers={**typed, **(headers or {})})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return 0, None
    finally:
        connection.close()
    try:
        return response.status, json.loads(body)
    except ValueError:
        return response.status, None


def called(
    system: System,
    method: str,
    *parts: str,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the answer to a request for the path of these parts; say every problem, and exit where there is one."""
    status, document = asked(system, method, *parts, query=query, body=body, headers=headers)
    if 200 <= status < 300 and isinstance(document, dict):
        return document
    for line in complaints(system.gateway_url, status, document):
        fail(line)
    raise typer.Exit(exit_of(status))


def asked(
    system: System,
    method: str,
    *parts: str,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    """Return the gateway's status and document for the path of these parts, as `ask_json` does."""
    path = "/".join(["", *(quote(part, safe="") for part in parts)])
    given = urlencode({name: value for name, value in (query or {}).items() if value is not None})
    url = f"{system.gateway_url}{path}" + (f"?{given}" if given else "")
    key = system.settings.api_key.get_secret_value()
    shown = {"Authorization": f"Bearer {key}"} if key else {}
    return ask_json(method, url, body=body, headers={**(headers or {}), **shown}, timeout_s=GATEWAY_TIMEOUT_S)


def complaints(url: str, status: int, document: Any) -> list[str]:
    """Return what is to be said of an answer that is none."""
    if status == 0:
        return [f"no gateway answers at {url}; start it with `mds run`, or set GATEWAY_PORT"]
    if not isinstance(document, dict):
        return [f"{url} answers {status} and is no gateway of ours; set GATEWAY_PORT"]
    if status == 401:
        return [f"{document.get('detail')}: set MDS_API_KEY to your key"]
    errors = [str(each.get("detail")) for each in document.get("errors", []) if isinstance(each, dict)]
    return errors or [str(document.get("detail"))]


def exit_of(status: int) -> ExitCode:
    """Return the exit code for a status: something must be changed, the answer is no, or nobody can say now."""
    if status in TO_CHANGE:
        return ExitCode.CONFIGURATION
    return ExitCode.NO if 400 <= status < 500 else ExitCode.UNREACHABLE

"""Answers: JSON bodies, the shape of an error, and CORS for the public face. Used by every face and by the listener itself.

Promise: an error is always `{"success": false, "code": .., "message": ..}`; some clients retry for ever when `code` is missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from aiohttp import web

JSON_TYPE = "application/json"
RETRY_AFTER_MAX_S = 300
"""Clients cap Retry-After there."""

_ALLOWED_HEADERS = "Authorization, Content-Type, X-Retry-Count, X-Write-Key"


def json_answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """`value` as JSON."""
    return web.Response(body=orjson.dumps(value), status=status, content_type=JSON_TYPE, headers=headers)


def error_answer(status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, retry_after_s: int | None = None) -> web.Response:
    """The shape of every error."""
    all_headers = dict(headers or {})
    if retry_after_s is not None:
        all_headers["Retry-After"] = str(min(max(1, retry_after_s), RETRY_AFTER_MAX_S))
    return json_answer({"success": False, "code": code, "message": message}, status=status, headers=all_headers)


class Cors:
    """CORS without credentials. Errors need the headers too: a browser takes an unreadable answer for a network fault and retries."""

    def __init__(self, origins: Sequence[str] = ("*",)) -> None:
        self._any = "*" in origins
        self._origins = frozenset(origins)
        self._open = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
        self._open_json = {**self._open, "Content-Type": JSON_TYPE}

    def headers(self, request: web.BaseRequest) -> dict[str, str]:
        """The headers of any answer. The caller may not change them."""
        if self._any:
            return self._open
        origin = request.headers.get("Origin", "")
        if origin not in self._origins:
            return {"Vary": "Origin"}
        return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "Retry-After", "Vary": "Origin"}

    def json_headers(self, request: web.BaseRequest) -> dict[str, str]:
        """The same, with the type of a JSON body; ready-made where the origin does not matter, for they go with every event."""
        return self._open_json if self._any else {**self.headers(request), "Content-Type": JSON_TYPE}

    def preflight(self, request: web.BaseRequest) -> web.Response:
        """The answer to OPTIONS, before any other check. `*` does not cover Authorization, so what is asked for is reflected."""
        headers = {
            **self.headers(request),
            "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
            "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers") or _ALLOWED_HEADERS,
            "Access-Control-Max-Age": "86400",
        }
        return web.Response(status=204, headers=headers)

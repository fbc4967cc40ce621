"""What a page loads before it sends: the settings document and the Analytics.js script. Cheap, cacheable, also when the outbox is full."""

import hashlib
from importlib.resources import files

import orjson
from aiohttp import web

from relay.errors import RequestError
from relay.pipeline.browser import api_host, settings_document
from relay.pipeline.compiled import Current
from relay.web.respond import JSON_TYPE, Cors
from relay.web.server import Proxies

CACHE = "public, max-age=60"
SCRIPT = "static/vendor/analytics.min.js"
MARKER = b"__WRITE_KEY__"


class BrowserRoutes:
    """The two GET routes of a browser client."""

    def __init__(self, current: Current, proxies: Proxies, public_url: str, cors: Cors) -> None:
        self._current, self._proxies, self._public_url, self._cors = current, proxies, public_url, cors
        script = files("relay.web").joinpath(SCRIPT)
        self._script = script.read_bytes() if script.is_file() else b""

    async def settings(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/projects/{writeKey}/settings."""
        key = self._known_key(request)
        plan = self._current.compiled.sources_by_key[key].browser_plan
        secure = request.secure
        if self._proxies.trusts(request.remote or ""):
            secure = request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
        host, protocol = api_host(self._public_url, _clean(request.headers.get("Host", "")), secure=secure)
        return self._cached(request, orjson.dumps(settings_document(key, host, protocol, plan)), JSON_TYPE)

    async def script(self, request: web.Request) -> web.StreamResponse:
        """GET /analytics.js/v1/{writeKey}/analytics.min.js: the script with the key written into it."""
        key = self._known_key(request)
        if not self._script:
            raise RequestError(404, "not_found", "analytics.min.js is not part of this installation; build it with: python scripts/build_ui.py")
        return self._cached(request, self._script.replace(MARKER, orjson.dumps(key)[1:-1].replace(b"'", b"\\u0027")), "text/javascript")

    def _known_key(self, request: web.Request) -> str:
        key = request.match_info["write_key"]
        if key not in self._current.compiled.sources_by_key:
            raise RequestError(404, "not_found", "the write key is unknown")
        return key

    def _cached(self, request: web.Request, body: bytes, content_type: str) -> web.Response:
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {**self._cors.headers(request), "Cache-Control": CACHE, "ETag": tag}
        if tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)


def _clean(host: str) -> str:
    """A Host header that may stand in JSON: bytes that are no UTF-8 come as surrogates."""
    return host if host.isascii() else host.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

"""The browser's files on the private listener: one page for every address under /ui, its modules and styles under /ui/static.

Only names with an extension of `TYPES` are served, so that `package.json`, the lock file and `.npmrc` never are. A file is read, hashed and
compressed when it is first asked for, and again when it has changed on disk, so that whoever edits one only reloads the page.
"""

import asyncio
import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from relay.errors import RequestError

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""On every answer of the private listener, whatever it is."""

STATIC: Final = Path(__file__).parent / "static"
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
REVALIDATE: Final = "no-cache"
FOR_EVER: Final = "public, max-age=31536000, immutable"
GZIP_FROM_BYTES: Final = 512
NAME_CHARS: Final = 200

_NAME = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*", re.ASCII)
_GZIP = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q\s*=\s*(?!0(?:\.0*)?\s*(?:,|$))[0-9.]+\s*)?(?=,|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is answered."""

    stamp: tuple[int, int]
    """Time and size on disk; another stamp means it was edited."""
    type: str
    etag: str
    body: bytes
    packed: bytes
    """Compressed; empty when that saves nothing."""


class Pages:
    """`GET /`, `/ui`, `/ui/...`, `/ui/static/...`, `/favicon.svg`."""

    def __init__(self, root: Path = STATIC) -> None:
        self._root = root.resolve()
        self._files: dict[str, StaticFile] = {}

    def routes(self) -> list[web.RouteDef]:
        """To be added after the routes of /ui/api, which they leave alone."""
        return [
            web.get("/", self.front),
            web.get("/favicon.svg", self.icon),
            web.get("/ui/static/{name:.*}", self.static),
            web.get("/ui", self.page),
            web.get("/ui/{page:(?!api(?:/|$)).*}", self.page),
        ]

    async def front(self, _: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/ui"})

    async def icon(self, request: web.Request) -> web.Response:
        return await self._answer(request, "favicon.svg")

    async def page(self, request: web.Request) -> web.Response:
        """The browser draws the page that the address names."""
        return await self._answer(request, "index.html")

    async def static(self, request: web.Request) -> web.Response:
        return await self._answer(request, request.match_info["name"])

    async def _answer(self, request: web.Request, name: str) -> web.Response:
        file = await self._file(name)
        cache = FOR_EVER if name.startswith("vendor/") and request.query.get("v") else REVALIDATE
        headers = {"ETag": file.etag, "Cache-Control": cache, "Vary": "Accept-Encoding"}
        if _knows(request.headers.get("If-None-Match", ""), file.etag):
            return web.Response(status=304, headers=headers)
        body = file.body
        if file.packed and _GZIP.search(request.headers.get("Accept-Encoding", "")):
            body, headers["Content-Encoding"] = file.packed, "gzip"
        return web.Response(body=body, headers=headers | {"Content-Type": file.type})

    async def _file(self, name: str) -> StaticFile:
        """Raises RequestError 404 for a name that is not ours to serve."""
        path = self._path(name)
        try:
            stat = path.stat()
            known = self._files.get(name)
            if known is None or known.stamp != (stat.st_mtime_ns, stat.st_size):
                known = self._files[name] = await asyncio.to_thread(_read, path)
        except OSError as error:
            self._files.pop(name, None)
            raise _missing() from error
        return known

    def _path(self, name: str) -> Path:
        path = self._root / name
        if len(name) > NAME_CHARS or not _NAME.fullmatch(name) or path.suffix not in TYPES:
            raise _missing()
        if not path.resolve().is_relative_to(self._root) or not path.is_file():
            raise _missing()
        return path


def _read(path: Path) -> StaticFile:
    stat, body = path.stat(), path.read_bytes()
    packed = gzip.compress(body, 9, mtime=0) if len(body) >= GZIP_FROM_BYTES else b""
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:24]}"'  # weak: it names the packed form as well
    return StaticFile((stat.st_mtime_ns, stat.st_size), TYPES[path.suffix], etag, body, packed if len(packed) < len(body) else b"")


def _knows(header: str, etag: str) -> bool:
    return header.strip() == "*" or etag.removeprefix("W/") in [mark.strip().removeprefix("W/") for mark in header.split(",")]


def _missing() -> RequestError:
    return RequestError(404, "not_found", "There is no such file.")

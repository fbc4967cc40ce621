"""The browser's files: one page for every address, types and caching as browsers want them, and nothing but what is for browsers."""

import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from relay.web.console.app import errors
from relay.web.pages import SECURITY_HEADERS, STATIC, Pages
from relay.web.server import Listener
from tests.support.app import running

INDEX = "<!doctype html><title>relay</title>" + "<p>words</p>" * 100
FILES = {
    "index.html": INDEX,
    "app.js": "export const a = 1;\n" * 50,
    "lib/rows.js": "export {};\n",
    "app.css": "body { color: red }\n" * 50,
    "favicon.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "vendor/preact.mjs": "export const h = 0;\n" * 50,
    "package.json": "{}",
    "package-lock.json": "{}",
    ".npmrc": "x=1",
    ".hidden.js": "0",
    "vendor/VERSION": "1",
    "notes.txt": "canary",
}
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)


@dataclass
class Site:
    """What a test holds in its hands."""

    root: Path
    url: str
    http: aiohttp.ClientSession

    async def get(self, path: str, *, method: str = "GET", **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
        url = URL(self.url + path, encoded=True)
        async with self.http.request(method, url, headers=headers, allow_redirects=False) as answer:
            return answer, await answer.read()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    root = tmp_path / "static"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "outside.js").write_text("canary")
    (root / "link.js").symlink_to(tmp_path / "outside.js")
    app = web.Application(middlewares=[errors])
    app.add_routes(Pages(root).routes())
    async with Listener(app, "127.0.0.1:0") as listener, aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as http:
        yield Site(root, listener.urls[0], http)


async def test_the_front_leads_to_the_pages(site: Site) -> None:
    answer, _ = await site.get("/")
    assert (answer.status, answer.headers["Location"]) == (302, "/ui")


@pytest.mark.parametrize(
    "path", ["/ui", "/ui/", "/ui/live", "/ui/live?q=type:track", "/ui/events/e12", "/ui/destinations/a%2Fb", "/ui/apis", "/ui/login"]
)
async def test_every_address_of_a_page_is_the_one_page(site: Site, path: str) -> None:
    answer, body = await site.get(path)
    assert (answer.status, body.decode(), answer.headers["Content-Type"]) == (200, INDEX, "text/html; charset=utf-8")
    assert answer.headers["Content-Security-Policy"] == CSP
    assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert (answer.headers["X-Content-Type-Options"], answer.headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert (answer.headers["Cross-Origin-Opener-Policy"], answer.headers["Cache-Control"]) == ("same-origin", "no-cache")


@pytest.mark.parametrize(
    ("path", "type"),
    [
        ("/ui/static/app.js", "text/javascript; charset=utf-8"),
        ("/ui/static/lib/rows.js", "text/javascript; charset=utf-8"),
        ("/ui/static/app.css", "text/css; charset=utf-8"),
        ("/ui/static/vendor/preact.mjs", "text/javascript; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
    ],
)
async def test_files_have_their_type_and_are_asked_for_again(site: Site, path: str, type: str) -> None:
    answer, _ = await site.get(path)
    assert (answer.status, answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (200, type, "no-cache")
    again, body = await site.get(path, **{"If-None-Match": f'"x", {answer.headers["ETag"]}'})
    assert (again.status, body, again.headers["ETag"]) == (304, b"", answer.headers["ETag"])
    assert (await site.get(path, **{"If-None-Match": '"x"'}))[0].status == 200
    assert (await site.get(path, method="HEAD"))[0].status == 200


async def test_third_party_files_with_a_version_stay_for_ever(site: Site) -> None:
    answer, _ = await site.get("/ui/static/vendor/preact.mjs?v=0.1.0")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert (await site.get("/ui/static/app.js?v=0.1.0"))[0].headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.0, br", False),
        ("x-gzip", False),
    ],
)
async def test_a_browser_that_takes_gzip_gets_it(site: Site, accepted: str, packed: bool) -> None:
    answer, body = await site.get("/ui", **{"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(body) if packed else body).decode() == INDEX
    assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "name",
    [
        "package.json", "package-lock.json", ".npmrc", ".hidden.js", "vendor/VERSION", "notes.txt", "nothing.js", "", "lib", "lib/", "vendor/../.npmrc",
        "../outside.js", "..%2foutside.js", "%2e%2e/outside.js", "%2fetc/passwd", "//app.js", "lib//rows.js", "lib\\rows.js", "app.js%00", "app.js/", "link.js",
        "APP.JS", "a" * 1000 + ".js",
    ],
)  # fmt: skip
async def test_nothing_else_is_served(site: Site, name: str) -> None:
    answer, body = await site.get(f"/ui/static/{name}")
    assert answer.status == 404
    assert b"canary" not in body


@pytest.mark.parametrize("path", ["/ui/api", "/ui/api/", "/ui/api/nothing", "/nothing", "/uix"])
async def test_what_is_no_page_is_no_page(site: Site, path: str) -> None:
    answer, body = await site.get(path)
    assert (answer.status, answer.content_type) == (404, "application/json")
    assert b"not_found" in body


async def test_an_edited_file_is_served_after_a_reload(site: Site) -> None:
    before, _ = await site.get("/ui/static/lib/rows.js")
    (site.root / "lib/rows.js").write_text("export const edited = true;\n")
    after, body = await site.get("/ui/static/lib/rows.js")
    assert (body, after.headers["ETag"] != before.headers["ETag"]) == (b"export const edited = true;\n", True)
    (site.root / "lib/rows.js").unlink()
    assert (await site.get("/ui/static/lib/rows.js"))[0].status == 404


@pytest.mark.parametrize("enabled", [True, False])
async def test_the_setting_switches_the_pages_off_and_nothing_else(tmp_path: Path, enabled: bool) -> None:
    async with running("", tmp_path, settings=(f"ui.enabled={str(enabled).lower()}",)) as relay, aiohttp.ClientSession() as http:
        for path, wanted in (("/", 302), ("/ui", 200 if (STATIC / "index.html").exists() else 404), ("/healthz", 200), ("/ui/api/status", 401)):
            async with http.get(relay.app.ui_url + path, allow_redirects=False) as answer:
                assert answer.status == (wanted if enabled or path[1:] in ("healthz", "ui/api/status") else 404), path
                assert answer.headers["Content-Security-Policy"] == CSP

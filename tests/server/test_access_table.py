"""Who may ask what: every route of the private listener, from the application's own list, against everyone who should not get in."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from relay.access.operator import Role
from tests.support.app import Running, running, source

OPEN = "open"
"""Answered without a login: no data behind it, or a check of its own."""
VIEWER, OPERATOR, ADMIN = Role

ROUTES: dict[str, str] = {
    "GET /": OPEN,
    "GET /favicon.svg": OPEN,
    "GET /healthz": OPEN,
    "GET /metrics": OPEN,
    "GET /readyz": OPEN,
    "GET /ui": OPEN,
    "GET /ui/static/{}": OPEN,
    "GET /ui/{}": OPEN,
    "POST /ui/api/login": OPEN,
    "GET /ui/api/alerts": VIEWER,
    "GET /ui/api/catalog": VIEWER,
    "GET /ui/api/catalog/{}": VIEWER,
    "GET /ui/api/dead": VIEWER,
    "GET /ui/api/destinations": VIEWER,
    "GET /ui/api/destinations/{}": VIEWER,
    "GET /ui/api/destinations/{}/samples": VIEWER,
    "GET /ui/api/diff/{}": VIEWER,
    "GET /ui/api/events": VIEWER,
    "GET /ui/api/events/{}": VIEWER,
    "GET /ui/api/jobs": VIEWER,
    "GET /ui/api/live": VIEWER,
    "GET /ui/api/overview": VIEWER,
    "GET /ui/api/plans": VIEWER,
    "GET /ui/api/plans/{}": VIEWER,
    "GET /ui/api/plans/{}/drift": VIEWER,
    "GET /ui/api/plans/{}/history": VIEWER,
    "GET /ui/api/plans/{}/violations": VIEWER,
    "GET /ui/api/session": VIEWER,
    "GET /ui/api/privacy": VIEWER,
    "GET /ui/api/sources": VIEWER,
    "GET /ui/api/sources/{}": VIEWER,
    "GET /ui/api/sources/{}/schema": VIEWER,
    "GET /ui/api/status": VIEWER,
    "POST /ui/api/links": VIEWER,
    "POST /ui/api/logout": VIEWER,
    "GET /ui/api/audit": OPERATOR,
    "GET /ui/api/dead/export": OPERATOR,
    "POST /ui/api/alerts/test": OPERATOR,
    "POST /ui/api/alerts/{}/mute": OPERATOR,
    "POST /ui/api/dead/discard": OPERATOR,
    "POST /ui/api/dead/resend": OPERATOR,
    "POST /ui/api/destinations/{}/hold": OPERATOR,
    "POST /ui/api/destinations/{}/resume": OPERATOR,
    "POST /ui/api/diff": OPERATOR,
    "DELETE /ui/api/diff/{}": OPERATOR,
    "POST /ui/api/events/{}/discard": OPERATOR,
    "POST /ui/api/events/{}/retry": OPERATOR,
    "POST /ui/api/events/{}/send": OPERATOR,
    "POST /ui/api/jobs/{}/cancel": OPERATOR,
    "POST /ui/api/preview": OPERATOR,
    "POST /ui/api/plans/infer": OPERATOR,
    "POST /ui/api/plans/{}/rules": OPERATOR,
    "POST /ui/api/reload": OPERATOR,
    "POST /ui/api/replay": OPERATOR,
    "PUT /ui/api/privacy/fields": OPERATOR,
    "PUT /ui/api/sources/{}/schema": OPERATOR,
    "DELETE /ui/api/tokens/{}": ADMIN,
    "GET /ui/api/forget": ADMIN,
    "GET /ui/api/forget/{}": ADMIN,
    "GET /ui/api/settings": ADMIN,
    "PUT /ui/api/plans/{}": ADMIN,
    "GET /ui/api/tokens": ADMIN,
    "POST /ui/api/forget": ADMIN,
    "POST /ui/api/forget/verify": ADMIN,
    "POST /ui/api/tokens": ADMIN,
}
"""The least role of each route. A new route is added here with the role that its page of the contract says."""


@dataclass(frozen=True)
class Route:
    """One route and an address that reaches it."""

    name: str
    method: str
    path: str
    role: str


@dataclass
class Door:
    """A running relay, its routes, and a way to knock."""

    relay: Running
    http: aiohttp.ClientSession
    routes: list[Route]

    @property
    def own(self) -> str:
        return self.relay.app.ui_url

    async def knock(self, route: Route, **headers: str) -> tuple[int, str]:
        """Status and error code; the body is JSON so that nothing is refused for its form."""
        body = None if route.method == "GET" else {}
        async with self.http.request(route.method, self.own + route.path, json=body, headers=headers, allow_redirects=False) as answer:
            told = await answer.json() if answer.content_type == "application/json" else {}
            error = told.get("error") if isinstance(told, dict) else None
            return answer.status, error["code"] if isinstance(error, dict) else ""

    async def bearer(self, role: str) -> dict[str, str]:
        """The header of a new token."""
        cli = {"Authorization": f"Bearer {self.relay.app.cli_token}"}
        async with self.http.post(f"{self.own}/ui/api/tokens", json={"name": role, "role": role}, headers=cli) as answer:
            return {"Authorization": f"Bearer {(await answer.json())['token']}"}

    async def cookie(self, bearer: dict[str, str]) -> dict[str, str]:
        """The headers of our own page after a login with this token."""
        token = bearer["Authorization"].removeprefix("Bearer ")
        async with self.http.post(f"{self.own}/ui/api/login", json={"token": token}, headers={"Origin": self.own}) as answer:
            csrf = (await answer.json())["csrf"]
            return {"Cookie": f"relay_session={answer.cookies['relay_session'].value}", "Origin": self.own, "X-Relay-CSRF": csrf}

    def private(self, *roles: Role) -> list[Route]:
        """The routes that need a login: all, or those of these roles."""
        return [route for route in self.routes if route.role in (roles or tuple(Role))]


def routes_of(app: web.Application) -> list[Route]:
    found = []
    for route in app.router.routes():
        if route.resource is not None and route.method != "HEAD":
            path = re.sub(r"\{[^}]*\}", "{}", route.resource.canonical)
            name = f"{route.method} {path}"
            found.append(Route(name, route.method, path.replace("{}", "1"), ROUTES.get(name, "unlisted")))
    return found


def upgrade(headers: dict[str, str]) -> dict[str, str]:
    """The same as the first request of a websocket."""
    shake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    return headers | shake


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with running(source(), tmp_path) as relay, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield Door(relay, http, routes_of(relay.app.private._app))


async def test_every_route_has_its_role_here(door: Door) -> None:
    assert [route.name for route in door.routes if route.role == "unlisted"] == []
    assert len(door.private()) > 15


async def test_nobody_gets_in_without_a_login(door: Door) -> None:
    for route in door.private():
        assert await door.knock(route) == (401, "unauthorized"), route
        assert await door.knock(route, Cookie="relay_session=forged") == (401, "unauthorized"), route
        assert await door.knock(route, **upgrade({"Origin": door.own})) == (403, "unauthorized"), route


async def test_a_role_ends_where_the_next_begins(door: Door) -> None:
    viewer, operator = await door.bearer("viewer"), await door.bearer("operator")
    browser = await door.cookie(viewer)
    for route in door.private(Role.OPERATOR, Role.ADMIN):
        assert await door.knock(route, **viewer) == (403, "forbidden"), route
        assert await door.knock(route, **browser) == (403, "forbidden"), route
    for route in door.private(Role.ADMIN):
        assert await door.knock(route, **operator) == (403, "forbidden"), route
    for route in door.private(Role.VIEWER):
        status, code = await door.knock(route, **viewer)
        assert status not in (401, 403) and status < 500, (route, status, code)


async def test_a_page_of_another_origin_gets_nothing_with_the_owners_cookie(door: Door) -> None:
    owner = await door.bearer("admin")
    browser = await door.cookie(owner)
    port = door.own.rpartition(":")[2]
    for route in door.private():
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1", f"http://localhost:{port}", f"{door.own}.evil.example", ""):
            assert await door.knock(route, **browser | {"Origin": origin}) == (403, "wrong_origin"), (route, origin)
            assert await door.knock(route, **upgrade(browser | {"Origin": origin})) == (403, "wrong_origin"), (route, origin)
        assert await door.knock(route, **owner | {"Origin": "https://evil.example"}) == (403, "wrong_origin"), route
        assert await door.knock(route, **browser | {"Host": "evil.example"}) == (403, "host_not_allowed"), route
        silent = {name: value for name, value in browser.items() if name != "Origin"}
        assert await door.knock(route, **upgrade(silent)) == (403, "wrong_origin"), route
        if route.method != "GET":
            assert await door.knock(route, **silent) == (403, "wrong_origin"), route


async def test_a_cookie_alone_changes_nothing(door: Door) -> None:
    browser, other = await door.cookie(await door.bearer("admin")), await door.cookie(await door.bearer("admin"))
    changes = [route for route in door.private() if route.method != "GET"]
    assert len(changes) > 8
    for route in changes:
        for csrf in ("", "forged", "\xfc", other["X-Relay-CSRF"]):
            assert await door.knock(route, **browser | {"X-Relay-CSRF": csrf}) == (403, "csrf"), (route, csrf)
        bare = {name: value for name, value in browser.items() if name != "X-Relay-CSRF"}
        assert await door.knock(route, **bare) == (403, "csrf"), route

"""Logging in and out by browser. The cookie holds the session; every change by it needs the `csrf` value told here as `X-Relay-CSRF`."""

from typing import Any, Final

from aiohttp import web

from relay.access.operator import Operator, Role
from relay.access.sessions import LINK_S, Links, Session, Sessions
from relay.access.store import AuditRecord, TokenStore
from relay.base.clock import Clock
from relay.errors import RequestError
from relay.web.auth import COOKIE, LOGIN, SESSION, Gate, allowed
from relay.web.console.reading import flag_of, read_object, refuse_unknown, text_of
from relay.web.respond import json_answer

GIVEN: Final = frozenset(("token", "link"))
LOGOUT: Final = frozenset(("everywhere",))


class SessionRoutes:
    """`GET session`, `POST login` {token} or {link}, `POST logout` {everywhere}, `POST links`."""

    def __init__(self, *, gate: Gate, sessions: Sessions, links: Links, tokens: TokenStore, clock: Clock, version: str) -> None:
        self._gate = gate
        self._sessions = sessions
        self._links = links
        self._tokens = tokens
        self._clock = clock
        self._version = version

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ui/api/session", self.session),
            web.post(LOGIN, self.login),
            web.post("/ui/api/logout", self.logout),
            web.post("/ui/api/links", self.link),
        ]

    async def session(self, request: web.Request) -> web.Response:
        """Who is asking; with a bearer token there is neither `csrf` nor an end."""
        by = allowed(request, Role.VIEWER)
        return json_answer(self._told(by, request.get(SESSION)))

    async def login(self, request: web.Request) -> web.Response:
        """By a token, or by the code of a one-time link. A session that the browser had ends."""
        given = await read_object(request)
        refuse_unknown(given, GIVEN)
        token, link = text_of(given, "token").strip(), text_of(given, "link").strip()
        if bool(token) == bool(link):
            raise RequestError(400, "bad_request", "Send either token or link.")
        address = self._gate.address(request)
        by = await (self._gate.by_token(token, address) if token else self._gate.by_link(link, address))
        if before := await self._sessions.find(request.cookies.get(COOKIE, "")):
            await self._sessions.close(before.operator)
        session, text = await self._sessions.open(by)
        await self._audit(by, "session.login", "token" if token else "link", address)
        answer = json_answer(self._told(by, session))
        answer.set_cookie(COOKIE, text, path="/", httponly=True, samesite="Strict", secure=_is_secure(request))
        return answer

    async def logout(self, request: web.Request) -> web.Response:
        """End this session; with `everywhere` every session of the same token as well."""
        by = allowed(request, Role.VIEWER)
        given = await read_object(request)
        refuse_unknown(given, LOGOUT)
        everywhere = flag_of(given, "everywhere")
        ended = await self._sessions.close_all(by) if everywhere else await self._sessions.close(by)
        await self._audit(by, "session.logout", "everywhere" if everywhere else "", f"{ended} sessions")
        answer = json_answer({"ended": ended})
        answer.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict", secure=_is_secure(request))
        return answer

    async def link(self, request: web.Request) -> web.Response:
        """A one-time link with the rights of whoever asks; the page is `<ui url>/ui/login#<code>`."""
        by = allowed(request, Role.VIEWER)
        code = self._links.new(by)
        await self._audit(by, "session.link")
        return json_answer({"code": code, "role": by.role, "expires_in_s": LINK_S}, status=201)

    def _told(self, by: Operator, session: Session | None) -> dict[str, Any]:
        return {
            "name": by.name,
            "role": by.role,
            "csrf": session.csrf if session else None,
            "version": self._version,
            "expires_s": session.expires_s if session else None,
            "now_s": self._clock.now(),
            "theme_hint": None,
        }

    async def _audit(self, by: Operator, action: str, subject: str = "", detail: str = "") -> None:
        await self._tokens.audit(AuditRecord(self._clock.now(), by.name, action, subject, detail))


def _is_secure(request: web.Request) -> bool:
    """Under TLS, be it a proxy's: the page's own address says so."""
    return request.secure or request.headers.get("Origin", "").startswith("https://")

"""Who is asking, on the private listener: bearer tokens, browser sessions, allowed `Host` names and origins, and a limit on bad tries.

A browser sends its cookie unasked, so a cookie alone changes nothing: a change needs our own `Origin` and the header `X-Relay-CSRF`, a websocket
our own `Origin`. A request that names another origin gets nothing, whatever it bears.
"""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiohttp import web

from relay.access.operator import CLI_ID, UI_ID, Operator, Role
from relay.access.sessions import Links, Session, Sessions
from relay.base.clock import Clock
from relay.base.secret import Secret
from relay.errors import RequestError
from relay.web.server import Proxies

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OPERATOR: Final = web.RequestKey("operator", Operator)
SESSION: Final = web.RequestKey("session", Session)
"""Set when the request came with a session's cookie."""
COOKIE: Final = "relay_session"
CSRF_HEADER: Final = "X-Relay-CSRF"
LOGIN: Final = "/ui/api/login"
"""The one route of the console that needs no login."""

LOOPBACK_NAMES: Final = frozenset(("localhost", "127.0.0.1", "::1"))
WILDCARDS: Final = frozenset(("", "0.0.0.0", "::"))  # noqa: S104 (compared with, not bound to)
BAD_TRIES: Final = 10
WINDOW_S: Final = 60.0
ADDRESSES_MAX: Final = 10_000
READS: Final = frozenset(("GET", "HEAD"))
WRITES: Final = frozenset(("POST", "PUT", "PATCH"))
"""Methods whose body must be JSON, which no page of another origin can send unasked; for DELETE browsers always ask first."""


class Verifier(Protocol):
    """What the gate needs of the token store."""

    async def verify(self, text: str, address: str = "") -> Operator | None: ...

    async def holds(self, token_id: str) -> bool: ...


class BadTries:
    """Failures by address within the last minute; bounded, the oldest address is forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: dict[str, list[float]] = {}

    def exceeded(self, address: str) -> bool:
        return len(self._recent(address)) >= BAD_TRIES

    def add(self, address: str) -> None:
        recent = [*self._recent(address), self._clock.monotonic()]
        self._times.pop(address, None)
        self._times[address] = recent
        if len(self._times) > ADDRESSES_MAX:
            del self._times[next(iter(self._times))]

    def _recent(self, address: str) -> list[float]:
        since_s = self._clock.monotonic() - WINDOW_S
        return [at_s for at_s in self._times.get(address, ()) if at_s > since_s]


class Gate:
    """The checks in front of every private route.

    `cli_token`: of `<data_dir>/cli.token`, made new at each start; `ui_token`: of `[ui] token`; `hosts`: `[ui] hosts`; `listen`: the host part of `[ui] listen`;
    `proxies`: whose `X-Forwarded-For` counts.
    """

    def __init__(
        self,
        *,
        cli_token: Secret,
        ui_token: Secret,
        metrics_token: Secret,
        tokens: Verifier,
        sessions: Sessions,
        links: Links,
        hosts: tuple[str, ...],
        listen: str,
        proxies: Proxies,
        clock: Clock,
    ) -> None:
        self._cli_token, self._ui_token, self._metrics_token = cli_token, ui_token, metrics_token
        self._tokens = tokens
        self._sessions = sessions
        self._links = links
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in hosts} | {listen.strip("[]").lower()}
        self._any_address = listen.strip("[]") in WILDCARDS
        self._proxies = proxies
        self._tries = BadTries(clock)

    def check_host(self, request: web.Request) -> None:
        """Raises RequestError 403 for a name that is not ours: a page that rebinds its own name to this address gets nothing.

        On a wildcard address every IP literal may be ours, and a literal cannot be rebound.
        """
        name = _host_name(request.headers.get("Host", ""))
        if name not in self._hosts and not (self._any_address and _is_address(name)):
            raise RequestError(403, "host_not_allowed", "This Host name is not allowed; list it in [ui] hosts.")

    def address(self, request: web.Request) -> str:
        """Where the request came from; behind a trusted proxy the client's address."""
        return self._proxies.client_address(request)

    async def by_token(self, text: str, address: str) -> Operator:
        """Who holds this token. Raises RequestError 401, or 429 after too many bad tries.

        The token of this process comes first, so that a guessing program cannot lock out the machine's owner.
        """
        given = text.encode("utf-8", "surrogateescape")
        if _equal(self._cli_token, given):
            return Operator(CLI_ID, CLI_ID, Role.ADMIN, address)
        self._check_tries(address)
        if text and (by := await self._tokens.verify(text, address)):
            return by
        self._check_tries(address)  # again: from here on nothing waits, so a burst gets no more tries than a queue
        if _equal(self._ui_token, given):
            return Operator(UI_ID, UI_ID, Role.ADMIN, address)
        if text:
            self._tries.add(address)
        raise RequestError(401, "unauthorized", "A valid token is needed.")

    async def by_link(self, code: str, address: str) -> Operator:
        """Whom a one-time link logs in; the link is spent. Raises RequestError 401, or 429 after too many bad tries."""
        by = self._links.take(code, address)
        if by is not None and await self._token_holds(by):
            return by
        self._check_tries(address)
        self._tries.add(address)
        raise RequestError(401, "bad_link", "This link was used already or is older than 10 minutes; `relay login` prints a new one.")

    async def still_valid(self, by: Operator) -> bool:
        """Whether the token or session of `by` is still good: to be asked every few seconds by what stays open, such as a websocket."""
        return await (self._sessions.holds(by) if by.session else self._token_holds(by))

    async def _token_holds(self, by: Operator) -> bool:
        return by.operator_id in (CLI_ID, UI_ID) or await self._tokens.holds(by.operator_id)

    def _check_tries(self, address: str) -> None:
        if self._tries.exceeded(address):
            raise RequestError(429, "too_many_tries", "Too many bad tries from this address; wait a minute.")

    async def _admit(self, request: web.Request) -> None:
        """Sets OPERATOR, and SESSION when a cookie was good. A bearer token wins over a cookie."""
        address = self.address(request)
        if "Authorization" in request.headers:
            request[OPERATOR] = await self.by_token(_bearer(request), address)
            return
        cookie = request.cookies.get(COOKIE, "")
        session = await self._sessions.find(cookie, address) if cookie else None
        if session is None:  # an old page that polls is no bad try: nobody guesses 32 random bytes
            raise RequestError(401, "unauthorized", "Log in, or send a valid bearer token.")
        request[OPERATOR], request[SESSION] = session.operator, session

    def _check_origin(self, request: web.Request, *, needed: bool) -> None:
        """Raises RequestError 403 for an `Origin` that is not ours. Without TLS of our own a proxy may have it, so https is ours as well."""
        origin = request.headers.get("Origin")
        host = request.headers.get("Host", "").lower()
        own = {_origin("https", host)} | ({_origin("http", host)} if request.scheme == "http" else set())
        if needed if origin is None else origin.lower() not in own:
            raise RequestError(403, "wrong_origin", "Only relay's own pages may ask this with a cookie, and no page of another origin.")

    def _check_csrf(self, request: web.Request) -> None:
        """Raises RequestError 403 when a change by cookie lacks what only our own page knows."""
        given = request.headers.get(CSRF_HEADER, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(request[SESSION].csrf.encode(), given):
            raise RequestError(403, "csrf", f"The header {CSRF_HEADER} must hold the value from GET /ui/api/session.")

    async def _check_api(self, request: web.Request) -> None:
        """Everything in front of a route of the console."""
        self._check_origin(request, needed=False)
        if request.method in WRITES and request.content_type != "application/json":
            raise RequestError(415, "json_required", "Send Content-Type: application/json.")
        if request.path == LOGIN:
            return
        upgrade = "websocket" in request.headers.get("Upgrade", "").lower()
        try:
            await self._admit(request)
        except RequestError as error:
            if upgrade and error.status == 401:
                raise RequestError(403, error.code, error.message) from error
            raise
        if SESSION in request and (upgrade or request.method not in READS):
            self._check_origin(request, needed=True)
            if not upgrade:
                self._check_csrf(request)

    def check_metrics(self, request: web.Request) -> None:
        """Raises RequestError 401 when `[metrics] token` is set and the request does not bear it."""
        if self._metrics_token and not _equal(self._metrics_token, _bearer(request).encode("utf-8", "surrogateescape")):
            raise RequestError(401, "unauthorized", "A valid bearer token is needed.")

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Health is open to all (probes use any Host); everything under /ui/api but the login itself needs one, and JSON where it changes something."""
        if request.path in ("/healthz", "/readyz"):
            return await handler(request)
        self.check_host(request)
        if request.path == "/ui/api" or request.path.startswith("/ui/api/"):
            await self._check_api(request)
        return await handler(request)


def allowed(request: web.Request, role: Role) -> Operator:
    """The operator of the request. Raises RequestError 403 when the role does not suffice."""
    by = request[OPERATOR]
    if not by.role.includes(role):
        raise RequestError(403, "forbidden", f"This needs the role {role}; yours is {by.role}.")
    return by


def _bearer(request: web.Request) -> str:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _equal(token: Secret, given: bytes) -> bool:
    """False for a token that is not set."""
    return bool(token) and hmac.compare_digest(token.reveal().encode(), given)


def _origin(scheme: str, host: str) -> str:
    """As browsers write it: without the port that the scheme implies."""
    return f"{scheme}://{host.removesuffix(':443' if scheme == 'https' else ':80')}"


def _host_name(header: str) -> str:
    """The name in a Host header, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.rpartition(":")[0].lower() if header.count(":") == 1 else header.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

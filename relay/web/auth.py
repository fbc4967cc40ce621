"""Who is asking, on the private listener: bearer tokens, allowed `Host` names, and a limit on bad tries."""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiohttp import web

from relay.access.operator import Operator, Role
from relay.base.clock import Clock
from relay.base.secret import Secret
from relay.errors import RequestError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OPERATOR: Final = web.RequestKey("operator", Operator)

LOOPBACK_NAMES: Final = frozenset(("localhost", "127.0.0.1", "::1"))
WILDCARDS: Final = frozenset(("", "0.0.0.0", "::"))  # noqa: S104 (compared with, not bound to)
BAD_TRIES: Final = 10
WINDOW_S: Final = 60.0
ADDRESSES_MAX: Final = 10_000
WRITES: Final = frozenset(("POST", "PUT", "PATCH"))
"""Methods whose body must be JSON, which no page of another origin can send unasked; for DELETE browsers always ask first."""


class Verifier(Protocol):
    """What the gate needs of the token store."""

    async def verify(self, text: str, address: str = "") -> Operator | None: ...


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

    `cli_token`: of `<data_dir>/cli.token`, made new at each start; `ui_token`: of `[ui] token`; `hosts`: `[ui] hosts`; `listen`: the host part of `[ui] listen`.
    """

    def __init__(
        self, *, cli_token: Secret, ui_token: Secret, metrics_token: Secret, tokens: Verifier, hosts: tuple[str, ...], listen: str, clock: Clock
    ) -> None:
        self._own = [(token, name) for token, name in ((cli_token, "cli"), (ui_token, "ui")) if token]
        self._metrics_token = metrics_token
        self._tokens = tokens
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in hosts} | {listen.strip("[]").lower()}
        self._any_address = listen.strip("[]") in WILDCARDS
        self._tries = BadTries(clock)

    def check_host(self, request: web.Request) -> None:
        """Raises RequestError 403 for a name that is not ours: a page that rebinds its own name to this address gets nothing.

        On a wildcard address every IP literal may be ours, and a literal cannot be rebound.
        """
        name = _host_name(request.headers.get("Host", ""))
        if name not in self._hosts and not (self._any_address and _is_address(name)):
            raise RequestError(403, "host_not_allowed", "This Host name is not allowed; list it in [ui] hosts.")

    async def operator(self, request: web.Request) -> Operator:
        """Who holds the request's bearer token. Raises RequestError 401, or 429 after too many bad tries.

        The tokens of this process come first, so that a guessing program cannot lock out the machine's owner.
        """
        address = request.remote or ""
        text = _bearer(request)
        given = text.encode("utf-8", "surrogateescape")
        for token, name in self._own:
            if name == "cli" and _equal(token, given):
                return Operator(name, name, Role.ADMIN, address)
        if self._tries.exceeded(address):
            raise RequestError(429, "too_many_tries", "Too many bad tokens from this address; wait a minute.")
        for token, name in self._own:
            if _equal(token, given):
                return Operator(name, name, Role.ADMIN, address)
        by = await self._tokens.verify(text, address) if text else None
        if by is None:
            if text:
                self._tries.add(address)
            raise RequestError(401, "unauthorized", "A valid bearer token is needed.")
        return by

    def check_metrics(self, request: web.Request) -> None:
        """Raises RequestError 401 when `[metrics] token` is set and the request does not bear it."""
        if self._metrics_token and not _equal(self._metrics_token, _bearer(request).encode("utf-8", "surrogateescape")):
            raise RequestError(401, "unauthorized", "A valid bearer token is needed.")

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Health is open to all (probes use any Host); everything under /ui/api needs a token, and JSON where it changes something."""
        if request.path in ("/healthz", "/readyz"):
            return await handler(request)
        self.check_host(request)
        if request.path.startswith("/ui/api"):
            request[OPERATOR] = await self.operator(request)
            if request.method in WRITES and request.content_type != "application/json":
                raise RequestError(415, "json_required", "Send Content-Type: application/json.")
        return await handler(request)


def allowed(request: web.Request, role: Role) -> Operator:
    """The operator of the request. Raises RequestError 403 when the role does not suffice."""
    by = request[OPERATOR]
    if not by.role.includes(role):
        raise RequestError(403, "forbidden", f"This needs the role {role}; the token has {by.role}.")
    return by


def _bearer(request: web.Request) -> str:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _equal(token: Secret, given: bytes) -> bool:
    return hmac.compare_digest(token.reveal().encode(), given)


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

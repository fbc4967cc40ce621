"""Listeners with guards: aiohttp alone never ends a silent connection, and answers what is no HTTP in plain text.

Promises of a `Listener`: a connection that sends no complete request head is cut, connections are bounded in all and per address, and
every answer, that to garbage included, is JSON. The body's own deadline stands where the body is read (`web.tracking.body`).
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from relay.errors import ConfigError
from relay.web.respond import error_answer

log = structlog.get_logger("relay.web")

KEEP_ALIVE_S = 65.0
MAX_HEADERS = 64
MAX_LINE_BYTES = 8190
LINGER_S = 2.0
"""How long an answered request may still send its body, so that the client reads the answer and not a reset."""
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Guards:
    """What a listener allows; numbers from `[server]`."""

    head_timeout_s: float = 10
    max_connections: int = 2000
    max_connections_per_address: int = 200
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose connections are not counted per address: a proxy stands for many clients."""
    tls_cert: str = ""
    tls_key: str = ""


class Proxies:
    """The networks whose `X-Forwarded-For` counts."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(network, strict=False) for network in networks]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return not address  # a unix socket: only a proxy on this machine speaks there
        return any(parsed in network for network in self._networks)

    def client_address(self, request: web.BaseRequest) -> str:
        """The address the request came from: the last one in the chain that is no trusted proxy."""
        address = request.remote or ""
        if not self._networks or not self.trusts(address):
            return address
        for hop in reversed(",".join(request.headers.getall("X-Forwarded-For", [])).split(",")):
            hop = hop.strip()
            try:
                address = str(ip_address(hop))
            except ValueError:
                break
            if not self.trusts(address):
                break
        return address


class _Gate:
    """Counts connections."""

    def __init__(self, guards: Guards) -> None:
        self.head_timeout_s = guards.head_timeout_s
        self._max, self._max_per_address = guards.max_connections, guards.max_connections_per_address
        self._proxies = Proxies(guards.trusted_proxies)
        self._total = 0
        self._by_address: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        counted = bool(address) and not self._proxies.trusts(address)
        if self._total >= self._max or (counted and self._by_address[address] >= self._max_per_address):
            return False
        self._total += 1
        self._by_address[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._total -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]


class _Connection(RequestHandler):
    """One connection under guard. aiohttp itself ends it when no new request is complete 65 s after an answer."""

    __slots__ = ("_address", "_error_headers", "_gate", "_head_timer")

    def __init__(self, manager: web.Server, gate: _Gate, error_headers: Callable[[web.BaseRequest], Mapping[str, str]], **options: Any) -> None:
        super().__init__(manager, **options)
        self._gate, self._error_headers = gate, error_headers
        self._address: str | None = None
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else ""
        if not self._gate.enter(address):
            transport.abort()  # type: ignore[attr-defined]
            return
        self._address = address
        super().connection_made(transport)
        self._head_timer = self._loop.call_later(self._gate.head_timeout_s, self._cut_when_silent)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._address is not None:
            self._gate.leave(self._address)
            self._address = None
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def _cut_when_silent(self) -> None:
        if self._request_count == 0 and self.transport is not None:
            self.transport.abort()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun, an error cannot be told any more") from exc
        headers = self._error_headers(request)
        if status >= 500:
            log.error("request.crashed", exc_info=exc)
            answer = error_answer(503, "unavailable", "relay failed on this request; its log says why", headers=headers, retry_after_s=5)
        else:
            answer = error_answer(status, "bad_request", "this is not a valid HTTP request", headers=headers)
        answer.force_close()
        return answer

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        if isinstance(resp, web.HTTPException) and resp.status >= 400 and resp.content_type == "text/plain":
            code = "not_found" if resp.status == 404 else "bad_request"  # raised by aiohttp below every route, such as for CONNECT
            resp = error_answer(resp.status, code, resp.reason, headers=self._error_headers(request))
        return super().finish_response(request, resp, start_time)


def _no_headers(_: web.BaseRequest) -> Mapping[str, str]:
    return {}


class Listener:
    """One address that serves one application: `start()`, `stop_accepting()`, `close()`; also `async with`.

    `listen`: `host:port` (port 0: any free one) or `unix:/path`. `error_headers`: what answers below the application carry (CORS).
    """

    def __init__(
        self,
        app: web.Application,
        listen: str,
        guards: Guards | None = None,
        *,
        error_headers: Callable[[web.BaseRequest], Mapping[str, str]] = _no_headers,
        inflate: bool = False,
    ) -> None:
        """`inflate`: aiohttp opens compressed bodies by itself; the tracking API does that on its own, within its limits."""
        self._app, self._listen, self._guards = app, listen, guards or Guards()
        self._error_headers, self._inflate = error_headers, inflate
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._socket_path: Path | None = None
        self.port = 0
        self.urls: list[str] = []

    async def start(self) -> None:
        """Bind and serve; OSError when the address is taken, ConfigError when it or the certificate is wrong."""
        tls = self._tls()
        runner = web.AppRunner(self._app, access_log=None)
        await runner.setup()
        self._runner = runner
        try:
            await self._bind(runner, tls)
        except BaseException:
            await self.close(0)
            raise

    async def _bind(self, runner: web.AppRunner, tls: ssl.SSLContext | None) -> None:
        loop, gate, manager = asyncio.get_running_loop(), _Gate(self._guards), runner.server
        assert manager is not None

        def connect() -> _Connection:
            return _Connection(
                manager,
                gate,
                self._error_headers,
                loop=loop,
                access_log=None,
                keepalive_timeout=KEEP_ALIVE_S,
                lingering_time=LINGER_S,
                max_line_size=MAX_LINE_BYTES,
                max_field_size=MAX_LINE_BYTES,
                max_headers=MAX_HEADERS,
                auto_decompress=self._inflate,
            )

        shake_s = self._guards.head_timeout_s if tls else None
        if self._listen.startswith("unix:"):
            path = self._listen.removeprefix("unix:")
            self._server = await loop.create_unix_server(connect, path, ssl=tls, ssl_handshake_timeout=shake_s, backlog=BACKLOG)
            self._socket_path, self.urls = Path(path), [self._listen]
            return
        host, port = parse_listen(self._listen)
        self._server = await loop.create_server(connect, host or None, port, ssl=tls, ssl_handshake_timeout=shake_s, backlog=BACKLOG)
        scheme = "https" if tls else "http"
        for bound in self._server.sockets:
            name, self.port = bound.getsockname()[:2]
            self.urls.append(f"{scheme}://[{name}]:{self.port}" if ":" in name else f"{scheme}://{name}:{self.port}")

    def _tls(self) -> ssl.SSLContext | None:
        if not self._guards.tls_cert:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self._guards.tls_cert, self._guards.tls_key or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"the TLS certificate cannot be read: {error}") from error
        return context

    def stop_accepting(self) -> None:
        """Take no new connection; those that are open go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def close(self, timeout_s: float = 20) -> None:
        """Stop accepting, let the requests in progress end within `timeout_s`, then close every connection."""
        self.stop_accepting()
        runner, self._runner = self._runner, None
        if runner is not None:
            if runner.server is not None:
                runner.server.pre_shutdown()
                await runner.server.shutdown(timeout_s)
            await runner.cleanup()
        if self._socket_path is not None:
            self._socket_path.unlink(missing_ok=True)
            self._socket_path = None

    async def __aenter__(self) -> "Listener":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close(1)


def parse_listen(listen: str) -> tuple[str, int]:
    """`host:port` as (host, port); an IPv6 address stands in brackets, an empty host means every address."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f'"{listen}" is no address to listen on; write "host:port" or "unix:/path"')
    return host.removeprefix("[").removesuffix("]"), int(port)

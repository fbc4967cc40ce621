"""A real receiver on a real socket that answers as the test says: it can fail, stall, reset, drip, redirect, break off, and be away.

async with Receiver() as receiver:
    receiver.script(answer(503, {"retry-after": "2"}), reset())   # first request, second request
    receiver.default = answer(200, body=b"ok")                    # all that follow
    ...
    assert receiver.requests[0].json == {...}
"""

import asyncio
import json
import socket
import struct
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came; header names are lower case, `at` is monotonic seconds."""

    method: str
    path: str
    """Path with the query."""
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Behaviour = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def answer(status: int = 200, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Behaviour:
    """A plain answer."""

    async def behave(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, headers=headers, body=body)

    return behave


def redirect(url: str, status: int = 302) -> Behaviour:
    """Send the caller elsewhere."""
    return answer(status, {"location": url})


def stall(seconds: float, then: Behaviour | None = None) -> Behaviour:
    """Say nothing for a while, then answer (200 unless told otherwise)."""

    async def behave(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await (then or answer())(request)

    return behave


def reset() -> Behaviour:
    """Cut the connection with a TCP reset before any answer."""

    async def behave(request: web.BaseRequest) -> web.StreamResponse:
        _reset(request)
        return web.Response()

    return behave


def raw(data: bytes) -> Behaviour:
    """Write bytes that may not be HTTP, then close."""

    async def behave(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(data)
        request.transport.close()
        return web.Response()

    return behave


def drip(body: bytes, gap: float, status: int = 200) -> Behaviour:
    """The head at once, then one byte of the body every `gap` seconds."""

    async def behave(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        response.content_length = len(body)
        await response.prepare(request)
        for position in range(len(body)):
            await asyncio.sleep(gap)
            await response.write(body[position : position + 1])
        return response

    return behave


def half_answer(status: int = 200, body: bytes = b'{"half":') -> Behaviour:
    """A whole head that promises twice the body that comes, then a cut connection."""
    head = f"HTTP/1.1 {status} Half\r\ncontent-length: {2 * len(body)}\r\n\r\n".encode()
    return raw(head + body)


def half_head() -> Behaviour:
    """An answer that breaks off inside its head."""
    return raw(b"HTTP/1.1 200 OK\r\ncontent-le")


class Receiver:
    """The receiver. `script` is used up request by request, then `default` answers; `by_path` overrides both."""

    def __init__(self, *, tls: Any = None) -> None:
        self.requests: list[Received] = []
        self.default: Behaviour = answer()
        self.by_path: dict[str, Behaviour] = {}
        self.in_flight = 0
        self.most_in_flight = 0
        self.port = 0
        self._script: deque[Behaviour] = deque()
        self._tls = tls
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None
        self._transports: set[asyncio.BaseTransport] = set()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def allow(self) -> list[str]:
        """The `allow_private` entry that this receiver needs."""
        return [f"127.0.0.1:{self.port}"]

    @property
    def count(self) -> int:
        return len(self.requests)

    @property
    def bodies(self) -> list[Any]:
        """The JSON of every request, in order."""
        return [request.json for request in self.requests]

    @property
    def connections(self) -> int:
        """How many connections requests came over, up to now."""
        return len(self._transports)

    def script(self, *behaviours: Behaviour) -> None:
        """Queue behaviours for the next requests, one each."""
        self._script.extend(behaviours)

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await self._runner.setup()
        await self.reopen()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def refuse(self) -> None:
        """Be away: close the listener and every connection, so that callers are refused."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
        for transport in self._transports:
            transport.close()

    async def reopen(self) -> None:
        """Come back on the same port."""
        assert self._runner is not None
        if self._site is None:
            site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls, reuse_address=True)
            await site.start()
            self._site = site
            self.port = self._runner.addresses[0][1]

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Refuse connections within the block."""
        await self.refuse()
        try:
            yield
        finally:
            await self.reopen()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None:
            self._transports.add(request.transport)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            body = await request.read()
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.requests.append(Received(request.method, request.path_qs, headers, body, time.monotonic()))
            behaviour = self.by_path.get(request.path) or (self._script.popleft() if self._script else self.default)
            return await behaviour(request)
        finally:
            self.in_flight -= 1


def _reset(request: web.BaseRequest) -> None:
    transport = request.transport
    assert transport is not None
    # Linger of zero seconds: closing sends RST instead of FIN.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()

"""The websocket `GET /ui/api/live`, subprotocol `relay.live.v1`: live rows for the browser and `relay tap`. `live_socket` is one connection of it."""

import asyncio
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

import structlog
from aiohttp import web

from relay.access.operator import Role
from relay.base import jsonio
from relay.base.clock import Clock
from relay.base.tasks import spawn
from relay.control.live import Live
from relay.errors import StoreError
from relay.web.auth import Gate, allowed
from relay.web.console.live_socket import BAD_MESSAGE, GOING_AWAY, MESSAGE_MAX_BYTES, NOT_SIGNED_IN, PROTOCOL, TOO_MANY, Socket

log = structlog.get_logger("relay.web")

HEARTBEAT_S: Final = 20.0
CHECK_EVERY: Final = 3
"""Beats between two looks at whether a viewer's token is still good."""


class LiveRoutes:
    """`GET live`. `close` says goodbye to all sockets; no route works after it."""

    def __init__(self, live: Live, gate: Gate, clock: Clock, *, version: str, max_viewers: int, mask_names: tuple[str, ...]) -> None:
        self._live = live
        self._gate = gate
        self._clock = clock
        self._version = version
        self._max_viewers = max_viewers
        self._mask_names = mask_names
        self._sockets: set[Socket] = set()
        self._beating: asyncio.Task[None] | None = None
        self._closed = False

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ui/api/live", self.live)]

    async def live(self, request: web.Request) -> web.StreamResponse:
        by = allowed(request, Role.VIEWER)
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, protocols=(PROTOCOL,), max_msg_size=MESSAGE_MAX_BYTES, timeout=1.0, compress=not _is_here(self._gate.address(request))
        )  # fmt: skip
        await socket.prepare(request)
        if socket.ws_protocol != PROTOCOL:
            await socket.close(code=BAD_MESSAGE, message=b"subprotocol")
        elif self._closed:
            await socket.close(code=GOING_AWAY)
        elif len(self._sockets) >= self._max_viewers:
            await socket.close(code=TOO_MANY, message=b"too many viewers")
        else:
            await self._serve(Socket(socket, request, by, self._live, self._clock, self._mask_names))
        return socket

    async def _serve(self, socket: "Socket") -> None:
        self._sockets.add(socket)
        if self._beating is None:
            self._beating = spawn(self._beat(), name="live-beat")
            self._beating.add_done_callback(_beat_ended)
        try:
            await self._live.enter()
            await socket.run(self._version)
        finally:
            self._sockets.discard(socket)
            self._live.leave()
            if not self._sockets and self._beating is not None:
                self._beating.cancel()
                self._beating = None

    async def _beat(self) -> None:
        """Once a second, for all: the figures; now and then, whether each viewer may still look."""
        beats = 0
        while True:
            try:
                stats = jsonio.dumps({"t": "stats", **await self._live.beat()})
            except StoreError as error:
                log.warning("live.no_figures", error=error.message)
                stats = b""
            for socket in list(self._sockets):
                socket.tell(stats)
            if beats % CHECK_EVERY == CHECK_EVERY - 1:
                for socket in list(self._sockets):
                    if not await self._gate.still_valid(socket.by):
                        socket.end(NOT_SIGNED_IN)
            beats += 1
            await asyncio.sleep(1)

    def announce(self, alert: Mapping[str, Any]) -> None:
        """An alert opened or closed."""
        message = jsonio.dumps({"t": "alert", "alert": alert})
        for socket in self._sockets:
            socket.announce(message)

    async def close(self) -> None:
        """Say goodbye; returns when the sockets are closed, or after two seconds."""
        self._closed = True
        for socket in list(self._sockets):
            socket.end(GOING_AWAY)
        try:
            async with asyncio.timeout(2):
                while self._sockets:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            log.warning("live.left_open", sockets=len(self._sockets))
        self._live.close()


def _is_here(address: str) -> bool:
    """Whether the peer is on this machine: to compress for it is a third of what a viewer costs, and saves nothing."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return not address  # a unix socket


def _beat_ended(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("live.beat_failed", exc_info=error)

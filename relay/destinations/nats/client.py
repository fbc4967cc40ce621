"""The NATS client behind the address guard: it dials by relay's own means, once, and leaves trying again to relay."""

import asyncio
from typing import Any
from urllib.parse import ParseResult

from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.errors import NoServersError

from relay.errors import DeliveryError, Misconfigured
from relay.kit.sink import Connect


class GuardedClient(Client):
    """Raises DeliveryError out of `connect` for addresses that may not be dialled or do not answer."""

    def __init__(self, dial: Connect, *, is_tls: bool) -> None:
        super().__init__()
        self._dial = dial
        self._is_tls = is_tls

    async def abandon(self) -> None:
        """Close whatever is open, also within a `connect` that did not end."""
        await self._close(Client.CLOSED, False)
        if self._transport:
            self._transport.close()  # type: ignore[no-untyped-call]

    async def _select_next_server(self) -> None:
        failure: DeliveryError | None = None
        for server in self._server_pool:
            self._transport = GuardedTransport(self._dial)
            try:
                await self._transport.connect(server.uri, buffer_size=65_536, connect_timeout=0)
            except DeliveryError as error:
                failure = failure or error
            else:
                self._current_server = server
                return
        raise failure or NoServersError

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Called with the server's greeting, before anything secret is sent."""
        if initial_connection and self._is_tls and not info.get("tls_required"):
            raise Misconfigured("the server does not ask for TLS; set security to plain if that is meant so")
        await super()._process_info({**info, "connect_urls": None}, initial_connection)


class GuardedTransport(TcpTransport):
    """A TCP connection that the address guard has let through."""

    def __init__(self, dial: Connect) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._dial = dial

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """`dial` has a time limit of its own."""
        made = await self._dial(uri.hostname or "", uri.port or 0)
        reader, writer = await asyncio.open_connection(sock=made, limit=buffer_size)
        self._bare_io_reader = self._io_reader = reader
        self._bare_io_writer = self._io_writer = writer

    def close(self) -> None:
        """At once: what counts has been answered, and a TLS farewell may wait for the other side for half a minute."""
        for writer in (self._io_writer, self._bare_io_writer):
            if writer is not None:
                writer.transport.abort()

    async def wait_closed(self) -> None:
        """There is nothing to wait for."""

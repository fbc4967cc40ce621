"""The Redis client behind the address guard: it dials by relay's own means, once, and leaves trying again to relay."""

import asyncio
import ssl
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from relay.kit.sink import Connect


class GuardedConnection(Connection):
    """A TCP connection that the address guard has let through, with TLS if there is a context. Raises DeliveryError when it has not."""

    def __init__(self, *, dial: Connect, tls: ssl.SSLContext | None, **options: Any) -> None:
        super().__init__(**options)
        self._dial = dial
        self._tls = tls

    async def _connect(self) -> None:
        """`dial` has a time limit of its own."""
        made = await self._dial(self.host, self.port)
        async with asyncio.timeout(self.socket_connect_timeout):
            name = self.host if self._tls else None
            self._reader, self._writer = await asyncio.open_connection(sock=made, ssl=self._tls, server_hostname=name)


def guarded_client(dial: Connect, tls: ssl.SSLContext | None, *, step_s: float, **options: Any) -> Redis:
    """A client with one connection, which is made at the first command."""
    pool = ConnectionPool(
        connection_class=GuardedConnection,
        max_connections=1,
        dial=dial,
        tls=tls,
        socket_timeout=step_s,
        socket_connect_timeout=step_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        client_name="relay",
        **options,
    )
    return Redis.from_pool(pool)

"""A real redis-server, and a client that reads what its streams hold.

async with RedisServer(tmp_path / "redis") as server:
    ...
    assert len(await server.entries("events:web")) == 3
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from tests.support.daemon import Daemon, program


class RedisServer(Daemon):
    """`options`: more of its command line, `password`: how this client logs in, `tls`: its certificate and key. It keeps what it has over restarts."""

    def __init__(self, folder: Path, *options: str, password: str | None = None, tls: tuple[Path, Path] | None = None) -> None:
        super().__init__(folder)
        self._options = options
        self._password = password
        self._tls = tls
        self._client: Redis | None = None

    def command(self) -> Sequence[str]:
        bound = ["--bind", "127.0.0.1", "--dir", str(self.folder), "--port", "0" if self._tls else str(self.port)]
        if self._tls:
            cert, key = map(str, self._tls)
            bound += [
                "--tls-port",
                str(self.port),
                "--tls-cert-file",
                cert,
                "--tls-key-file",
                key,
                "--tls-ca-cert-file",
                cert,
                "--tls-auth-clients",
                "no",
            ]
        return [program("redis-server"), *bound, "--save", "", "--appendonly", "yes", "--appendfsync", "always", *self._options]

    @property
    def client(self) -> Redis:
        if self._client is None:
            trusted = {"ssl": True, "ssl_ca_certs": str(self._tls[0])} if self._tls else {}
            self._client = Redis(host="127.0.0.1", port=self.port, password=self._password, **trusted)
        return self._client

    async def entries(self, key: str) -> list[dict[bytes, bytes]]:
        """All entries of a stream, in its order."""
        found: list[Any] = await self.client.xrange(key)
        return [fields for _, fields in found]

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.aclose()
        self.stop()

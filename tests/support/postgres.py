"""A real PostgreSQL in a process and folder of its own, on a free port, as a user that is not root.

with PostgresServer() as server:
    await server.fetchval("SELECT count(*) FROM web.tracks")
"""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import asyncpg

from tests.support.installed import ensure
from tests.support.process import free_ports

USER, PASSWORD, DATABASE = "relay", "s3cret-canary", "events"
_START_S = 30.0
_PLACES = "/usr/lib/postgresql/*/bin/postgres"


class PostgresServer:
    """The server. Restarts keep data and port. Nothing is left behind at the end of the block."""

    def __init__(self) -> None:
        self.port = free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()
        self._bin = Path()

    @property
    def allow(self) -> list[str]:
        """The `allow_private` entry that this server needs."""
        return [f"127.0.0.1:{self.port}"]

    @property
    def settings(self) -> dict[str, Any]:
        """Of a destination."""
        return {"host": "127.0.0.1", "port": self.port, "database": DATABASE, "user": USER, "password": PASSWORD, "tls": "disable"}

    def start(self) -> None:
        """Start and wait until it takes connections."""
        options = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self._folder}", "-p", str(self.port)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._folder / "data", *options], stdout=log, stderr=log, **self._as_user()
            )
        end = time.monotonic() + _START_S
        while self._psql("SELECT 1"):
            assert time.monotonic() < end, (self._folder / "log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """As an operator stops it at once; sessions break."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(20)
            self._process = None

    async def connect(self, database: str = DATABASE, user: str = "postgres", password: str = PASSWORD) -> Any:
        return await asyncpg.connect(host="127.0.0.1", port=self.port, user=user, password=password, database=database, ssl=False)

    async def execute(self, statement: str) -> None:
        connection = await self.connect()
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def fetch(self, query: str) -> list[Any]:
        connection = await self.connect()
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    async def fetchval(self, query: str) -> Any:
        return (await self.fetch(query))[0][0]

    def __enter__(self) -> Self:
        ensure("postgres", "postgresql", glob.glob(_PLACES))
        self._bin = Path(max(glob.glob(_PLACES), default=shutil.which("postgres"))).resolve().parent
        self._folder = Path(tempfile.mkdtemp(prefix="relay-pg-"))
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make(self) -> None:
        as_user = self._as_user()
        if as_user:
            os.chown(self._folder, as_user["user"], -1)
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        order = [self._bin / "initdb", "-D", self._folder / "data", "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8"]
        made = subprocess.run([*order, "--no-sync", "--locale=C"], capture_output=True, **as_user)
        assert made.returncode == 0, made.stderr
        self.start()
        for statement in (f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'", f"CREATE DATABASE {DATABASE} OWNER {USER}"):
            assert self._psql(statement) == 0

    def trust(self, folder: Path) -> str:
        """Switch TLS on, with a certificate of its own; the file to trust."""
        key, cert = self._folder / "data/server.key", self._folder / "data/server.crt"
        order = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=pg"]
        order += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
        subprocess.run(order, check=True, capture_output=True, **self._as_user())
        assert self._psql("ALTER SYSTEM SET ssl = on") == self._psql("SELECT pg_reload_conf()") == 0
        return str(shutil.copy(cert, folder / "server.crt"))

    def _psql(self, statement: str) -> int:
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-X", "-c", statement]
        return subprocess.run([self._bin / "psql", *where], capture_output=True, env=os.environ | {"PGPASSWORD": PASSWORD}).returncode

    def _as_user(self) -> dict[str, Any]:
        """PostgreSQL does not run as root."""
        if os.geteuid() != 0:
            return {}
        account = pwd.getpwnam("postgres")
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/"}

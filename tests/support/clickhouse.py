"""A real ClickHouse in a process and folder of its own, on a free port.

with ClickHouseServer() as server:
    await server.fetchval("SELECT count() FROM web.tracks FINAL")
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.support.installed import ensure
from tests.support.process import free_ports

USER, PASSWORD = "relay", "s3cret-canary"
_START_S = 30.0
_CONFIG = """<yandex>
<logger><level>error</level><console>1</console></logger>
<http_port>{http}</http_port><tcp_port>{tcp}</tcp_port><listen_host>127.0.0.1</listen_host>
<path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path>
<mark_cache_size>16777216</mark_cache_size>
<users_config>users.xml</users_config><default_profile>default</default_profile><default_database>default</default_database>
</yandex>"""
_USERS = f"""<yandex>
<profiles><default><max_memory_usage>1000000000</max_memory_usage></default><readonly><readonly>1</readonly></readonly></profiles>
<users>
<{USER}><password>{PASSWORD}</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></{USER}>
<reader><password>{PASSWORD}</password><networks><ip>::/0</ip></networks><profile>readonly</profile><quota>default</quota></reader>
</users>
<quotas><default/></quotas>
</yandex>"""


class ClickHouseServer:
    """The server. Restarts keep data and port. Nothing is left behind at the end of the block."""

    def __init__(self) -> None:
        self.port, self._tcp_port = free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def allow(self) -> list[str]:
        """The `allow_private` entry that this server needs."""
        return [f"127.0.0.1:{self.port}"]

    @property
    def settings(self) -> dict[str, Any]:
        """Of a destination."""
        return {"url": self.url, "user": USER, "password": PASSWORD}

    def start(self) -> None:
        """Start and wait until it answers."""
        account = pwd.getpwnam("clickhouse") if os.geteuid() == 0 else None
        as_user: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        with (self._folder / "log").open("ab") as log:
            order = ["clickhouse-server", f"--config-file={self._folder / 'config.xml'}"]
            self._process = subprocess.Popen(order, stdout=log, stderr=log, cwd=self._folder, **as_user)
        end = time.monotonic() + _START_S
        while not self._answers():
            assert time.monotonic() < end and self._process.poll() is None, (self._folder / "log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once; what it has acknowledged stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(20)
            self._process = None

    async def execute(self, query: str) -> str:
        async with aiohttp.ClientSession() as session:
            headers = {"X-ClickHouse-User": USER, "X-ClickHouse-Key": PASSWORD}
            async with session.post(self.url, data=query.encode(), headers=headers) as answer:
                text = await answer.text()
                assert answer.status == 200, text
                return text

    async def fetch(self, query: str) -> list[tuple[str, ...]]:
        return [tuple(line.split("\t")) for line in (await self.execute(f"{query} FORMAT TabSeparated")).splitlines()]

    async def count(self, table: str) -> int:
        """Rows with different keys; 0 when there is no such table yet."""
        database, _, name = table.partition(".")
        if not await self.fetch(f"SELECT 1 FROM system.tables WHERE database = '{database}' AND name = '{name}'"):
            return 0
        return int((await self.fetch(f"SELECT count() FROM {table} FINAL"))[0][0])

    def __enter__(self) -> Self:
        ensure("clickhouse-server", "clickhouse-server")
        self._folder = Path(tempfile.mkdtemp(prefix="relay-ch-"))
        try:
            (self._folder / "config.xml").write_text(_CONFIG.format(http=self.port, tcp=self._tcp_port, folder=self._folder))
            (self._folder / "users.xml").write_text(_USERS)
            for name in ("data", "tmp"):
                (self._folder / name).mkdir()
            if os.geteuid() == 0:
                for path in (self._folder, *self._folder.iterdir()):
                    shutil.chown(path, "clickhouse")
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

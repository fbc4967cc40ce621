"""A real `relay serve` in its own process, with a folder, two ports that it keeps over restarts, and everything it wrote.

async with RelayProcess(tmp_path, config=TOML) as relay:
    ...  # relay.tracking_url, relay.ui_url
    relay.kill()
    await relay.start()                       # same data, same ports
    assert await relay.terminate() == 0

Whatever happens in the block, no process is left behind.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

START_LIMIT_S = 20.0
STOP_LIMIT_S = 45.0
"""As long as the service unit waits."""


class RelayProcess:
    """One relay over `folder`: `relay.toml`, `data/`, `stdout.txt`, `stderr.txt`. The output of all starts is kept, one after the other."""

    def __init__(self, folder: Path, config: str = "", *, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> None:
        self.folder, self.data = folder, folder / "data"
        self.config_path = folder / "relay.toml"
        self.arguments = list(arguments)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")} | dict(environment or {})
        self.port, self.ui_port = free_ports(2)
        self._stdout, self._stderr = folder / "stdout.txt", folder / "stderr.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(config)

    @property
    def tracking_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ui_url(self) -> str:
        return f"http://127.0.0.1:{self.ui_port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """What all starts up to now wrote to stdout."""
        return self._stdout.read_text(errors="replace") if self._stdout.exists() else ""

    @property
    def errors(self) -> str:
        """What all starts up to now wrote to stderr: the log."""
        return self._stderr.read_text(errors="replace") if self._stderr.exists() else ""

    @property
    def cli_token(self) -> str:
        """What lets a command on this machine in; new at each start."""
        return (self.data / "cli.token").read_text().strip()

    def configure(self, config: str) -> None:
        """Write the configuration file; a running relay reads it at `reload()`, a stopped one at `start()`."""
        beside = self.config_path.with_suffix(".new")
        beside.write_text(config)
        beside.replace(self.config_path)

    async def start(self, timeout_s: float = START_LIMIT_S) -> None:
        """Start and wait for the line `relay ready`; fails with the whole output when relay ends or does not come up in time."""
        self.spawn()
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while not self.is_ready():
            assert self.running, f"relay ended with {self.code}\n{self.output[self._from :]}\n{self.errors}"
            assert loop.time() < end, f"relay was not ready within {timeout_s} s\n{self.output[self._from :]}\n{self.errors}"
            await asyncio.sleep(0.02)

    def spawn(self) -> None:
        """Start without waiting."""
        assert not self.running, "relay runs already"
        self._from = len(self.output)
        command = [sys.executable, "-m", "relay", "serve", "--config", str(self.config_path), "--data", str(self.data)]
        command += ["--listen", f"127.0.0.1:{self.port}", "--ui-listen", f"127.0.0.1:{self.ui_port}", *self.arguments]
        with self._stdout.open("ab") as out, self._stderr.open("ab") as err:
            self._process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def is_ready(self) -> bool:
        """Has the latest start said so?"""
        return any(line.startswith("relay ready") for line in self.output[self._from :].splitlines())

    @property
    def code(self) -> int | None:
        """The exit code of the latest start, negative for a signal; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def reload(self) -> None:
        """SIGHUP: read the configuration again."""
        self.signal(signal.SIGHUP)

    def kill(self) -> None:
        """SIGKILL, as a crash does it: nothing is flushed, nothing is closed."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    async def terminate(self, timeout_s: float = STOP_LIMIT_S) -> int:
        """SIGTERM, then wait for the end; returns the exit code."""
        self.signal(signal.SIGTERM)
        return await self.ended(timeout_s)

    async def ended(self, timeout_s: float = STOP_LIMIT_S) -> int:
        """Wait for the end without asking for it; returns the exit code."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while (code := self.code) is None:
            assert loop.time() < end, f"relay did not stop within {timeout_s} s\n{self.errors}"
            await asyncio.sleep(0.02)
        return code

    async def restart(self) -> int:
        """A polite stop and a new start on the same data; returns the exit code of the stop."""
        code = await self.terminate()
        await self.start()
        return code

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self._clean()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._clean()

    def _clean(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; all are held until all are found, so they differ."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()

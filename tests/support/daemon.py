"""A real server of another system in a process of its own: on a port that it keeps over restarts, its data in a folder, stopped by its pid.

A server that is missing fails the test; `scripts/check` installs it.
"""

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.support.process import free_ports

START_LIMIT_S = 20.0


class Daemon:
    """`async with` starts it and ends it, whatever happens in the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def allow(self) -> list[str]:
        """The `allow_private` entry that this server needs."""
        return [self.address]

    async def start(self) -> None:
        """Start it and wait until it takes connections."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "output.txt").open("ab") as out:
            self._process = subprocess.Popen(list(self.command()), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        loop = asyncio.get_running_loop()
        end = loop.time() + START_LIMIT_S
        while not self._answers():
            assert self._process.poll() is None, self.output
            assert loop.time() < end, self.output
            await asyncio.sleep(0.02)

    def stop(self) -> None:
        """SIGKILL, and wait for the end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text(errors="replace")

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()


def program(name: str) -> str:
    """A program of this environment, or of the machine."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is not installed; scripts/check does that"
    return found

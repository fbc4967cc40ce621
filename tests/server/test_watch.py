"""`relay tap` and `relay top`, as a person runs them, against a real relay."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.app import source, webhook
from tests.support.process import RelayProcess
from tests.support.receiver import Receiver, answer
from tests.support.waiting import eventually


class Command:
    """A running command, and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.talk: list[str] = []

    async def follow(self) -> None:
        async with asyncio.TaskGroup() as group:
            for stream, lines in ((self.process.stdout, self.lines), (self.process.stderr, self.talk)):
                group.create_task(self._read(stream, lines))

    async def _read(self, stream: Any, lines: list[str]) -> None:
        async for line in stream:
            lines.append(line.decode().rstrip("\n"))

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@contextlib.asynccontextmanager
async def command(relay: RelayProcess, *words: str) -> AsyncIterator[Command]:
    words = ("-m", "relay", *words, "--url", relay.ui_url, "--data", str(relay.data))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=relay.folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )  # fmt: skip
    one = Command(process)
    reading = asyncio.create_task(one.follow())
    try:
        yield one
        async with asyncio.timeout(20):
            await process.wait()
            await reading
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


async def run(relay: RelayProcess, *words: str) -> tuple[int | None, Command]:
    async with command(relay, *words) as one:
        pass
    return one.process.returncode, one


async def send(relay: RelayProcess, *names: str) -> None:
    batch = [{"type": "track", "userId": "u1", "event": name} for name in names]
    async with aiohttp.ClientSession() as http, http.post(f"{relay.tracking_url}/v1/batch", json={"batch": batch, "writeKey": "wk_web"}) as response:
        assert response.status == 200


async def test_tap_prints_a_row_once_with_its_outcome_and_comes_back_after_a_restart(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.by_path = {"/bad": answer(400)}
        config = source() + webhook("good", receiver) + webhook("bad", receiver)
        async with RelayProcess(tmp_path, config) as relay:
            await send(relay, "Old 1", "Old 2")
            async with command(relay, "tap", "event:Old*,New*", "--limit", "4", "--past", "1", "--json") as tap:
                await eventually(lambda: len(tap.lines) == 1, 15)
                await send(relay, "New 1", "Other")
                await eventually(lambda: len(tap.lines) == 2, 10)
                await relay.restart()
                await send(relay, "New 2", "New 3")
            assert tap.process.returncode == 0
            assert [row["name"] for row in tap.rows[:2]] == ["Old 2", "New 1"]
            assert tap.rows[1]["to"] == {"good": "delivered", "bad": "dead"}
            assert sorted(row["name"] for row in tap.rows[2:]) == ["New 2", "New 3"]
            assert any("relay stopped" in line for line in tap.talk)
            assert not any("may be missing" in line for line in tap.talk)


async def test_tap_ends_in_time_and_tells_when_nothing_matched(tmp_path: Path) -> None:
    async with RelayProcess(tmp_path, source()) as relay:
        await send(relay, "One")
        code, tap = await run(relay, "tap", "event:None", "--for", "1s")
        assert (code, tap.lines) == (4, [])
        code, tap = await run(relay, "tap", "--for", "1s")
        assert (code, [row["name"] for row in tap.rows]) == (0, ["One"])
        code, tap = await run(relay, "tap", "foo", "evnt:x")
        assert (code, tap.talk) == (2, ["error: unknown field 'evnt', did you mean 'event'?", "  foo evnt:x", "      ^"])
        code, tap = await run(relay, "tap", "--token", "wrong")
        assert code == 77
        assert "wrong" not in " ".join(tap.talk)
        await relay.terminate()
        code, tap = await run(relay, "tap")
        assert code == 69


@pytest.mark.parametrize("words", [("top",), ("top", "--once", "--json", "--sort", "name")])
async def test_top_without_a_terminal_prints_one_document(tmp_path: Path, words: tuple[str, ...]) -> None:
    async with Receiver() as receiver, RelayProcess(tmp_path, source() + webhook("hook", receiver)) as relay:
        async with command(relay, *words) as top:
            await send(relay, "One")
        assert top.process.returncode == 0
        figures = json.loads("\n".join(top.lines))
        assert figures["dest"]["hook"]["state"] == "running"
        assert {"at", "window_s", "in_rate", "alerts", "sources", "dest"} == set(figures)
        assert {"rate", "backlog", "oldest_s", "retry", "dead", "state", "success", "p95_ms"} == set(figures["dest"]["hook"])


async def test_top_draws_on_a_terminal_and_takes_keys(tmp_path: Path) -> None:
    import pty

    async with Receiver() as receiver, RelayProcess(tmp_path, source() + webhook("hook", receiver)) as relay:
        ours, theirs = pty.openpty()
        environment = os.environ | {"COLUMNS": "70", "LINES": "20", "TERM": "xterm"}
        words = ("-m", "relay", "top", "--url", relay.ui_url, "--data", str(relay.data))
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, cwd=relay.folder, env=environment, stdin=theirs, stdout=theirs, stderr=asyncio.subprocess.PIPE
        )  # fmt: skip
        os.close(theirs)
        os.set_blocking(ours, False)
        seen = ""

        def read() -> str:
            nonlocal seen
            with contextlib.suppress(BlockingIOError, OSError):
                seen += os.read(ours, 65_536).decode(errors="replace")
            return seen

        try:
            await eventually(lambda: "hook" in read() and "sorted by backlog" in seen, 15)
            os.write(ours, b"s")
            await eventually(lambda: "sorted by rate" in read(), 10)
            assert "p95" not in seen
            os.write(ours, b"q")
            async with asyncio.timeout(10):
                while process.returncode is None:
                    read()
                    await asyncio.sleep(0.05)
            assert process.returncode == 0
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            os.close(ours)

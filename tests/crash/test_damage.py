"""A database that must not be used: relay says so in one line, with the code of the table, and leaves every byte as it was."""

import hashlib
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.crash.books import assert_books, doors, message_ids
from tests.crash.traffic import track
from tests.support.process import RelayProcess
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

pytestmark = [pytest.mark.crash]

KEY = "wk_damage"
EVENTS = 400
DAMAGED, LOCKED, IO_ERROR = 65, 3, 74
CONFIG = """
[log]
level = "warning"
[[source]]
slug = "app"
write_key = "{key}"
[[destination]]
slug = "orders"
type = "webhook"
sources = ["app"]
allow_private = ["127.0.0.1:{port}"]
settings = {{ url = "http://127.0.0.1:{port}/hook" }}
"""


@asynccontextmanager
async def relay_with_history(folder: Path) -> AsyncIterator[tuple[RelayProcess, Receiver]]:
    """A running relay that has delivered EVENTS events."""
    async with Receiver() as receiver, RelayProcess(folder, CONFIG.format(key=KEY, port=receiver.port)) as relay:
        async with aiohttp.ClientSession() as session:
            for first in range(0, EVENTS, 100):
                batch = [track(f"u{number % 9}", number, 400) for number in range(first, first + 100)]
                async with session.post(f"{relay.tracking_url}/v1/batch", json={"writeKey": KEY, "batch": batch}) as response:
                    assert response.status == 200
        await eventually(lambda: len(receiver.requests) >= EVENTS, 20)
        yield relay, receiver


def fingerprint(data: Path) -> dict[str, str]:
    """Every file with data in it. Not: lock and token, and what SQLite makes beside a file to read it (an index, an empty WAL)."""
    files = [path for path in sorted(data.rglob("*")) if path.is_file() and path.name not in ("relay.lock", "cli.token", "relay.db-shm")]
    files = [path for path in files if path.name != "relay.db-wal" or path.stat().st_size]
    return {str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def run(relay: RelayProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command on the data folder."""
    return subprocess.run(
        [sys.executable, "-m", "relay", *arguments, "--data", str(relay.data)], env=relay.environment, capture_output=True, text=True, timeout=60
    )


async def refused(relay: RelayProcess) -> tuple[int, list[str]]:
    """The exit code and the lines on stderr of a start that must not succeed."""
    before = len(relay.errors)
    relay.spawn()
    code = await relay.ended(30)
    assert not relay.is_ready()
    return code, relay.errors[before:].splitlines()


def kept_files(data: Path, pattern: str) -> list[str]:
    """The hashes of the databases that were put aside."""
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in data.glob(pattern) if not file.name.endswith(("-wal", "-shm"))]


def noise_over(path: Path, pages: Iterable[int]) -> None:
    """Pages counted from 0."""
    with path.open("r+b") as file:
        for page in pages:
            file.seek(page * 4096)
            file.write(random.Random(page).randbytes(4096))


def noise_in_the_middle(path: Path) -> None:
    noise_over(path, range(6, path.stat().st_size // 4096, 3))


def noise_over_the_root(path: Path) -> None:
    """The page that leads to all events, and the one that knows which pages are the log's."""
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'log'").fetchone()
    noise_over(path, [1, root - 1])


def noise_over_a_third(path: Path) -> None:
    """One of three: the root of the log, the pointer map and the cursors are among them, header and list of tables are not."""
    with closing(sqlite3.connect(path)) as connection:
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master").fetchall())
    chosen = {1, roots["log"] - 1, roots["cursor"] - 1}
    noise_over(path, chosen | set(random.Random(3).sample(range(max(roots.values()), pages := path.stat().st_size // 4096), pages // 3 - 3)))


def foreign_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"this is no database at all" * 8)


def half_a_file(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 900")


def of_another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
        connection.commit()


CASES: list[tuple[Callable[[Path], None], str]] = [
    (noise_in_the_middle, "relay recover"),
    (foreign_header, "relay restore"),
    (half_a_file, "relay recover"),
    (newer, "made by a newer relay"),
    (of_another_program, "not one of relay's"),
]


@pytest.mark.parametrize(("spoil", "words"), CASES, ids=[case[0].__name__ for case in CASES])
async def test_a_database_that_must_not_be_used_is_refused_and_left_byte_for_byte(tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    async with relay_with_history(tmp_path) as (relay, _):
        assert await relay.terminate() == 0
        set_unclean(relay.data / "relay.db")
        spoil(relay.data / "relay.db")
        before = fingerprint(relay.data)
        for _ in range(2):
            code, lines = await refused(relay)
            assert code == DAMAGED
            assert len(lines) == 1, lines
            assert "relay.db" in lines[0]
            assert words in lines[0]
            assert fingerprint(relay.data) == before


def set_unclean(path: Path) -> None:
    """As after a crash: the whole file is looked through at the start."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET value = 0 WHERE key = 'clean'")
        connection.commit()


async def test_a_wal_without_its_database_is_refused(tmp_path: Path) -> None:
    async with relay_with_history(tmp_path) as (relay, _):
        relay.kill()
        assert (relay.data / "relay.db-wal").stat().st_size > 0
        (relay.data / "relay.db").rename(tmp_path / "lost.db")
        before = fingerprint(relay.data)
        code, lines = await refused(relay)
        assert code == DAMAGED
        assert len(lines) == 1, lines
        assert fingerprint(relay.data) == before


SPOILT: list[tuple[Callable[[Path], None], int, int]] = [
    (noise_in_the_middle, EVENTS // 2, EVENTS - 1),
    (noise_over_a_third, EVENTS // 2, EVENTS - 1),
    (noise_over_the_root, EVENTS, EVENTS),
    (foreign_header, EVENTS, EVENTS),
]


@pytest.mark.parametrize(("spoil", "least", "most"), SPOILT)
async def test_recover_saves_what_is_readable_and_relay_starts_on_it(tmp_path: Path, spoil: Callable[[Path], None], least: int, most: int) -> None:
    async with relay_with_history(tmp_path) as (relay, receiver):
        assert await relay.terminate() == 0
        path = relay.data / "relay.db"
        set_unclean(path)
        spoil(path)
        spoilt = hashlib.sha256(path.read_bytes()).hexdigest()
        done = run(relay, "recover")
        assert done.returncode == 0, done.stderr
        assert kept_files(relay.data, "relay.db.corrupt-*") == [spoilt]
        found = message_ids(path)
        assert least <= len(found) <= most
        assert set(found.values()) == {1}
        assert ("relay replay --to" in done.stderr) == (not doors(path))  # the places of the destinations are lost: it is told
        await relay.start()
        await assert_works(relay, receiver)
        assert await relay.terminate() == 0
        assert_books(path)


async def test_restore_brings_a_backup_back_and_keeps_the_damaged_file(tmp_path: Path) -> None:
    async with relay_with_history(tmp_path) as (relay, receiver):
        backup = tmp_path / "monday.db"
        done = run(relay, "backup", str(backup))
        assert done.returncode == 0, done.stderr
        relay.kill()
        path = relay.data / "relay.db"
        foreign_header(path)
        spoilt = hashlib.sha256(path.read_bytes()).hexdigest()
        assert (await refused(relay))[0] == DAMAGED
        done = run(relay, "restore", str(backup), "--yes")
        assert done.returncode == 0, done.stderr
        assert kept_files(relay.data, "relay.db.before-restore-*") == [spoilt]
        assert_books(path)
        assert len(message_ids(path)) == EVENTS
        await relay.start()
        await assert_works(relay, receiver)
        assert await relay.terminate() == 0


async def assert_works(relay: RelayProcess, receiver: Receiver) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{relay.tracking_url}/v1/track", json={"writeKey": KEY, **track("after", 1, 10)}) as response,
    ):
        assert response.status == 200
    await eventually(lambda: any(body["messageId"] == "after-1" for body in receiver.bodies), 20)


async def test_a_second_relay_on_the_folder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    async with relay_with_history(tmp_path) as (relay, receiver):
        (tmp_path / "second").mkdir()
        second = RelayProcess(tmp_path / "second", relay.config_path.read_text())
        second.data = relay.data
        code, lines = await refused(second)
        assert code == LOCKED
        assert len(lines) == 1, lines
        assert f"pid {relay.pid}" in lines[0]
        for command in (["restore", str(relay.data / "relay.db"), "--yes"], ["recover"]):
            done = run(relay, *command)
            assert done.returncode == LOCKED, done.stderr
            assert str(relay.pid) in done.stderr
        await assert_works(relay, receiver)
        relay.kill()  # the lock dies with the process
        await relay.start()
        await assert_works(relay, receiver)


@contextmanager
def mounted_read_only(folder: Path) -> Iterator[None]:
    """The folder bound onto itself, read-only; root ignores modes, so only this is a read-only disk to it."""
    commands = [["mount", "--bind", str(folder), str(folder)], ["mount", "-o", "remount,bind,ro", str(folder)]]
    mounted = subprocess.run(commands[0], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.strip()}")
    try:
        subprocess.run(commands[1], check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_a_read_only_disk_refuses_the_start_in_one_line_and_changes_nothing(tmp_path: Path) -> None:
    async with relay_with_history(tmp_path) as (relay, receiver):
        assert await relay.terminate() == 0
        before = fingerprint(relay.data)
        with mounted_read_only(relay.data):
            code, lines = await refused(relay)
            assert code == IO_ERROR
            assert len(lines) == 1, lines
            assert str(relay.data) in lines[0]
        assert fingerprint(relay.data) == before
        await relay.start()
        await assert_works(relay, receiver)

"""Promises of the write queue and of opening a file."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from relay.base.clock import SystemClock
from relay.database import migrate
from relay.database.database import Database, Room, reserve_bytes
from relay.database.thread import SqliteThread
from relay.errors import DamagedError, StoreError
from tests.support.inline_sqlite import InlineThread


@asynccontextmanager
async def opened(path: Path, **options) -> AsyncIterator[Database]:
    fatal: list[Exception] = []
    database = await Database.open(path, clock=SystemClock(), on_fatal=options.pop("on_fatal", fatal.append), **options)
    try:
        yield database
    finally:
        async with asyncio.timeout(20):
            await database.close()
    assert fatal == []


def put(key: str, value: object = 1) -> Callable[[sqlite3.Connection], str]:
    def run(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (key, value))
        return key

    return run


def keys(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT key FROM meta WHERE key LIKE 't:%' ORDER BY rowid")]


def pragma(text: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute(f"PRAGMA {text}").fetchall()


@pytest.fixture(params=[SqliteThread, InlineThread], ids=["thread", "inline"])
def hop(request: pytest.FixtureRequest):
    return request.param


async def test_jobs_that_wait_share_a_commit_and_their_effects_keep_their_order(tmp_path: Path, hop) -> None:
    commits: list[tuple[float, int, int]] = []
    order: list[str] = []
    async with opened(tmp_path / "relay.db", hop=hop) as database:
        database.on_commit = lambda *stats: commits.append(stats)
        futures = [database.submit(put(f"t:{i}"), effect=order.append, events=1, size=10) for i in range(500)]
        assert database.waiting_bytes == 5_000
        results = [await future for future in futures]
        stored = await database.read(keys)
        assert database.waiting_bytes == 0
        assert database.commit_age_s == 0
    assert results == order == stored == [f"t:{i}" for i in range(500)]
    assert len(commits) <= 3
    assert sum(jobs for _, jobs, _ in commits) == sum(events for _, _, events in commits) == 500


async def test_a_commit_is_bounded_and_a_large_job_is_not_split(tmp_path: Path) -> None:
    groups: list[int] = []
    async with opened(tmp_path / "relay.db", commit_max_events=10, commit_max_bytes=1_000) as database:
        database.on_commit = lambda _, jobs, __: groups.append(jobs)
        for events, size in [(25, 1), (4, 1), (4, 1), (4, 1), (0, 900), (0, 200), (0, 5_000)]:
            future = database.submit(lambda _: None, events=events, size=size)
        await future
    assert groups == [1, 2, 2, 1, 1]


async def test_the_job_is_told_once_that_it_was_taken(tmp_path: Path) -> None:
    taken: list[str] = []
    async with opened(tmp_path / "relay.db") as database:
        await database.write(put("t:1"), on_take=lambda: taken.append("t:1"))
    assert taken == ["t:1"]


async def test_only_the_guilty_job_fails(tmp_path: Path, hop) -> None:
    async with opened(tmp_path / "relay.db", hop=hop) as database:
        jobs = [put("t:a"), put("t:a"), put("t:b"), lambda connection: connection.execute("SELECT * FROM nowhere"), lambda _: 1 / 0, put("t:c")]
        futures = [database.submit(job) for job in jobs]
        errors = [(await asyncio.wait([future])) and type(future.exception()) for future in futures]
        assert errors == [type(None), sqlite3.IntegrityError, type(None), sqlite3.OperationalError, ZeroDivisionError, type(None)]
        assert await database.read(keys) == ["t:a", "t:b", "t:c"]
        assert database.full == ""


async def test_a_cancelled_callers_job_still_runs(tmp_path: Path) -> None:
    async with opened(tmp_path / "relay.db") as database:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await database.write(put("t:1"))
        await database.write(put("t:2"))
        assert await database.read(keys) == ["t:1", "t:2"]


async def test_an_effect_that_raises_harms_no_other_job(tmp_path: Path) -> None:
    async with opened(tmp_path / "relay.db") as database:
        bad = database.submit(put("t:1"), effect=lambda _: 1 / 0)
        good = database.submit(put("t:2"))
        assert await good == "t:2"
        with pytest.raises(ZeroDivisionError):
            await bad


async def test_close_does_what_is_queued_and_leaves_no_wal(tmp_path: Path) -> None:
    path = tmp_path / "relay.db"
    async with opened(path) as database:
        future = database.submit(put("t:1"))
    assert await future == "t:1"
    assert not (tmp_path / "relay.db-wal").exists()
    async with opened(path) as database:
        assert await database.read(keys) == ["t:1"]
    late = database.submit(put("t:2"))
    with pytest.raises(StoreError, match="closed"):
        await late


async def limit_pages(database: Database, extra: int) -> None:
    pages = (await database.write(pragma("page_count")))[0][0]
    await database.write(pragma(f"max_page_count = {pages + extra}"))


async def test_a_full_disk_sheds_appends_keeps_the_others_and_recovers(tmp_path: Path, hop) -> None:
    async with opened(tmp_path / "relay.db", hop=hop) as database:
        await limit_pages(database, 5)
        append = database.submit(put("t:big", bytes(100_000)), sheds=True)
        settle = database.submit(put("t:small"))
        with pytest.raises(StoreError) as caught:
            await append
        assert (caught.value.message, caught.value.retry_after_s) == ("disk full", 30)
        assert await settle == "t:small"
        assert database.full == ""  # the last write was possible

        waiting = database.submit(put("t:must", bytes(100_000)))  # not shed: waits until there is room
        await asyncio.wait([waiting], timeout=0.2)
        assert (waiting.done(), database.full) == (False, "disk full")
        began = asyncio.get_running_loop().time()
        with pytest.raises(StoreError, match="disk full"):
            await database.write(put("t:other"), sheds=True)
        assert asyncio.get_running_loop().time() - began < 0.5
        await database._write_hop.run(pragma("max_page_count = 100000"))
        async with asyncio.timeout(5):
            await waiting
        assert await waiting == "t:must"
        assert database.full == ""
        assert await database.read(keys) == ["t:small", "t:must"]


async def test_when_everything_is_shed_the_writer_finds_out_itself_that_there_is_room_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "relay.db") as database:
        await limit_pages(database, 20)
        with pytest.raises(StoreError, match="disk full"):
            await database.write(put("t:big", bytes(200_000)), sheds=True)
        assert database.full == "disk full"
        async with asyncio.timeout(5):
            while database.full:
                await asyncio.sleep(0.05)
        await database.write(put("t:1"), sheds=True)
        assert await database.read(lambda connection: connection.execute("SELECT 1 FROM meta WHERE key = 'probe'").fetchall()) == []


async def test_close_on_a_full_disk_ends_and_fails_what_is_left(tmp_path: Path) -> None:
    async with opened(tmp_path / "relay.db") as database:
        await limit_pages(database, 1)
        waiting = database.submit(put("t:must", bytes(100_000)))
        await asyncio.wait([waiting], timeout=0.1)
    with pytest.raises(StoreError, match="disk full"):
        await waiting


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a file system")
async def test_a_small_disk_that_a_neighbour_fills_is_waited_out(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("cannot mount here")
    try:
        async with opened(disk / "relay.db") as database:
            await database.write(put("t:1"))
            filler = disk / "filler"
            with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            with pytest.raises(StoreError, match="disk full"):
                await database.write(put("t:big", bytes(500_000)), sheds=True)
            must = database.submit(put("t:must", bytes(500_000)))
            await asyncio.wait([must], timeout=0.2)
            assert database.full == "disk full"
            filler.unlink()
            async with asyncio.timeout(5):
                assert await must == "t:must"
            assert database.full == ""
    finally:
        subprocess.run(["umount", str(disk)], check=True)


async def test_a_read_only_disk_sheds_and_recovers(tmp_path: Path) -> None:
    async with opened(tmp_path / "relay.db") as database:
        await database.write(pragma("query_only = 1"))
        with pytest.raises(StoreError, match="read-only disk"):
            await database.write(put("t:1"), sheds=True)
        assert database.full == "read-only disk"
        await database._write_hop.run(pragma("query_only = 0"))
        async with asyncio.timeout(5):
            await database.write(put("t:2"))
        assert database.full == ""


async def test_a_stranger_who_holds_the_lock_is_named_and_waited_out(tmp_path: Path) -> None:
    path = tmp_path / "relay.db"
    async with opened(path) as database:
        await database._write_hop.run(pragma("busy_timeout = 50"))
        with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
            stranger.execute("BEGIN IMMEDIATE")
            settle = database.submit(put("t:settle"))
            with pytest.raises(StoreError) as caught:
                await database.write(put("t:append"), sheds=True)
            assert (caught.value.message, caught.value.retry_after_s) == ("locked by another process", 2)
            stranger.execute("ROLLBACK")
        async with asyncio.timeout(5):
            assert await settle == "t:settle"


async def test_damage_found_while_running_ends_the_writer_once_and_for_all(tmp_path: Path) -> None:
    fatal: list[Exception] = []

    def corrupt(_: sqlite3.Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    async with opened(tmp_path / "relay.db", on_fatal=fatal.append) as database:
        futures = [database.submit(corrupt), database.submit(put("t:1"))]
        for future in futures:
            with pytest.raises(StoreError, match="malformed"):
                await future
        with pytest.raises(StoreError, match="malformed"):
            await database.write(put("t:2"))
        assert len(fatal) == 1
        assert database.failed
    with closing(sqlite3.connect(tmp_path / "relay.db")) as connection:
        assert keys(connection) == []
        assert connection.execute("SELECT value FROM meta WHERE key = 'clean'").fetchone() == (0,)


async def test_readers_cannot_write(tmp_path: Path) -> None:
    async with opened(tmp_path / "relay.db") as database:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await database.read(put("t:1"))


async def test_the_file_has_the_settings_that_the_promise_needs(tmp_path: Path, hop) -> None:
    async with opened(tmp_path / "relay.db", hop=hop) as database:
        wanted = {"auto_vacuum": 2, "journal_mode": "wal", "synchronous": 2, "wal_autocheckpoint": 4000, "busy_timeout": 5000, "temp_store": 2}
        found = {name: (await database.write(pragma(name)))[0][0] for name in wanted}
        assert found == wanted
        assert (await database.read(pragma("wal_autocheckpoint")))[0][0] == 0
    async with opened(tmp_path / "relay.db", durability="process") as database:
        assert (await database.write(pragma("synchronous")))[0][0] == 1


async def test_free_pages_count_as_room_and_can_be_given_back(tmp_path: Path) -> None:
    async with opened(tmp_path / "relay.db", min_free_bytes=1) as database:
        await database.write(put("t:1", bytes(1_000_000)))
        await database.write(lambda connection: connection.execute("DELETE FROM meta WHERE key = 't:1'").rowcount)
        before = await database.room()
        assert before.freelist_bytes >= 900_000
        assert before.wal_bytes > 0
        assert before.free_bytes > 0
        await database.vacuum_some(100_000)
        assert await database.checkpoint(truncate=True)
        after = await database.room()
        assert (after.freelist_bytes, after.wal_bytes) == (0, 0)
        assert after.db_bytes < 900_000


async def shows(database: Database, needle: bytes) -> bool:
    return await database.scan(lambda pieces: any(needle in piece.data for piece in pieces))


async def test_what_is_deleted_while_freed_bytes_are_wiped_is_in_no_byte_of_the_file(tmp_path: Path) -> None:
    async with opened(tmp_path / "relay.db") as database:
        for number in range(50):
            await database.write(put(f"t:{number}", b"needle" * (3_000 if number % 2 else 3)))
        assert await shows(database, b"needle")
        await database.wipe_freed(True)
        await database.write(lambda connection: connection.execute("DELETE FROM meta WHERE key LIKE 't:%'").rowcount)
        await database.wipe_freed(False)
        assert await database.checkpoint(truncate=True)
        assert not await shows(database, b"needle")


async def test_a_file_that_is_written_anew_has_nothing_of_what_was_deleted_before(tmp_path: Path) -> None:
    async with opened(tmp_path / "relay.db") as database:
        for number in range(50):
            await database.write(put(f"t:{number}", b"needle" * 3_000))
        await database.write(put("t:kept", b"kept"))
        await database.write(lambda connection: connection.execute("DELETE FROM meta WHERE key LIKE 't:%' AND key <> 't:kept'").rowcount)
        assert await database.free_pages() > 50
        assert await shows(database, b"needle")
        await database.rewrite()
        assert await database.checkpoint(truncate=True)
        assert not await shows(database, b"needle")
        assert await database.read(keys) == ["t:kept"]
        assert await database.free_pages() == 0
        await database.write(put("t:after"))


async def test_the_bytes_can_be_searched_without_losing_the_locks(tmp_path: Path) -> None:
    async with opened(tmp_path / "relay.db") as database:
        await database.write(put("t:1", b"needle"))
        assert await shows(database, b"needle"), "what is still in the write-ahead log counts too"
        script = f"import sqlite3; sqlite3.connect({str(tmp_path / 'relay.db')!r}, timeout=0.1).execute('PRAGMA journal_mode = DELETE')"
        locked = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
        assert b"locked" in locked.stderr


@pytest.mark.parametrize(
    ("free", "freelist", "short"), [(100, 0, False), (99, 0, True), (50, 50, False), (49, 900, True)], ids=["room", "low", "free pages", "no disk"]
)
def test_ingest_stops_below_the_reserve(free: int, freelist: int, short: bool) -> None:
    assert Room(free, freelist, 0, 0, reserve_bytes=100).is_short is short


@pytest.mark.parametrize(
    ("asked", "disk", "reserve"), [(0, 10**9, 0), (256 << 20, 10**12, 256 << 20), (256 << 20, 10**9, 5 * 10**7), (256 << 20, 1 << 20, 6 << 20)]
)
def test_the_reserve_is_smaller_on_a_small_disk(asked: int, disk: int, reserve: int) -> None:
    assert reserve_bytes(asked, disk) == reserve


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "relay.db"
    async with opened(path) as database:
        await database.write(pragma("user_version = 99"))
    with pytest.raises(DamagedError, match="made by a newer relay"):
        await Database.open(path, clock=SystemClock(), on_fatal=lambda _: None)


def garbage(path: Path) -> None:
    path.write_bytes(b"this is a text, not a database\n" * 500)


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (a)")
        connection.commit()


def torn(path: Path) -> None:
    with path.open("r+b") as file:
        for page in range(3, 30):
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)
    path.with_name("relay.db-wal").write_bytes(b"x" * 100)  # the trace of an unclean stop


def lost(path: Path) -> None:
    path.rename(path.with_name("away"))
    path.with_name("relay.db-wal").write_bytes(b"x" * 100)


@pytest.mark.parametrize(
    ("damage", "words"),
    [(garbage, "not a database"), (foreign, "not one of relay's"), (torn, "relay recover --data"), (lost, "-wal file holds data")],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_damaged_file_is_refused_and_left_untouched(tmp_path: Path, damage, words: str) -> None:
    path = tmp_path / "relay.db"
    if damage is not foreign:
        async with opened(path):
            pass
    damage(path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir() if not file.name.endswith("-shm")}
    with pytest.raises(DamagedError, match=words) as caught:
        await Database.open(path, clock=SystemClock(), on_fatal=lambda _: None)
    assert str(path) in caught.value.message
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if not file.name.endswith("-shm")} == before


async def test_after_a_crash_what_was_committed_is_there(tmp_path: Path) -> None:
    path = tmp_path / "relay.db"
    async with opened(path) as database:
        await database.write(put("t:1"))
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in ("relay.db", "relay.db-wal"):  # what a kill leaves behind
            (copy / name).write_bytes((tmp_path / name).read_bytes())
    async with opened(copy / "relay.db") as database:
        assert await database.read(keys) == ["t:1"]


async def test_a_migration_keeps_a_copy_and_a_failed_step_changes_nothing(tmp_path: Path) -> None:
    path, steps = tmp_path / "relay.db", migrate.load_steps()
    async with opened(path) as database:
        await database.write(put("t:1"))
    last = steps[-1].version
    broken = [*steps, migrate.Step(last + 1, "CREATE TABLE new (a); INSERT INTO nowhere VALUES (1);")]
    with pytest.raises(StoreError, match="nowhere"):
        await Database.open(path, clock=SystemClock(), on_fatal=lambda _: None, steps=broken)
    with closing(sqlite3.connect(path)) as connection:
        assert migrate.schema_version(connection) == last
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'new'").fetchall() == []
    mended = [*steps, migrate.Step(last + 1, "CREATE TABLE new (a);")]
    async with opened(path, steps=mended) as database:
        assert await database.read(lambda connection: connection.execute("SELECT * FROM new").fetchall()) == []
    with closing(sqlite3.connect(tmp_path / f"relay.db.v{last}")) as connection:
        assert migrate.schema_version(connection) == last
        assert keys(connection) == ["t:1"]


async def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written") as caught:
        await Database.open(tmp_path / "nowhere" / "relay.db", clock=SystemClock(), on_fatal=lambda _: None)
    assert "\n" not in caught.value.message

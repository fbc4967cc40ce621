"""Promises of check, backup, restore and recover."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from relay.base.clock import SystemClock
from relay.database import care, connect, migrate
from relay.database.database import Database
from relay.database.folder import hold_lock
from relay.errors import DamagedError, LockedError, StoreError

NOW = 1_790_000_000.0
EVENTS = 3_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a database of 3,000 events, 900 rows and some of everything."""
    folder = tmp_path / "data"
    folder.mkdir()
    fill(folder / "relay.db")
    return folder


def fill(path: Path) -> None:
    with closing(connect.open_writer(path, durability="process", steps=migrate.load_steps())) as connection:
        connection.execute("BEGIN")
        for seq in range(1, EVENTS + 1):
            connection.execute("INSERT INTO log VALUES (?, 'web', ?, NULL, 'track', 1, ?)", (seq, f"u{seq}", b"%d" % seq * 200))
            connection.execute("INSERT INTO dedup_0 VALUES (?, ?)", ((seq * 0x9E3779B97F4A7C15) % 2**64 - 2**63, seq))
        for name in ("a", "b", "c"):
            connection.execute("INSERT INTO cursor (name, start, pos) VALUES (?, 0, 3000)", (name,))
            for seq in range(1, 301):
                connection.execute(
                    "INSERT INTO row (consumer, seq, sub, state, source, detail) VALUES (?, ?, '*', 'dead', 'web', ?)", (name, seq, bytes(200))
                )
        connection.execute("UPDATE meta SET value = 3000 WHERE key = 'head'")
        connection.execute("COMMIT")
        connection.execute("UPDATE meta SET value = 1 WHERE key = 'clean'")


def pages_of(path: Path, table: str) -> list[int]:
    """The leaf pages of a table, found by a value that only they hold."""
    marks = {"log": b"trackx"[:5], "row": b"*deadweb"}
    content = path.read_bytes()
    return [n for n in range(1, len(content) // 4096) if marks[table] in content[n * 4096 : (n + 1) * 4096] and content[n * 4096] in (13, 10)]


def overwrite(path: Path, pages: list[int]) -> None:
    with path.open("r+b") as file:
        for page in pages:
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)


def rows(path: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
def held(data: Path) -> Iterator[int]:
    handle = hold_lock(data)
    yield handle
    os.close(handle)


def test_check_says_nothing_about_a_whole_file_and_names_damage(data: Path) -> None:
    assert care.check(data / "relay.db") == []
    overwrite(data / "relay.db", pages_of(data / "relay.db", "log")[10:12])
    assert care.check(data / "relay.db")
    (data / "text").write_text("no database" * 100)
    assert care.check(data / "text")
    with pytest.raises(FileNotFoundError):
        care.check(data / "missing")


async def test_a_backup_of_a_running_database_is_whole_and_holds_what_was_committed(data: Path, tmp_path: Path) -> None:
    database = await Database.open(data / "relay.db", clock=SystemClock(), on_fatal=lambda _: None)
    await database.write(lambda connection: connection.execute("UPDATE meta SET value = 3001 WHERE key = 'head'").rowcount)
    target = tmp_path / "backup.db"
    await asyncio.to_thread(care.backup, data / "relay.db", target)
    with pytest.raises(FileExistsError):
        await asyncio.to_thread(care.backup, data / "relay.db", target)
    await database.close()
    assert target.stat().st_mode & 0o777 == 0o600
    assert rows(target, "SELECT value FROM meta WHERE key = 'head'") == [(3001,)]
    assert rows(target, "SELECT count(*) FROM log") == [(EVENTS,)]
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".part")] == []


def test_a_damaged_database_makes_no_backup(data: Path, tmp_path: Path) -> None:
    overwrite(data / "relay.db", pages_of(data / "relay.db", "log")[10:12])
    with pytest.raises(StoreError):
        care.backup(data / "relay.db", tmp_path / "backup.db")
    assert not (tmp_path / "backup.db").exists()


async def test_a_restore_keeps_the_old_file_and_the_result_opens(data: Path, tmp_path: Path) -> None:
    care.backup(data / "relay.db", tmp_path / "backup.db")
    with closing(sqlite3.connect(data / "relay.db")) as connection:
        connection.execute("DELETE FROM log")
        connection.commit()
    kept = care.restore(tmp_path / "backup.db", data, now=NOW)
    assert kept == data / "relay.db.before-restore-20260921T141320Z"
    assert rows(kept, "SELECT count(*) FROM log") == [(0,)]
    database = await Database.open(data / "relay.db", clock=SystemClock(), on_fatal=lambda _: None)
    assert await database.read(lambda connection: connection.execute("SELECT count(*) FROM log").fetchone()) == (EVENTS,)
    assert await database.read(lambda connection: connection.execute("PRAGMA auto_vacuum").fetchone()) == (2,)
    await database.close()


def test_a_damaged_backup_is_not_restored(data: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes((data / "relay.db").read_bytes()[:40_000])
    before = (data / "relay.db").read_bytes()
    with pytest.raises(DamagedError):
        care.restore(tmp_path / "bad.db", data, now=NOW)
    assert (data / "relay.db").read_bytes() == before


@pytest.mark.usefixtures("held")
def test_a_folder_in_use_is_neither_restored_nor_recovered(data: Path, tmp_path: Path) -> None:
    care.backup(data / "relay.db", tmp_path / "backup.db")
    with pytest.raises(LockedError):
        care.restore(tmp_path / "backup.db", data, now=NOW)
    with pytest.raises(LockedError):
        care.recover(data, NOW)


async def test_recover_saves_what_lies_around_overwritten_pages(data: Path) -> None:
    path = data / "relay.db"
    logs, exceptions = pages_of(path, "log"), pages_of(path, "row")
    assert len(logs) > 200
    lost = [*logs[20:23], logs[60], *logs[100:140], exceptions[len(exceptions) // 2]]
    overwrite(path, lost)
    damaged = path.read_bytes()
    counts = care.recover(data, NOW)
    assert EVENTS * 0.7 < counts["log"] < EVENTS
    assert counts["dedup_0"] == EVENTS
    assert 800 < counts["row"] < 900
    assert counts["cursor"] == 3
    assert (data / "relay.db.corrupt-20260921T141320Z").read_bytes() == damaged
    assert care.check(path) == []
    seqs = [row[0] for row in rows(path, "SELECT seq FROM log ORDER BY seq")]
    assert (seqs[0], seqs[-1]) == (1, EVENTS)
    assert all(body == b"%d" % seq * 200 for seq, body in rows(path, "SELECT seq, body FROM log"))
    assert EVENTS - len(seqs) <= 44 * 20  # no more than what the lost pages held
    database = await Database.open(path, clock=SystemClock(), on_fatal=lambda _: None)
    await database.close()


def test_recover_never_lets_a_number_be_used_twice(data: Path) -> None:
    with closing(sqlite3.connect(data / "relay.db")) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'head'")
        connection.execute("UPDATE cursor SET pos = 5000 WHERE name = 'b'")
        connection.commit()
    care.recover(data, NOW)
    assert rows(data / "relay.db", "SELECT value FROM meta WHERE key = 'head'") == [(5000,)]


@pytest.mark.parametrize("made_by", ["relay", "restore"])
@pytest.mark.parametrize("with_wal", [False, True], ids=["closed", "wal"])
def test_recover_reads_a_file_whose_first_page_is_lost(data: Path, tmp_path: Path, made_by: str, with_wal: bool) -> None:
    path = data / "relay.db"
    if made_by == "restore":
        care.backup(path, tmp_path / "backup.db")
        care.restore(tmp_path / "backup.db", data, now=NOW)
    before = count_all(path)
    spoil = [0, *(page for page in pages_of(path, "log")[10:12])]
    if with_wal:
        leave_a_wal(path)
    overwrite(path, spoil)
    damaged = path.read_bytes()
    counts = care.recover(data, NOW + 1)
    assert before.pop("log") - 40 <= counts.pop("log") < EVENTS
    assert counts == before
    assert care.check(path) == []
    assert (data / "relay.db.corrupt-20260921T141321Z").read_bytes() == damaged
    assert rows(path, "SELECT value FROM meta WHERE key = 'head'") == [(3001 if with_wal else 3000,)]
    assert not list(data.glob("*recover*"))


def count_all(path: Path) -> dict[str, int]:
    tables = [row[0] for row in rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {table: rows(path, f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def leave_a_wal(path: Path) -> None:
    """A commit that no checkpoint has brought into the file, as after a crash."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("UPDATE meta SET value = 3001 WHERE key = 'head'")
        wal = path.with_name("relay.db-wal").read_bytes()
    path.with_name("relay.db-wal").write_bytes(wal)


def test_recover_starts_nothing_empty_when_nothing_is_readable(data: Path) -> None:
    overwrite(data / "relay.db", list(range(30)))
    before = {file.name: file.read_bytes() for file in data.iterdir() if file.name != "relay.lock"}
    with pytest.raises(DamagedError, match="relay restore FILE --data"):
        care.recover(data, NOW)
    assert {file.name: file.read_bytes() for file in data.iterdir() if file.name != "relay.lock"} == before

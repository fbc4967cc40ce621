"""Connections to the one file, and the checks before the first write.

Promises: a damaged, foreign or newer file is reported and left byte for byte as it was; nothing is deleted, nothing is
started empty beside it. All functions are synchronous and run on the connection's thread.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any

import structlog

from relay.database import migrate
from relay.errors import DamagedError, StoreError

log = structlog.get_logger("relay.database")

BUSY_TIMEOUT_MS = 5_000
CHECKPOINT_WAIT_MS = 100
CHECKPOINT_PAGES = 4_000
WAL_BYTES = 16 * 1024 * 1024
"""How long the WAL stays after a checkpoint, which SQLite makes after CHECKPOINT_PAGES."""
WAL_SHARE = 16
"""On a small disk both are at most this part of it: a checkpoint makes the file longer by up to what is in the WAL, which then needs its room twice."""
PAGE_BYTES = 4_096
STATEMENTS = 512
MAGIC = b"SQLite format 3\x00"
DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
BUSY_CODES = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an error; 0 when it came from Python's wrapper."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that can neither write nor checkpoint."""
    connection = _connect(f"{path.absolute().as_uri()}?mode=ro")
    for pragma in ("query_only = 1", "wal_autocheckpoint = 0", "temp_store = MEMORY", "cache_size = -16384"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def open_writer(path: Path, *, durability: str, steps: list[migrate.Step]) -> sqlite3.Connection:
    """Check the file, open the one write connection, bring the schema up to date, and note that it is in use.

    Raises DamagedError, or StoreError when the disk does not let us write.
    """
    try:
        problem = find_damage(path, newest=steps[-1].version)
        if problem:
            raise damaged(path, problem)
        connection = _connect(path.absolute().as_uri())
        try:
            _prepare(connection, durability, _wal_bytes(path))
            before, after = migrate.migrate(connection, path, steps)
            connection.execute("INSERT OR REPLACE INTO meta SELECT 'ended_clean', value FROM meta WHERE key = 'clean'")
            connection.execute("UPDATE meta SET value = 0 WHERE key = 'clean'")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise start_error(path, error) from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    log.info("database.opened", sqlite_version=sqlite3.sqlite_version, schema_before=before, schema=after, durability=durability)
    return connection


def checkpoint(connection: sqlite3.Connection, truncate: bool) -> bool:
    """Move the WAL into the file, on the write connection and outside of a transaction. False: a reader was in the way."""
    connection.execute(f"PRAGMA busy_timeout = {CHECKPOINT_WAIT_MS}")  # a long reader must not stop the commits behind us
    try:
        row: Any = connection.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if truncate else 'PASSIVE'})").fetchone()
        return bool(row[0] == 0)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")


def wipe_freed(connection: sqlite3.Connection, on: bool) -> None:
    """Whether what is deleted is overwritten everywhere, or only in pages that are written anyway."""
    connection.execute(f"PRAGMA secure_delete = {'ON' if on else 'FAST'}").fetchall()


def rewrite(connection: sqlite3.Connection) -> None:
    """VACUUM, with its copy on disk: it may be larger than the memory."""
    connection.execute("PRAGMA temp_store = FILE")
    try:
        connection.execute("VACUUM")
    finally:
        connection.execute("PRAGMA temp_store = MEMORY")


def find_damage(path: Path, *, newest: int) -> str:
    """Why this file must not be used, in SQLite's words where they exist; empty: it may. Writes nothing.

    A clean last stop is trusted after one read; otherwise the whole file is looked through (`quick_check`).
    """
    wal_bytes = size_of(wal_of(path))
    if size_of(path) == 0:
        return "the file is empty or missing, but its -wal file holds data" if wal_bytes else ""
    with path.open("rb") as file:  # no connection is open yet: closing this handle drops nobody's lock
        if file.read(len(MAGIC)) != MAGIC:
            return "file is not a database"
    connection = open_reader(path)
    try:
        return _read_damage(connection, newest=newest, unclean=wal_bytes > 0)
    except sqlite3.DatabaseError as error:
        if primary_code(error) in DAMAGE_CODES or primary_code(error) == sqlite3.SQLITE_ERROR:
            return str(error)
        raise
    finally:
        connection.close()


def _read_damage(connection: sqlite3.Connection, *, newest: int, unclean: bool) -> str:
    version = migrate.schema_version(connection)
    if version > newest:
        return f"made by a newer relay (schema {version}, this one knows {newest})"
    if version == 0:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return "a SQLite file, but not one of relay's" if tables else ""
    row = connection.execute("SELECT value FROM meta WHERE key = 'clean'").fetchone()
    if not unclean and row is not None and row[0] == 1:
        return ""
    found = [line.strip("* ") for row in connection.execute("PRAGMA quick_check(5)") for line in str(row[0]).splitlines()]
    return "" if found == ["ok"] else "; ".join(found)


def reading_error(path: Path, error: sqlite3.Error) -> StoreError:
    """What an error means that came while somebody read or copied the file."""
    return damaged(path, str(error)) if primary_code(error) in DAMAGE_CODES else StoreError(f"{path}: {error}")


def damaged(path: Path, words: str) -> DamagedError:
    """The error with the file, what is wrong, and the ways on."""
    if words.startswith("made by a newer relay"):
        return DamagedError(f"{path}: {words}; start the newer program, or go back to a copy of before ({path.name}.v<N>)")
    return DamagedError(f"{path}: {words}. Restore a backup (relay restore), or save what is readable with: relay recover --data {path.parent}")


def start_error(path: Path, error: sqlite3.Error) -> StoreError:
    """What a SQLite error while opening means, in one line."""
    code = primary_code(error)
    if code in DAMAGE_CODES:
        return damaged(path, str(error))
    if code in BUSY_CODES:
        return StoreError(f"{path}: locked by another process", retry_after_s=2)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) or not os.access(path.parent, os.W_OK):
        return StoreError(f"{path}: cannot be written ({error})")
    return StoreError(f"{path}: {error}")


def wal_of(path: Path) -> Path:
    """The write-ahead log beside a database file."""
    return path.with_name(f"{path.name}-wal")


def size_of(path: Path) -> int:
    """Bytes of a file; 0 when it does not exist."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS
    )
    connection.execute("PRAGMA cell_size_check = 1")
    return connection


def _wal_bytes(path: Path) -> int:
    disk = os.statvfs(path.parent)
    return min(WAL_BYTES, disk.f_blocks * disk.f_frsize // WAL_SHARE)


def _prepare(connection: sqlite3.Connection, durability: str, wal_bytes: int) -> None:
    synchronous = {"full": "FULL", "process": "NORMAL"}[durability]
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts only before the first table is made
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise sqlite3.OperationalError(f"write-ahead log refused (journal mode {mode})")
    for pragma in (
        f"synchronous = {synchronous}",
        f"wal_autocheckpoint = {max(100, min(CHECKPOINT_PAGES, wal_bytes // PAGE_BYTES))}",
        f"journal_size_limit = {wal_bytes}",
        "temp_store = MEMORY",
        "cache_size = -16384",
        "mmap_size = 0",
        "secure_delete = FAST",  # some builds have it on: freeing a page then writes it, and a delete needs as much room as it frees
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()

"""Care of the file by hand: check, backup, restore, recover. Synchronous; called by commands and jobs, never on the loop.

Promises: nothing is deleted; a new file takes its name only when it is whole and on disk; the old one is kept beside it.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from relay.database import connect, first_page, folder, migrate, pages
from relay.database.salvage import salvage_table
from relay.database.strays import Strays
from relay.errors import DamagedError, StoreError


def check(path: Path) -> list[str]:
    """What is wrong with a database file, in SQLite's words; empty: nothing. Reads the whole file, also of a running relay."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        with closing(connect.open_reader(path)) as connection:
            version = migrate.schema_version(connection)
            if version == 0:
                return ["not a database of relay"]
            if version > migrate.newest_version():
                return [f"made by a newer relay (schema {version})"]
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    except sqlite3.Error as error:
        return [str(error)]
    return [] if found == ["ok"] else found


def backup(path: Path, target: Path) -> None:
    """Copy a database, also of a running relay, to a new file that is checked and on disk when this returns.

    Raises FileExistsError when `target` exists, DamagedError when the copy is not whole, StoreError when it cannot be written.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; a backup never overwrites")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        with closing(connect.open_reader(path)) as connection:
            connection.execute("PRAGMA query_only = 0")  # or VACUUM INTO is refused; the file itself is opened read-only
            connection.execute("VACUUM INTO ?", (str(part),))
        problems = check(part)
        if problems:
            raise connect.damaged(path, "; ".join(problems[:5]))
        _make_durable(part)
        part.rename(target)
        migrate.sync_folder(target.absolute().parent)
    except sqlite3.Error as error:
        raise connect.reading_error(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def restore(source: Path, data_dir: Path, *, now: float) -> Path | None:
    """Put a backup in the place of the database; returns where the old one is kept (None: there was none).

    Raises DamagedError when the backup is not whole, LockedError while a relay runs on the folder. What was delivered after
    the backup was made is sent again.
    """
    problems = check(source)
    if problems:
        raise DamagedError(f"{source}: {'; '.join(problems[:5])}")
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = folder.hold_lock(data_dir)
    try:
        path = data_dir / folder.DATABASE
        part = path.with_name(f"{path.name}.restore.part")
        part.unlink(missing_ok=True)
        with closing(connect.open_reader(source)) as connection:  # not a plain copy: the backup may have a -wal beside it
            connection.execute("PRAGMA query_only = 0")
            connection.execute("VACUUM INTO ?", (str(part),))
        _make_durable(part)
        return _take_place(part, path, f"before-restore-{_stamp(now)}")
    except sqlite3.Error as error:
        raise connect.reading_error(source, error) from error
    finally:
        os.close(handle)


def recover(data_dir: Path, now: float) -> dict[str, int]:
    """Copy what is readable into a new file and put it in place; returns the rows per table.

    The old file stays as `relay.db.corrupt-<time>`. Raises DamagedError when nothing in it is where relay would have put it, and
    LockedError while a relay runs on the folder; in both cases nothing is changed.
    """
    path = data_dir / folder.DATABASE
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    handle = folder.hold_lock(data_dir)
    part = path.with_name(f"{path.name}.recover.part")
    try:
        part.unlink(missing_ok=True)
        counts = _salvage(path, part)
        problems = check(part)
        if problems:
            raise StoreError(f"{part}: {'; '.join(problems[:5])}")
        _make_durable(part)
        _take_place(part, path, f"corrupt-{_stamp(now)}")
        return counts
    finally:
        part.unlink(missing_ok=True)
        os.close(handle)


def _salvage(path: Path, part: Path) -> dict[str, int]:
    with (
        _readable(path) as (source, known),
        pages.opened(path) as found,  # of the file itself: a renewed first page has lost the list of free pages
        closing(sqlite3.connect(part, isolation_level=None)) as target,
    ):
        version = migrate.schema_version(source)
        if version > migrate.newest_version():
            raise connect.damaged(path, f"made by a newer relay (schema {version})")
        target.execute("PRAGMA auto_vacuum = INCREMENTAL")
        migrate.migrate(target, part, migrate.load_steps())
        tables = [str(row[0]) for row in target.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        if "meta" not in known:
            raise _unreadable(path, "none of relay's tables is there")
        target.execute("BEGIN IMMEDIATE")
        counts: dict[str, int] = {}
        strays = Strays(found, source)
        for table in tables:  # cursor stands before row in the alphabet: row is read by the consumers that are known
            columns = _columns(target, table) & _columns(source, table) if table in known else set()
            counts[table] = salvage_table(source, target, table, sorted(columns), strays) if columns else 0
        _raise_head(target)
        target.execute("COMMIT")
        return counts


@contextmanager
def _readable(path: Path) -> Iterator[tuple[sqlite3.Connection, set[str]]]:
    """The file and its tables; when not even their list can be read, a copy of the file with a new list."""
    with TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.recover-") as scratch:
        try:
            connection, known = _open_listed(path)
        except sqlite3.Error as error:
            copy = first_page.renewed(path, Path(scratch))
            if copy is None:
                raise _unreadable(path, str(error)) from error
            connection, known = _open_listed(copy)
        with closing(connection):
            yield connection, known


def _open_listed(path: Path) -> tuple[sqlite3.Connection, set[str]]:
    connection = connect.open_reader(path)
    try:
        return connection, {str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except BaseException:
        connection.close()
        raise


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {str(row[0]) for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _raise_head(target: sqlite3.Connection) -> None:
    """A seq is never used twice: the head is at least every seq that anything remembers."""
    (highest,) = target.execute(
        "SELECT max((SELECT coalesce(max(seq), 0) FROM log), (SELECT coalesce(max(seq), 0) FROM dedup_0),"
        " (SELECT coalesce(max(seq), 0) FROM dedup_1), (SELECT coalesce(max(seq), 0) FROM dedup_2),"
        " (SELECT coalesce(max(first + length(hashes) / 8 - 1), 0) FROM dedup_recent), (SELECT coalesce(max(seq), 0) FROM row),"
        " (SELECT coalesce(max(max(pos, start)), 0) FROM cursor), (SELECT coalesce(max(last), 0) FROM journal),"
        " (SELECT coalesce(max(value), 0) FROM meta WHERE key = 'head' AND typeof(value) = 'integer'))"
    ).fetchone()
    target.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('head', ?), ('clean', 0)", (highest,))


def _take_place(part: Path, path: Path, suffix: str) -> Path | None:
    """Give `part` the name of the database. The old file goes first and its -wal after it: a crash between leaves a -wal
    without a database, which the start refuses, never a database without its -wal."""
    kept = None
    if path.exists():
        kept = path.with_name(f"{path.name}.{suffix}")
        path.rename(kept)
    for ending in ("-wal", "-shm"):
        beside = path.with_name(f"{path.name}{ending}")
        if beside.exists():
            beside.rename(path.with_name(f"{path.name}.{suffix}{ending}"))
    part.rename(path)
    migrate.sync_folder(path.absolute().parent)
    return kept


def _make_durable(path: Path) -> None:
    path.chmod(0o600)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _unreadable(path: Path, words: str) -> DamagedError:
    return DamagedError(
        f"{path}: {words}; no table of relay is where it should be, so nothing can be recovered. Restore a backup "
        f"(relay restore FILE --data {path.parent}), or move this file away and start anew; what was archived still lies in "
        f"{path.parent / folder.ARCHIVE}"
    )


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")

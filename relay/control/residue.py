"""What deletes leave behind: free pages and old frames of the database file. Cleans it, and searches the bytes of the whole data folder."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from relay.control.byte_search import ByteSearch
from relay.database.database import Database
from relay.database.scan import Window, windows, windows_of
from relay.errors import StoreError
from relay.kit.members import codec_of
from relay.kit.subjects import Subjects

VACUUM_PAGES: Final = 500
CHECKPOINTS: Final = 100
CHECKPOINT_WAIT_S: Final = 0.05
PART: Final = ".part"
DATABASE: Final = "relay.db"
UNREAD: Final = (DATABASE, "relay.db-wal", "relay.db-shm", "relay.lock", "cli.token")
"""Of the data folder: the database is read through its owner, and the index of its log holds no content."""
BULKY: Final = ("log", "row", "sample", "refused", "journal", "tally", "latency", "dedup_0", "dedup_1", "dedup_2", "dedup_recent", "suppression")
"""Tables that their owners search, or that hold numbers and hashes only."""

Execute = Callable[..., sqlite3.Cursor]


class Residue:
    """The database file and the folder around it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    async def begin(self) -> None:
        """From here on what is deleted is overwritten."""
        await self._database.wipe_freed(True)

    async def end(self) -> None:
        await self._database.wipe_freed(False)

    async def clean(self, users: Subjects | None) -> None:
        """Leave nothing in the file of what was deleted; each step only when the one before did not do. None: whom it is about is forgotten already.

        The last step writes the file anew, and writers wait meanwhile. Raises StoreError when there is no room for that.
        """
        await self._checkpoint()
        if users is not None and not await self._shows(users):
            return
        while await self._database.free_pages():
            await self._database.vacuum_some(VACUUM_PAGES)
            await asyncio.sleep(0)
        await self._checkpoint()
        if users is not None and not await self._shows(users):
            return
        await self._database.rewrite()
        await self._checkpoint()

    async def _checkpoint(self) -> None:
        for _ in range(CHECKPOINTS):
            if await self._database.checkpoint(truncate=True):
                return
            await asyncio.sleep(CHECKPOINT_WAIT_S)
        raise StoreError("the database's log cannot be emptied: something reads it all the time (a backup?)")

    async def _shows(self, users: Subjects) -> bool:
        return await self._database.scan(lambda pieces: any(users.touches(piece.data) for piece in pieces))

    async def copies(self, users: Subjects) -> list[str]:
        """Files of the data folder that hold a copy of the database from before (an upgrade keeps one) and show an id."""
        return await asyncio.to_thread(self._copies, users)

    def _copies(self, users: Subjects) -> list[str]:
        found = []
        for path in sorted(self._folder.glob(f"{DATABASE}.*")):
            if path.is_file() and path.name not in UNREAD:
                with path.open("rb") as file:
                    if any(users.touches(piece.data) for piece in windows(file.fileno())):
                        found.append(path.name)
        return found

    async def find(self, users: Subjects) -> dict[str, int]:
        """Where the bytes of an id still stand: tables by their name, files by their path."""
        found = await self._database.read(lambda connection: _tables(connection.execute, users))
        longer: list[bytes] = []
        if await self._shows(users):
            longer = await self._database.read(lambda connection: list(_longer(connection.execute, users)))
        search = ByteSearch(users, longer)
        found["relay.db (bytes)"] = await self._database.scan(lambda pieces: sum(map(search.count, pieces)))
        found |= await asyncio.to_thread(self._files, search)
        return {name: count for name, count in found.items() if count}

    def _files(self, search: ByteSearch) -> dict[str, int]:
        found: dict[str, int] = {}
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and (path.parent != self._folder or path.name not in UNREAD):
                try:
                    found[str(path.relative_to(self._folder))] = sum(map(search.count, _windows(path)))
                except OSError:  # pruned or renamed meanwhile
                    continue
        return found


def _windows(path: Path) -> Iterator[Window]:
    codec = codec_of(path.name.removesuffix(PART))
    if codec is not None:
        try:
            yield from windows_of(codec.unpack(path.read_bytes()))
            return
        except ValueError:  # cut off, or none of ours: its bytes as they are
            pass
    with path.open("rb") as file:
        yield from windows(file.fileno())


def _tables(execute: Execute, users: Subjects) -> dict[str, int]:
    """Rows of the small tables that name them; a job that still runs is not one of them."""
    found: dict[str, int] = {}
    for (name,) in execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall():
        if name not in BULKY:
            rows = execute(f'SELECT * FROM "{name}"')  # noqa: S608 - a name that the database itself gave
            count = sum(any(isinstance(value, str | bytes) and users.mentions(value) for value in row) for row in rows)
            found[f"table {name}"] = count
    return found


def _longer(execute: Execute, users: Subjects) -> Iterable[bytes]:
    """Other ids that hold one of these: their bytes are no trace."""
    for user_id in users.user_ids:
        for table, column in (
            ("log", "key1"),
            ("log", "key2"),
            ("row", "key1"),
            ("row", "key2"),
            ("refused", "user_id"),
            ("refused", "anonymous_id"),
        ):
            sql = f"SELECT DISTINCT {column} FROM {table} WHERE instr({column}, ?) AND {column} <> ?"  # noqa: S608 - our own names
            for (other,) in execute(sql, (user_id, user_id)):
                yield other.encode("utf-8", "surrogatepass")

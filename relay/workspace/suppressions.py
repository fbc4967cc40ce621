"""Suppressed users: the table of hashed ids, and the value that intake asks. Not part of a workspace version: it outlives every one.

What is kept is SHA-256 of a salt and the id. The salt is made once and lies in the same database: it keeps tables made for other lists from
being of use, it does not keep somebody who holds the file from trying ids.
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from typing import Final

from relay.base.clock import Clock
from relay.database.database import Database

CACHED_IDS: Final = 4_096
_SALT = "INSERT OR IGNORE INTO meta (key, value) VALUES ('suppression_salt', ?)"
_READ_SALT = "SELECT value FROM meta WHERE key = 'suppression_salt'"
_ADD = "INSERT OR IGNORE INTO suppression (hash, since_s) VALUES (?, ?)"
_REMOVE = "DELETE FROM suppression WHERE hash = ?"  # by the primary key
_ALL = "SELECT hash FROM suppression"


class Suppressions:
    """The list at one moment. Truth value: whether anybody is on it."""

    def __init__(self, salt: bytes = b"", hashes: frozenset[bytes] = frozenset()) -> None:
        self._salt = salt
        self.hashes = hashes
        self._known: dict[str, bool] = {}

    def __len__(self) -> int:
        return len(self.hashes)

    def hash_of(self, user_id: str) -> bytes:
        """What stands for the id on disk."""
        return hashlib.sha256(self._salt + user_id.encode("utf-8", "surrogatepass")).digest()

    def holds(self, user_id: str) -> bool:
        """Whether the user is suppressed. One hash for each id, kept for as many as are usual at a time."""
        known = self._known.get(user_id)
        if known is None:
            if len(self._known) >= CACHED_IDS:
                self._known.clear()
            known = self._known[user_id] = self.hash_of(user_id) in self.hashes
        return known


NOBODY: Final = Suppressions()


class SuppressionStore:
    """The table. Each change returns after its commit, which `use` has heard of by then: nothing that comes later is taken."""

    def __init__(self, database: Database, clock: Clock, use: Callable[[Suppressions], None]) -> None:
        self._database = database
        self._clock = clock
        self._use = use

    async def load(self) -> Suppressions:
        """The list as it is stored, put to use; makes the salt at the first start."""
        return await self._database.write(_load, effect=self._use)

    async def add(self, user_ids: Iterable[str]) -> Suppressions:
        """Suppress these users."""
        ids, now_s = list(user_ids), self._clock.now()

        def job(connection: sqlite3.Connection) -> Suppressions:
            before = _load(connection)
            for user_id in ids:
                connection.execute(_ADD, (before.hash_of(user_id), now_s))
            return _load(connection)

        return await self._database.write(job, effect=self._use)

    async def remove(self, user_ids: Iterable[str]) -> Suppressions:
        """Take these users' events again."""
        ids = list(user_ids)

        def job(connection: sqlite3.Connection) -> Suppressions:
            before = _load(connection)
            for user_id in ids:
                connection.execute(_REMOVE, (before.hash_of(user_id),))
            return _load(connection)

        return await self._database.write(job, effect=self._use)


def _load(connection: sqlite3.Connection) -> Suppressions:
    connection.execute(_SALT, (secrets.token_bytes(16),))
    salt = connection.execute(_READ_SALT).fetchone()[0]
    return Suppressions(bytes(salt), frozenset(bytes(row[0]) for row in connection.execute(_ALL)))

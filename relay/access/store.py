"""Tokens and the audit record, over their two tables.

A token is 32 random bytes, shown once; what is stored is its SHA-256 (no slow hash: it has full entropy) and its first 8 characters, by which it is found.
"""

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from relay.access.operator import Operator, Role
from relay.base.clock import Clock
from relay.errors import RequestError
from relay.kit.subjects import Subjects

T = TypeVar("T")
PREFIX_CHARS: Final = 8
AUDIT_MAX: Final = 100_000
AUDIT_SEARCHED: Final = 5_000
USED_EVERY_S: Final = 3600
"""Last use is kept by the hour, so that a busy token costs one write an hour."""


_RECORDS: Final = "SELECT id, subject, detail FROM audit"  # the whole table, which is bounded
_BLANK: Final = "UPDATE audit SET subject = ?, detail = ? WHERE id = ?"


class WriteQueue(Protocol):
    """What the store needs of the database."""

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T: ...

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T: ...


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its secret."""

    token_id: str
    name: str
    role: Role
    prefix: str
    created_s: float
    expires_s: float | None
    last_used_s: float | None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One order: who did what to what."""

    at_s: float
    operator: str
    action: str
    """A verb with its room: `destination.hold`, `token.revoke`."""
    subject: str
    detail: str = ""


class TokenStore:
    """Every answer comes from the table, so a revoked token stops at once."""

    def __init__(self, database: WriteQueue, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def new(self, name: str, role: Role, *, expires_s: float | None = None) -> tuple[Token, str]:
        """Make a token; the second value is its text, which nobody can read again."""
        text = secrets.token_urlsafe(32)
        token = Token(secrets.token_hex(8), name, role, text[:PREFIX_CHARS], self._clock.now(), expires_s, None)
        row = (token.token_id, name, role.value, token.prefix, _hash(text), token.created_s, expires_s)
        await self._database.write(lambda connection: _insert(connection, row))
        return token, text

    async def ls(self) -> list[Token]:
        """All tokens, oldest first."""
        sql = "SELECT id, name, role, prefix, created_s, expires_s, last_used_s FROM token ORDER BY created_s, id"
        rows = await self._database.read(lambda connection: connection.execute(sql).fetchall())
        return [_token(row) for row in rows]

    async def revoke(self, token_id: str) -> None:
        """The token and the browser sessions made with it end. Raises RequestError 404 when there is none."""

        def job(connection: sqlite3.Connection) -> int:
            connection.execute("DELETE FROM session WHERE token IN (SELECT id FROM token WHERE id = ?)", (token_id,))
            return connection.execute("DELETE FROM token WHERE id = ?", (token_id,)).rowcount

        if not await self._database.write(job):
            raise RequestError(404, "not_found", "There is no such token.")

    async def holds(self, token_id: str) -> bool:
        """Whether the token is still good."""
        sql = "SELECT 1 FROM token WHERE id = ? AND (expires_s IS NULL OR expires_s > ?)"
        now_s = self._clock.now()
        return await self._database.read(lambda connection: connection.execute(sql, (token_id, now_s)).fetchone() is not None)

    async def verify(self, text: str, address: str = "") -> Operator | None:
        """Who holds this token; None: nobody does, or it has expired."""
        if not text.isascii():  # ours all are; bytes that are no UTF-8 could not even be asked for
            return None
        prefix, given, now_s = text[:PREFIX_CHARS], _hash(text), self._clock.now()
        sql = "SELECT id, name, role, prefix, created_s, expires_s, last_used_s, hash FROM token WHERE prefix = ?"
        rows = await self._database.read(lambda connection: connection.execute(sql, (prefix,)).fetchall())
        found = [_token(row) for row in rows if hmac.compare_digest(bytes(row[7]), given)]
        if not found or (found[0].expires_s is not None and found[0].expires_s <= now_s):
            return None
        token = found[0]
        if token.last_used_s is None or now_s - token.last_used_s >= USED_EVERY_S:
            used = "UPDATE token SET last_used_s = ? WHERE id = ?"
            await self._database.write(lambda connection: connection.execute(used, (now_s, token.token_id)).rowcount)
        return Operator(token.token_id, token.name, token.role, address)

    async def audited(self, *, before: int | None = None, subject: str = "", limit: int = 100) -> list[tuple[int, AuditRecord]]:
        """The newest records, newest first, with their ids; `before`: only those with a smaller id; `subject`: of the newest AUDIT_SEARCHED, those of it."""
        columns = "id, at_s, operator, action, subject, detail"
        some = f"SELECT {columns} FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?"  # noqa: S608 - by the primary key
        sql = f"SELECT {columns} FROM ({some}) WHERE ? IN ('', subject) LIMIT ?"  # noqa: S608 - our own columns
        bound = (2**63 - 1 if before is None else before, AUDIT_SEARCHED if subject else limit, subject, limit)
        rows = await self._database.read(lambda connection: connection.execute(sql, bound).fetchall())
        return [(row[0], AuditRecord(*row[1:])) for row in rows]

    async def audits_naming(self, users: Subjects) -> int:
        """How many records name one of these users."""

        def query(connection: sqlite3.Connection) -> int:
            return sum(users.mentions(subject) or users.mentions(detail) for _, subject, detail in connection.execute(_RECORDS))

        return await self._database.read(query)

    async def erase_audits(self, users: Subjects) -> None:
        """Blank what names them; that something was ordered, when and by whom stays."""

        def job(connection: sqlite3.Connection) -> None:
            for number, *texts in connection.execute(_RECORDS).fetchall():
                if any(map(users.mentions, texts)):
                    connection.execute(_BLANK, (*("(erased)" if users.mentions(text) else text for text in texts), number))

        await self._database.write(job)

    async def audit(self, record: AuditRecord) -> None:
        """Keep one order."""
        row = (record.at_s, record.operator, record.action, record.subject, record.detail)
        await self._database.write(lambda connection: _insert_audit(connection, row))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _insert(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    connection.execute("INSERT INTO token(id, name, role, prefix, hash, created_s, expires_s) VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def _insert_audit(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    """The oldest go: the record is for people, and a program that logs in every minute must not fill the disk."""
    connection.execute("DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?", (AUDIT_MAX,))
    connection.execute("INSERT INTO audit(at_s, operator, action, subject, detail) VALUES (?, ?, ?, ?, ?)", row)


def _token(row: tuple[Any, ...]) -> Token:
    return Token(row[0], row[1], Role(row[2]), row[3], row[4], row[5], row[6])

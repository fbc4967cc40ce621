"""How a browser is logged in: sessions in a table, and one-time links in memory.

A session belongs to the token it was made with and has that token's name and role; it ends with the token, by logout, or when nobody used it for
`[ui] session_hours`. The cookie's text is known to the browser only: what is stored is its SHA-256, mixed with `[ui] token` for those who logged in
with that, so that a changed token ends their sessions too.
"""

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeVar

from relay.access.operator import CLI_ID, UI_ID, Operator, Role
from relay.base.clock import Clock
from relay.base.secret import Secret

T = TypeVar("T")
LINK_S: Final = 600.0
LINKS_MAX: Final = 100
SESSIONS_MAX: Final = 100
"""Of one token; a further login ends the oldest one."""
TOUCH_SHARE: Final = 0.02
"""A session is lengthened when this share of its time has passed, so that a page that polls costs few writes."""

_FIND = (
    "SELECT s.hash, s.token, s.expires_s, t.name, t.role FROM session s LEFT JOIN token t ON t.id = s.token AND coalesce(t.expires_s > ?, 1)"
    " WHERE s.hash IN (?, ?) AND s.expires_s > ?"  # by the primary keys of both
)


class WriteQueue(Protocol):
    """What the store needs of the database."""

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T: ...

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T: ...


@dataclass(frozen=True, slots=True)
class Session:
    """A login in force."""

    operator: Operator
    expires_s: float
    """When it ends unless it is used; unix seconds."""
    csrf: str
    """What a page sends with every change, and a page of another origin cannot know."""


class Sessions:
    """Every answer comes from the table, so a session that was ended is over at once. `lasts_s`: after the last use."""

    def __init__(self, database: WriteQueue, clock: Clock, *, lasts_s: float, ui_token: Secret) -> None:
        self._database = database
        self._clock = clock
        self._lasts_s = lasts_s
        self._ui_token = ui_token

    async def open(self, by: Operator) -> tuple[Session, str]:
        """Log `by` in; the second value is the text of the cookie, which nobody can read again."""
        text, now_s = secrets.token_urlsafe(32), self._clock.now()
        row = (self._hash(text, by.operator_id), by.operator_id, by.address, now_s, now_s + self._lasts_s)
        await self._database.write(lambda connection: _insert(connection, row, now_s))
        return Session(replace(by, session=row[0]), row[4], csrf_of(text)), text

    async def find(self, text: str, address: str = "") -> Session | None:
        """The session of this cookie, lengthened; None: there is none, or its token has ended."""
        if not text.isascii():
            return None
        found = await self._find(self._hash(text, CLI_ID), self._hash(text, UI_ID))
        if found is None:
            return None
        operator, expires_s = found
        now_s = self._clock.now()
        if now_s + self._lasts_s - expires_s > self._lasts_s * TOUCH_SHARE:
            expires_s = now_s + self._lasts_s
            bound = (expires_s, operator.session)
            await self._database.write(lambda connection: connection.execute("UPDATE session SET expires_s = ? WHERE hash = ?", bound).rowcount)
        return Session(replace(operator, address=address), expires_s, csrf_of(text))

    async def holds(self, by: Operator) -> bool:
        """Whether the session of `by` is in force and still gives the role. A look lengthens nothing."""
        found = await self._find(by.session, by.session)
        return found is not None and found[0].role is by.role

    async def close(self, by: Operator) -> int:
        """End the session that `by` came through; returns how many ended: 1, or 0 when it had ended before."""
        sql = "DELETE FROM session WHERE hash = ?"
        return await self._database.write(lambda connection: connection.execute(sql, (by.session,)).rowcount)

    async def close_all(self, by: Operator) -> int:
        """End every session of the token of `by`; returns how many."""
        sql = "DELETE FROM session WHERE token = ?"
        return await self._database.write(lambda connection: connection.execute(sql, (by.operator_id,)).rowcount)

    async def _find(self, plain: bytes, mixed: bytes) -> tuple[Operator, float] | None:
        now_s = self._clock.now()
        rows = await self._database.read(lambda connection: connection.execute(_FIND, (now_s, plain, mixed, now_s)).fetchall())
        for key, token, expires_s, name, role in rows:
            if token in (CLI_ID, UI_ID):
                return Operator(token, token, Role.ADMIN, session=key), expires_s
            if role is not None:
                return Operator(token, name, Role(role), session=key), expires_s
        return None

    def _hash(self, text: str, token: str) -> bytes:
        mixed = f"{text}\0{self._ui_token.reveal()}" if token == UI_ID else text
        return hashlib.sha256(mixed.encode()).digest()


@dataclass(frozen=True, slots=True)
class _Link:
    by: Operator
    until_s: float


class Links:
    """One-time login links: valid for 10 minutes, once, and until relay ends. The newest hundred."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._links: dict[bytes, _Link] = {}

    def new(self, by: Operator) -> str:
        """The code of a link that logs its bearer in as `by`."""
        code = secrets.token_urlsafe(24)
        self._links[_digest(code)] = _Link(replace(by, session=b""), self._clock.monotonic() + LINK_S)
        if len(self._links) > LINKS_MAX:
            del self._links[next(iter(self._links))]
        return code

    def take(self, code: str, address: str = "") -> Operator | None:
        """Whom the code logs in; it is spent. None: it was never given out, is spent, or is too old."""
        link = self._links.pop(_digest(code), None)
        return replace(link.by, address=address) if link is not None and link.until_s > self._clock.monotonic() else None


def csrf_of(text: str) -> str:
    """Made from the cookie, which tells nothing of the cookie."""
    return hmac.new(text.encode(), b"relay csrf", hashlib.sha256).hexdigest()


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()


def _insert(connection: sqlite3.Connection, row: tuple[Any, ...], now_s: float) -> None:
    connection.execute("DELETE FROM session WHERE expires_s <= ?", (now_s,))
    older = "SELECT hash FROM session WHERE token = ? ORDER BY created_s DESC LIMIT -1 OFFSET ?"  # by index session_token
    connection.execute(f"DELETE FROM session WHERE hash IN ({older})", (row[1], SESSIONS_MAX - 1))  # noqa: S608 (our own text)
    connection.execute("INSERT INTO session (hash, token, address, created_s, expires_s) VALUES (?, ?, ?, ?, ?)", row)

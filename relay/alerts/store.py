"""Alerts and mutes over their two tables: what fires survives a restart, what is over is history.

What must be told is written with the alert (`untold`), and marked when its event is in the log: a crash between the two tells it again
under the same messageId, which the log's dedup drops.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Protocol, TypeVar

from relay.base import jsonio
from relay.kit.subjects import Subjects

T = TypeVar("T")
FIRING: Final = "firing"
RESOLVED: Final = "resolved"
KEEP_DAYS: Final = 90

_COLUMNS = (
    "id, cause, state, rule, kind, subject_kind, slug, value, threshold, opened_s, resolved_s, reminded_s, muted_until_s, muted_by, "
    "content, told, untold, seq"
)
_FIRING = f"SELECT {_COLUMNS} FROM alert WHERE state = 'firing' OR untold <> '' ORDER BY id"  # noqa: S608 - by alert_state; the table is small
_HISTORY = f"SELECT {_COLUMNS} FROM alert WHERE state = 'resolved' ORDER BY id DESC LIMIT ?"  # noqa: S608 - our own columns
_GET = f"SELECT {_COLUMNS} FROM alert WHERE id = ?"  # noqa: S608 - our own columns
_PUT = f"INSERT INTO alert ({_COLUMNS}) VALUES ({', '.join('?' * 18)})"  # noqa: S608 - our own columns
_CHANGE = f"REPLACE INTO alert ({_COLUMNS}) VALUES ({', '.join('?' * 18)})"  # noqa: S608
_TOLD = "UPDATE alert SET told = told + 1, untold = '', seq = ? WHERE id = ?"
_MUTES = "SELECT cause, until_s, by FROM mute"
_MUTE = "REPLACE INTO mute (cause, until_s, by) VALUES (?, ?, ?)"
_MUTED = "UPDATE alert SET muted_until_s = ?, muted_by = ? WHERE cause = ? AND state = 'firing'"
_COUNTS = "SELECT rule, count(*) FROM alert WHERE opened_s >= ? GROUP BY rule"  # by alert_opened
_CONTENTS = "SELECT id, content FROM alert"  # the whole table: alerts are few
_SAY = "UPDATE alert SET content = ? WHERE id = ?"
_TRIM = ("DELETE FROM alert WHERE state = 'resolved' AND opened_s < ?", "DELETE FROM mute WHERE until_s < ?")


class WriteQueue(Protocol):
    """What the store needs of the database. Writes are shed on a full disk: the next check tries again."""

    async def write(self, run: Callable[[sqlite3.Connection], T], *, sheds: bool = False) -> T: ...

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T: ...


@dataclass(frozen=True, slots=True)
class Content:
    """What an alert says; kept as JSON."""

    text: str = ""
    """One sentence: who, what, how much."""
    why: str = ""
    """The meaning of the code; empty when none is known."""
    cure: str = ""
    code: str = ""
    sample: Mapping[str, Any] | None = None
    """`{code, status, answer}` of a failure."""
    change: Mapping[str, Any] | None = None
    """The workspace change just before: `{version, at_s, by, changed}`."""
    also: tuple[str, ...] = ()
    """Further kinds of rules that the same cause has set off."""
    offences: tuple[Mapping[str, Any], ...] = ()
    """Of violations: which rules of the plan were broken most, `{rule, event, type, fields, count, owners}`."""

    @property
    def owners(self) -> list[str]:
        """Who looks after those rules, each once."""
        return list(dict.fromkeys(owner for one in self.offences for owner in one["owners"]))


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `alert_id` 0: not stored yet."""

    alert_id: int
    cause: str
    state: str
    rule: str
    kind: str
    subject_kind: str
    slug: str
    value: float
    threshold: float
    opened_s: float
    resolved_s: float | None = None
    reminded_s: float | None = None
    muted_until_s: float | None = None
    muted_by: str = ""
    content: Content = field(default_factory=Content)
    told: int = 0
    """How many events have told of it."""
    untold: str = ""
    """`fired`, `reminded` or `resolved`: its event is to be appended; empty: all is told."""
    seq: int = 0
    """Where its newest event lies in the log; 0: none does."""

    def is_muted(self, now_s: float) -> bool:
        return self.muted_until_s is not None and self.muted_until_s > now_s


@dataclass(frozen=True, slots=True)
class Mute:
    """Nothing is told about a cause until then."""

    until_s: float
    by: str


class AlertStore:
    """The two tables. Every method that writes returns after its commit; StoreError on a full disk."""

    def __init__(self, database: WriteQueue) -> None:
        self._database = database

    async def open_alerts(self) -> list[Alert]:
        """What fires, and what is over but not told yet; oldest first."""
        rows = await self._database.read(lambda connection: connection.execute(_FIRING).fetchall())
        return [_alert(row) for row in rows]

    async def history(self, limit: int) -> list[Alert]:
        """What is over, newest first."""
        rows = await self._database.read(lambda connection: connection.execute(_HISTORY, (limit,)).fetchall())
        return [_alert(row) for row in rows]

    async def get(self, alert_id: int) -> Alert | None:
        row = await self._database.read(lambda connection: connection.execute(_GET, (alert_id,)).fetchone())
        return _alert(row) if row else None

    async def add(self, alert: Alert) -> Alert:
        """Keep a new alert; returns it with its id."""

        def job(connection: sqlite3.Connection) -> int:
            return int(connection.execute(_PUT, (None, *_values(alert)[1:])).lastrowid or 0)

        return replace(alert, alert_id=await self._database.write(job, sheds=True))

    async def change(self, alert: Alert) -> None:
        """Replace a stored alert."""
        await self._database.write(lambda connection: connection.execute(_CHANGE, _values(alert)).rowcount, sheds=True)

    async def mark_told(self, alert: Alert, seq: int) -> Alert:
        """Its event is in the log, at `seq`."""
        await self._database.write(lambda connection: connection.execute(_TOLD, (seq, alert.alert_id)).rowcount, sheds=True)
        return replace(alert, told=alert.told + 1, untold="", seq=seq)

    async def mutes(self) -> dict[str, Mute]:
        """Causes that are muted, and those whose mute is over since shortly."""
        rows = await self._database.read(lambda connection: connection.execute(_MUTES).fetchall())
        return {cause: Mute(until_s, by) for cause, until_s, by in rows}

    async def mute(self, cause: str, mute: Mute) -> None:
        """Mute a cause: its firing alert, and those to come until then."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(_MUTE, (cause, mute.until_s, mute.by))
            connection.execute(_MUTED, (mute.until_s, mute.by, cause))

        await self._database.write(job, sheds=True)

    async def counts(self, since_s: float) -> dict[str, int]:
        """How often each rule has fired since then."""
        return dict(await self._database.read(lambda connection: connection.execute(_COUNTS, (since_s,)).fetchall()))

    async def naming(self, users: Subjects) -> list[int]:
        """Ids of the alerts that name one of these users."""
        rows = await self._database.read(lambda connection: connection.execute(_CONTENTS).fetchall())
        return [alert_id for alert_id, content in rows if users.mentions(content)]

    async def erase(self, users: Subjects) -> None:
        """Take what names them out of the stored alerts. Those in memory are the watch's (`Watch.forget`)."""

        def job(connection: sqlite3.Connection) -> None:
            for alert_id, text in connection.execute(_CONTENTS).fetchall():
                if users.mentions(text):
                    connection.execute(_SAY, (_text_of(without(_content(text), users)), alert_id))

        await self._database.write(job)

    async def trim(self, now_s: float) -> None:
        """Drop history of more than KEEP_DAYS, and mutes that are over."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(_TRIM[0], (now_s - KEEP_DAYS * 86_400,))
            connection.execute(_TRIM[1], (now_s,))

        await self._database.write(job, sheds=True)


def without(content: Content, users: Subjects) -> Content:
    """The content without its sample, which is where an answer may name them, and without a text that does."""
    if not users.mentions(_text_of(content)):
        return content
    texts = {entry.name: getattr(content, entry.name) for entry in fields(content) if entry.type in ("str", str)}
    named: dict[str, Any] = {name: "" for name, text in texts.items() if users.mentions(text)}
    return replace(content, sample=None, **named)


def _text_of(content: Content) -> str:
    return jsonio.dumps({entry.name: getattr(content, entry.name) for entry in fields(content)}).decode()


def _content(text: str) -> Content:
    said = jsonio.loads(text)
    return Content(**(said | {"also": tuple(said["also"]), "offences": tuple(said.get("offences", ()))}))


def _values(alert: Alert) -> tuple[Any, ...]:
    return (
        alert.alert_id, alert.cause, alert.state, alert.rule, alert.kind, alert.subject_kind, alert.slug, alert.value, alert.threshold,
        alert.opened_s, alert.resolved_s, alert.reminded_s, alert.muted_until_s, alert.muted_by, _text_of(alert.content),
        alert.told, alert.untold, alert.seq,
    )  # fmt: skip


def _alert(row: Sequence[Any]) -> Alert:
    values: list[Any] = [*row[:14], _content(row[14]), *row[15:]]
    return Alert(*values)

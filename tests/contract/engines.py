"""The engines that the outbox's contract suite runs on, and the proxy that checks the books after each call.

A third engine joins by one more class with the methods of `Engine` and one more name in `ENGINES`.
"""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from relay.base.clock import SystemClock
from relay.base.event import Event, event_of
from relay.base.ids import dedup_hash
from relay.base.jsonio import dumps
from relay.database.database import Database
from relay.database.thread import SqliteThread
from relay.outbox.engine import LedgerOutbox, Limits
from relay.outbox.interface import DEAD, Consumer
from relay.outbox.ledger import WINDOW
from relay.outbox.memory import Disk, MemoryOutbox
from relay.outbox.operations import Keep
from relay.outbox.sqlite import dedup, open_outbox

START_S = 1_700_000_000.0
HOUR_S = 3600.0


class TestClock:
    """Wall time stands still until a test moves it."""

    __test__ = False

    def __init__(self) -> None:
        self.at_s = START_S

    def now(self) -> float:
        return self.at_s

    def monotonic(self) -> float:
        return self.at_s


def event(message_id: str, *, source: str = "s1", user: str = "u1", kind: str = "track", at_s: float = START_S, size: int = 0, **more: Any) -> Event:
    """A normalised event; `size` pads its body."""
    payload = {"messageId": message_id, "type": kind, "userId": user, **more}
    if kind == "track":
        payload["event"] = "Clicked"
    if size:
        payload["properties"] = {"pad": "x" * size}
    return event_of(payload, source, int(at_s * 1000), dumps(payload))


class Engine:
    """One engine under test. `outbox` checks the books after each call; `bare` is the same one without."""

    name = ""

    def __init__(self, folder: Path, *, keep: Keep | None = None, limits: Limits | None = None) -> None:
        self.folder, self.keep, self.limits = folder, keep, limits
        self.clock = TestClock()
        self.bare: LedgerOutbox

    async def start(self) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        raise NotImplementedError

    async def fill(self) -> None:
        """From now on the disk has no room for another page."""
        raise NotImplementedError

    async def free(self) -> None:
        raise NotImplementedError

    @property
    def outbox(self) -> Any:
        return Checked(self.bare, self.bare)

    async def reopen(self) -> Any:
        await self.stop()
        await self.start()
        return self.outbox

    async def rotate_dedup(self) -> None:
        await self.bare.rotate_dedup()

    async def collide(self, source_id: str, message_id: str, seq: int) -> None:
        """Make the hash of a message point at another event, as a collision of two hashes does."""
        await self.bare._write(lambda tx: self.plant(tx, dedup_hash(source_id, message_id), seq))


class MemoryEngine(Engine):
    name = "memory"

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        self.disk = Disk()
        self._is_full = False

    async def start(self) -> None:
        outbox = MemoryOutbox(self.clock, disk=self.disk, keep=self.keep, limits=self.limits)
        outbox.store.disk_full = lambda: self._is_full
        self.bare = outbox

    def plant(self, tx: Any, key: int, seq: int) -> None:
        tx.generations[tx.current][key] = seq

    async def stop(self) -> None:
        await self.bare.close()

    async def fill(self) -> None:
        self._is_full = True

    async def free(self) -> None:
        self._is_full = False


class SqliteEngine(Engine):
    name = "sqlite"
    hop: Callable[[], Any] = SqliteThread

    async def start(self) -> None:
        dedup.FOLD_AT, dedup.SLICE = 5, 2  # a test has few events: their keys are to be found on all of their ways as well
        self.fatal: list[Exception] = []
        self.database = await Database.open(
            self.folder / "relay.db", clock=SystemClock(), on_fatal=self.fatal.append, durability="process", hop=type(self).hop
        )
        await self.database._write_hop.run(lambda connection: connection.execute("PRAGMA synchronous = OFF"))  # no power is cut here
        self.bare = await open_outbox(self.database, self.clock, keep=self.keep, limits=self.limits)

    def plant(self, tx: Any, key: int, seq: int) -> None:
        tx._execute("INSERT INTO dedup_0 (hash, seq) VALUES (?, ?)", (key, seq))

    async def stop(self) -> None:
        await self.database.close()
        assert self.fatal == []

    async def fill(self) -> None:
        def run(connection: Any) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

        await self.database.write(run)

    async def free(self) -> None:
        await self.database._write_hop.run(lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchone())


ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in (MemoryEngine, SqliteEngine)}


class Checked:
    """Forwards everything; after each awaited call all books must balance."""

    def __init__(self, inner: Any, outbox: Any) -> None:
        self._inner, self._outbox = inner, outbox

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **options: Any) -> Any:
            try:
                result = await found(*args, **options)
            finally:
                await check_books(self._outbox)
            return Checked(result, self._outbox) if name == "open" else result

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            setattr(self._inner, name, value)


async def check_books(outbox: Any) -> None:
    """Outbox page, section 9: the invariants after a commit."""
    for name in await outbox.names():
        balance, cursor, depth = await outbox.balance(name), await outbox.cursor(name), await outbox.depth(name)
        assert balance.holds, (name, balance)
        assert balance.pending == depth.pending == balance.unscanned + depth.retry + depth.parked
        assert balance.unscanned >= 0
        assert balance.open >= 0
        assert cursor.start <= cursor.pos <= balance.head
        assert cursor.ahead.bit_length() <= max(0, balance.head - cursor.pos) and cursor.ahead.bit_length() <= WINDOW
        assert not cursor.ahead & 1


async def stored(outbox: Any) -> list[int]:
    """The seqs that the log holds."""
    return [claim.seq async for page in outbox.history.scan() for claim in page]


async def filled(outbox: Any, count: int, *, first: int = 1, source: str = "s1", user: str = "u1") -> Sequence[Any]:
    """Append `count` events m<first>, m<first + 1> ..."""
    return await outbox.append([event(f"m{i}", source=source, user=user) for i in range(first, first + count)])


async def dead_seqs(outbox: Any, name: str, which: Any) -> list[int]:
    return [row.seq for row, _ in await outbox.history.dead(name, which) if row.state == DEAD]


async def open_rows(outbox: Any, name: str) -> dict[tuple[int, str], Any]:
    """The open rows, as a successor reads them (so it raises the epoch)."""
    consumer: Consumer = await outbox.open(name)
    return {(row.seq, row.subscription_id): row for row in consumer.rows}

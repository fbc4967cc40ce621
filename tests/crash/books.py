"""The books of a stopped relay, read from a copy of its files by plain SQL: nothing of relay's own code vouches for itself."""

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path


def copy_store(data: Path, target: Path) -> Path:
    """Copy the database with its WAL, as a crash left them; returns the copied database file."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ("relay.db", "relay.db-wal"):
        if (data / name).exists():
            shutil.copyfile(data / name, target / name)
        else:
            (target / name).unlink(missing_ok=True)
    (target / "relay.db-shm").unlink(missing_ok=True)  # SQLite makes it anew out of the WAL
    return target / "relay.db"


def assert_books(path: Path) -> None:
    """The file is whole, every consumer's balance holds, and no event that somebody still needs is gone (outbox page 9)."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (head,) = connection.execute("SELECT value FROM meta WHERE key = 'head'").fetchone()
        lowest = head
        for name, start, pos, packed, extra, skipped, doors in connection.execute(
            "SELECT name, start, pos, ahead, extra, skipped, doors FROM cursor"
        ):
            ahead = int.from_bytes(packed, "little")
            waiting = connection.execute("SELECT count(*) FROM row WHERE consumer = ? AND state != 'dead'", (name,)).fetchone()[0]
            left = head - pos - ahead.bit_count()
            counted = skipped + sum(json.loads(doors).values()) + left + waiting
            assert name == "router" or head - start + extra == counted, f"{name}: {head - start + extra} came in, {counted} are accounted for"
            assert pos + ahead.bit_length() <= head, f"{name} has settled what does not exist"
            lowest = min(lowest, pos)
        stored = connection.execute("SELECT count(*) FROM log WHERE seq > ?", (lowest,)).fetchone()[0]
        assert stored == head - lowest, f"{head - lowest - stored} events above the lowest cursor are gone"
        orphans = connection.execute("SELECT count(*) FROM row WHERE seq NOT IN (SELECT seq FROM log)").fetchone()[0]
        assert orphans == 0, f"{orphans} rows have lost their event"


def message_ids(path: Path) -> Counter[str]:
    """How often each messageId stands in the log."""
    with closing(sqlite3.connect(path)) as connection:
        return Counter(json.loads(body)["messageId"] for (body,) in connection.execute("SELECT body FROM log"))


def doors(path: Path) -> dict[str, dict[str, int]]:
    """What left by which door, per destination."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, doors FROM cursor WHERE name != 'router'").fetchall()
    return {name: json.loads(text) for name, text in found}


def open_rows(path: Path) -> int:
    """How many entries wait in rows."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM row WHERE state != 'dead'").fetchone()[0])

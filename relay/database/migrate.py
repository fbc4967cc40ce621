"""The schema's steps: `schema/NNNN.sql`, each applied in one transaction, counted in `PRAGMA user_version`.

Promises: a step that fails leaves the file as it was (SQLite's DDL rolls back), and before the first step on an existing
database a copy `<file>.v<N>` is made; going back is the old program with that copy.
"""

import os
import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple


class Step(NamedTuple):
    """One step: after it `user_version` is `version`."""

    version: int
    sql: str


def load_steps() -> list[Step]:
    """All steps of this program, in order."""
    folder = files("relay.database") / "schema"
    found = [Step(int(item.name.removesuffix(".sql")), item.read_text("utf-8")) for item in folder.iterdir() if item.name.endswith(".sql")]
    return sorted(found)


def newest_version() -> int:
    """The schema version that this program writes."""
    return load_steps()[-1].version


def schema_version(connection: sqlite3.Connection) -> int:
    """What `user_version` says; 0: nothing was made yet."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: Path, steps: list[Step]) -> tuple[int, int]:
    """Bring the database at `path` to the last step; returns the version before and after."""
    before = schema_version(connection)
    waiting = [step for step in steps if step.version > before]
    if waiting and before > 0:
        _keep_copy(connection, path.with_name(f"{path.name}.v{before}"))
    for step in waiting:
        _apply(connection, step)
    return before, schema_version(connection)


def _apply(connection: sqlite3.Connection, step: Step) -> None:
    try:  # executescript commits what is open before it starts: so the transaction is part of the script
        connection.executescript(f"BEGIN IMMEDIATE;\n{step.sql}\n;PRAGMA user_version = {step.version};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _keep_copy(connection: sqlite3.Connection, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(part),))
    part.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

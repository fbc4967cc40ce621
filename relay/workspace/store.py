"""Stored workspace versions: numbered documents, each with its audit row, both in one commit."""

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from relay.base import jsonio
from relay.database.database import Database
from relay.workspace.digest import digest, document
from relay.workspace.model import Workspace
from relay.workspace.stored import NOTHING, Stored

_LATEST = "SELECT version, digest, created_s, created_by, document, stored FROM workspace ORDER BY version DESC LIMIT 1"  # by the primary key
_VERSIONS = "SELECT version, created_s, created_by FROM workspace ORDER BY version DESC LIMIT ?"  # by the primary key
_DOCUMENT = "SELECT document FROM workspace WHERE version = ?"
_BEFORE = "SELECT version, created_s, created_by FROM workspace WHERE version > 1 AND created_s BETWEEN ? AND ? ORDER BY version DESC LIMIT 1"
_SAVE = "INSERT INTO workspace (version, created_s, created_by, digest, document, stored) VALUES (?, ?, ?, ?, ?, ?)"
_STORED = "UPDATE workspace SET stored = ? WHERE version = ?"
_AUDIT = "INSERT INTO audit (at_s, operator, action, subject, detail) VALUES (?, ?, 'workspace.saved', ?, ?)"


class WorkspaceStore:
    """Versions count from 1 and are never changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(self) -> tuple[int, str] | None:
        """Number and digest of the newest version; None when there is none."""
        row = await self._database.read(lambda connection: connection.execute(_LATEST).fetchone())
        return (row[0], row[1]) if row else None

    async def stored(self) -> Stored:
        """What the UI owns of the newest version."""
        return await self._database.read(owned)

    async def save(self, workspace: Workspace, by: str, at_s: float, stored: Stored) -> Workspace:
        """`workspace` with its number, and what of it is the UI's; content equal to the newest version's makes no new one."""
        content, mark, text = document(workspace), digest(workspace), stored.text()

        def job(connection: sqlite3.Connection) -> Workspace:
            row = connection.execute(_LATEST).fetchone()
            if row and row[1] == mark:
                connection.execute(_STORED, (text, row[0]))
                return replace(workspace, version=row[0], created_s=row[2], created_by=row[3])
            version = row[0] + 1 if row else 1
            detail = jsonio.dumps(changes(jsonio.loads(row[4]) if row else {}, content)).decode()
            connection.execute(_SAVE, (version, at_s, by, mark, jsonio.dumps(content).decode(), text))
            connection.execute(_AUDIT, (at_s, by, f"workspace {version}", detail))
            return replace(workspace, version=version, created_s=at_s, created_by=by)

        return await self._database.write(job)

    async def versions(self, limit: int) -> list[tuple[int, float, str]]:
        """The newest versions, newest first: number, when it was made (unix seconds), and by whom."""
        rows = await self._database.read(lambda connection: connection.execute(_VERSIONS, (limit,)).fetchall())
        return [(row[0], row[1], row[2]) for row in rows]

    async def change_between(self, since_s: float, until_s: float) -> dict[str, Any] | None:
        """The newest change of that time: `{version, at_s, by, changed}`, with changed as `source web`; the first version is no change."""

        def query(connection: sqlite3.Connection) -> dict[str, Any] | None:
            row = connection.execute(_BEFORE, (since_s, until_s)).fetchone()
            if row is None:
                return None
            texts = [connection.execute(_DOCUMENT, (version,)).fetchone() for version in (row[0] - 1, row[0])]
            before, after = (jsonio.loads(text[0]) if text else {} for text in texts)
            named = changes(before, after)
            return {"version": row[0], "at_s": row[1], "by": row[2], "changed": sorted(name for names in named.values() for name in names)}

        return await self._database.read(query)

    async def document(self, version: int) -> dict[str, Any] | None:
        """The document of a version (secrets masked); None when there is no such version."""
        row = await self._database.read(lambda connection: connection.execute(_DOCUMENT, (version,)).fetchone())
        return jsonio.loads(row[0]) if row else None


def owned(connection: sqlite3.Connection) -> Stored:
    """What the UI owns of the newest version."""
    row = connection.execute(_LATEST).fetchone()
    return Stored.of(row[5]) if row else NOTHING


def newest(connection: sqlite3.Connection) -> tuple[int, dict[str, Any]] | None:
    """Number and document (secrets masked) of the newest version, for a command that reads the database; None when there is none."""
    row = connection.execute(_LATEST).fetchone()
    return (row[0], jsonio.loads(row[4])) if row else None


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[str]]:
    """What differs between two documents: slugs that were added, changed and removed, as `source web`."""
    old, new = _by_name(before), _by_name(after)
    return {
        "added": sorted(new.keys() - old.keys()),
        "changed": sorted(name for name in new.keys() & old.keys() if new[name] != old[name]),
        "removed": sorted(old.keys() - new.keys()),
    }


def _by_name(content: Mapping[str, Any]) -> dict[str, Any]:
    nouns = {"source": content.get("sources", []), "destination": content.get("destinations", [])}
    named = {f"{noun} {item['slug']}": item for noun, items in nouns.items() for item in items}
    named |= {f"fields of {source_id}": paths for source_id, paths in content.get("colors", {}).items()}
    return named | {f"alert rule {item['name']}": item for item in content.get("alert_rules", [])}

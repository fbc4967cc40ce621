"""What this relay is: its versions, its settings with the origin of each value, its workspace versions and its database. Reads only."""

import platform
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from relay import __version__
from relay.base.secret import MASK, Secret
from relay.config.settings import SPECS, Settings
from relay.config.tree import PREFIX, Tree
from relay.database.database import Database, Room
from relay.errors import Problem
from relay.pipeline.compiled import Current

VERSIONS_SHOWN: Final = 50
_LOG = "SELECT (SELECT min(seq) FROM log), (SELECT max(seq) FROM log), (SELECT received_ms FROM log ORDER BY seq LIMIT 1)"  # by the primary key


class Versions(Protocol):
    """Where workspace versions are kept."""

    async def versions(self, limit: int) -> list[tuple[int, float, str]]: ...


@dataclass(frozen=True, slots=True)
class Inventory:
    """`settings` and `tree` as of the start: settings of the process change with the next start only."""

    settings: Settings
    tree: Tree
    data_dir: str
    started_s: float
    database: Database
    workspaces: Versions
    current: Current
    room: Callable[[], Room]
    warnings: Callable[[], list[Problem]]

    async def tell(self) -> dict[str, Any]:
        """All of it, as JSON has it; a secret that is set shows as dots."""
        workspace = self.current.compiled.workspace
        return {
            "version": __version__,
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "platform": f"{platform.system()} {platform.machine()}",
            "started_s": self.started_s,
            "data_dir": self.data_dir,
            "settings": setting_rows(self.settings, self.tree),
            "files": [str(path) for path in self.tree.files],
            "workspace": {"version": workspace.version, "created_s": workspace.created_s, "created_by": workspace.created_by},
            "versions": [
                {"version": version, "created_s": created_s, "created_by": by}
                for version, created_s, by in await self.workspaces.versions(VERSIONS_SHOWN)
            ],
            "database": await self._database(),
            "warnings": [problem_row(problem) for problem in self.warnings()],
        }

    async def _database(self) -> dict[str, Any]:
        """`events` counts from the oldest to the newest: what was pruned between them is counted too, since counting rows would read them all."""
        first, last, received_ms = await self.database.read(lambda connection: connection.execute(_LOG).fetchone())
        room = self.room()
        return {
            "bytes": room.db_bytes,
            "free_bytes": room.free_bytes,
            "wal_bytes": room.wal_bytes,
            "events": last - first + 1 if last is not None else 0,
            "oldest_s": received_ms / 1000 if received_ms is not None else None,
            "keep_h": self.settings.store.keep_h,
        }


def setting_rows(settings: Settings, tree: Tree) -> list[dict[str, Any]]:
    """Every setting: what it is, what it is now, and where that came from (`default`, `file:line`, the variable's name, `--set`)."""
    rows = []
    for spec in SPECS:
        origin = tree.origin(spec.path)
        rows.append(
            {
                "table": spec.table,
                "name": spec.name,
                "value": _plain(getattr(getattr(settings, spec.table), spec.name)),
                "default": _plain(spec.default),
                "origin": f"{PREFIX}{spec.table}__{spec.name}".upper() if origin == "environment" else origin,
                "unit": spec.unit,
                "help": spec.help,
                "secret": spec.type == "secret",
            }
        )
    return rows


def problem_row(problem: Problem) -> dict[str, Any]:
    """A mistake or warning of the configuration, as JSON has it."""
    place = problem.place
    return {"message": problem.message, "file": place.file if place else "", "line": place.line if place else 0, "remedy": problem.remedy}


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return MASK if value else ""
    return list(value) if isinstance(value, tuple) else value

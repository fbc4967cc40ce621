"""What `relay doctor` finds without asking a running relay: versions, limits, clock, disk, data folder."""

import datetime
import os
import resource
import socket
import sqlite3
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from relay import __version__
from relay.base.clock import SystemClock
from relay.config.settings import parse_listen

HANDLES_WANTED: Final = 4096
WAL_WARN_BYTES: Final = 256 << 20
RESERVE_BYTES: Final = 256 << 20
WAL_RESET_FIXED: Final = (3, 51, 3)
SQLITE_NEEDED: Final = (3, 35, 0)
"""RETURNING and the other statements that relay uses."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `state`: ok, warn or fail."""

    state: str
    name: str
    detail: str
    remedy: str = ""


def of_machine() -> Iterator[Finding]:
    """Python, SQLite, file handles, clock."""
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok" if sys.version_info >= (3, 11) else "fail", "python", f"{python}, relay {__version__}", "")
    yield _sqlite()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    remedy = "" if soft >= HANDLES_WANTED else f"Raise it: ulimit -n {HANDLES_WANTED}, or LimitNOFILE= in the systemd unit."
    yield Finding("warn" if remedy else "ok", "file handles", f"{soft:,} (at most {hard:,})", remedy)
    yield _clock()


def _sqlite() -> Finding:
    if sqlite3.sqlite_version_info < SQLITE_NEEDED:
        return Finding("fail", "sqlite", sqlite3.sqlite_version, f"relay needs SQLite {'.'.join(map(str, SQLITE_NEEDED))}; use a newer Python build.")
    if sqlite3.sqlite_version_info < WAL_RESET_FIXED:
        return Finding(
            "ok", "sqlite", f"{sqlite3.sqlite_version} (relay writes and checkpoints on one connection, so its WAL-reset bug does not apply)"
        )
    return Finding("ok", "sqlite", sqlite3.sqlite_version)


def _clock() -> Finding:
    """The program's own files cannot come from the future."""
    now_s = SystemClock().now()
    built_s = Path(__file__).stat().st_mtime
    shown = datetime.datetime.fromtimestamp(now_s, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if now_s < built_s - 86_400:
        return Finding("fail", "clock", f"{shown}, which is before relay was installed", "Set the clock, and keep it with NTP.")
    return Finding("ok", "clock", shown)


def of_data_folder(folder: Path, min_free_bytes: int) -> Iterator[Finding]:
    """Modes, kind of file system, free room and inodes, size of database and write-ahead log."""
    if not folder.exists():
        yield Finding("ok", "data folder", f"{folder} does not exist yet; relay makes it", "")
        yield from _disk(folder.absolute().parent, min_free_bytes)
        return
    yield _modes(folder)
    yield from _network(folder)
    yield from _disk(folder, min_free_bytes)
    database, log = folder / "relay.db", folder / "relay.db-wal"
    if database.exists():
        wal = log.stat().st_size if log.exists() else 0
        remedy = "A reader or a stranger holds it; relay shrinks it as soon as that ends." if wal > WAL_WARN_BYTES else ""
        yield Finding("warn" if remedy else "ok", "database", f"{_size(database.stat().st_size)}, write-ahead log {_size(wal)}", remedy)


def _modes(folder: Path) -> Finding:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding("fail", "data folder", f"{folder} cannot be read and written by this user", "Run as relay's user, or give the folder to it.")
    private = [path for path in (folder, *(folder / name for name in ("relay.db", "cli.token"))) if path.exists()]
    open_to = [str(path) for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_to:
        return Finding("warn", "data folder", f"others can read {', '.join(open_to)}", f"chmod go= {' '.join(open_to)}")
    return Finding("ok", "data folder", f"{folder}, for its owner only")


def _network(folder: Path) -> Iterator[Finding]:
    from relay.database.folder import file_system_kind, is_network

    kind = file_system_kind(folder.absolute())
    if is_network(kind):
        yield Finding("fail", "file system", f"{kind}: its locks and fsync are not safe for a database", "Use a local disk.")
    elif kind:
        yield Finding("ok", "file system", kind)


def _disk(folder: Path, min_free_bytes: int) -> Iterator[Finding]:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    state = os.statvfs(folder)
    free, need = state.f_bavail * state.f_frsize, min_free_bytes or RESERVE_BYTES
    if free < need:
        yield Finding(
            "fail", "disk", f"{_size(free)} free, below the reserve of {_size(need)}: events are refused with 503", "Make room, or use a larger disk."
        )
    elif free < 2 * need:
        yield Finding("warn", "disk", f"{_size(free)} free, the reserve is {_size(need)}", "Make room soon.")
    else:
        yield Finding("ok", "disk", f"{_size(free)} free")
    if state.f_files and state.f_favail < 1000:
        yield Finding("fail" if state.f_favail < 50 else "warn", "inodes", f"{state.f_favail:,} free", "Delete small files that nobody needs.")


def of_ports(addresses: Iterable[str]) -> Iterator[Finding]:
    """Whether relay could listen there; asked only while it does not run."""
    for address in addresses:
        listen = parse_listen(address)
        if listen.unix_path:
            continue
        try:
            family, kind, _, _, where = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            with socket.socket(family, kind) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(where)
        except OSError as error:
            yield Finding(
                "fail",
                "port",
                f"{address}: {error.strerror or error}",
                "End what listens there, or choose another address with --listen or --ui-listen.",
            )
        else:
            yield Finding("ok", "port", f"{address} is free")


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} TiB"

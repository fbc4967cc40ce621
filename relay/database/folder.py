"""The data folder: its modes, its lock, its token and how much room its disk has.

Promises: one process holds the folder at a time, by a lock that dies with the process; everything made in it is readable by
its owner only; `cli.token` is new at each start. Called by `app` before the database opens, and by `care`.
"""

import fcntl
import os
import re
import secrets
from pathlib import Path

import structlog

from relay.errors import ConfigError, LockedError, StoreError

log = structlog.get_logger("relay.database")

TOKEN_BYTES = 32
DATABASE, ARCHIVE, LOCK, TOKEN = "relay.db", "archive", "relay.lock", "cli.token"
NETWORK_KINDS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse", "fuseblk"})
"""Kinds of file systems whose locks and fsync SQLite cannot rely on (also `fuse.<anything>`)."""
MOUNTS = Path("/proc/self/mountinfo")


class DataFolder:
    """Made by `open`; holds the lock until `close`."""

    def __init__(self, path: Path, lock_handle: int, token_text: str) -> None:
        self.path = path
        self.database, self.archive = path / DATABASE, path / ARCHIVE
        self.lock, self.token = path / LOCK, path / TOKEN
        self.token_text = token_text
        """What is in `cli.token`: a command on this machine shows it as its bearer token."""
        self._lock_handle = lock_handle

    @classmethod
    def open(cls, path: Path, *, allow_network_fs: bool = False) -> "DataFolder":
        """Make the folder if needed, lock it, write a new token. From here on the process makes private files only (umask 077).

        Raises LockedError (another relay), StoreError (not writable) or ConfigError (network file system).
        """
        path = path.absolute()
        os.umask(0o077)
        try:
            _make(path)
            kind = file_system_kind(path)
            if is_network(kind) and not allow_network_fs:
                raise ConfigError(
                    f"{path} lies on a network file system ({kind}), which can lose data; allow it with [store] allow_network_fs = true"
                )
            handle = hold_lock(path)
            try:
                text = secrets.token_urlsafe(TOKEN_BYTES)
                _write_private(path / TOKEN, text)
            except BaseException:
                os.close(handle)
                raise
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from error
        return cls(path, handle, text)

    def free_bytes(self) -> int:
        """What an ordinary user may still write on this disk."""
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize

    def close(self) -> None:
        """Take the token back and release the lock; safe to call twice."""
        handle, self._lock_handle = self._lock_handle, -1
        if handle >= 0:
            self.token.unlink(missing_ok=True)
            os.close(handle)

    def __enter__(self) -> "DataFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def hold_lock(folder: Path) -> int:
    """Take the folder's lock; it is held until the returned handle is closed or the process ends.

    The file stays: removing it would let two processes lock two files of one name.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        pid = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(handle)
        raise LockedError(f"{folder} is in use by another relay (pid {pid})") from error
    except BaseException:
        os.close(handle)
        raise
    return handle


def file_system_kind(path: Path) -> str:
    """The kind of file system under a path, as the kernel names it; empty where it does not tell."""
    try:
        return kind_in(MOUNTS.read_text("utf-8", "surrogateescape"), path.resolve())
    except OSError:
        return ""


def kind_in(mounts: str, path: Path) -> str:
    """Find the mount that holds `path` in the text of /proc/self/mountinfo (proc(5)); of equals the last one is on top."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4]))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split(" ")[0]
    return kind


def is_network(kind: str) -> bool:
    """Whether a kind of file system is not for a database."""
    return kind in NETWORK_KINDS or kind.startswith("fuse.")


def _make(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.stat().st_mode & 0o077:  # not changed by us: somebody may have pointed relay at a folder that others need
        log.warning("folder.open_to_others", path=str(path), mode=oct(path.stat().st_mode & 0o777))
    if not os.access(path, os.W_OK | os.X_OK):
        raise StoreError(f"{path} is not writable")


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)

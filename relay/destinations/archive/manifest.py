"""The manifest of an archive: one line of JSON for each finished file, in one file per day (`manifest/date=YYYY-MM-DD.ndjson`). Blocking.

A line is written, and safe on disk, before its file gets its final name, so no finished file is missing there. Of two lines about one file
the later counts. Who changes a manifest holds its lock.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from relay.base import jsonio

FOLDER: Final = "manifest"
FILE_MODE: Final = 0o600
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished file."""

    file: str
    """Relative to the archive's folder."""
    count: int
    first_seq: int
    last_seq: int
    first_time: str
    """When relay received the first of its events, ISO 8601 in UTC."""
    last_time: str
    bytes: int
    raw_bytes: int
    """Before compression."""
    sha256: str

    @property
    def first_s(self) -> float:
        return datetime.fromisoformat(self.first_time).timestamp()

    @property
    def last_s(self) -> float:
        return datetime.fromisoformat(self.last_time).timestamp()


def time_text(ms: int) -> str:
    """A unix time in ms as ISO 8601."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class Manifest:
    """The manifests of one archive."""

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER

    def path_of(self, file: str) -> Path:
        """The manifest that a file belongs to (`source=.../date=YYYY-MM-DD/...`)."""
        return self._folder / f"{file.split('/')[1]}.ndjson"

    @contextmanager
    def open(self, file: str) -> Iterator["Writing"]:
        """Hold the manifest of a file's day."""
        path = self.path_of(file)
        while True:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.parent.is_symlink():
                raise OSError(errno.ELOOP, "a link leads out of the archive", str(path.parent))
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):  # else it was replaced meanwhile
                    yield Writing(path, descriptor)
                    return
            finally:
                os.close(descriptor)

    def entries(self, day: str = "*") -> dict[str, Entry]:
        """Every entry by its file; of a day (`YYYY-MM-DD`) or of all. A torn last line is left out."""
        found: dict[str, Entry] = {}
        for path in sorted(self._folder.glob(f"date={day}.ndjson")):
            found |= _read(path)
        return found


class Writing:
    """A manifest whose lock is held."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def add(self, entry: Entry) -> None:
        """Append an entry; it is safe on disk when this returns."""
        size = os.fstat(self._descriptor).st_size
        torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        line = (b"\n" if torn else b"") + jsonio.dumps(asdict(entry)) + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, "the manifest was not written as a whole", str(self._path))
        os.fsync(self._descriptor)
        if not size:
            _sync_folder(self._path.parent)

    def forget(self, files: set[str]) -> None:
        """Take the entries of these files out."""
        kept = [entry for file, entry in _read(self._path).items() if file not in files]
        if not kept:
            self._path.unlink()
            return
        beside = self._path.with_suffix(".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"".join(jsonio.dumps(asdict(entry)) + b"\n" for entry in kept))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        _sync_folder(self._path.parent)


def _read(path: Path) -> dict[str, Entry]:
    found = {}
    for line in path.read_bytes().splitlines():
        try:
            entry = Entry(**jsonio.loads(line))
        except (ValueError, TypeError):
            continue
        found[entry.file] = entry
    return found


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

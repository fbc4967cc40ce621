"""The files of an archive: one open file per source, safe on disk after each batch, and what a crash left of it. Blocking; no event loop.

An open file is `{firstSeq}.ndjson.gz.part`; finished it is `{firstSeq}-{lastSeq}.ndjson.gz`. Without compression the seqs of the open
file stand in a second file beside it, `.part.seqs`, as lines of "bytes of the file so far" and runs of "first+count".

Who writes an open file holds a lock (flock) on it, so that two sinks may share a folder: a replay beside the live one, a new one while
the old one stops. An open file without a lock is what a crash left.
"""

import errno
import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from relay.destinations.archive.members import MEMBER_EVENTS, Range, pack, ranges_of, seqs_of, walk

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
PART: Final = ".part"
SEQS: Final = ".part.seqs"
GZIP: Final = ".ndjson.gz"
PLAIN: Final = ".ndjson"
_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class OpenFile:
    """The file of one source that grows; `size` is what is known to be safe."""

    path: Path
    hour: int
    """Hours since 1970 of the events in it."""
    opened_at: float
    """Monotonic seconds."""
    compress: bool
    descriptor: int
    seqs_descriptor: int = -1
    size: int = 0
    raw_bytes: int = 0
    first: int = 0
    last: int = 0
    _closed: bool = field(default=False, repr=False)

    @staticmethod
    def create(folder: Path, first_seq: int, hour: int, now: float, compress: bool) -> "OpenFile":
        """A new file in `folder`, which must exist."""
        ending, number = GZIP if compress else PLAIN, 1
        path = folder / f"{first_seq}{ending}{PART}"
        while os.path.lexists(path):
            number += 1
            path = folder / f"{first_seq}.{number}{ending}{PART}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, FILE_MODE)
        opened = OpenFile(path, hour, now, compress, descriptor)
        try:
            _lock(descriptor, path)
            if not compress:
                opened.seqs_descriptor = os.open(_seqs_path(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, FILE_MODE)
            sync_folder(folder)
        except OSError:
            opened.close()
            raise
        return opened

    def append(self, bodies: Sequence[bytes], seqs: Sequence[int]) -> None:
        """Write whole lines and fsync. After an OSError the file is cut back to what was safe, and must not be written again."""
        try:
            for start in range(0, len(seqs), MEMBER_EVENTS):
                some = seqs[start : start + MEMBER_EVENTS]
                lines = b"\n".join(bodies[start : start + MEMBER_EVENTS]) + b"\n"
                self._write(lines, some)
        except OSError:
            self._cut_back()
            raise
        self.first, self.last = min(self.first or seqs[0], *seqs), max(self.last, *seqs)

    def finish(self) -> None:
        """Give the file its final name and close it; nothing that exists is overwritten."""
        try:
            finish(self.path, self.first, self.last)
        finally:
            self.close()

    def close(self) -> None:
        """Close the descriptors; calling it twice is harmless."""
        if not self._closed:
            self._closed = True
            os.close(self.descriptor)
            if self.seqs_descriptor >= 0:
                os.close(self.seqs_descriptor)

    def _write(self, lines: bytes, seqs: Sequence[int]) -> None:
        data = pack(lines, seqs) if self.compress else lines
        _write_all(self.descriptor, data)
        os.fsync(self.descriptor)
        if not self.compress:
            runs = ",".join(f"{first}+{count}" for first, count in ranges_of(seqs))
            _write_all(self.seqs_descriptor, f"{self.size + len(data)} {runs}\n".encode())
            os.fsync(self.seqs_descriptor)
        self.size += len(data)
        self.raw_bytes += len(lines)

    def _cut_back(self) -> None:
        """What was not acknowledged is sent again, so it must not stay; if even this fails, recovery drops a torn end."""
        try:
            os.ftruncate(self.descriptor, self.size)
        except OSError:
            return


def recover(path: Path) -> list[Range]:
    """Finish the open file that a crash left: cut a torn end off, name it by the seqs it holds, and return them.

    Does nothing when somebody writes it.
    """
    descriptor = os.open(path, os.O_RDWR | _FLAGS)
    try:
        try:
            _lock(descriptor, path)
        except BlockingIOError:
            return []
        data = _read(path)
        members = list(walk(data)) if path.name.endswith(GZIP + PART) else _plain_members(path, len(data))
        runs = [run for _, found in members for run in found]
        if not runs:
            path.unlink()
            _seqs_path(path).unlink(missing_ok=True)
            sync_folder(path.parent)
            return []
        os.ftruncate(descriptor, members[-1][0])
        os.fsync(descriptor)
        finish(path, min(first for first, _ in runs), max(first + count - 1 for first, count in runs))
        return runs
    finally:
        os.close(descriptor)


def finish(path: Path, first: int, last: int) -> None:
    """Rename an open file to `{first}-{last}`; a taken name gets a number, as its content may be another."""
    ending = GZIP if path.name.endswith(GZIP + PART) else PLAIN
    final, number = path.with_name(f"{first}-{last}{ending}"), 1
    while not _link(path, final):
        number += 1
        final = path.with_name(f"{first}-{last}.{number}{ending}")
    path.unlink()
    _seqs_path(path).unlink(missing_ok=True)
    sync_folder(path.parent)


def _link(path: Path, final: Path) -> bool:
    """Give the file a second name (a rename would overwrite); False when the name is taken. A crash may have left both names."""
    try:
        final.hardlink_to(path)
    except FileExistsError:
        return path.samefile(final)
    return True


def _lock(descriptor: int, path: Path) -> None:
    """Raises BlockingIOError when somebody else writes the file, or has just finished it."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if not path.exists() or not os.path.samestat(os.fstat(descriptor), path.stat()):
        raise BlockingIOError(errno.EAGAIN, "somebody else has finished the file", str(path))


def newest_seqs(folder: Path, enough: int, most_files: int = 50) -> set[int]:
    """At least `enough` of the newest seqs that the finished files of one source hold, from its two newest days.

    Only compressed files tell exactly which ones they hold.
    """
    files: list[tuple[int, Path]] = []
    for day in sorted(folder.glob("date=*"), reverse=True)[:2]:
        files += [(_last_of(path), path) for path in day.glob(f"hour=*/*{GZIP}")]
    held: set[int] = set()
    for _, path in sorted(files, reverse=True)[:most_files]:
        held.update(seqs_of(run for _, runs in walk(_read(path)) for run in runs))
        if len(held) >= enough:
            break
    return held


def make_folder(folder: Path) -> None:
    """Make `folder` and what is missing above it, each entry safe on disk."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(FOLDER_MODE, exist_ok=True)
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain_members(path: Path, size: int) -> list[tuple[int, list[Range]]]:
    members: list[tuple[int, list[Range]]] = []
    seqs_path = _seqs_path(path)
    if not seqs_path.exists():
        return members
    for line in _read(seqs_path).decode("ascii", "replace").splitlines(keepends=True):
        end, _, runs = line.partition(" ")
        # A line without its newline was cut off; bytes that the file does not have were never safe.
        if not line.endswith("\n") or not end.isdecimal() or int(end) > size:
            break
        members.append((int(end), [(int(first), int(count)) for first, _, count in (run.partition("+") for run in runs.strip().split(","))]))
    return members


def _last_of(path: Path) -> int:
    last = path.name.partition("-")[2].partition(".")[0]
    return int(last) if last.isdecimal() else 0


def _seqs_path(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(PART) + SEQS)


def _read(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | _FLAGS), "rb") as file:
        return file.read()


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]

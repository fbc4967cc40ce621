"""The files of an archive: one open file per source, safe on disk after each batch, and what a crash left of it. Blocking; no event loop.

An open file is `{firstSeq}.ndjson.gz.part`; finished it is `{firstSeq}-{lastSeq}.ndjson.gz` and stands in the manifest. Without
compression the seqs of the open file stand in a second file beside it, `.part.seqs`, as lines of "bytes of the file so far" and runs of
"first+count".

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

from relay.base import jsonio
from relay.destinations.archive.manifest import Entry, Manifest, digest_of, time_text
from relay.errors import DeliveryError, Misconfigured, Retryable
from relay.kit.members import CODECS, MEMBER_EVENTS, PLAIN, Codec, Range, codec_of, ranges_of, seqs_of, walk
from relay.kit.shelf import HOUR_MS, place_of, received_ms

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
PART: Final = ".part"
SEQS: Final = ".part.seqs"
_SETTING_ERRORS: Final = frozenset((errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.EEXIST))
_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Tally:
    """What a file holds."""

    count: int = 0
    raw_bytes: int = 0
    first: int = 0
    last: int = 0
    first_ms: int = 0
    last_ms: int = 0

    def add(self, seqs: Sequence[int], times_ms: Sequence[int], raw_bytes: int) -> None:
        self.first, self.last = min(self.first or seqs[0], *seqs), max(self.last, *seqs)
        self.first_ms, self.last_ms = min(self.first_ms or times_ms[0], *times_ms), max(self.last_ms, *times_ms)
        self.count += len(seqs)
        self.raw_bytes += raw_bytes


@dataclass(slots=True)
class OpenFile:
    """The file of one source that grows; `size` is what is known to be safe."""

    path: Path
    hour: int
    """Hours since 1970 of the events in it."""
    opened_at: float
    """Monotonic seconds."""
    codec: Codec | None
    """None: without compression."""
    descriptor: int
    seqs_descriptor: int = -1
    size: int = 0
    tally: "Tally" = field(default_factory=lambda: Tally())
    _closed: bool = field(default=False, repr=False)

    @staticmethod
    def create(folder: Path, first_seq: int, hour: int, now: float, codec: Codec | None) -> "OpenFile":
        """A new file in `folder`, which must exist."""
        ending, number = codec.ending if codec else PLAIN, 1
        path = folder / f"{first_seq}{ending}{PART}"
        while os.path.lexists(path):
            number += 1
            path = folder / f"{first_seq}.{number}{ending}{PART}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, FILE_MODE)
        opened = OpenFile(path, hour, now, codec, descriptor)
        try:
            _lock(descriptor, path)
            if codec is None:
                opened.seqs_descriptor = os.open(_seqs_path(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, FILE_MODE)
            sync_folder(folder)
        except OSError:
            opened.close()
            raise
        return opened

    def append(self, bodies: Sequence[bytes], seqs: Sequence[int], times_ms: Sequence[int]) -> None:
        """Write whole lines and fsync; `times_ms`: when relay received each. After an OSError the file is cut back to what was safe, and must not be written again."""
        try:
            for start in range(0, len(seqs), MEMBER_EVENTS):
                some = seqs[start : start + MEMBER_EVENTS]
                lines = b"\n".join(bodies[start : start + MEMBER_EVENTS]) + b"\n"
                self._write(lines, some)
        except OSError:
            self._cut_back()
            raise
        self.tally.add(seqs, times_ms, sum(map(len, bodies)) + len(bodies))

    def finish(self) -> None:
        """Give the file its final name and close it; nothing that exists is overwritten."""
        try:
            finish(self.path, self.tally)
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
        data = self.codec.pack(lines, seqs) if self.codec else lines
        _write_all(self.descriptor, data)
        os.fsync(self.descriptor)
        if self.codec is None:
            runs = ",".join(f"{first}+{count}" for first, count in ranges_of(seqs))
            _write_all(self.seqs_descriptor, f"{self.size + len(data)} {runs}\n".encode())
            os.fsync(self.seqs_descriptor)
        self.size += len(data)

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
        data, codec = _read(path), codec_of(path.name.removesuffix(PART))
        members = list(walk(data, codec)) if codec else [(end, runs) for _, end, runs in plain_members(path)]
        tally, start = Tally(), 0
        for end, runs in members:
            lines = codec.unpack(data[start:end]) if codec else data[start:end]
            tally.add(list(seqs_of(runs)), times_of(path, lines), len(lines))
            start = end
        if not tally.count:
            path.unlink()
            _seqs_path(path).unlink(missing_ok=True)
            sync_folder(path.parent)
            return []
        os.ftruncate(descriptor, start)
        os.fsync(descriptor)
        finish(path, tally)
        return [run for _, runs in members for run in runs]
    finally:
        os.close(descriptor)


def finish(path: Path, tally: Tally) -> None:
    """Rename an open file to `{first}-{last}`, with its line in the manifest; a taken name gets a number, as its content may be another."""
    codec, root = codec_of(path.name.removesuffix(PART)), path.parents[3]
    ending, number = codec.ending if codec else PLAIN, 1
    digest, size = digest_of(path), path.stat().st_size
    final = path.with_name(f"{tally.first}-{tally.last}{ending}")
    with Manifest(root).open(str(path.relative_to(root))) as manifest:
        while final.exists() and not path.samefile(final):  # a crash may have left both names
            number += 1
            final = path.with_name(f"{tally.first}-{tally.last}.{number}{ending}")
        times = time_text(tally.first_ms), time_text(tally.last_ms)
        manifest.add(Entry(str(final.relative_to(root)), tally.count, tally.first, tally.last, *times, size, tally.raw_bytes, digest))
        if not final.exists():
            final.hardlink_to(path)  # a rename would overwrite what somebody put there
    path.unlink()
    _seqs_path(path).unlink(missing_ok=True)
    sync_folder(path.parent)


def times_of(path: Path, lines: bytes) -> list[int]:
    """When relay received each line; of one that cannot be read: the beginning of its hour."""
    place = place_of("/".join(path.parts[-4:-1]))
    hour_ms = place[1] * HOUR_MS if place else 0
    return [_time(line, hour_ms) for line in lines.split(b"\n") if line] or [hour_ms]


def _time(line: bytes, otherwise: int) -> int:
    try:
        return received_ms(jsonio.loads(line), otherwise)
    except ValueError:
        return otherwise


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
        files += [(_last_of(path), path) for codec in CODECS for path in day.glob(f"hour=*/*{codec.ending}")]
    held: set[int] = set()
    for _, path in sorted(files, reverse=True)[:most_files]:
        codec = codec_of(path.name)
        held.update(seqs_of(run for _, runs in (walk(_read(path), codec) if codec else ()) for run in runs))
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


def plain_members(path: Path) -> list[tuple[int, int, list[Range]]]:
    """The batches of an open file without compression, as far as they are known to be safe: where each begins and ends, and its seqs."""
    members: list[tuple[int, int, list[Range]]] = []
    seqs_path, size, start = _seqs_path(path), path.stat().st_size, 0
    if not seqs_path.exists():
        return members
    for line in _read(seqs_path).decode("ascii", "replace").splitlines(keepends=True):
        end, _, runs = line.partition(" ")
        # A line without its newline was cut off; bytes that the file does not have were never safe.
        if not line.endswith("\n") or not end.isdecimal() or int(end) > size:
            break
        members.append((start, int(end), [(int(first), int(count)) for first, _, count in (run.partition("+") for run in runs.strip().split(","))]))
        start = int(end)
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


def meaning_of(error: OSError) -> DeliveryError:
    """What a failure of the disk means for the destination."""
    if error.errno in _SETTING_ERRORS:
        return Misconfigured(f"the archive cannot be written: {error.strerror}: {error.filename}", code="INVALID_SETTINGS")
    return Retryable(f"the archive cannot be written: {error.strerror}", code="EIO")

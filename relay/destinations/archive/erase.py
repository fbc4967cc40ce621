"""Deletes users from an archive: files that hold a line of theirs are written again without it, and take the place of the old ones.

Blocking. Members without such a line are taken over byte for byte. The manifest tells of the new content before the file gets its name, as
when a file is finished: a crash between the two leaves the old file with a wrong checksum, which the next call mends.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from relay.destinations.archive.care import drop_empty
from relay.destinations.archive.files import FILE_MODE, PART, Tally, meaning_of, plain_members, recover, sync_folder, times_of
from relay.destinations.archive.manifest import Entry, Manifest, digest_of, time_text
from relay.destinations.archive.reader import ArchiveFiles, all_files
from relay.kit.members import Codec, codec_of, seqs_of, walk
from relay.kit.shelf import lines_of, seqs_named
from relay.kit.subjects import Subjects

T = TypeVar("T")

NEW: Final = ".rewritten"


@dataclass(slots=True)
class _Kept:
    """What stays of a file."""

    data: list[bytes] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    erased: int = 0


class ErasableFiles(ArchiveFiles):
    """The Archive over the files of one folder, with what deletes users from them."""

    async def find(self, users: Subjects) -> int:
        """How many lines are theirs, in files that are finished and in those that grow; one that gets its final name meanwhile counts once."""
        counts: dict[int, int] = {}
        for _ in range(2):
            for path in await self._do(all_files, self._root):
                await self._do(_note, path, users, counts)
        return sum(counts.values())

    async def erase(self, users: Subjects) -> int:
        """Delete their lines from every file that nobody writes; files that a crash left open are finished first. Returns how many lines went."""
        await self._do(_clear, self._root)
        for path in await self._do(all_files, self._root):
            if path.name.endswith(PART):
                await self._do(_finish, path, users)
        count = 0
        for path in await self._do(all_files, self._root):
            if not path.name.endswith(PART):
                count += await self._do(_erase_from, self._root, path, users)
        return count

    async def _do(self, work: Callable[..., T], *arguments: Any) -> T:
        """One file at a time, so that a stop need not wait for the whole archive."""
        try:
            return await asyncio.to_thread(work, *arguments)
        except OSError as error:
            raise meaning_of(error) from error


def _note(path: Path, users: Subjects, counts: dict[int, int]) -> None:
    """Count a file that was not counted yet, by its inode."""
    try:
        inode = path.stat().st_ino
        if inode not in counts:
            counts[inode] = _count(path, users)
    except FileNotFoundError:
        return


def _clear(root: Path) -> None:
    """Delete what an erasure left that broke off."""
    for left in root.glob(f"source=*/date=*/hour=*/*{NEW}"):
        left.unlink(missing_ok=True)


def _finish(path: Path, users: Subjects) -> None:
    """Finish a file that a crash left open, if it holds lines of theirs; one that is being written is left alone."""
    try:
        if _count(path, users):
            recover(path)
    except FileNotFoundError:  # it has got its final name meanwhile
        return


def _erase_from(root: Path, path: Path, users: Subjects) -> int:
    try:
        kept = _without(path, users) if _count(path, users) else _Kept()
    except FileNotFoundError:  # pruned meanwhile
        return 0
    if not kept.erased:
        return 0
    file = str(path.relative_to(root))
    with Manifest(root).open(file) as manifest:
        if not path.exists():  # pruned meanwhile
            return 0
        if kept.tally.count:
            beside = path.with_name(f"{path.name}{NEW}")
            _write(beside, kept.data)
            manifest.add(_entry(file, beside, kept.tally))
            beside.replace(path)
        else:
            path.unlink()
            manifest.forget({file})
    sync_folder(path.parent)
    if not kept.tally.count:
        drop_empty(path.parent, root)
    return kept.erased


def _without(path: Path, users: Subjects) -> _Kept:
    """The content without their lines."""
    codec, kept = codec_of(path.name), _Kept()
    data = path.read_bytes()
    members = list(walk(data, codec)) if codec else []
    if codec and members and members[-1][0] == len(data):
        start = 0
        for end, runs in members:
            _take(kept, path, codec, data[start:end], list(seqs_of(runs)), users)
            start = end
        return kept
    try:
        numbered = lines_of(data, path.name)
    except ValueError as error:
        raise OSError(errno.EIO, f"a damaged file ({error})", str(path)) from error
    mine = [users.owns(line) for _, line in numbered]
    kept.erased = sum(mine)
    rest = [one for one, is_theirs in zip(numbered, mine, strict=True) if not is_theirs]
    if rest and kept.erased:
        _keep(kept, path, codec, [line for _, line in rest], [seq for seq, _ in rest])
        named = seqs_named(path.name)
        assert named is not None, "only files with such names are looked at"
        kept.tally.first, kept.tally.last = named
    return kept


def _take(kept: _Kept, path: Path, codec: Codec, member: bytes, seqs: list[int], users: Subjects) -> None:
    try:
        lines = [line for line in codec.unpack(member).split(b"\n") if line]
    except ValueError as error:
        raise OSError(errno.EIO, f"a damaged file ({error})", str(path)) from error
    rest = [(seq, line) for seq, line in zip(seqs, lines, strict=True) if not users.owns(line)]
    kept.erased += len(lines) - len(rest)
    if len(rest) == len(lines):
        kept.data.append(member)
        kept.tally.add(seqs, times_of(path, b"\n".join(lines)), sum(map(len, lines)) + len(lines))
    elif rest:
        _keep(kept, path, codec, [line for _, line in rest], [seq for seq, _ in rest])


def _keep(kept: _Kept, path: Path, codec: Codec | None, lines: list[bytes], seqs: list[int]) -> None:
    text = b"\n".join(lines) + b"\n"
    kept.data.append(codec.pack(text, seqs) if codec else text)
    kept.tally.add(seqs, times_of(path, text), len(text))


def _entry(file: str, written: Path, tally: Tally) -> Entry:
    times = time_text(tally.first_ms), time_text(tally.last_ms)
    return Entry(file, tally.count, tally.first, tally.last, *times, written.stat().st_size, tally.raw_bytes, digest_of(written))


def _write(path: Path, parts: list[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def _count(path: Path, users: Subjects) -> int:
    return sum(users.owns(line) for text in _texts(path) if users.touches(text) for line in text.split(b"\n"))


def _texts(path: Path) -> Iterator[bytes]:
    """The lines of a file, many at a time. Raises OSError when it is damaged."""
    codec, data, start = codec_of(path.name.removesuffix(PART)), path.read_bytes(), 0
    if path.name.endswith(PART):
        ends = [end for end, _ in walk(data, codec)] if codec else [end for _, end, _ in plain_members(path)]
    else:
        ends = [len(data)] if data else []
    for end in ends:
        try:
            yield codec.unpack(data[start:end]) if codec else data[start:end]
        except ValueError as error:
            raise OSError(errno.EIO, f"a damaged file ({error})", str(path)) from error
        start = end

"""What an archive holds, read back: finished files and the one that grows. Reads whatever the settings were when it was written."""

import asyncio
import errno
import mmap
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from relay.destinations.archive.files import PART, meaning_of, plain_members
from relay.destinations.archive.manifest import Manifest
from relay.kit.members import GZIP, PLAIN, ZSTD, Codec, Range, codec_of, seqs_of, walk
from relay.kit.shelf import Line, Piece, folder_of, hours_of, lines_of, member_lines, pages, place_of, safe_slug, seqs_named
from relay.kit.sink import Estimate, Page, Span


class ArchiveFiles:
    """What is read of the files of one folder."""

    def __init__(self, root: Path, slug_of: Callable[[str], str]) -> None:
        self._root = root
        self._slug_of = slug_of

    async def count(self, span: Span) -> Estimate:
        """Exact but for files at the edges of the span."""
        return await asyncio.to_thread(self._count, span)

    async def read(self, span: Span) -> AsyncIterator[Page]:
        try:
            async for page in pages(self._hours(span), span):
                yield page
        except OSError as error:
            raise meaning_of(error) from error

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _hours(self, span: Span) -> AsyncIterator[tuple[int, Sequence[Piece]]]:
        slugs = self._slugs(span)
        for hour in await asyncio.to_thread(self._hours_with_files, list(slugs), hours_of(span)):
            yield hour, await asyncio.to_thread(self._pieces, slugs, hour)

    def _slugs(self, span: Span) -> dict[str, str]:
        return {safe_slug(self._slug_of(source_id)): source_id for source_id in span.sources}

    def _hours_with_files(self, slugs: Sequence[str], hours: range) -> list[int]:
        found = {place[1] for slug in slugs for folder in self._folders(slug) if (place := place_of(folder))}
        return sorted(hour for hour in found if hour in hours)

    def _folders(self, slug: str) -> Iterator[str]:
        for folder in (self._root / f"source={slug}").glob("date=*/hour=*"):
            yield str(folder.relative_to(self._root))

    def _pieces(self, slugs: dict[str, str], hour: int) -> list[Piece]:
        pieces = []
        for slug, source_id in slugs.items():
            for path in files_in(self._root / folder_of(slug, hour)):
                pieces += [Piece(first, source_id, partial(asyncio.to_thread, load)) for first, load in _parts(path)]
        return pieces

    def _count(self, span: Span) -> Estimate:
        slugs, entries = self._slugs(span), Manifest(self._root).entries()
        events = size = files = 0
        exact = True
        until_s = span.until_s or float("inf")
        for hour in self._hours_with_files(list(slugs), hours_of(span)):
            for path in (path for slug in slugs for path in files_in(self._root / folder_of(slug, hour))):
                entry = entries.get(str(path.relative_to(self._root)))
                first_s, last_s = (entry.first_s, entry.last_s) if entry else (hour * 3600.0, hour * 3600.0 + 3600)
                if last_s < span.since_s or first_s >= until_s:
                    continue
                exact = exact and first_s >= span.since_s and last_s < until_s
                events += entry.count if entry else count_of(path)
                size += path.stat().st_size
                files += 1
        return Estimate(events, size, files, exact)


def files_in(folder: Path) -> list[Path]:
    """The event files of an hour's folder: finished ones and those that grow."""
    if not folder.is_dir():
        return []
    found = []
    for path in folder.iterdir():
        is_open = path.name.endswith((f"{PLAIN}{PART}", f"{GZIP.ending}{PART}", f"{ZSTD.ending}{PART}")) and path.name.partition(".")[0].isdecimal()
        if (is_open or seqs_named(path.name)) and path.is_file() and not path.is_symlink():
            found.append(path)
    return sorted(found)


def all_files(root: Path) -> list[Path]:
    """The event files of an archive, by source and time."""
    return [path for folder in sorted(root.glob("source=*/date=*/hour=*")) for path in files_in(folder)]


def _parts(path: Path) -> list[tuple[int, Callable[[], list[Line]]]]:
    """What can be read by itself, with its lowest seq: of a compressed file each member, told from their heads alone."""
    inode, size = path.stat().st_ino, path.stat().st_size
    codec = codec_of(path.name.removesuffix(PART))
    members = _members(path, codec) if codec and size else []
    is_open = path.name.endswith(PART)
    if codec and (is_open or (members and members[-1][1] == size)):
        return [(min(first for first, _ in runs), partial(_member, path, inode, (start, end), runs, codec)) for start, end, runs in members]
    if is_open:
        return [(min(first for first, _ in runs), partial(_open_lines, path, inode, start, end, runs)) for start, end, runs in plain_members(path)]
    named = seqs_named(path.name)
    return [(named[0] if named else 0, partial(_whole, path))]


def _members(path: Path, codec: Codec) -> list[tuple[int, int, list[Range]]]:
    found, start = [], 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for end, runs in walk(data, codec):
            found.append((start, end, runs))
            start = end
    return found


def _member(path: Path, inode: int, bounds: tuple[int, int], runs: list[Range], codec: Codec) -> list[Line]:
    try:
        return member_lines(_bytes(path, inode, *bounds), runs, codec)
    except ValueError as error:
        raise OSError(errno.EIO, f"a damaged file ({error})", str(path)) from error


def _open_lines(path: Path, inode: int, start: int, end: int, runs: list[Range]) -> list[Line]:
    return sorted(zip(seqs_of(runs), _bytes(path, inode, start, end).split(b"\n"), strict=False))


def _whole(path: Path) -> list[Line]:
    try:
        return lines_of(path.read_bytes(), path.name)
    except ValueError as error:
        raise OSError(errno.EIO, f"a damaged file ({error})", str(path)) from error


def _bytes(path: Path, inode: int, start: int, end: int) -> bytes:
    """A part of a file, which may have got its final name since it was found: that is the same file."""
    if not path.exists():
        path = next((other for other in path.parent.iterdir() if other.stat().st_ino == inode), path)
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


def count_of(path: Path) -> int:
    """How many events a file holds that is not in the manifest."""
    codec = codec_of(path.name.removesuffix(PART))
    if codec and path.stat().st_size:
        return sum(count for _, _, runs in _members(path, codec) for _, count in runs)
    return len(_whole(path)) if codec is None and not path.name.endswith(PART) else sum(n for _, _, runs in plain_members(path) for _, n in runs)

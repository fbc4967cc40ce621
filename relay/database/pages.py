"""The pages of a SQLite file as they lie on the disk, the committed ones of its -wal in front. For `leaves` and `salvage` only.

Facts from "SQLite file format": 1.3 (header), 1.5 (free pages), 1.8 (pointer map), 4 (the -wal). A damaged file may say anything, so
each number is checked before it is followed. Nothing here writes, and nothing raises over what a page holds.
"""

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from relay.database import connect

WAL_MAGIC, WAL_VERSION = 0x377F0682, 3_007_000
ROOT, FREE, INNER = 1, 2, 5
"""Kinds of page in the pointer map; 3 and 4 are overflow pages."""
DEPTH_MAX = 20
"""A b-tree of SQLite is never that deep."""
PENDING_BYTE = 0x40000000
"""The page that holds this byte is never used."""
ENCODINGS = {2: "utf-16-le", 3: "utf-16-be"}


class Pages:
    """Pages by number from 1. Without a readable header the file is taken for one as relay makes it: 4,096 bytes, with a pointer map."""

    def __init__(self, file: BinaryIO, wal: BinaryIO | None) -> None:
        self._file, self._wal = file, wal
        self.page_bytes = connect.PAGE_BYTES
        self._frames: dict[int, int] = {}
        self.page_bytes = _page_bytes(self._read(file, 0, 100)) or connect.PAGE_BYTES
        self._frames, committed = _frames(wal, self.page_bytes) if wal else ({}, 0)
        header = self.page(1)[:100]
        known = _page_bytes(header) == self.page_bytes
        held = max([connect.size_of(Path(file.name)) // self.page_bytes, *self._frames])
        said = committed or (_int(header, 28) if known and header[24:28] == header[92:96] else 0)
        self.count = min(held, said) if said else held
        self.usable = self.page_bytes - (header[20] if known else 0)
        self.encoding = ENCODINGS.get(_int(header, 56), "utf-8") if known else "utf-8"
        self._mapped = not known or _int(header, 52) > 0
        self._maps: dict[int, bytes] = {}
        self._free, self._free_whole = self._walk_free(_int(header, 32), _int(header, 36)) if known else (set(), False)

    def page(self, number: int) -> bytes:
        """The content; shorter, or empty, when the disk does not give it."""
        if self._wal and number in self._frames:
            return self._read(self._wal, self._frames[number], self.page_bytes)
        return self._read(self._file, (number - 1) * self.page_bytes, self.page_bytes)

    def is_in_use(self, number: int) -> bool | None:
        """False: a free page, its rows were deleted. None: neither the list of free pages nor the pointer map is readable."""
        entry = self._entry(number)
        if number in self._free or (entry and entry[0] == FREE):
            return False
        return True if entry or self._free_whole else None

    def root_of(self, number: int) -> int | None:
        """The root of the b-tree that a page is part of, by the pointer map, so also when the pages between are lost. 0: of none; None: unknown."""
        for _ in range(DEPTH_MAX):
            entry = self._entry(number)
            if entry is None or entry[0] == ROOT:
                return number if entry or number == 1 else None
            if entry[0] != INNER:
                return 0
            number = entry[1]
        return None

    def _entry(self, number: int) -> tuple[int, int] | None:
        """Kind and parent of a page in the pointer map."""
        if not self._mapped or not 2 < number <= self.count:
            return None
        each = self.usable // 5 + 1
        at = (number - 2) // each * each + 2
        at += at == PENDING_BYTE // self.page_bytes + 1
        if at not in self._maps:
            self._maps[at] = self._read_map(at, at + each - 1)
        start = (number - at - 1) * 5
        entry = self._maps[at][start : start + 5] if start >= 0 else b""
        return (entry[0], _int(entry, 1)) if len(entry) == 5 else None

    def _read_map(self, number: int, last: int) -> bytes:
        """A page of the pointer map; empty unless each of its entries can be one."""
        content = self.page(number)
        pending = PENDING_BYTE // self.page_bytes + 1
        for start in range(0, (min(last, self.count) - number) * 5, 5):
            kind, parent = content[start : start + 1], content[start + 1 : start + 5]
            if number + 1 + start // 5 == pending:
                continue
            if kind not in (b"\1", b"\2", b"\3", b"\4", b"\5") or (kind <= b"\2") != (parent == bytes(4)):
                return b""
        return content[: self.usable]

    def _walk_free(self, trunk: int, count: int) -> tuple[set[int], bool]:
        """The free pages that are listed, and whether these are all."""
        found: set[int] = set()
        while trunk:
            content = self.page(trunk)
            leaves = _int(content, 4)
            if not 1 < trunk <= self.count or trunk in found or leaves > self.usable // 4 - 2 or len(content) < self.usable:
                return found, False
            found |= {trunk, *struct.unpack_from(f">{leaves}I", content, 8)}
            trunk = _int(content, 0)
        return found, len(found) == count

    @staticmethod
    def _read(file: BinaryIO, offset: int, size: int) -> bytes:
        try:
            file.seek(offset)
            return file.read(size)
        except OSError:  # a bad sector: the rest of the file may be fine
            return b""


@contextmanager
def opened(path: Path) -> Iterator[Pages]:
    """The pages of a database file that nobody writes to."""
    with ExitStack() as stack:
        wal = connect.wal_of(path)
        yield Pages(stack.enter_context(path.open("rb")), stack.enter_context(wal.open("rb")) if wal.is_file() else None)


def _page_bytes(header: bytes) -> int:
    """The page size that a header gives; 0: it is no header."""
    size = int.from_bytes(header[16:18], "big")
    size = 65_536 if size == 1 else size
    is_header = len(header) == 100 and header.startswith(connect.MAGIC) and 512 <= size <= 65_536 and size.bit_count() == 1
    return size if is_header and header[20] <= size - 480 else 0  # at least 480 bytes of a page are used


def _frames(wal: BinaryIO, page_bytes: int) -> tuple[dict[int, int], int]:
    """Where the last committed content of each page lies in a -wal, and how many pages the database then had; 0: nothing is committed."""
    header = wal.read(32)
    if len(header) < 32:
        return {}, 0
    magic, version, size, _, *salts_and_sums = struct.unpack(">8I", header)
    order = ">" if magic & 1 else "<"
    sums = _summed(header[:24], order, (0, 0))
    if (magic & ~1, version, size, *sums) != (WAL_MAGIC, WAL_VERSION, page_bytes, *salts_and_sums[2:]):
        return {}, 0
    frames: dict[int, int] = {}
    waiting: dict[int, int] = {}
    pages = 0
    while len(frame := wal.read(24 + page_bytes)) == 24 + page_bytes:
        number, commit, *rest = struct.unpack_from(">6I", frame)
        sums = _summed(frame[:8] + frame[24:], order, sums)
        if rest != [*salts_and_sums[:2], *sums]:
            break
        waiting[number] = wal.tell() - page_bytes
        if commit:
            frames, waiting, pages = frames | waiting, {}, commit
    return frames, pages


def _summed(content: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    for one, two in struct.iter_unpack(f"{order}2I", content):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second


def _int(content: bytes, offset: int) -> int:
    return int.from_bytes(content[offset : offset + 4], "big")

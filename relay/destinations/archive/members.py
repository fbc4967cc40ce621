"""A gzip member that knows which seqs it holds. Pure; every gzip reader reads it, as the seqs stand in the header's extra field.

The extra field (RFC 1952, 2.3.1.1), subfield `RL`: the member's own length (4 bytes), then pairs of first seq (8) and count (4),
little-endian. The length lets a reader walk from member to member without inflating; a member that was cut off shows.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

MEMBER_EVENTS: Final = 5_000
"""Most events of one member: their seqs must fit into the 64 KiB of an extra field, even when none follows another."""
_HEAD: Final = struct.Struct("<4sIBBH2sHI")
"""Magic with method and flags, mtime, XFL, OS; length of the extra field, subfield id and length; member length."""
_MAGIC: Final = b"\x1f\x8b\x08\x04"
_RANGE: Final = struct.Struct("<QI")
_TAIL: Final = struct.Struct("<II")
_LEVEL: Final = 3
_SUBFIELD_HEAD: Final = 4

Range = tuple[int, int]
"""First seq and how many follow each other."""


def ranges_of(seqs: Iterable[int]) -> list[Range]:
    """Runs of seqs that follow each other, in the given order."""
    runs: list[Range] = []
    for seq in seqs:
        if runs and runs[-1][0] + runs[-1][1] == seq:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((seq, 1))
    return runs


def seqs_of(runs: Iterable[Range]) -> Iterator[int]:
    """The seqs of runs."""
    for first, count in runs:
        yield from range(first, first + count)


def pack(lines: bytes, seqs: Sequence[int]) -> bytes:
    """One complete gzip member of `lines`; mtime 0, so that equal content gives equal bytes."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = packer.compress(lines) + packer.flush()
    packed = b"".join(_RANGE.pack(*run) for run in ranges_of(seqs))
    extra = _SUBFIELD_HEAD + 4 + len(packed)
    length = _HEAD.size + len(packed) + len(deflated) + _TAIL.size
    head = _HEAD.pack(_MAGIC, 0, 0, 255, extra, b"RL", extra - _SUBFIELD_HEAD, length)
    return b"".join((head, packed, deflated, _TAIL.pack(zlib.crc32(lines), len(lines) & 0xFFFFFFFF)))


def walk(data: bytes) -> Iterator[tuple[int, list[Range]]]:
    """Each whole member of a file: where it ends, and its runs of seqs. Stops before a torn or foreign one; the last is verified."""
    start, found = 0, _member_at(data, 0)
    while found is not None:
        end, runs = found
        following = _member_at(data, end)
        if following is None and not _is_sound(data[start:end]):
            return
        yield end, runs
        start, found = end, following


def _member_at(data: bytes, start: int) -> tuple[int, list[Range]] | None:
    if start + _HEAD.size > len(data):
        return None
    magic, _, _, _, extra, mark, _, length = _HEAD.unpack_from(data, start)
    packed_bytes = extra - _SUBFIELD_HEAD - 4
    if magic != _MAGIC or mark != b"RL" or start + length > len(data) or packed_bytes % _RANGE.size or length < _HEAD.size + packed_bytes:
        return None
    packed = data[start + _HEAD.size : start + _HEAD.size + packed_bytes]
    return start + length, list(_RANGE.iter_unpack(packed))


def _is_sound(member: bytes) -> bool:
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        reader.decompress(member)
    except zlib.error:
        return False
    return reader.eof

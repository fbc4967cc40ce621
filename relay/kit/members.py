"""Compressed members that know which seqs they hold. Pure; every gzip or zstd reader reads them.

A file is a row of members, one for each batch. Of gzip the seqs stand in the header's extra field (RFC 1952, 2.3.1.1), subfield `RL`; of
zstd in a skippable frame before each frame (RFC 8878, 3.1.2). Either way: the member's own length (4 bytes), then pairs of first seq (8)
and count (4), little-endian. The length lets a reader walk from member to member without inflating; a member that was cut off shows.
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final

MEMBER_EVENTS: Final = 5_000
"""Most events of one member: their seqs must fit into the 64 KiB of an extra field, even when none follows another."""
_HEAD: Final = struct.Struct("<4sIBBH2sHI")
"""Magic with method and flags, mtime, XFL, OS; length of the extra field, subfield id and length; member length."""
_MAGIC: Final = b"\x1f\x8b\x08\x04"
_RANGE: Final = struct.Struct("<QI")
_TAIL: Final = struct.Struct("<II")
_LEVEL: Final = 3
_SUBFIELD_HEAD: Final = 4
_FRAME_HEAD: Final = struct.Struct("<4sI2sI")
"""Magic of a skippable frame and its length; mark; member length."""
_SKIPPABLE: Final = b"\x50\x2a\x4d\x18"
_MARK: Final = b"RL"
_MARK_BYTES: Final = 6

Range = tuple[int, int]
"""First seq and how many follow each other."""
Buffer = Any
"""Bytes, or a mapped file: what has a length and can be sliced."""
Found = tuple[int, list[Range]]
"""Where a member ends, and its runs of seqs."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to compress. `pack` makes a member of lines; equal content gives equal bytes. `unpack` raises ValueError for a damaged one."""

    ending: str
    pack: Callable[[bytes, Sequence[int]], bytes]
    unpack: Callable[[bytes], bytes]
    member_at: Callable[[Buffer, int], Found | None]


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


def walk(data: Buffer, codec: Codec) -> Iterator[Found]:
    """Each whole member of a file: where it ends, and its runs of seqs. Stops before a torn or foreign one; the last is verified."""
    start, found = 0, codec.member_at(data, 0)
    while found is not None:
        end, runs = found
        following = codec.member_at(data, end)
        if following is None and not _is_sound(data[start:end], codec):
            return
        yield end, runs
        start, found = end, following


def _is_sound(member: bytes, codec: Codec) -> bool:
    try:
        codec.unpack(member)
    except ValueError:
        return False
    return True


def _pack_gzip(lines: bytes, seqs: Sequence[int]) -> bytes:
    """mtime 0, so that equal content gives equal bytes."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = packer.compress(lines) + packer.flush()
    packed = _packed(seqs)
    extra = _SUBFIELD_HEAD + 4 + len(packed)
    length = _HEAD.size + len(packed) + len(deflated) + _TAIL.size
    head = _HEAD.pack(_MAGIC, 0, 0, 255, extra, _MARK, extra - _SUBFIELD_HEAD, length)
    return b"".join((head, packed, deflated, _TAIL.pack(zlib.crc32(lines), len(lines) & 0xFFFFFFFF)))


def _gzip_at(data: Buffer, start: int) -> Found | None:
    if start + _HEAD.size > len(data):
        return None
    magic, _, _, _, extra, mark, _, length = _HEAD.unpack_from(data, start)
    packed_bytes = extra - _SUBFIELD_HEAD - 4
    if magic != _MAGIC or mark != _MARK or start + length > len(data) or packed_bytes % _RANGE.size or length < _HEAD.size + packed_bytes:
        return None
    return start + length, _runs(data, start + _HEAD.size, packed_bytes)


def _unpack_gzip(member: bytes) -> bytes:
    """Also of members in a row, as any gzip file is."""
    lines, rest = [], member
    while rest:
        reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            lines.append(reader.decompress(rest))
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if not reader.eof:
            raise ValueError("the member was cut off")
        rest = reader.unused_data
    return b"".join(lines)


@cache
def _zstd() -> Any:
    """The library: Python's own from 3.14 on, else the extra relay[zstd]."""
    try:
        return import_module("compression.zstd")
    except ModuleNotFoundError:
        return import_module("backports.zstd")


def has_zstd() -> bool:
    """Whether zstd can be used here."""
    try:
        _zstd()
    except ModuleNotFoundError:
        return False
    return True


def _pack_zstd(lines: bytes, seqs: Sequence[int]) -> bytes:
    zstd = _zstd()
    parameter = zstd.CompressionParameter
    frame = zstd.compress(lines, options={parameter.compression_level: _LEVEL, parameter.checksum_flag: 1})
    packed = _packed(seqs)
    head = _FRAME_HEAD.pack(_SKIPPABLE, _MARK_BYTES + len(packed), _MARK, _FRAME_HEAD.size + len(packed) + len(frame))
    return b"".join((head, packed, frame))


def _zstd_at(data: Buffer, start: int) -> Found | None:
    if start + _FRAME_HEAD.size > len(data):
        return None
    magic, size, mark, length = _FRAME_HEAD.unpack_from(data, start)
    packed_bytes = size - _MARK_BYTES
    if magic != _SKIPPABLE or mark != _MARK or start + length > len(data) or packed_bytes < 0 or packed_bytes % _RANGE.size:
        return None
    if length < _FRAME_HEAD.size + packed_bytes:
        return None
    return start + length, _runs(data, start + _FRAME_HEAD.size, packed_bytes)


def _unpack_zstd(member: bytes) -> bytes:
    zstd = _zstd()
    try:
        lines: bytes = zstd.decompress(member)
    except (zstd.ZstdError, EOFError) as error:
        raise ValueError(str(error)) from error
    return lines


def _packed(seqs: Sequence[int]) -> bytes:
    return b"".join(_RANGE.pack(*run) for run in ranges_of(seqs))


def _runs(data: Buffer, start: int, size: int) -> list[Range]:
    return list(_RANGE.iter_unpack(data[start : start + size]))


GZIP: Final = Codec(".ndjson.gz", _pack_gzip, _unpack_gzip, _gzip_at)
ZSTD: Final = Codec(".ndjson.zst", _pack_zstd, _unpack_zstd, _zstd_at)
CODECS: Final = (GZIP, ZSTD)
PLAIN: Final = ".ndjson"
"""The ending of a file without compression: it does not know its seqs."""


def codec_of(name: str) -> Codec | None:
    """The codec of a file by its name; None: it is plain."""
    return next((codec for codec in CODECS if name.endswith(codec.ending)), None)

"""Rows out of the b-tree pages of a SQLite file, without the pages above them that lead there. For `salvage` only.

Facts from "SQLite file format": 1.6 (b-tree pages, overflow), 2.1 (records). A cell that does not parse to its last byte is left out:
so noise gives no rows, and a damaged cell does not take its neighbours along.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from relay.database.pages import Pages

TABLE_LEAF, INDEX_LEAF, INDEX_INNER = 0x0D, 0x0A, 0x02
"""Pages with records. The inner pages of a table hold keys only; a table WITHOUT ROWID is kept as an index."""
INT_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Size of an integer by its serial type."""
FRAGMENTS_MAX = 60

Value = int | float | str | bytes | None


class Row(NamedTuple):
    """One record."""

    rowid: int | None
    """None: of an index."""
    values: tuple[Value, ...]
    """As stored: the column that is the rowid is None, a REAL may be an integer, columns that were added later are missing."""


class _BrokenError(ValueError):
    """These bytes are no cell."""


def kind_of(page: bytes) -> int:
    """The first byte: what a b-tree page is; 0: an empty page."""
    return page[0] if page else 0


def rows_of(pages: Pages, number: int) -> Iterator[Row]:
    """The rows of one page; none when it holds no records. Page 1 has the list of tables and is not read."""
    page = pages.page(number)
    if number < 2 or len(page) < pages.page_bytes or page[0] not in (TABLE_LEAF, INDEX_LEAF, INDEX_INNER):
        return
    head = 12 if page[0] == INDEX_INNER else 8
    freed, cells, content, fragments = struct.unpack_from(">HHHB", page, 1)
    content = content or 65_536
    if freed >= pages.usable or fragments > FRAGMENTS_MAX or not head + 2 * cells <= content <= pages.usable:
        return
    for start in struct.unpack_from(f">{cells}H", page, head):
        if content <= start < pages.usable:
            try:
                yield _row(pages, number, page, start)
            except _BrokenError:
                continue


def _row(pages: Pages, number: int, page: bytes, start: int) -> Row:
    kind, usable, rowid = page[0], pages.usable, None
    size, start = _varint(page, start + 4 * (kind == INDEX_INNER), usable)
    if kind == TABLE_LEAF:
        rowid, start = _varint(page, start, usable)
    most = usable - 35 if kind == TABLE_LEAF else (usable - 12) * 64 // 255 - 23
    if not 0 < size <= pages.count * usable:
        raise _BrokenError
    local = size
    if size > most:
        least = (usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (usable - 4)
        local = local if local <= most else least
    payload = page[start : min(start + local, usable)]
    if len(payload) < local:
        raise _BrokenError
    if local < size:
        payload += _overflow(pages, number, page[start + local : min(start + local + 4, usable)], size - local)
    return Row(rowid, tuple(_values(payload, pages.encoding)))


def _overflow(pages: Pages, owner: int, pointer: bytes, size: int) -> bytes:
    """The rest of a payload. A chain is as long as the payload says, ends with 0 and uses no page twice; else a page of it is not ours."""
    room, parts, seen = pages.usable - 4, [], {0, 1, owner}
    while size > 0:
        number = int.from_bytes(pointer, "big")
        if number in seen or number > pages.count or pages.is_in_use(number) is False:
            raise _BrokenError
        seen.add(number)
        page = pages.page(number)
        parts.append(page[4 : 4 + min(size, room)])
        if len(parts[-1]) < min(size, room):
            raise _BrokenError
        pointer, size = page[:4], size - room
    if pointer != bytes(4):
        raise _BrokenError
    return b"".join(parts)


def _values(payload: bytes, encoding: str) -> Iterator[Value]:
    """The columns of a record; header and columns together are the payload, to the byte."""
    end, at = _varint(payload, 0, len(payload))
    kinds: list[int] = []
    while at < end:
        kind, at = _varint(payload, at, len(payload))
        kinds.append(kind)
    if at != end or not kinds or end + sum(map(_size, kinds)) != len(payload):
        raise _BrokenError
    for kind in kinds:
        size = _size(kind)
        yield _value(kind, payload[at : at + size], encoding)
        at += size


def _size(kind: int) -> int:
    if kind < 0 or kind in (10, 11):
        raise _BrokenError
    return (kind - 12) // 2 if kind >= 12 else 8 if kind == 7 else INT_BYTES.get(kind, 0)


def _value(kind: int, content: bytes, encoding: str) -> Value:
    if kind == 7:
        (number,) = struct.unpack(">d", content)
        return float(number)
    if kind in INT_BYTES:
        return int.from_bytes(content, "big", signed=True)
    if kind < 12:
        return {8: 0, 9: 1}.get(kind)
    if kind % 2 == 0:
        return content
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise _BrokenError from None


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """An integer of one to nine bytes (the ninth counts whole), and where it ends."""
    number = 0
    for taken in range(9):
        if at + taken >= end:
            raise _BrokenError
        byte = content[at + taken]
        if taken == 8:
            number = number << 8 | byte
            return number - 2**64 * (number >= 2**63), at + 9
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, at + taken + 1
    raise _BrokenError

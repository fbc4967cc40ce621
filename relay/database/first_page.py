"""A readable copy of a file whose first page (header and list of tables) is lost.

Every file of relay was made by the first steps of the schema, or by VACUUM (backup, restore) from one that was; so the roots of its
tables lie on one of a few known sets of pages. The kind of page found there says which, and the list of tables of a new database of
that make is put into a copy (without tables that later steps have added to an older file). The file itself is only read.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from relay.database import connect, migrate

TABLE_KINDS, INDEX_KINDS = frozenset((5, 13)), frozenset((2, 10))
"""First byte of a b-tree page: inner, leaf. A table WITHOUT ROWID is kept as an index."""
SHARE_MIN = 0.6
"""The part of the roots that must be of their kind; by chance one in 128 is."""
POINTER_MAP = 2
"""With auto_vacuum the second page lists the parent of each page; only writing needs it."""


class Pattern(NamedTuple):
    """What a new database of one make looks like."""

    schema: dict[int, bytes]
    """The pages with header and list of tables, by number from 1."""
    kinds: dict[int, frozenset[int]]
    """The kinds of page that a root may be, by its number."""


def renewed(path: Path, scratch: Path) -> Path | None:
    """A copy of the file in the folder `scratch` that can be read again; None: this is no file that relay has made.

    Needs as much room as the file has; raises OSError when there is none.
    """
    patterns = list(_patterns(scratch))
    shares = [_share(path, pattern) for pattern in patterns]
    if max(shares) < SHARE_MIN:
        return None
    copy = scratch / path.name
    shutil.copyfile(path, copy)
    if connect.size_of(connect.wal_of(path)):
        shutil.copyfile(connect.wal_of(path), connect.wal_of(copy))
    with copy.open("r+b") as file:
        for number, content in patterns[shares.index(max(shares))].schema.items():
            file.seek((number - 1) * connect.PAGE_BYTES)
            file.write(content)
    return copy


def _patterns(scratch: Path) -> Iterator[Pattern]:
    steps = migrate.load_steps()
    for count in range(len(steps), 0, -1):  # of several that fit alike the first is taken: the one with the most tables
        fresh, vacuumed = scratch / f"fresh-{count}.db", scratch / f"vacuumed-{count}.db"
        with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            migrate.migrate(connection, fresh, steps[:count])
            connection.execute("VACUUM INTO ?", (str(vacuumed),))
        for path in (fresh, vacuumed):
            with closing(sqlite3.connect(path)) as connection:
                yield _pattern(path, connection)


def _pattern(path: Path, connection: sqlite3.Connection) -> Pattern:
    without_rowid = {str(name) for name, flag in connection.execute("SELECT name, wr FROM pragma_table_list") if flag}
    roots = connection.execute("SELECT rootpage, type, name FROM sqlite_master WHERE rootpage > 0").fetchall()
    kinds = {root: TABLE_KINDS if kind == "table" and name not in without_rowid else INDEX_KINDS for root, kind, name in roots}
    content, size = path.read_bytes(), connect.PAGE_BYTES
    pages = {number: content[(number - 1) * size : number * size] for number in range(1, len(content) // size + 1)}
    schema = {number: page for number, page in pages.items() if number not in kinds and number != POINTER_MAP}
    return Pattern(schema | {1: _unsized(schema[1])}, kinds)


def _unsized(page: bytes) -> bytes:
    """Page 1 without the size and the free pages of its database, and in WAL mode (SQLite's file format, section 1.3)."""
    header = bytearray(page)
    header[18:20] = b"\x02\x02"
    header[28:40] = bytes(12)
    return bytes(header)


def _share(path: Path, pattern: Pattern) -> float:
    with path.open("rb") as file:
        head = file.read(max(pattern.kinds) * connect.PAGE_BYTES)
    kinds_found = {root: head[(root - 1) * connect.PAGE_BYTES : (root - 1) * connect.PAGE_BYTES + 1] for root in pattern.kinds}
    return sum(bool(found) and found[0] in pattern.kinds[root] for root, found in kinds_found.items()) / len(pattern.kinds)

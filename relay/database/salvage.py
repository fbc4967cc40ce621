"""Copy what is readable of one table from a damaged file, around the damaged pages.

A table is read by an integer key. A range that cannot be read through is read from its other end, and what is left between
the two is cut in halves, the largest first, until the bound on failed reads is reached. What lies behind a damaged page that leads to
others is then taken out of the pages themselves (`strays`); a row that was read in order stands, so that each comes once.
"""

import sqlite3
from collections import deque
from collections.abc import Sequence

from relay.database.strays import Strays

KEY_MIN, KEY_MAX = -(2**63), 2**63 - 1
MAX_FAILED_READS = 20_000
"""Per table; a read that fails costs some 20 us."""
RANGE_KEYS = {"row": "seq", "tally": "minute"}
"""Tables WITHOUT ROWID: the integer key that their ranges are cut by. All others: rowid."""


def salvage_table(source: sqlite3.Connection, target: sqlite3.Connection, table: str, columns: Sequence[str], strays: Strays) -> int:
    """Copy the rows of a table; returns how many the target then holds."""
    names = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join("?" for _ in columns)
    insert = f'INSERT OR REPLACE INTO "{table}" ({names}) VALUES ({marks})'  # noqa: S608 names come from our own schema
    failed = 0
    for condition, values in _parts(target, table):
        failed += _salvage_part(_Reader(source, table, names, condition, values), target, insert)
    if failed:
        _add_strays(strays, target, table, columns)
    return int(target.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])  # noqa: S608 - a name of our schema


def _parts(target: sqlite3.Connection, table: str) -> list[tuple[str, tuple[str, ...]]]:
    """`row` is keyed by consumer first: the known consumers, each by itself, so that a range of seq is one range of the tree."""
    if table != "row":
        return [("", ())]
    consumers = [str(row[0]) for row in target.execute("SELECT name FROM cursor")]
    return [("", ()), *(("consumer = ? AND ", (name,)) for name in consumers)]


class _Reader:
    """Reads a range of keys in one direction until its end or an error."""

    def __init__(self, source: sqlite3.Connection, table: str, names: str, condition: str, values: tuple[str, ...]) -> None:
        self._source, self._values = source, values
        key = RANGE_KEYS.get(table, "rowid")
        by_key = bool(condition) or table != "row"  # all consumers together: in the order of the tree, not of seq
        order, bound = (key, key) if by_key else ("consumer {0}, seq", "+seq")  # the plus keeps the index row_seq out of it
        base = f'SELECT {key}, {names} FROM "{table}" NOT INDEXED WHERE {condition}{bound} BETWEEN ? AND ? ORDER BY {order} {{0}}'  # noqa: S608 - names of our schema
        self._forward, self._backward = base.format(""), base.format("DESC")
        self.can_cut = by_key

    def read(self, low: int, high: int, *, backward: bool) -> tuple[list[tuple[object, ...]], int | None]:
        """The rows, and where it stuck (a key inside the range that was not read); None: read to the end."""
        rows: list[tuple[object, ...]] = []
        stuck = high if backward else low
        try:
            for key, *values in self._source.execute(self._backward if backward else self._forward, (*self._values, low, high)):
                if not isinstance(key, int) or not low <= key <= high:
                    return rows, stuck  # a page of something else
                rows.append(tuple(values))
                stuck = key - 1 if backward else key + 1
        except sqlite3.DatabaseError:
            return rows, stuck
        return rows, None


def _salvage_part(reader: _Reader, target: sqlite3.Connection, insert: str) -> int:
    """Returns how many reads failed."""
    ranges, failed = deque([(KEY_MIN, KEY_MAX)]), 0
    while ranges and failed < MAX_FAILED_READS:
        low, high = ranges.popleft()
        rows, stuck_low = reader.read(low, high, backward=False)
        _store(target, insert, rows)
        if stuck_low is None or stuck_low > high:
            continue
        failed += 1
        rows, stuck_high = reader.read(stuck_low if reader.can_cut else low, high, backward=True)
        _store(target, insert, rows)
        if stuck_high is None or not reader.can_cut or stuck_low >= stuck_high:
            continue
        failed += 1
        middle = (stuck_low + stuck_high) // 2
        ranges += [(stuck_low, middle), (middle + 1, stuck_high)]
    return failed


def _add_strays(strays: Strays, target: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    for row in strays.rows(table):
        held = [column for column in columns if column in row]
        names, marks = ", ".join(f'"{column}"' for column in held), ", ".join("?" for _ in held)
        _store(target, f'INSERT OR IGNORE INTO "{table}" ({names}) VALUES ({marks})', [tuple(row[column] for column in held)])  # noqa: S608 - names of our schema


def _store(target: sqlite3.Connection, insert: str, rows: Sequence[tuple[object, ...]]) -> None:
    for row in rows:
        try:
            target.execute(insert, row)
        except sqlite3.IntegrityError:
            continue  # damaged values that the schema does not allow

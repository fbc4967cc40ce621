"""Rows of a damaged table, looked for in its pages themselves, since the pages that lead to them are lost. For `salvage` only.

Which table a page belongs to says the pointer map, which every file of relay has: it names the parent of each page, up to the root. Where
that is lost too, a row belongs to the one table whose declared columns allow its values; a row that two tables allow is left, and so are
the records of indexes (a table WITHOUT ROWID is one), which look like each other. Rows of `log` must hold an event in any case.

Free pages hold what was deleted, also on behalf of users, and are left out. Of a page that neither the list of free pages nor the pointer
map knows, only events are taken: so what the retention has removed may come back (and is removed again). What `relay forget` removed
does not: that is overwritten when it is forgotten.
"""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from relay.base.jsonio import loads
from relay.database.leaves import INDEX_INNER, INDEX_LEAF, TABLE_LEAF, Row, Value, kind_of, rows_of
from relay.database.pages import Pages

TYPES: dict[str, tuple[type, ...]] = {"INTEGER": (int,), "REAL": (int, float), "TEXT": (str,), "BLOB": (bytes,), "ANY": (int, float, str, bytes)}
"""What a column of a STRICT table may hold; a REAL without a fraction is stored as an integer."""
EVENTS = "log"


class Column(NamedTuple):
    """A column as declared."""

    name: str
    types: tuple[type, ...]
    is_rowid: bool
    may_be_null: bool
    may_be_missing: bool
    """Of a row that was written before the column was added."""


class Form(NamedTuple):
    """How the rows of one table look."""

    table: str
    is_index: bool
    columns: tuple[Column, ...]

    def fit(self, row: Row) -> dict[str, Value] | None:
        """The row by column; None: this table cannot hold it."""
        if self.is_index != (row.rowid is None) or len(row.values) > len(self.columns):
            return None
        if not all(column.may_be_missing for column in self.columns[len(row.values) :]):
            return None
        found: dict[str, Value] = {}
        for column, value in zip(self.columns, row.values, strict=False):
            if not (value is None if column.is_rowid or (column.may_be_null and value is None) else isinstance(value, column.types)):
                return None
            found[column.name] = row.rowid if column.is_rowid else value
        return found if self.table != EVENTS or _is_event(found) else None


class Strays:
    """The file is looked through once, when the first damaged table asks."""

    def __init__(self, pages: Pages, source: sqlite3.Connection) -> None:
        self._pages = pages
        tables = source.execute("SELECT m.rootpage, m.name, t.wr FROM sqlite_master m JOIN pragma_table_list t USING (name) WHERE m.type = 'table'")
        self._forms: dict[str, Form] = {}
        self._roots: dict[int, str] = {}
        for root, name, without_rowid in tables.fetchall():
            self._roots[root] = name
            self._forms[name] = _form(source, name, is_index=bool(without_rowid))
        self._sorted: tuple[dict[str, list[int]], list[int]] | None = None

    def rows(self, table: str) -> Iterator[dict[str, Value]]:
        """What the pages hold of a table, by column; a column that is missing has its default."""
        if self._sorted is None:
            self._sorted = self._sort()
        of_tables, unknown = self._sorted
        form = self._forms[table]
        for number in of_tables.get(table, ()):
            yield from (found for row in rows_of(self._pages, number) if (found := form.fit(row)) is not None)
        for number in unknown if not form.is_index else ():
            if table == EVENTS or self._pages.is_in_use(number):
                yield from (found for row in rows_of(self._pages, number) if (found := self._fit_only(form, row)) is not None)

    def _fit_only(self, form: Form, row: Row) -> dict[str, Value] | None:
        found = form.fit(row)
        return None if found is None or any(other.fit(row) for other in self._forms.values() if other is not form) else found

    def _sort(self) -> tuple[dict[str, list[int]], list[int]]:
        """The pages with records, by table; and those of which the table is not known."""
        of_tables: dict[str, list[int]] = {}
        unknown: list[int] = []
        for number in range(2, self._pages.count + 1):
            if kind_of(self._pages.page(number)) not in (TABLE_LEAF, INDEX_LEAF, INDEX_INNER) or self._pages.is_in_use(number) is False:
                continue
            root = self._pages.root_of(number)
            if root is None:
                unknown.append(number)
            elif root in self._roots:
                of_tables.setdefault(self._roots[root], []).append(number)
        return of_tables, unknown


def _form(source: sqlite3.Connection, table: str, *, is_index: bool) -> Form:
    declared = source.execute('SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', (table,)).fetchall()
    if is_index:  # its record has the primary key in front
        declared = sorted(declared, key=lambda column: column[4] or len(declared))
    keys = sum(bool(column[4]) for column in declared)
    columns = [
        Column(
            name,
            TYPES.get(kind, TYPES["ANY"]),
            not is_index and keys == 1 and bool(pk) and kind == "INTEGER",
            not required,
            not required or default is not None,
        )
        for name, kind, required, default, pk in declared
    ]
    return Form(table, is_index, tuple(columns))


def _is_event(found: dict[str, Value]) -> bool:
    """Whether a row of the log holds what was written: an event in JSON, or the mark of one that was removed."""
    body = found.get("body")
    if not body or not isinstance(body, bytes):
        return found.get("type") == "deleted"
    try:
        event = loads(body)
    except ValueError:
        return False
    return isinstance(event, dict) and isinstance(event.get("messageId"), str)

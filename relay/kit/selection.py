"""Selective sync: the tables and columns that a warehouse does not get. Names are those that the warehouse has. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from relay.kit.warehouse import Row, snake_case

NEEDED: Final = ("id", "received_at")
"""Columns that tell the rows of a table apart."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """What is left out."""

    tables: frozenset[str] = frozenset()
    columns: frozenset[tuple[str, str]] = frozenset()
    """Table and column."""

    @staticmethod
    def of(entries: Iterable[str]) -> "Excluded":
        """From entries as a person writes them: `tracks`, `users.phone`."""
        pairs = [entry.partition(".") for entry in entries]
        return Excluded(frozenset(table for table, dot, _ in pairs if not dot), frozenset((table, column) for table, dot, column in pairs if dot))

    def select(self, rows: list[Row]) -> list[Row]:
        """The rows less what is excluded."""
        if self.tables:
            rows = [row for row in rows if row.table not in self.tables]
        return [self._narrowed(row) for row in rows] if self.columns else rows

    def names_in(self, rows: Sequence[Row]) -> list[str]:
        """What these rows lose, in the form of the entries."""
        lost = [row.table for row in rows if row.table in self.tables]
        return lost + [
            f"{row.table}.{column}" for row in rows if row.table not in self.tables for column in row.values if (row.table, column) in self.columns
        ]

    def _narrowed(self, row: Row) -> Row:
        kept = {column: value for column, value in row.values.items() if (row.table, column) not in self.columns}
        return row if len(kept) == len(row.values) else replace(row, values=kept)


def exclusion_mistake(entry: str) -> tuple[str, str]:
    """What is wrong with an entry, and a remedy; two empty texts when nothing is."""
    parts = entry.split(".")
    if len(parts) > 2 or not all(parts):
        return "is neither a table nor a column of one", "write product_viewed, or users.phone"
    for part in parts:
        if part != part.lower() or not part.replace("_", "a").isalnum():
            return f"is no name of a warehouse: '{part}'", f"did you mean '{snake_case(part)}'?"
    if parts[-1] in NEEDED and len(parts) == 2:
        return "cannot be left out", "rows are told apart by it"
    return "", ""

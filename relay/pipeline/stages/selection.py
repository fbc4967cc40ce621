"""Selective sync of a warehouse: an event whose tables are all excluded goes no further; what else is excluded its rows are made without."""

from collections.abc import Sequence
from typing import Final

from relay.base.event import Event
from relay.kit.selection import Excluded
from relay.kit.warehouse import rows_of, tables_of
from relay.pipeline.decision import Drop, Rules

STAGE: Final = "sync"
DROPPED: Final = Drop(STAGE, "FILTERED_BY_RULES")


def compile_selection(exclude: Sequence[str]) -> Rules | None:
    """`exclude` names tables, and columns as `table.column`. None: everything is synced."""
    if not exclude:
        return None
    excluded = Excluded.of(exclude)

    def rewrite(event: Event) -> Event | Drop:
        return DROPPED if excluded.tables.issuperset(tables_of(event)) else event

    def name(event: Event) -> str:
        lost = excluded.names_in(rows_of(event, 0.0))
        return f"not synced: {', '.join(lost)}" if lost else ""

    return Rules(STAGE, rewrite, name)

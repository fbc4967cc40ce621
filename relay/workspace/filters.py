"""`[[destination.filter]]` and `[destination.sync]`: from the tree to rules, every mistake with its place."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from relay.config.reading import TableReader
from relay.config.tree import child
from relay.errors import ConfigError
from relay.kit.definition import Definition
from relay.kit.edits import split_path
from relay.kit.fql import compile_filter
from relay.kit.selection import exclusion_mistake
from relay.workspace.rules import Filter, FilterAction

ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "SAMPLE": ("percent", "path"),
    "DROP": (),
    "DROP_PROPERTIES": ("fields",),
    "ALLOW_PROPERTIES": ("fields",),
}
"""Each action with the keys that it takes."""
FILTERS_MAX: Final = 10
TITLE_MAX: Final = 64
EXPORTED: Final = ("id", "name", "description", "sourceId", "destinationId", "destinationMetadataId", "createdAt", "updatedAt")
"""Keys that Segment's API writes beside a rule: taken, so that an export can be pasted."""
ALWAYS: Final = frozenset(("type", "messageId"))
"""Without these a message is no event."""


def tables_in(reader: TableReader, key: str, header: str) -> Iterator[TableReader]:
    """A reader for each table of the list `key`."""
    reader.known.add(key)
    tables = reader.table.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        reader.complain(f"'{key}' must be a list of tables", key, f"write {header}")
        return
    for index, table in enumerate(tables):
        yield TableReader(reader.tree, child(reader.at(key), index), f"{reader.label}, {key} {index + 1}", reader.problems, table)


def read_condition(reader: TableReader, noun: str) -> str:
    """The `if` of a rule; empty after a complaint."""
    text: str = reader.take("if", "string", "")
    if "if" not in reader.table:
        reader.complain(f"a {noun} needs an if", remedy='add if = \'type = "track"\', or if = "all"')
    elif isinstance(reader.table["if"], str) and not reader.is_open(reader.at("if")):
        try:
            compile_filter(text)
        except ConfigError as error:
            for problem in error.problems:
                reader.complain(problem.message, "if", problem.remedy)
            return ""
    return text


def read_filters(reader: TableReader, definition: Definition | None) -> tuple[Filter, ...]:
    """The `filter` tables of a destination."""
    found: list[Filter] = []
    for position, inner in enumerate(tables_in(reader, "filter", "[[destination.filter]]"), 1):
        if position == 1 and definition is not None and definition.keeps_all:
            inner.complain(f"{definition.name} takes no filters", remedy="change or drop events with [[source.transformation]]")
        if position == FILTERS_MAX + 1:
            inner.complain(f"a destination has at most {FILTERS_MAX} filters", remedy='join conditions with "or", or actions in one filter')
        found.append(read_filter(inner))
    return tuple(found)


def read_filter(reader: TableReader) -> Filter:
    """One filter."""
    reader.known.update(EXPORTED)
    title: str = reader.take("title", "string", "")
    if len(title) > TITLE_MAX:
        reader.complain(f"'title' must be at most {TITLE_MAX} characters long", "title", "put the rest into a comment")
    actions = tuple(_action(inner) for inner in tables_in(reader, "actions", 'actions = [{ type = "DROP" }]'))
    if not reader.table.get("actions"):
        reader.complain("a filter needs actions", "actions" if "actions" in reader.table else "", 'add actions = [{ type = "DROP" }]')
    found = Filter(
        condition=read_condition(reader, "filter"),
        actions=actions,
        title=title,
        enabled=reader.take("enabled", "boolean", True),
        place=reader.tree.places.get(reader.path),
    )
    reader.finish(noun="key")
    return found


def _action(reader: TableReader) -> FilterAction:
    kind: str = reader.take("type", "string", "", choices=tuple(ACTIONS))
    if "type" not in reader.table:
        reader.complain("an action needs a type", remedy="one of " + ", ".join(ACTIONS))
    found = FilterAction(
        type=kind,
        percent=reader.take("percent", "number", 1.0, minimum=0),
        path=reader.take("path", "string", ""),
        fields=_fields(reader, kind),
    )
    for key in ("percent", "path", "fields"):
        if kind and reader.table.get(key) not in (None, "") and key not in ACTIONS[kind]:
            reader.complain(f"{kind} takes no '{key}'", key, "remove it, or choose another type")
    if kind == "SAMPLE":
        if found.percent > 1:
            reader.complain("'percent' must be at most 1", "percent", f"{found.percent / 100:g} keeps {found.percent:g} %")
        if "percent" not in reader.table:
            reader.complain("SAMPLE needs 'percent'", remedy="percent = 0.1 keeps a tenth")
        if found.path and not all(split_path(found.path)):
            reader.complain(f"'{found.path}' is no path", "path", "join names with single dots, as in userId or properties.plan")
    reader.finish(noun="key")
    return found


def _fields(reader: TableReader, kind: str) -> dict[str, tuple[str, ...]]:
    """Path of an object to keys in it."""
    given: Mapping[str, Any] = reader.take("fields", "object", {})
    if "fields" in ACTIONS.get(kind, ()) and not reader.table.get("fields"):
        reader.complain(
            f"{kind} needs 'fields'", "fields" if "fields" in reader.table else "", 'fields = { context = ["ip"] } names keys of an object'
        )
    inner = TableReader(reader.tree, reader.at("fields"), f"{reader.label}, fields", reader.problems, given)
    found: dict[str, tuple[str, ...]] = {}
    for path in given:
        keys = found[path] = inner.take(path, "list", ())
        if path and not all(split_path(path)):
            inner.complain(f"'{path}' is no path", path, 'join names with single dots, as in "properties.products"; "" is the event itself')
        if kind == "DROP_PROPERTIES" and given[path] == []:
            inner.complain(f"'{path}' lists no keys", path, "name the keys to drop")
        if kind == "DROP_PROPERTIES" and not path and not ALWAYS.isdisjoint(keys):
            inner.complain(f"an event cannot be without {' and '.join(sorted(ALWAYS))}", path, "drop others, or use DROP")
    return found


def read_sync(reader: TableReader, definition: Definition | None) -> tuple[str, ...]:
    """The `sync` table of a warehouse: what is excluded."""
    table = reader.take("sync", "object", {})
    if "sync" in reader.table and definition is not None and not definition.has_tables:
        reader.complain(f"'sync' is for warehouses, which {definition.name} is not", "sync", "use [[destination.filter]], or a mapping's trigger")
    inner = TableReader(reader.tree, reader.at("sync"), f"{reader.label}, sync", reader.problems, table)
    excluded: tuple[str, ...] = inner.take("exclude", "list", ())
    for index, entry in enumerate(excluded):
        message, remedy = exclusion_mistake(entry)
        if message:
            inner.complain(f"'{entry}' {message}", "exclude", remedy)
        elif entry in excluded[:index]:
            inner.complain(f"'{entry}' is listed twice", "exclude", "remove one")
    inner.finish()
    return excluded
